//! The rows of the table: a policy, what the upstream says, and what the client must get.

use luthien_testkit::Answer;
use serde_json::{Value, json};

use super::table::Got;
use crate::contract::RefusalKind;

/// Policies that need a server, and have tests of their own with one.
pub(super) const ROWS_ELSEWHERE: [&str; 2] = ["python", "webhook"];

/// One row.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) policy: Value,
    /// What the client says.
    pub(super) asks: &'static str,
    pub(super) says: Answer,
    /// The judge's answer to a prompt.
    pub(super) judge: fn(&str) -> &'static str,
    /// What has to stand in the request that is sent.
    pub(super) sends: &'static [&'static str],
    pub(super) upstream: Option<&'static str>,
    pub(super) credential: bool,
    pub(super) expect: Expect,
}

/// What the client must get.
#[derive(Debug)]
pub(super) enum Expect {
    /// The upstream's answer, byte for byte.
    Same,
    /// This.
    Says(Vec<Got>),
    /// A turn that begins so, and nothing is sent.
    Blocked(&'static str),
    /// An error, and nothing is sent.
    Refused(RefusalKind),
}

impl Row {
    fn new(policy: Value, expect: Expect) -> Self {
        Self {
            name: policy.to_string(),
            policy,
            asks: "hi",
            says: Answer::new().say("hello").call("Bash", &json!({"command": REMOVE})),
            judge: |prompt| if prompt.contains(REMOVE) { r#"{"probability": 0.9}"# } else { r#"{"probability": 0}"# },
            sends: &[],
            upstream: None,
            credential: false,
            expect,
        }
    }
}

const REMOVE: &str = "rm -rf build";
const STOP: &str = "docker compose down";

fn of(class: &str) -> Value {
    json!({"class": class})
}

fn with(class: &str, config: &Value) -> Value {
    json!({"class": class, "config": config})
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}

fn bash(command: &str) -> Got {
    Got::Call("Bash".to_owned(), json!({"command": command}))
}

/// With the call as it came.
fn said(words: &str) -> Expect {
    Expect::Says(vec![text(words), bash(REMOVE)])
}

fn only(words: &str) -> Expect {
    Expect::Says(vec![text(words)])
}

fn replaces(from: &str, to: &str) -> Value {
    with("string_replacement", &json!({"replacements": [[from, to]], "apply_to": "both"}))
}

/// Blocks what removes files.
fn no_removal() -> Value {
    let rule =
        json!({"name": "keep", "when": "tool.command.contains(\"rm -rf\")", "action": "block", "message": "[kept]"});
    with("rules", &json!({"rules": [rule]}))
}

pub(super) fn rows() -> Vec<Row> {
    [alone(), judged(), about_requests(), in_order(), in_groups(), in_branches()].into_iter().flatten().collect()
}

fn alone() -> Vec<Row> {
    let untouched = ["no_op", "debug_logging", "template", "prepare_backend_request", "execute_backend_request"];
    let mut rows: Vec<Row> = untouched.iter().map(|class| Row::new(of(class), Expect::Same)).collect();
    rows.push(Row::new(with("tx_logging", &json!({"spec": {"type": "full"}})), Expect::Same));
    rows.push(Row::new(of("all_caps"), said("HELLO")));
    rows.push(Row::new(replaces("hello", "bye"), said("bye")));
    rows.push(Row {
        says: Answer::new().say("hello").call("Bash", &json!({"command": STOP})).call("Read", &json!({"path": "a"})),
        ..Row::new(
            of("dogfood_safety"),
            Expect::Says(vec![text("hello\n\n⛔ BLOCKED…"), Got::Call("Read".to_owned(), json!({"path": "a"}))]),
        )
    });
    rows.push(Row::new(no_removal(), only("hello\n\n[kept]")));
    rows.push(Row {
        says: Answer::new().say("hello").call("Bash", &json!({"command": "rm -rf /"})),
        ..Row::new(of("guard"), only("hello\n\n…"))
    });
    let link = "Luthien: http://127.0.0.1:8000/conversation/live/s%201";
    rows.push(Row::new(of("conversation_link"), said(&format!("{link}\n\nhello"))));
    rows.push(Row::new(of("onboarding"), Expect::Says(vec![text("hello\n\n---\nWelcome to Luthien…"), bash(REMOVE)])));
    let forced = || Expect::Says(vec![bash("rm -rf ~/luthien-demo/data")]);
    rows.push(Row::new(of("demo_force_tool"), forced()));
    rows.push(Row { says: Answer::text("just text"), ..Row::new(of("demo_force_tool"), forced()) });
    rows
}

fn judged() -> Vec<Row> {
    let constant = "hello\n\n[Blocked: a policy did not allow this call of the tool `Bash`.]";
    let rules = json!({"rules": ["Keep the files."]});
    let mut rows = vec![
        Row::new(of("tool_call_judge"), only(constant)),
        Row {
            judge: |_| "who knows",
            ..Row::new(of("tool_call_judge"), only("hello\n\n[Blocked: the call of the tool `Bash`…"))
        },
        Row::new(
            with("simple_judge", &rules),
            only("hello\n\n[Blocked: a call of the tool `Bash` breaks a rule of a policy.]"),
        ),
        Row {
            judge: |_| r#"{"probability": 1}"#,
            ..Row::new(with("simple_judge", &rules), Expect::Blocked("[Blocked: this request breaks a rule"))
        },
        Row {
            judge: |prompt| if prompt.contains(REMOVE) { PASS } else { NEW },
            ..Row::new(with("simple_llm", &json!({"instructions": "x"})), said("new"))
        },
    ];
    for class in ["block_dangerous_commands", "block_sensitive_file_writes", "block_web_requests"] {
        let judge = |prompt: &str| if prompt.contains(REMOVE) { NEW } else { PASS };
        rows.push(Row { judge, ..Row::new(of(class), only("hello\n\n[BLOCKED] new")) });
    }
    for class in ["no_yapping", "no_apologies", "plain_dashes", "prefer_uv", "deai"] {
        let judge = |prompt: &str| if prompt.contains(REMOVE) { PASS } else { NEW };
        rows.push(Row { judge, ..Row::new(of(class), said("new")) });
    }
    rows
}

const PASS: &str = r#"{"action": "pass"}"#;
const NEW: &str = r#"{"action": "replace", "blocks": [{"type": "text", "text": "new"}]}"#;

fn about_requests() -> Vec<Row> {
    let names = json!({"model_mapping": {"m": "theirs"}});
    let leaks = json!({"patterns": ["CORP-[0-9]+"]});
    vec![
        Row::new(of("leaked_api_key_detection"), Expect::Same),
        Row {
            asks: "it is CORP-1",
            ..Row::new(with("leaked_api_key_detection", &leaks), Expect::Blocked("[Blocked: this request was not sent"))
        },
        Row::new(of("client_api_key_auth"), Expect::Refused(RefusalKind::Unauthenticated)),
        Row {
            credential: true,
            ..Row::new(with("add_api_key_header", &json!({"api_key_env_var_name": "MY_KEY"})), Expect::Same)
        },
        Row {
            upstream: Some("local"),
            ..Row::new(with("set_backend", &json!({"backend_url": "local"})), Expect::Same)
        },
        Row { sends: &[r#""model":"theirs""#], ..Row::new(with("model_name_replacement", &names), said("hello")) },
    ]
}

/// The order of a chain is the same for requests and answers.
fn in_order() -> Vec<Row> {
    let chain = |policies: &[Value]| with("serial", &json!({"policies": policies}));
    let (hello, hi) = (replaces("hello", "hi"), replaces("hi", "hey"));
    vec![
        Row {
            asks: "hello",
            sends: &[r#""content":"hey""#],
            ..Row::new(chain(&[hello.clone(), hi.clone()]), said("hey"))
        },
        Row {
            asks: "hello",
            sends: &[r#""content":"hi""#],
            ..Row::new(chain(&[hi.clone(), hello.clone()]), said("hi"))
        },
        Row::new(chain(&[chain(std::slice::from_ref(&hello)), chain(&[hi.clone(), of("all_caps")])]), said("HEY")),
        Row::new(chain(&[of("all_caps"), hello.clone()]), said("HELLO")),
        Row::new(chain(&[of("demo_force_tool"), no_removal()]), only("[kept]")),
        Row::new(chain(&[no_removal(), of("all_caps")]), only("HELLO\n\n[kept]")),
        Row::new(chain(&[of("onboarding"), no_removal()]), only("hello\n\n[kept]\n\n---\nWelcome…")),
        Row::new(with("shadow", &json!({"policy": chain(&[hello, hi, no_removal()])})), Expect::Same),
        Row::new(json!({"class": "all_caps", "mode": "shadow"}), Expect::Same),
        Row::new(json!({"class": "all_caps", "mode": "off"}), Expect::Same),
    ]
}

fn in_groups() -> Vec<Row> {
    let group = |strategy: &str, policies: &[Value]| {
        with("parallel", &json!({"consolidation_strategy": strategy, "policies": policies}))
    };
    let designated = |at: usize, policies: &[Value]| {
        let config =
            json!({"consolidation_strategy": "designated", "designated_policy_index": at, "policies": policies});
        with("parallel", &config)
    };
    // It looks, and lets everything pass.
    let looks = json!({"rules": [{"name": "never", "when": "tool.name == \"Never\"", "action": "block"}]});
    let (blocks, passes, caps) = (no_removal(), with("rules", &looks), of("all_caps"));
    let hello = replaces("hello", "hi");
    vec![
        Row::new(group("first_block", &[caps.clone(), blocks.clone()]), only("HELLO\n\n[kept]")),
        Row::new(group("first_block", &[hello.clone(), caps.clone()]), said("hi")),
        Row::new(group("first_block", &[caps.clone(), hello.clone()]), said("HELLO")),
        Row::new(group("most_restrictive", &[passes.clone(), blocks.clone()]), only("hello\n\n[kept]")),
        Row::new(group("unanimous_pass", &[passes.clone(), passes.clone(), blocks.clone()]), only("hello\n\n[kept]")),
        Row::new(group("majority_pass", &[passes.clone(), passes.clone(), blocks.clone()]), Expect::Same),
        Row::new(group("majority_pass", &[passes.clone(), blocks.clone()]), only("hello\n\n[kept]")),
        // Who does not look has no voice.
        Row::new(group("majority_pass", &[of("no_op"), of("no_op"), blocks.clone()]), only("hello\n\n[kept]")),
        Row::new(designated(0, &[passes.clone(), blocks.clone()]), Expect::Same),
        Row::new(designated(1, &[passes.clone(), blocks.clone()]), only("hello\n\n[kept]")),
        // A chain is one member, and sees what the group sees.
        Row::new(
            group("first_block", &[with("serial", &json!({"policies": [hello, replaces("hi", "hey")]})), caps.clone()]),
            said("hey"),
        ),
        Row::new(
            with("serial", &json!({"policies": [caps, group("most_restrictive", &[passes, blocks])]})),
            only("HELLO\n\n[kept]"),
        ),
        Row {
            asks: "it is CORP-1",
            ..Row::new(
                group(
                    "most_restrictive",
                    &[replaces("it", "that"), with("leaked_api_key_detection", &json!({"patterns": ["CORP-[0-9]+"]}))],
                ),
                Expect::Blocked("[Blocked: this request was not sent"),
            )
        },
    ]
}

fn in_branches() -> Vec<Row> {
    let branch = |when: &Value, default: &Value| {
        let branches = json!([{"when": "request.model == \"other\"", "policy": of("all_caps")}, {"when": when, "policy": no_removal()}]);
        with("branch", &json!({"branches": branches, "default": default}))
    };
    let imported = |model: &str| {
        let path = json!({"type": "transaction_path", "path": "request.payload.model"});
        json!({"type": "equals", "left": path, "right": {"type": "static", "value": model}, "comparator": "equals"})
    };
    let hello = replaces("hello", "hi");
    let renamed = with("model_name_replacement", &json!({"model_mapping": {"m": "other"}}));
    vec![
        Row::new(branch(&json!("request.model == \"m\""), &hello), only("hello\n\n[kept]")),
        Row::new(branch(&json!("request.model == \"x\""), &hello), said("hi")),
        Row::new(branch(&imported("m"), &hello), only("hello\n\n[kept]")),
        Row::new(branch(&imported("x"), &hello), said("hi")),
        // It is taken by the request as the policies before it let it out.
        Row {
            sends: &[r#""model":"other""#],
            ..Row::new(with("serial", &json!({"policies": [renamed, branch(&imported("m"), &hello)]})), said("HELLO"))
        },
        // What cannot be evaluated leaves out no branch.
        Row::new(branch(&json!({"type": "less_than", "left": "a", "right": 1}), &hello), only("HELLO\n\n[kept]")),
    ]
}
