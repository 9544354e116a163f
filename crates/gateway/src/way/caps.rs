//! What a caller may use: its rates once it is known who calls, the caps once it is known for whom; what is reached is told.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use luthien_wire::request::Request;
use serde::Deserialize;

use super::{Asked, Core, is_unreviewed};
use crate::caps::{Admitted, Asks, CapsState, JudgeCalls, Reached};
use crate::credentials::Caller;
use crate::errors::GatewayError;
use crate::judges::Counted;
use crate::live::InForce;
use crate::notify::{About, Kind as NoticeKind, Notice, Notifier};
use crate::routes::{Kind, Route};
use crate::session::{session_id, user_id};
use crate::stored;
use crate::transaction::{Happenings, Transaction};

/// What a request goes on with.
pub(super) struct Admission {
    /// The policies, behind the cap on tool calls where there is one.
    pub(super) in_force: Arc<InForce>,
    /// What its questions to judges count against.
    pub(super) judges: Option<JudgeCalls>,
}

/// Counts the request against its caller's quota. Counting tokens and reading are free: agents do both at every turn.
pub(super) async fn limit(
    core: &Core,
    transaction: &mut Transaction,
    route: &Route,
    method: &Method,
    caller: &Caller,
) -> Result<(), GatewayError> {
    if route.kind == Kind::CountTokens || method.is_safe() {
        return Ok(());
    }
    let now = core.clock.now();
    if let Some(standing) = core.rates.tokens(&caller.identity, &caller.limits, now).await {
        transaction.mark_all(&standing.headers());
        if let Some(wait) = standing.wait {
            return Err(GatewayError::TooManyTokens { per_minute: standing.per_minute, wait });
        }
        let rate = (Arc::clone(&core.rates), caller.identity, caller.limits);
        transaction.charges(&core.tasks, |tab| tab.rate = Some(rate));
    }
    let Some(standing) = core.rates.take(&caller.identity, caller.limits, now).await else { return Ok(()) };
    transaction.mark_all(&standing.headers());
    match standing.wait {
        Some(wait) => Err(GatewayError::TooMany { per_minute: standing.quota.per_minute, wait }),
        None => Ok(()),
    }
}

/// Admits a request. Where nobody has set a cap that is one look.
pub(super) fn admit(
    core: &Core,
    transaction: &mut Transaction,
    route: &Route,
    asked: &Asked,
    in_force: Arc<InForce>,
) -> Result<Admission, GatewayError> {
    let Asked { head, caller, request, .. } = asked;
    if !core.caps.may_apply(&caller.limits) || matches!(route.kind, Kind::CountTokens) {
        return Ok(Admission { in_force, judges: None });
    }
    let answers = matches!(route.kind, Kind::Turn | Kind::Compact);
    let costs = answers || (route.kind == Kind::Side && head.method == Method::POST);
    let asks = Asks {
        key: caller.identity,
        limits: &caller.limits,
        session: session_of(&head.headers, request.as_ref())?,
        user: user_id(&head.headers, core.trust_user_id_header),
        costs,
        // A policy server asks while the request that it decides about holds its place.
        answers: answers && !is_unreviewed(core, route, asked),
        now: core.clock.now(),
    };
    let admitted = core.caps.admit(asks).inspect_err(|error| {
        if let GatewayError::CapReached(reached) = error {
            tell(&core.caps, reached, &transaction.happenings(), &core.keeping.notifier);
        }
    })?;
    let Admitted { plan, places, charge, judges } = admitted;
    let kept = request
        .as_ref()
        .and_then(|request| request.raw("background"))
        .is_some_and(|value| value != "false" && value != "null");
    if kept && (places.is_some() || charge.is_some()) {
        return Err(GatewayError::CapForbids(
            "what a response in the background uses cannot be counted against the caps of this caller: send it without `background`".to_owned(),
        ));
    }
    if let Some(places) = places {
        transaction.holds(places);
    }
    if let Some(charge) = charge {
        transaction.charges(&core.tasks, |tab| tab.charge = Some(charge));
    }
    let in_force = match plan {
        Some(plan) if !is_unreviewed(core, route, asked) => Arc::new(in_force.behind(&plan)),
        _ => in_force,
    };
    Ok(Admission { in_force, judges })
}

/// Where money is counted the model that is asked needs a price. Policies may have named another one than the client did.
pub(super) fn price(
    transaction: &mut Transaction,
    request: Option<&Request>,
    body: &Bytes,
) -> Result<(), GatewayError> {
    #[derive(Deserialize)]
    struct Names {
        model: String,
    }
    let Some(charge) = transaction.charge() else { return Ok(()) };
    match request {
        Some(request) => charge.price(request.model()),
        None => charge.price(&serde_json::from_slice::<Names>(body).map(|names| names.model).unwrap_or_default()),
    }
}

/// The session, as for the choice of policies.
fn session_of(headers: &HeaderMap, request: Option<&Request>) -> Result<Option<String>, GatewayError> {
    Ok(match request {
        Some(request) => session_id(headers, request),
        None => session_id(headers, &stored::request()?),
    })
}

/// A judge's questions, counted where there is a cap on them.
pub(super) fn counted(core: &Core, transaction: &Transaction, calls: Option<JudgeCalls>) -> Option<Counted> {
    let calls = calls?;
    let (happenings, notifier, clock) = (transaction.happenings(), core.keeping.notifier.clone(), core.clock);
    Some(Counted::new(move || {
        calls.ask(clock.now()).map_err(|reached| {
            tell(calls.caps(), &reached, &happenings, &notifier);
            reached.to_string()
        })
    }))
}

/// A cap was reached: on the record, to whoever watches, and once a day to the webhook.
fn tell(caps: &CapsState, reached: &Reached, happenings: &Happenings, notifier: &Notifier) {
    let data = reached.data();
    happenings.event("transaction.cap_reached", data.clone());
    let at = happenings.now();
    if notifier.wants(NoticeKind::CapReached) && caps.is_news(reached, at) {
        let text = reached.to_string();
        notifier.tell(|| Notice { kind: NoticeKind::CapReached, at, text, about: About::Nothing, data });
    }
}
