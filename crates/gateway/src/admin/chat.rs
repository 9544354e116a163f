//! One message the whole way: through the policies, to a model with the server's key, back through the policies, and on the record.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use luthien_policy::contract::{EventSink, ReviewContext};
use luthien_policy::judge::{JudgeAnswer, JudgeRequest, JudgeRoute};
use luthien_policy::plan::{self, DecisionSink, Options, Plan, RequestOutcome};
use luthien_record::model::{End, Evaluation, Event, Start, Status};
use luthien_record::recorder::{InFlight, SentRequest};
use luthien_wire::conversation::{Part, Role};
use luthien_wire::request::{Request, RequestKind};
use luthien_wire::turn::Block;
use luthien_wire::{Dialect, whole};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;

use super::error::ApiError;
use super::form::Form;
use super::{AdminState, Who, params, policy};
use crate::body::rewrite::evaluation;
use crate::config::{Limits, Timeouts};
use crate::scopes::Asker;
use crate::transaction::recorded;

/// How long the whole way may take.
const WITHIN: Duration = Duration::from_mins(2);

/// The longest message, in bytes.
const LONGEST: usize = 64 << 10;

/// The most tokens of an answer.
const MAX_TOKENS: u32 = 1024;

const PATH: &str = "/api/admin/test/chat";

/// A message to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the form reads it field by field, so that each problem is named")]
pub(super) struct TestChat {
    /// The model, by the name that clients use.
    #[schema(min_length = 1, max_length = 256)]
    model: String,
    /// What is said to it; at most 64 KiB.
    #[schema(min_length = 1)]
    message: String,
    /// Taken for older callers. The answer comes in one piece.
    stream: Option<bool>,
    /// No model is asked: the answer repeats the message.
    use_mock: Option<bool>,
    /// The policy to try it under, in place of the one in force.
    policy: Option<policy::Spec>,
}

/// What came of it.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct TestChatAnswer {
    /// A client would have got an answer.
    success: bool,
    /// What a client would have got; tool calls as text.
    content: Option<String>,
    /// What the model said; null where it was not asked.
    before_content: Option<String>,
    /// Why there is no answer.
    error: Option<String>,
    /// The model that was asked for.
    model: String,
    /// Its tokens, as far as the upstream said.
    usage: Option<TestUsage>,
    /// The same: policies change no count.
    before_usage: Option<TestUsage>,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(super) struct TestUsage {
    /// Of the message.
    input_tokens: Option<u64>,
    /// Of the answer.
    output_tokens: Option<u64>,
}

/// What a form asked for.
struct Asked {
    model: String,
    message: String,
    mock: bool,
}

