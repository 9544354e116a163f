//! A runtime of its own for everything that is no model traffic, so that a heavy query never stalls a stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::future::Either;
use http_body::Body as _;
use serde_json::json;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower::ServiceExt;

mod pump;

/// What is allowed at once, and for how long.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How many calls of the admin API may be worked on at once, bodies of answers included; more are turned away. Health is
    /// never turned away.
    at_once: usize,
    /// How many event streams may be open; they take no place of a call.
    streams: usize,
    /// How long a call may take until its answer begins.
    deadline: Duration,
    /// How long a piece of an answer may wait for its reader.
    patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self { at_once: 64, streams: 256, deadline: minute, patience: minute }
    }
}

/// Owns the threads on which the routes run.
#[derive(Debug)]
pub struct AdminRuntime {
    runtime: Option<Runtime>,
    service: AdminService,
}

/// Hands requests to the routes' own threads. Cloning shares them.
#[derive(Clone, Debug)]
pub struct AdminService {
    router: Router,
    handle: Handle,
    tasks: TaskTracker,
    places: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    limits: Limits,
}

impl AdminRuntime {
    /// Starts two threads for this router. Fails if the system gives none.
    pub fn start(router: Router) -> std::io::Result<Self> {
        Self::with_limits(router, Limits::default())
    }

    fn with_limits(router: Router, limits: Limits) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("admin").enable_all().build()?;
        let service = AdminService {
            router,
            handle: runtime.handle().clone(),
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(limits.at_once)),
            streams: Arc::new(Semaphore::new(limits.streams)),
            limits,
        };
        Ok(Self { runtime: Some(runtime), service })
    }

    /// The way in.
    pub fn service(&self) -> AdminService {
        self.service.clone()
    }

    /// Waits for the calls that are being worked on, and for the bodies of their answers, for at most `within`, and ends the
    /// threads. What is not through by then is broken off.
    pub async fn shutdown(self, within: Duration) {
        self.service.places.close();
        self.service.streams.close();
        self.service.tasks.close();
        let _ = tokio::time::timeout(within, self.service.tasks.wait()).await;
    }
}

impl Drop for AdminRuntime {
    fn drop(&mut self) {
        // Waiting for the threads is not possible within a runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl AdminService {
    /// The threads of the routes, for work beside them.
    pub fn threads(&self) -> &Handle {
        &self.handle
    }

    /// Answers a request. The work ends when the caller no longer waits for it, or at the deadline; a change, once begun, is
    /// carried through. The body is made on the routes' threads too, and counts until it is made.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        let place = if is_counted(request.uri().path()) {
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many admin calls at once; try again"),
            }
        } else {
            None
        };
        let changes = !request.method().is_safe();
        let service = self.clone();
        let work = async move {
            let response = service.router.clone().oneshot(request).await?;
            Ok(service.pumped(response, place))
        };
        let task = self.tasks.spawn_on(work, &self.handle);
        let task = if changes { Either::Left(task) } else { Either::Right(AbortOnDropHandle::new(task)) };
        match tokio::time::timeout(self.limits.deadline, task).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err::<_, Infallible>(never))) => match never {},
            Ok(Err(error)) => {
                tracing::error!(%error, "an admin call failed");
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed to answer this call; the log says more")
            }
            Err(_) => refuse(StatusCode::GATEWAY_TIMEOUT, "the call took too long; ask for less"),
        }
    }

    /// The answer with a body that is made here: whoever reads it, on whatever thread, does none of its work.
    fn pumped(&self, response: Response<Body>, place: Option<OwnedSemaphorePermit>) -> Response<Body> {
        let (head, body) = response.into_parts();
        // It is made.
        if body.size_hint().exact().is_some() {
            return Response::from_parts(head, body);
        }
        let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let place = if kind.is_some_and(|kind| kind.starts_with(b"text/event-stream")) {
            match Arc::clone(&self.streams).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many event streams at once; try again"),
            }
        } else {
            place
        };
        let (body, making) = pump::pump(body, place, self.limits.patience);
        self.tasks.spawn_on(making, &self.handle);
        Response::from_parts(head, body)
    }
}

/// The admin API, under whichever of its names. Anything else is cheap, and some of it must always answer.
fn is_counted(path: &str) -> bool {
    let under = |root| path.strip_prefix(root).is_some_and(|rest: &str| rest.is_empty() || rest.starts_with('/'));
    under("/api") || under("/request-logs")
}

fn refuse(status: StatusCode, detail: &str) -> Response<Body> {
    (status, axum::Json(json!({ "detail": detail }))).into_response()
}

#[cfg(test)]
mod tests;
