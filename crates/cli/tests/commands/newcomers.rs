//! Those who begin, and those who come from an older proxy: `setup` and `import-config`.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Home, free_port};

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn without_a_terminal_it_names_the_flags() {
    let home = Home::new();
    let run = home.luthien(&["setup"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.contains("luthien setup --yes --agent claude --policy guard"), "{}", run.err);
}

#[test]
fn what_setup_writes_is_private_passes_the_check_and_counts_everywhere() {
    let home = Home::new();
    let key = home.write("anthropic.key", "sk-ant-geheim-0123456789\n");
    let port = free_port().to_string();
    let args = ["setup", "--yes", "--agent", "claude", "--agent", "codex", "--policy", "judge", "--port", &port];
    let run = home.luthien(&[&args[..], &["--anthropic-key-file", key.to_str().unwrap()]].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    for part in ["luthien up\n", "luthien claude", "luthien codex", "luthien keys create"] {
        assert!(run.out.contains(part), "{part} is not in\n{}", run.out);
    }
    let file = home.path().join(".config/luthien/luthien.yaml");
    assert_eq!(mode(&file), 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("tool_call_judge") && !text.contains("geheim") && !run.out.contains("geheim"), "{text}");
    let check = home.luthien(&["config", "check"]);
    assert!(check.code == 0 && check.out.contains(".config/luthien/luthien.yaml"), "{check:?}");

    let again = home.luthien(&["setup", "--yes"]);
    assert!(again.code == 1 && again.err.contains("--force"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert_eq!(home.luthien(&["setup", "--yes", "--force"]).code, 0);
    assert_eq!(std::fs::read_to_string(file.with_extension("yaml.old")).unwrap(), text);

    let here = home.luthien(&["setup", "--yes", "--policy", "record", "--output", "here.yaml"]);
    assert!(here.code == 0 && here.out.contains("luthien up --config "), "{here:?}");
    assert_eq!(home.luthien(&["config", "check", "here.yaml"]).code, 0);
}

#[test]
fn questions_are_asked_on_a_terminal_and_keys_are_not_shown() {
    let home = Home::new();
    let luthien = env!("CARGO_BIN_EXE_luthien");
    let answers = home.path().join("answers.yaml");
    let command = format!("{luthien} setup --agent claude --port 1234 --output {}", answers.display());
    // `script` gives it a terminal; should a question never come, it does not wait for ever.
    let mut asked = Command::new("timeout")
        .args(["60", "script", "-qefc", &command, "/dev/null"])
        .current_dir(home.path())
        .env("HOME", home.path())
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (asked.stdin.take().unwrap(), asked.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut until = |words: &str| {
        let mut byte = [0];
        while !String::from_utf8_lossy(&shown).contains(words) {
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{words} never came: {}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        assert!(!String::from_utf8_lossy(&shown).contains("geheim"), "the key was shown");
        shown.clear();
    };
    // The second choice of whose key, the key, and the policy that is recommended.
    until("keeps, for callers");
    keys.write_all(b"\x1b[B\r").unwrap();
    until("empty for none)");
    keys.write_all(b"sk-ant-geheim\r").unwrap();
    until("judge: the rules");
    keys.write_all(b"\r").unwrap();
    let mut rest = String::new();
    screen.read_to_string(&mut rest).unwrap();
    let done = asked.wait().unwrap();
    drop(keys);
    let shown = rest;
    assert!(done.success(), "{shown}");
    assert!(!shown.contains("geheim"), "the key was shown: {shown}");
    let text = std::fs::read_to_string(&answers).unwrap();
    assert!(text.contains("anthropic: { api_key: 'sk-ant-geheim' }") && text.contains("class: guard"), "{text}");
    assert_eq!(mode(&answers), 0o600);
}

const ENV: &str = "# luthien-proxy\nexport GATEWAY_PORT=8123\nPROXY_API_KEY='sk-luthien-0123456789'\n\
                   ANTHROPIC_API_KEY=\"sk-ant-geheim\" # ours\nDATABASE_URL=postgresql+asyncpg://u:geheim@db/luthien\nPOLICY_CONFIG=config/policy.yaml\n\
                   INJECT_POLICY_CONTEXT=yes\nLITELLM_LOG=DEBUG\nMY_OWN=1\nRATE_LIMIT_RPM=\n";

#[test]
fn variables_of_an_older_proxy_are_taken_renamed_or_named() {
    let home = Home::new();
    home.write(".env", ENV);
    std::fs::create_dir(home.path().join("config")).unwrap();
    home.write("config/policy.yaml", "policy: { class: guard }\n");
    let dry = home.luthien(&["import-config", ".env", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}{}", dry.out, dry.err);
    assert!(!dry.out.contains("geheim") && !home.path().join("luthien.yaml").exists(), "{}", dry.out);
    let squeezed: Vec<String> =
        dry.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "taken GATEWAY_PORT server.port: 8123",
        "renamed PROXY_API_KEY CLIENT_API_KEY, among the secrets",
        "taken DATABASE_URL DATABASE_URL, among the secrets",
        "taken INJECT_POLICY_CONTEXT policy.inject_context: yes",
        "not needed LITELLM_LOG the gateway talks to the vendors itself; there is no LiteLLM",
        "not needed RATE_LIMIT_RPM it is empty, which counts as not set",
        "unknown MY_OWN no setting of this version; left out",
    ] {
        assert!(squeezed.iter().any(|told| told == line), "{line} is not in\n{}", dry.out);
    }
}

#[test]
fn what_is_imported_runs_and_is_not_written_over() {
    let home = Home::new();
    home.write(".env", &ENV.replace("postgresql+asyncpg://u:geheim@db/luthien", "sqlite:///old.db"));
    home.write(
        "policy.yaml",
        "policy:\n  class: \"luthien_proxy.policies.tool_call_judge_policy:ToolCallJudgePolicy\"\n  config:\n    probability_threshold: 0.7\n",
    );
    let run = home.luthien(&["import-config", ".env", "policy.yaml", "--json"]);
    let said: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{run:?}"));
    assert_eq!((run.code, &said["problems"]), (0, &json!([])), "{}", run.err);
    assert!(said["variables"][0]["to"].as_str().unwrap().contains("is `tool_call_judge` here"), "{said}");
    let (yaml, secrets) = (home.path().join("luthien.yaml"), home.path().join("luthien.env"));
    assert_eq!((mode(&yaml), mode(&secrets)), (0o600, 0o600));
    let written = std::fs::read_to_string(&yaml).unwrap();
    assert!(!written.contains("geheim") && written.contains("0.7"), "{written}");
    // A shell reads the secrets back.
    let script = "set -a; . ./luthien.env; echo $ANTHROPIC_API_KEY $CLIENT_API_KEY";
    let read = Command::new("sh").args(["-c", script]).current_dir(home.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "sk-ant-geheim sk-luthien-0123456789\n");
    assert_eq!(home.luthien(&["config", "check"]).code, 0);
    let again = home.luthien(&["import-config", ".env"]);
    assert!(again.code == 1 && again.err.contains("--force"), "{again:?}");
}

#[test]
fn a_policy_of_luthien_control_is_taken_and_what_is_wrong_is_said() {
    let home = Home::new();
    home.write("control.json", r#"{"name": "main", "type": "NoopPolicy", "config": {}}"#);
    let run = home.luthien(&["import-config", "control.json", "--output", "control.yaml"]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(run.out.contains("NoopPolicy is `no_op` here"), "{}", run.out);
    home.write("wrong.env", "GATEWAY_PORT=many\n");
    let run = home.luthien(&["import-config", "wrong.env", "--dry-run"]);
    assert!(run.code == 1 && run.out.contains("server.port"), "{run:?}");
    home.write("two.yaml", "class: guard\n");
    let run = home.luthien(&["import-config", "control.json", "two.yaml", "--dry-run"]);
    assert!(run.code == 1 && run.err.contains("only one policy"), "{run:?}");
}
