//! The stream of what happens, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::params::Params;
use super::{AdminState, Who};
use crate::activity::{ActivityEvent, Seen, Watcher};

/// How often a reader gets a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How many may read at once.
const MOST_READERS: usize = 200;

/// How many events that a reader does not want are passed over in one go.
const IN_A_ROW: usize = 64;

/// Which events a reader wants; all of a kind that is not named.
struct Wanted {
    event_type: Option<String>,
    transaction: Option<String>,
    session: Option<String>,
    model: Option<String>,
    outcome: Option<String>,
    text: Option<String>,
}

struct Reading {
    watcher: Watcher,
    wanted: Wanted,
    heartbeat: tokio::time::Interval,
    stopping: CancellationToken,
    /// Says whether the reader may still read.
    may: Box<dyn Fn() -> bool + Send>,
    /// Once the gateway stops: what was told before goes out still, nothing after it.
    end: Option<u64>,
}

/// What happens, as it happens: server-sent events, each with an `ActivityEvent` as its `data`.
///
/// `event: heartbeat` comes at the start and every 15 seconds; `event: dropped` with `{"events": n}` where a reader is too slow.
#[utoipa::path(get, path = "/api/activity/stream", tag = "activity", params(
    ("since" = Option<String>, Query, description = "The backlog after this time first: a time, or a date."),
    ("type" = Option<String>, Query, description = "How the event's type begins."),
    ("transaction_id" = Option<String>, Query, description = "Only this transaction."),
    ("session" = Option<String>, Query, description = "Only this session."),
    ("model" = Option<String>, Query, description = "Only this model."),
    ("outcome" = Option<String>, Query, description = "Only this `evaluation` of a transaction or `action` of a decision."),
    ("q" = Option<String>, Query, description = "A text somewhere in the event's data or type.")),
    responses((status = 200, body = ActivityEvent, content_type = "text/event-stream")))]
pub(super) async fn stream(
    State(state): State<AdminState>,
    who: Who,
    mut params: Params,
) -> Result<Response, ApiError> {
    let since = params.time("since");
    let wanted = Wanted {
        event_type: params.text("type"),
        transaction: params.text("transaction_id"),
        session: params.text("session"),
        model: params.text("model"),
        outcome: params.text("outcome"),
        text: params.text("q").map(|text| text.to_lowercase()),
    };
    params.finish()?;
    if state.activity.health().readers >= MOST_READERS {
        return Err(ApiError::Busy(format!("{MOST_READERS} read the activity stream already")));
    }
    let reading = Reading {
        watcher: state.activity.watch(since),
        wanted,
        heartbeat: tokio::time::interval(HEARTBEAT),
        stopping: state.stopping,
        may: Box::new(move || state.admin_access.still(&who)),
        end: None,
    };
    let frames = stream::unfold(reading, |mut reading| async move {
        let frame = reading.next().await?;
        Some((Ok::<_, Infallible>(frame), reading))
    });
    let mut response = Response::new(Body::from_stream(frames));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

impl Reading {
    /// The next frame; `None` once the gateway stops and what was told before is delivered, and with the first heartbeat at which the
    /// reader may not read any more. The first is a heartbeat, so that
    /// a reader knows that it is connected.
    async fn next(&mut self) -> Option<Bytes> {
        let mut unwanted = 0_usize;
        loop {
            let seen = if self.end.is_some() {
                self.watcher.at_once(self.end)?
            } else {
                tokio::select! {
                    biased;
                    () = self.stopping.cancelled() => {
                        self.end = Some(self.watcher.end());
                        continue;
                    }
                    _ = self.heartbeat.tick() => return (self.may)().then(|| Bytes::from_static(b"event: heartbeat\ndata: {}\n\n")),
                    seen = self.watcher.next() => seen,
                }
            };
            match seen {
                Seen::Event(event) if self.wanted.takes(&event) => {
                    return Some(format!("data: {}\n\n", json!(*event)).into());
                }
                Seen::Event(_) => {
                    unwanted += 1;
                    // Others wait for this thread.
                    if unwanted.is_multiple_of(IN_A_ROW) {
                        tokio::task::yield_now().await;
                    }
                }
                Seen::Dropped(missed) => {
                    return Some(format!("event: dropped\ndata: {}\n\n", json!({"events": missed})).into());
                }
            }
        }
    }
}

impl Wanted {
    fn takes(&self, event: &ActivityEvent) -> bool {
        let is =
            |wanted: &Option<String>, value: Option<&str>| wanted.as_deref().is_none_or(|wanted| value == Some(wanted));
        let data = &event.data;
        let outcome = |wanted: &str| data["evaluation"] == wanted || data["action"] == wanted;
        self.event_type.as_deref().is_none_or(|prefix| event.event_type.starts_with(prefix))
            && is(&self.transaction, Some(&event.transaction_id))
            && is(&self.session, data["session_id"].as_str())
            && is(&self.model, data["model"].as_str())
            && self.outcome.as_deref().is_none_or(outcome)
            && self.text.as_deref().is_none_or(|text| event.event_type.contains(text) || says(data, text))
    }
}

/// The text, in lower case, stands in one of the values, in whatever case.
fn says(value: &Value, text: &str) -> bool {
    match value {
        Value::String(said) => said.to_lowercase().contains(text),
        Value::Array(entries) => entries.iter().any(|entry| says(entry, text)),
        Value::Object(members) => members.values().any(|member| says(member, text)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;
    use jiff::Timestamp;

    use super::*;
    use crate::activity::Activity;

    #[tokio::test]
    async fn many_events_that_nobody_wants_do_not_hold_the_thread() {
        let activity = Activity::default();
        for _ in 0..1000 {
            activity.tell("", "unwanted", Timestamp::from_second(1).unwrap(), json!({}));
        }
        let wanted = Wanted {
            event_type: Some("wanted".to_owned()),
            transaction: None,
            session: None,
            model: None,
            outcome: None,
            text: None,
        };
        let mut reading = Reading {
            watcher: activity.watch(Some(Timestamp::UNIX_EPOCH)),
            wanted,
            heartbeat: tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT),
            stopping: CancellationToken::new(),
            may: Box::new(|| true),
            end: None,
        };
        assert!(poll!(pin!(reading.next())).is_pending());
        assert!(matches!(reading.watcher.at_once(None), Some(Seen::Event(_))), "all was passed over at once");
    }
}