/// Sends one message the whole way, with the server's own key, and says what the model said and what a client would have got.
///
/// It goes on the record, in a session of its own (`test-chat`), with an event that says who sent it. 200 with `success: false` where no
/// answer came.
#[utoipa::path(post, path = "/api/admin/test/chat", tag = "policy", request_body = TestChat, responses((status = 200, body = TestChatAnswer)))]
pub(super) async fn chat(
    State(state): State<AdminState>,
    who: Who,
    body: Body,
) -> Result<Json<TestChatAnswer>, ApiError> {
    let members = params::object(body).await?;
    let mut form = Form::new(&members);
    let asked = read(&mut form);
    let spec = form.spec_in("policy");
    form.only(&["model", "message", "stream", "use_mock", "policy"]);
    form.finish()?;
    spec.as_ref().map_or(Ok(()), |spec| who.may_use(spec))?;
    let refused = |error: String| {
        Json(TestChatAnswer { model: asked.model.clone(), error: Some(error), ..TestChatAnswer::default() })
    };
    let plan = if let Some(spec) = spec {
        match state.policies.ready(&spec).await {
            Ok(plan) => plan,
            Err(error) => return Ok(refused(format!("the policy does not load: {error}"))),
        }
    } else {
        let (live, asker) = (state.policies.live().load(), Asker { key: None, session: None, wish: None });
        match live.choose(&asker, state.policies.now()) {
            Ok(in_force) => in_force.plan.clone(),
            Err(error) => return Ok(refused(error.to_string())),
        }
    };
    let body = json!({"model": asked.model, "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": asked.message}]});
    let body = Bytes::from(body.to_string());
    let Ok(flight) = state.recorder.begin(start(&state, &asked, &body, &plan)) else {
        return Ok(refused("recording is required and not possible now".to_owned()));
    };
    flight.event(Event {
        event_type: "transaction.test".to_owned(),
        at: state.policies.now(),
        data: json!({"by": who.name(), "mock": asked.mock}),
    });
    let flight = Arc::new(flight);
    let answer = timeout(WITHIN, travel(&state, &plan, &asked, body, &flight)).await;
    let (answer, end) = answer.unwrap_or_else(|_| {
        let error = format!("it took more than {} seconds", WITHIN.as_secs());
        (TestChatAnswer { error: Some(error), ..TestChatAnswer::default() }, Evaluation::NotEvaluated)
    });
    let status = if answer.success { Status::Completed } else { Status::UpstreamError };
    let end =
        End { at: state.policies.now(), status, http_status: Some(200), error: answer.error.clone(), evaluation: end };
    if let Some(flight) = Arc::into_inner(flight) {
        flight.finish(end);
    }
    Ok(Json(TestChatAnswer { model: asked.model, ..answer }))
}

fn read(form: &mut Form<'_>) -> Asked {
    let (model, message) = (form.text("model"), form.text("message"));
    for (name, given, most) in [("model", &model, 256), ("message", &message, LONGEST)] {
        match given {
            None if form.get(name).is_none() => form.refuse(name, "missing", "is required"),
            Some(text) if text.trim().is_empty() => form.refuse(name, "string_too_short", "must not be empty"),
            Some(text) if text.len() > most => {
                form.refuse(name, "string_too_long", format!("must have at most {most} bytes"));
            }
            _ => {}
        }
    }
    // The answer comes in one piece either way.
    let _ = form.switch("stream");
    let mock = form.switch("use_mock").unwrap_or_default();
    Asked { model: model.unwrap_or_default(), message: message.unwrap_or_default(), mock }
}

fn start(state: &AdminState, asked: &Asked, body: &Bytes, plan: &Plan) -> Start {
    Start {
        id: state.policies.clock().transaction_id(),
        at: state.policies.now(),
        dialect: Dialect::Messages,
        path: PATH.to_owned(),
        conversation: true,
        session_id: Some("test-chat".to_owned()),
        user_id: None,
        credential: None,
        model: asked.model.clone(),
        streamed: false,
        request: body.clone(),
        policy: plan.names(),
    }
}

