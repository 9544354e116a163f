//! A gateway in front of a scripted upstream whose judge says what a test wants.

pub(crate) use luthien_testkit::accumulate::accumulate as read;
use luthien_testkit::client::{Exchange, post};
use luthien_testkit::{Answer, Asked, Play, Recorded, Reply, Script, Upstream, fixtures};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use serde_json::{Value, json};

/// The judge's model.
pub(crate) const JUDGE: &str = "judge-of-calls";
pub(crate) const BAD: &str = "{\"probability\": 1, \"explanation\": \"harmful\"}";
pub(crate) const GOOD: &str = "{\"probability\": 0, \"explanation\": \"harmless\"}";
pub(crate) const KEYS: [(&str, &str); 2] = [("x-api-key", "sk-callers"), ("authorization", "Bearer sk-callers")];

/// A policy by name and configuration.
pub(crate) type Policy = (&'static str, Value);

/// The judge of tool calls, which tells the agent nothing of what it blocked.
pub(crate) fn judge() -> Policy {
    ("tool_call_judge", json!({"model": JUDGE, "feedback": "none"}))
}

/// These policies one after the other.
pub(crate) fn chain(members: &[Policy]) -> Policy {
    let members: Vec<Value> = members.iter().map(|(class, config)| json!({"class": class, "config": config})).collect();
    ("serial", json!({"policies": members}))
}

/// The judge says `verdict`; whoever else asks gets what `others` has for them.
pub(crate) fn judged<P: Into<Play>>(
    verdict: &'static str,
    others: impl Fn(&Asked) -> P + Send + Sync + 'static,
) -> Script {
    Script::new(
        move |asked: &Asked| {
            if asked.model() == JUDGE { Play::from(Answer::text(verdict)) } else { others(asked).into() }
        },
    )
}

/// The fixture that a request names as its model, as it stands.
pub(crate) fn fixture_of(asked: &Asked) -> Reply {
    Reply::fixture(fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name"))
}

pub(crate) struct Rig {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
}

impl Rig {
    pub(crate) async fn new(script: impl Into<Script>, policy: Option<Policy>) -> Self {
        Self::with(script, policy, &[]).await
    }

    pub(crate) async fn with(script: impl Into<Script>, policy: Option<Policy>, environment: &[(&str, &str)]) -> Self {
        let upstream = Upstream::start().await.expect("an upstream");
        upstream.default_script(script);
        let gateway = Gateway::start_with(&Setup { upstream: upstream.base_url(), policy }, environment).await;
        Self { upstream, gateway }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.gateway.url())
    }

    /// Posts a turn with the caller's key in both forms.
    pub(crate) async fn ask(&self, dialect: Dialect, body: &Value) -> Exchange {
        post(&self.url(path(dialect)), &KEYS, body.to_string()).await.expect("an answer")
    }

    /// Posts a turn and reads its answer to the end.
    pub(crate) async fn told(&self, dialect: Dialect, body: &Value) -> Told {
        Told::of(self.ask(dialect, body).await).await
    }

    /// The turns that the upstream was asked for, the judge's left out.
    pub(crate) fn turns(&self) -> Vec<Recorded> {
        self.upstream.turns().into_iter().filter(|turn| turn.json()["model"] != JUDGE).collect()
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
        self.upstream.stop().await;
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) async fn of(exchange: Exchange) -> Self {
        let (status, headers) = (exchange.status, exchange.headers.clone());
        Self { status, headers, body: exchange.rest().await.expect("the rest of the answer").to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn id(&self) -> &str {
        self.header("x-luthien-transaction-id").expect("a transaction id")
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("an answer in UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

pub(crate) fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
    }
}

/// A turn that asks `model`.
pub(crate) fn turn(dialect: Dialect, model: &str, stream: bool) -> Value {
    match dialect {
        Dialect::Messages | Dialect::Chat => {
            json!({"model": model, "max_tokens": 16, "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
        }
        Dialect::Responses => json!({"model": model, "stream": stream, "input": [{"role": "user", "content": "hi"}]}),
    }
}

/// The payload of a call's event; the first of that type.
pub(crate) fn event<'a>(call: &'a Value, kind: &str) -> &'a Value {
    let events = call["events"].as_array().expect("events");
    let found = events.iter().find(|event| event["event_type"] == kind);
    &found.unwrap_or_else(|| panic!("no event {kind} in {call}"))["payload"]
}

/// What the record says of the response: original, final, evaluation.
pub(crate) fn response(call: &Value) -> &Value {
    let events = call["events"].as_array().expect("events");
    let recorded =
        |event: &&Value| event["event_type"].as_str().is_some_and(|kind| kind.ends_with("response_recorded"));
    &events.iter().find(recorded).unwrap_or_else(|| panic!("no response in {call}"))["payload"]
}

/// The decisions on the record.
pub(crate) fn decisions(call: &Value) -> Vec<&Value> {
    let events = call["events"].as_array().expect("events").iter();
    events
        .filter(|event| event["event_type"].as_str().is_some_and(|kind| kind.ends_with(".decision")))
        .map(|event| &event["payload"])
        .collect()
}
