//! A runtime of its own for everything that is no model traffic, so that a heavy query never stalls a stream.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::Either;
use serde_json::json;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower::ServiceExt;

/// How many calls under `/api` may be worked on at once; more are turned away. Health is never turned away.
const AT_ONCE: usize = 64;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_mins(1);

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
    deadline: Duration,
}

impl AdminRuntime {
    /// Starts two threads for this router. Fails if the system gives none.
    pub fn start(router: Router) -> std::io::Result<Self> {
        Self::with_limits(router, AT_ONCE, DEADLINE)
    }

    fn with_limits(router: Router, at_once: usize, deadline: Duration) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("admin").enable_all().build()?;
        let service = AdminService {
            router,
            handle: runtime.handle().clone(),
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(at_once)),
            deadline,
        };
        Ok(Self { runtime: Some(runtime), service })
    }

    /// The way in.
    pub fn service(&self) -> AdminService {
        self.service.clone()
    }

    /// Waits for the calls that are being worked on, for at most `within`, and ends the threads.
    pub async fn shutdown(self, within: Duration) {
        self.service.places.close();
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
    /// carried through.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        let place = if request.uri().path().starts_with("/api/") {
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many admin calls at once; try again"),
            }
        } else {
            None
        };
        let changes = !request.method().is_safe();
        let router = self.router.clone();
        let work = async move {
            let _place = place;
            router.oneshot(request).await
        };
        let task = self.tasks.spawn_on(work, &self.handle);
        let task = if changes { Either::Left(task) } else { Either::Right(AbortOnDropHandle::new(task)) };
        match tokio::time::timeout(self.deadline, task).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(error)) => {
                tracing::error!(%error, "an admin call failed");
                refuse(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed to answer this call; the log says more")
            }
            Err(_) => refuse(StatusCode::GATEWAY_TIMEOUT, "the call took too long; ask for less"),
        }
    }
}

fn refuse(status: StatusCode, detail: &str) -> Response<Body> {
    (status, axum::Json(json!({ "detail": detail }))).into_response()
}

#[cfg(test)]
mod tests;
