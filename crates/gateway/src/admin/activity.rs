//! The stream of what happens, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use futures_util::stream;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::AdminState;
use super::error::ApiError;
use super::params::Params;
use crate::activity::{ActivityEvent, Seen, Watcher};

/// How often a reader gets a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Which events a reader wants; all of a kind that is not named.
struct Wanted {
    event_type: Option<String>,
    transaction: Option<String>,
    session: Option<String>,
    model: Option<String>,
}

struct Reading {
    watcher: Watcher,
    wanted: Wanted,
    heartbeat: tokio::time::Interval,
    stopping: CancellationToken,
}

/// `GET /api/activity/stream?since=&type=&transaction_id=&session=&model=`
pub(super) async fn stream(State(state): State<AdminState>, mut params: Params) -> Result<Response, ApiError> {
    let since = params.time("since");
    let wanted = Wanted {
        event_type: params.text("type"),
        transaction: params.text("transaction_id"),
        session: params.text("session"),
        model: params.text("model"),
    };
    params.finish()?;
    let reading = Reading {
        watcher: state.activity.watch(since),
        wanted,
        heartbeat: tokio::time::interval(HEARTBEAT),
        stopping: state.stopping,
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
    /// The next frame; `None` once the gateway stops. The first is a heartbeat, so that a reader knows that it is connected.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let seen = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return None,
                _ = self.heartbeat.tick() => return Some(Bytes::from_static(b"event: heartbeat\ndata: {}\n\n")),
                seen = self.watcher.next() => seen,
            };
            match seen {
                Seen::Event(event) if self.wanted.takes(&event) => {
                    return Some(format!("data: {}\n\n", json!(*event)).into());
                }
                Seen::Event(_) => {}
                Seen::Dropped(missed) => {
                    return Some(format!("event: dropped\ndata: {}\n\n", json!({"events": missed})).into());
                }
                Seen::Over => return None,
            }
        }
    }
}

impl Wanted {
    fn takes(&self, event: &ActivityEvent) -> bool {
        let is =
            |wanted: &Option<String>, value: Option<&str>| wanted.as_deref().is_none_or(|wanted| value == Some(wanted));
        self.event_type.as_deref().is_none_or(|prefix| event.event_type.starts_with(prefix))
            && is(&self.transaction, Some(&event.transaction_id))
            && is(&self.session, event.data["session_id"].as_str())
            && is(&self.model, event.data["model"].as_str())
    }
}
