//! The way of a request, from its acceptance to the writing of its answer.

mod caps;
mod choice;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request as HttpRequest, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use luthien_policy::contract::{ReviewContext, Sending};
use luthien_policy::people::People;
use luthien_policy::plan::{Options, RequestOutcome, Reviews};
use luthien_record::model::{Evaluation, Start};
use luthien_record::recorder::Recorder;
use luthien_wire::Dialect;
use luthien_wire::request::{Request, RequestKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::caps::{Admission, admit, limit};
use self::choice::{choose, is_unreviewed};
use crate::access::Access;
use crate::activity::Activity;
use crate::admin_runtime::AdminService;
use crate::answer::{self, Answer, error_head};
use crate::body::rewrite::evaluation;
use crate::body::{GatewayBody, SourceError};
use crate::caps::{CapsState, JudgeCalls};
use crate::clock::Clock;
use crate::config::{JudgeConfig, Limits, Timeouts};
use crate::credentials::{Caller, Keys};
use crate::errors::GatewayError;
use crate::fates::Fates;
use crate::headers::takes_trailers;
use crate::judges::Judges;
use crate::live::{InForce, Live, LiveState};
use crate::models;
use crate::open_calls::{CallWatch, Of, OpenCalls};
use crate::panic_switch::Interrupt;
use crate::rates::Rates;
use crate::receive::{Received, receive};
use crate::routes::{self, Kind, Route};
use crate::send::{Asking, send};
use crate::session::{session_id, user_id};
use crate::stored;
use crate::transaction::{Keeping, Transaction, id_header};
use crate::upstream::Upstreams;
use crate::validation;

/// What all requests share.
pub(crate) struct Core {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) allowed_paths: Vec<String>,
    pub(crate) trust_user_id_header: bool,
    pub(crate) judge: Arc<JudgeConfig>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) access: Access,
    pub(crate) rates: Arc<Rates>,
    pub(crate) caps: CapsState,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) open_calls: Arc<OpenCalls>,
    pub(crate) fates: Arc<Fates>,
    pub(crate) recorder: Recorder,
    /// What happens, for whoever watches.
    pub(crate) activity: Activity,
    pub(crate) live: Arc<LiveState>,
    /// What all entries of the record are made with.
    pub(crate) keeping: Keeping,
    /// Who decides what policies leave to persons.
    pub(crate) people: Arc<dyn People>,
    pub(crate) clock: Clock,
    pub(crate) admin: AdminService,
    /// Owns what outlives its request: shadow verdicts, bodies nobody wants.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when requests under way must end.
    pub(crate) stop: CancellationToken,
}

/// A request as far as it has been read.
struct Asked {
    head: Parts,
    caller: Caller,
    received: Received,
    /// None for side endpoints, whose bodies nobody reads.
    request: Option<Request>,
}

/// A request comes in, a response goes out. Dropped on the way, the request ends as the client's going.
pub(crate) async fn travel(core: Arc<Core>, peer: SocketAddr, request: HttpRequest<Incoming>) -> Response<GatewayBody> {
    let Some(route) = routes::find(request.method(), request.uri().path(), request.headers(), &core.allowed_paths)
    else {
        return beside(&core, peer, request).await;
    };
    let (live, head_only) = (core.live.load(), request.method() == Method::HEAD);
    let interrupt = Interrupt::new(live.panic.generation.clone(), core.stop.clone());
    let mut transaction = match accept(&core, &live, &route, &request, interrupt.clone()) {
        Ok(transaction) => transaction,
        Err(error) => return unrecorded(&core, &route, &error),
    };
    let carried = tokio::select! {
        biased;
        carried = carry(&core, &live, &mut transaction, &route, request) => carried,
        why = interrupt.clone().raised() => Err(interrupted(why)),
    };
    // What was decided before the operator's stop does not go out after it.
    let carried = interrupt.halted().map_or(carried, |why| Err(interrupted(why)));
    let mut response = match carried {
        Ok(answer) => answer.write(&core, transaction),
        Err(error) => answer::of_error(&error, transaction),
    };
    if head_only {
        response.body_mut().head_only();
    }
    response
}

