//! What is measured: policies, and what they decide about.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_policy::contract::{EventSink, ReviewContext};
use luthien_policy::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};
use luthien_policy::people::Nobody;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestError, RequestKind};
use luthien_wire::turn::{ToolCall, ToolForm};
use serde_json::{Value, json};

/// A policy under a name for the table.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) class: &'static str,
    pub(crate) config: Value,
}

/// What is decided about.
pub(crate) enum Subject {
    Call(ToolCall),
    Text(String),
}

pub(crate) fn contenders() -> Vec<Contender> {
    let of = |name, class, config| Contender { name, class, config };
    let replacements = json!({"replacements": [["foo", "bar"], ["secret-host.example.com", "HOST"]]});
    vec![
        of("no_op", "no_op", json!({})),
        of("string_replacement", "string_replacement", replacements),
        of("dogfood_safety", "dogfood_safety", json!({})),
        of("rules, 10", "rules", rules(10)),
        of("rules, 100", "rules", rules(100)),
        of("rules, 100 for other tools", "rules", other_tools(100)),
        of("guard", "guard", json!({})),
    ]
}

/// So many rules of the kinds that people write, none of which matches.
fn rules(count: usize) -> Value {
    let kinds = [
        |n: usize| json!({"when": format!("tool.effects.writes(\"/srv/app{n}\")")}),
        |n: usize| json!({"when": format!("tool.effects.runs(\"deploy{n} *\")")}),
        |n: usize| json!({"effects": ["network"], "when": format!("!tool.effects.connects(\"host{n}.example.com\")")}),
        |n: usize| json!({"when": format!("re(tool.command, \"--token{n}=\\\\w+\")")}),
        |n: usize| json!({"when": format!("tool.name == \"Bash\" && tool.args.command.contains(\"secret{n}\")")}),
    ];
    let rules = kinds.iter().cycle().take(count).enumerate().map(|(n, kind)| {
        let mut rule = kind(n);
        rule["name"] = format!("rule {n}").into();
        rule["action"] = "block".into();
        rule
    });
    json!({"rules": rules.collect::<Vec<_>>()})
}

fn other_tools(count: usize) -> Value {
    let rule = |n: usize| {
        let when = format!("tool.args.path.startsWith(\"/srv/app{n}\")");
        json!({"name": format!("rule {n}"), "tools": [format!("mcp__files{n}__*")], "when": when, "action": "block"})
    };
    json!({"rules": (0..count).map(rule).collect::<Vec<_>>()})
}

pub(crate) fn subjects() -> Vec<(&'static str, Subject)> {
    let bash = |command: &str| Subject::Call(call("Bash", json!({"command": command, "description": "work"})));
    let text = "The tests pass, and the branch is ready to be reviewed. ".repeat(20);
    vec![
        ("short command", bash("cargo test --workspace")),
        ("long command", bash(LONG)),
        ("file", Subject::Call(call("Write", json!({"file_path": "/srv/work/a.rs", "content": text})))),
        ("text, 1 KB", Subject::Text(text)),
    ]
}

const LONG: &str = r#"set -euo pipefail; cd "$(git rev-parse --show-toplevel)" && for f in $(git diff --name-only HEAD~1 | grep '\.py$'); do
  python -m black --check "$f" || { echo "format: $f" >&2; exit 1; }
done; find . -name '*.pyc' -print0 | xargs -0 rm -f; tar czf /tmp/build.tgz dist && sha256sum /tmp/build.tgz > /tmp/build.sum"#;

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: "toolu_1".to_owned(),
        name: name.to_owned(),
        form: ToolForm::Client,
        raw: arguments.to_string(),
        arguments: Ok(arguments),
    }
}

/// A request of a usual size.
pub(crate) fn context() -> Result<Arc<ReviewContext>, RequestError> {
    let turns = (0..40).map(|n| {
        let role = if n % 2 == 0 { "user" } else { "assistant" };
        json!({"role": role, "content": "The quick brown fox jumps over the lazy dog. ".repeat(30)})
    });
    let body = json!({"model": "m", "max_tokens": 16, "messages": turns.collect::<Vec<_>>()});
    let body = Bytes::from(body.to_string());
    Ok(Arc::new(ReviewContext {
        transaction_id: "t-1".to_owned(),
        session_id: Some("s-1".to_owned()),
        user_id: None,
        credential: None,
        gateway_key: false,
        dialect: Dialect::Messages,
        request: Request::parse(Dialect::Messages, RequestKind::Turn, body)?,
        judges: Arc::new(NoJudge),
        people: Arc::new(Nobody),
        events: EventSink::default(),
    }))
}

#[derive(Debug)]
struct NoJudge;

impl JudgeClient for NoJudge {
    fn ask(&self, _request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        Box::pin(async { Err(JudgeError::Refused("there is no judge here".to_owned())) })
    }
}