/// policies(request) → the model → policies(answer)
async fn travel(
    state: &AdminState,
    plan: &Plan,
    asked: &Asked,
    body: Bytes,
    flight: &Arc<InFlight>,
) -> (TestChatAnswer, Evaluation) {
    let failed = |error: String| TestChatAnswer { error: Some(error), ..TestChatAnswer::default() };
    let request = match Request::parse(Dialect::Messages, RequestKind::Turn, body) {
        Ok(request) => request,
        Err(error) => return (failed(error.message), Evaluation::None),
    };
    let tasks = TaskTracker::new();
    let context = Arc::new(ReviewContext {
        transaction_id: flight.id().to_string(),
        session_id: Some("test-chat".to_owned()),
        user_id: None,
        credential: None,
        gateway_key: true,
        dialect: Dialect::Messages,
        request: request.clone(),
        judges: Arc::clone(&state.judges),
        people: Arc::new(state.approvals.clone()),
        events: EventSink::default(),
    });
    let (limits, timeouts) = (Limits::default(), Timeouts::default());
    let options = Options {
        policy_timeout: timeouts.policy,
        person_timeout: timeouts.person,
        person_timeout_streamed: timeouts.person_streamed,
        held_limit: limits.held_bytes,
        event_limit: limits.event_bytes,
    };
    let sink = Arc::new(Sink(Arc::clone(flight)));
    let reviews = plan.open(Arc::clone(&context), sink, tasks.clone(), options);
    let answer = match reviews.request(request).await {
        RequestOutcome::Refused(refusal) => failed(format!("a policy refused the request: {}", refusal.message)),
        RequestOutcome::Blocked(message) => {
            TestChatAnswer { success: true, content: Some(message), ..TestChatAnswer::default() }
        }
        RequestOutcome::Send { request, .. } => match ask(state, asked, &request, flight).await {
            Err(error) => failed(error),
            Ok(said) => {
                let id = flight.id().to_string().replace('-', "");
                let came = Bytes::from(whole::synthetic(Dialect::Messages, request.model(), &id, &said.text));
                flight.upstream_response(200, Vec::new());
                flight.upstream_bytes(&came);
                let went = reviews.whole(came.clone()).await.body;
                if went != came {
                    flight.own_client_copy(0);
                    flight.client_bytes(&went);
                }
                let usage = TestUsage { input_tokens: said.input_tokens, output_tokens: said.output_tokens };
                TestChatAnswer {
                    success: true,
                    content: Some(shown(&went)),
                    before_content: Some(said.text),
                    usage: Some(usage),
                    before_usage: Some(usage),
                    ..TestChatAnswer::default()
                }
            }
        },
    };
    let end = evaluation(reviews.summary());
    reviews.end();
    let at = state.policies.now();
    for event in context.events.take().0 {
        flight.event(Event { event_type: event.event_type, at, data: event.data });
    }
    // Each has the deadline of its decision.
    tasks.close();
    tasks.wait().await;
    (answer, end)
}

/// What the model says to the request, or why it says nothing.
async fn ask(state: &AdminState, asked: &Asked, request: &Request, flight: &InFlight) -> Result<JudgeAnswer, String> {
    let (mut system, mut prompt) = (String::new(), String::new());
    for message in request.conversation() {
        let texts = message
            .parts
            .iter()
            .filter_map(|part| if let Part::Text(text) = part { Some(text.as_str()) } else { None });
        let place = if message.role == Role::User { &mut prompt } else { &mut system };
        texts.for_each(|text| place.push_str(text));
    }
    let body = request.body();
    let sent = SentRequest {
        upstream: if asked.mock { "mock" } else { "test" },
        method: "POST",
        url: if asked.mock { "mock:" } else { PATH },
        dialect: Dialect::Messages,
        edited: body,
        body,
    };
    flight.upstream_request(&sent);
    if asked.mock {
        return Ok(JudgeAnswer { text: format!("[mock] {prompt}"), ..JudgeAnswer::default() });
    }
    let question = JudgeRequest {
        model: request.model().to_owned(),
        usual_model: false,
        system,
        prompt,
        temperature: 1.0,
        max_tokens: MAX_TOKENS,
        via: JudgeRoute::UserCredentials,
    };
    state.models.ask(question).await.map_err(|error| error.to_string())
}

/// What an answer says, tool calls as text.
fn shown(body: &[u8]) -> String {
    let Ok(read) = whole::decode(Dialect::Messages, body) else { return String::from_utf8_lossy(body).into_owned() };
    let parts = read.choices.into_iter().flat_map(|choice| choice.parts);
    let said = parts.filter_map(|part| match part.block {
        Block::Text(text) => Some(text),
        Block::ToolCall(call) => Some(format!("{}({})", call.name, call.raw)),
        Block::Thinking(_) | Block::Opaque { .. } => None,
    });
    said.collect::<Vec<_>>().join("\n")
}

/// Puts decisions on the record.
#[derive(Debug)]
struct Sink(Arc<InFlight>);

impl DecisionSink for Sink {
    fn decided(&self, decision: plan::Decision) {
        self.0.decision(recorded(decision));
    }
}