fn interrupted(why: SourceError) -> GatewayError {
    match why {
        SourceError::Halted(text) => GatewayError::HaltedUnderway(text),
        _ => GatewayError::ShuttingDown,
    }
}

/// authenticate → read → policies(request) → choose → convert → prepare → execute
/// → convert → decode → policies(response) → encode
async fn carry(
    core: &Arc<Core>,
    live: &Live,
    transaction: &mut Transaction,
    route: &Route,
    request: HttpRequest<Incoming>,
) -> Result<Answer, GatewayError> {
    if let Kind::Refused(error) = &route.kind {
        drain(core, request.into_body());
        return Err(error.clone());
    }
    let mut asked = read(core, transaction, route, request).await?;
    let in_force = choose(core, live, route, &asked)?;
    transaction.runs_under(Arc::clone(&in_force));
    transaction.asked(asked.request.as_ref());
    let Admission { in_force, judges } = admit(core, transaction, route, &asked, in_force)?;
    if is_unreviewed(core, route, &asked) {
        transaction.event("transaction.unreviewed", serde_json::json!({"why": "a policy's own question to a model"}));
    }
    if let Some(answer) = models::answer(core, transaction, route, &asked.caller, &asked.head).await? {
        return Ok(answer);
    }
    let reviews = open_reviews(core, &in_force, transaction, route, &asked, judges)?;
    let mut changed = false;
    let mut sending = Sending::default();
    if let (Some(request), Some(reviews)) = (&asked.request, &reviews) {
        match reviews.request(request.clone()).await {
            RequestOutcome::Blocked(message) => return blocked(transaction, route, request, message),
            RequestOutcome::Refused(refusal) => {
                transaction.note_evaluation(Evaluation::Intervened);
                return Err(GatewayError::PolicyRefused(refusal));
            }
            RequestOutcome::Send { request, changed: by_policy, sending: by_policies } => {
                asked.request = Some(request);
                (changed, sending) = (by_policy, by_policies);
            }
        }
    }
    if let (Some(told), Some(request)) = (&in_force.told, &asked.request) {
        asked.request = Some(request.with_system_note(told));
        changed = true;
    }
    let summary = reviews.as_ref().map(Reviews::summary).unwrap_or_default();
    if summary.watched {
        transaction.note_evaluation(evaluation(summary));
    }
    let caller = asked.caller.identity;
    let renames = reviews.as_ref().is_some_and(Reviews::renames);
    let watched = route.kind.is_reviewed() && (renames || !in_force.plan.is_idle());
    if in_force.plan.guards_answers() {
        let event_bytes = core.limits.event_bytes;
        let watch = |of| CallWatch::new(&core.open_calls, &core.fates, caller, event_bytes, of);
        match &route.kind {
            Kind::InputItems => return Err(GatewayError::PathNotAllowed(asked.head.uri.path().to_owned())),
            Kind::Stored(id) => {
                let mut watch = watch(Of::Read);
                watch.is_of(id).map_err(|error| transaction.not_handed_out(error))?;
                transaction.calls = Some(watch);
            }
            Kind::Turn | Kind::Compact if asked.request.as_ref().is_some_and(is_kept) => {
                let of = if route.kind == Kind::Turn { Of::Turn } else { Of::Other };
                transaction.calls = Some(watch(of).request_changed(summary.intervened));
            }
            _ => {}
        }
    }
    let unseen = route.kind == Kind::Turn && transaction.calls.is_none();
    if let Some(request) = &asked.request
        && let Some(completed) = core.open_calls.complete(caller, request, unseen)?
    {
        transaction.event("transaction.calls_answered", completed.data);
        asked.request = Some(completed.request);
        changed = true;
    }
    let wants_stream = asked.request.as_ref().is_some_and(Request::stream);
    if watched && matches!(route.kind, Kind::Stored(_)) {
        stored::check(asked.head.uri.query().unwrap_or_default())?;
    }
    caps::price(transaction, asked.request.as_ref(), &asked.received.decoded)?;
    transaction.goes_on();
    let Asked { head, caller, received, request } = asked;
    let read_on = watched || wants_stream;
    let validated = caller.validated;
    let asking = Asking { route, head, caller, received, request, changed, sending, read_on };
    let answered = send(&core.upstreams, &core.keys, transaction, asking).await?;
    validation::refused(core, route.dialect, answered.upstream, answered.response.status(), validated);
    let reviews = reviews.filter(|_| watched);
    answer::of_upstream(core, transaction, answered, route, wants_stream, reviews).await
}

