//! What policy tests share: a judge that plays a script, contexts, calls.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::{ToolCall, ToolForm};
use serde_json::{Value, json};

use crate::catalogue::{LoadEnv, PolicySpec, load};
use crate::contract::{EventSink, Policy, ReviewContext};
use crate::judge::{JudgeAnswer, JudgeClient, JudgeError, JudgeRequest};

/// A judge that plays a script and remembers what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    answers: Mutex<VecDeque<Result<String, JudgeError>>>,
    asked: Mutex<Vec<JudgeRequest>>,
    echoes: bool,
}

impl Scripted {
    /// Gives these answers in order, then none any more.
    pub(crate) fn new<I: IntoIterator<Item = Result<&'static str, JudgeError>>>(answers: I) -> Arc<Self> {
        let answers = answers.into_iter().map(|answer| answer.map(str::to_owned)).collect();
        Arc::new(Self { answers: Mutex::new(answers), ..Self::default() })
    }

    /// Answers each question with its own content.
    pub(crate) fn echo() -> Arc<Self> {
        Arc::new(Self { echoes: true, ..Self::default() })
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<JudgeRequest> {
        self.asked.lock().unwrap().clone()
    }
}

impl JudgeClient for Scripted {
    fn ask(&self, request: JudgeRequest) -> BoxFuture<'_, Result<JudgeAnswer, JudgeError>> {
        let prompt = request.prompt.clone();
        self.asked.lock().unwrap().push(request);
        let next = self.answers.lock().unwrap().pop_front();
        let answer = next.unwrap_or_else(|| {
            if self.echoes { Ok(prompt) } else { Err(JudgeError::Refused("the script is over".to_owned())) }
        });
        Box::pin(async { answer.map(JudgeAnswer::from) })
    }
}

/// A context whose judge is never there.
pub(crate) fn context() -> Arc<ReviewContext> {
    judged_by(Scripted::new([]))
}

/// A context with this judge, about a short conversation.
pub(crate) fn judged_by(judges: Arc<dyn JudgeClient>) -> Arc<ReviewContext> {
    let body = json!({
        "model": "m", "max_tokens": 16,
        "messages": [{"role": "user", "content": "tidy up <b>my</b> folder"}],
    });
    let body = Bytes::from(body.to_string());
    Arc::new(ReviewContext {
        transaction_id: "t-1".to_owned(),
        session_id: None,
        user_id: None,
        credential: None,
        gateway_key: false,
        dialect: Dialect::Messages,
        request: Request::parse(Dialect::Messages, RequestKind::Turn, body).unwrap(),
        judges,
        people: Arc::new(crate::people::Nobody),
        events: EventSink::default(),
    })
}

/// The one policy that this class and configuration load.
pub(crate) fn policy(class: &str, config: Value) -> Arc<dyn Policy> {
    let loaded = load(&PolicySpec::new(class, config), &LoadEnv::default()).unwrap();
    let policies = loaded.tree.policies();
    assert_eq!(policies.len(), 1);
    Arc::clone(policies[0])
}

/// Why this class and configuration do not load.
pub(crate) fn refused(class: &str, config: Value) -> String {
    load(&PolicySpec::new(class, config), &LoadEnv::default()).unwrap_err().to_string()
}

/// A tool call of the client's.
pub(crate) fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        id: "toolu_1".to_owned(),
        name: name.to_owned(),
        form: ToolForm::Client,
        raw: arguments.to_string(),
        arguments: Ok(arguments),
    }
}