/// The vendor keeps the answer, and clients can read it again.
fn is_kept(request: &Request) -> bool {
    request.dialect() == Dialect::Responses && request.store()
}

/// Begins the transaction.
fn accept(
    core: &Core,
    live: &Live,
    route: &Route,
    request: &HttpRequest<Incoming>,
    interrupt: Interrupt,
) -> Result<Transaction, GatewayError> {
    let path = core.keeping.secrets.query(request.uri().path_and_query().map_or("", |path| path.as_str()));
    let start = Start {
        id: core.clock.transaction_id(),
        at: core.clock.now(),
        dialect: route.dialect,
        path: path.clone(),
        conversation: route.kind == Kind::Turn,
        session_id: None,
        user_id: None,
        credential: None,
        model: String::new(),
        streamed: false,
        request: Bytes::new(),
        policy: live.usual().label().to_owned(),
    };
    let mut transaction = Transaction::begin(core, start, Arc::clone(live.usual()), interrupt)?;
    transaction.note_inbound(request, &path);
    transaction.takes_trailers = takes_trailers(request.version(), request.headers());
    Ok(transaction)
}

/// Authenticates the caller, reads the body within its limits, and reads what the body asks for.
async fn read(
    core: &Arc<Core>,
    transaction: &mut Transaction,
    route: &Route,
    request: HttpRequest<Incoming>,
) -> Result<Asked, GatewayError> {
    let (head, mut body) = request.into_parts();
    let now = core.clock.now();
    let mut caller = match core.keys.authenticate(&head.headers, route.dialect, now) {
        Ok(caller) => caller,
        Err(error) => {
            drain(core, body);
            return Err(error);
        }
    };
    transaction.recording().with(|record| record.set_start(|start| start.credential = Some(caller.identity)));
    if let Err(error) = limit(core, transaction, route, &head.method, &caller).await {
        drain(core, body);
        return Err(error);
    }
    if let Err(error) = validation::check(core, route.dialect, &head.headers, &mut caller, now).await {
        drain(core, body);
        return Err(error);
    }
    core.access.used(caller.kind, now);
    let recording = transaction.recording();
    let received = match receive(&head.headers, &mut body, core.limits.request_bytes, core.timeouts.body_read).await {
        Ok(received) => received,
        // Who is too slow is not waited for any longer.
        Err(error @ GatewayError::SlowBody(_)) => return Err(error),
        Err(error) => {
            drain(core, body);
            return Err(error);
        }
    };
    let decoded = received.decoded.clone();
    recording.with(|record| record.set_start(|start| start.request = decoded));
    let kind = match route.kind {
        Kind::Turn | Kind::Compact => RequestKind::Turn,
        Kind::CountTokens => RequestKind::CountTokens,
        Kind::Stored(_) | Kind::InputItems | Kind::Side | Kind::Refused(_) => {
            return Ok(Asked { head, caller, received, request: None });
        }
    };
    let request = Request::parse(route.dialect, kind, received.decoded.clone())
        .map_err(|error| GatewayError::BadRequest(error.message))?;
    let (session, user) = (session_id(&head.headers, &request), user_id(&head.headers, core.trust_user_id_header));
    recording.with(|record| {
        record.set_start(|start| {
            start.session_id = session;
            start.user_id = user;
            request.model().clone_into(&mut start.model);
            start.streamed = request.stream();
        });
    });
    if request.message_count() > core.limits.messages {
        let most = core.limits.messages;
        let field = if route.dialect == Dialect::Responses { "input" } else { "messages" };
        return Err(GatewayError::BadRequest(format!("`{field}` has more than {most} entries (MAX_MESSAGES)")));
    }
    Ok(Asked { head, caller, received, request: Some(request) })
}

/// Opens the reviews of this request; `None` where no policy would be asked anything.
fn open_reviews(
    core: &Arc<Core>,
    in_force: &InForce,
    transaction: &mut Transaction,
    route: &Route,
    asked: &Asked,
    calls: Option<JudgeCalls>,
) -> Result<Option<Reviews>, GatewayError> {
    if in_force.plan.is_idle() && !in_force.plan.sees_requests() {
        return Ok(None);
    }
    let request = match (&route.kind, &asked.request) {
        (Kind::Stored(_), _) => stored::request()?,
        (_, Some(request)) => request.clone(),
        (_, None) => return Ok(None),
    };
    let session_id = session_id(&asked.head.headers, &request);
    let counted = caps::counted(core, transaction, calls);
    let judges = Judges::new(core, route.dialect, &asked.head.headers, &asked.caller.forward).counted(counted);
    let context = Arc::new(ReviewContext {
        transaction_id: transaction.id.to_string(),
        session_id,
        user_id: user_id(&asked.head.headers, core.trust_user_id_header),
        credential: Some(uuid::Uuid::from_bytes(asked.caller.identity).simple().to_string()),
        gateway_key: asked.caller.trusted,
        dialect: route.dialect,
        request,
        judges: Arc::new(judges),
        people: Arc::clone(&core.people),
        events: transaction.policy_events(),
    });
    transaction.reviewed_in(Arc::clone(&context));
    if in_force.plan.watches() != luthien_policy::contract::Watch::default() {
        transaction.note_evaluation(Evaluation::NotEvaluated);
    }
    let options = Options {
        policy_timeout: core.timeouts.policy,
        person_timeout: core.timeouts.person,
        person_timeout_streamed: core.timeouts.person_streamed,
        held_limit: core.limits.held_bytes,
        event_limit: core.limits.event_bytes,
    };
    Ok(Some(in_force.plan.open(context, Arc::new(transaction.recording().clone()), core.tasks.clone(), options)))
}

/// The answer to a request that a policy blocked: a turn where a turn was asked for, else an error.
fn blocked(
    transaction: &mut Transaction,
    route: &Route,
    request: &Request,
    message: String,
) -> Result<Answer, GatewayError> {
    transaction.note_evaluation(Evaluation::Intervened);
    if route.kind == Kind::Turn {
        Ok(answer::blocked(transaction, request, &message))
    } else {
        Err(GatewayError::PolicyBlocked(message))
    }
}

/// Reads and forgets what is left of a body, for a while: a client that is still sending would else not see the answer.
fn drain(core: &Core, mut body: Incoming) {
    const PATIENCE: Duration = Duration::from_secs(5);
    if hyper::body::Body::is_end_stream(&body) {
        return;
    }
    core.tasks.spawn(async move {
        // Either way the body is dropped: nothing hangs on the outcome.
        let _ = tokio::time::timeout(PATIENCE, async { while let Some(Ok(_)) = body.frame().await {} }).await;
    });
}

/// What is no model traffic: health, the admin API, pages, and paths where nothing is.
async fn beside(core: &Core, peer: SocketAddr, request: HttpRequest<Incoming>) -> Response<GatewayBody> {
    let mut request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    core.admin.call(request).await.map(GatewayBody::Admin)
}

/// The answer where recording is required and cannot be done.
fn unrecorded(core: &Core, route: &Route, error: &GatewayError) -> Response<GatewayBody> {
    let id = core.clock.transaction_id();
    let mut head = error_head(error);
    crate::headers::mark_unrecorded(&mut head.headers, route.dialect, &id_header(id), core.live.load().usual());
    let body = error.body(route.dialect, &id.to_string());
    Response::from_parts(head, GatewayBody::Admin(body.into()))
}
