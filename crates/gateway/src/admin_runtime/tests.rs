//! The routes run on threads of their own, bounded, with a deadline, and stop when nobody waits.

use std::future::pending;
use std::pin::pin;

use axum::routing::{get, post};
use futures_util::poll;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::*;

fn ask(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn thread() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_call_runs_on_the_admin_threads() {
    let runtime = AdminRuntime::start(Router::new().route("/api/thread", get(thread))).unwrap();
    assert_eq!(text(runtime.service().call(ask("/api/thread")).await).await, "admin");
    runtime.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_panic_is_answered() {
    let router = Router::new().route("/api/panic", get(|| async { panic!("on purpose") as String }));
    let runtime = AdminRuntime::start(router).unwrap();
    let response = runtime.service().call(ask("/api/panic")).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!text(response).await.contains("on purpose"));
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered() {
    let runtime =
        AdminRuntime::with_limits(Router::new().route("/api/slow", get(pending::<String>)), 1, Duration::ZERO).unwrap();
    let response = runtime.service().call(ask("/api/slow")).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(text(response).await.contains("took too long"));
}

/// Tells when it is dropped.
struct Told(mpsc::UnboundedSender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_change_is_carried_through_when_its_caller_goes() {
    let (began, mut begun) = mpsc::unbounded_channel();
    let (done, mut finished) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go);
    let change = move || {
        let _ = began.send(());
        async move {
            let _ = gate.acquire().await;
            let _ = done.send("changed");
        }
    };
    let runtime = AdminRuntime::start(Router::new().route("/api/change", post(change))).unwrap();
    let service = runtime.service();
    {
        let mut call = pin!(service.call(Request::post("/api/change").body(Body::empty()).unwrap()));
        assert!(poll!(&mut call).is_pending());
        begun.recv().await.unwrap();
    }
    go.add_permits(1);
    assert_eq!(finished.recv().await, Some("changed"));
}

#[tokio::test]
async fn calls_are_bounded_health_is_not_and_an_unwanted_call_ends() {
    let (began, mut begun) = mpsc::unbounded_channel();
    let (ended, mut end) = mpsc::unbounded_channel();
    let slow = move || {
        let told = Told(ended.clone());
        let _ = began.send(());
        async move {
            pending::<()>().await;
            drop(told);
            String::new()
        }
    };
    let router = Router::new().route("/api/slow", get(slow)).route("/livez", get(thread));
    let runtime = AdminRuntime::with_limits(router, 1, Duration::from_mins(1)).unwrap();
    let service = runtime.service();
    {
        let mut first = pin!(service.call(ask("/api/slow")));
        assert!(poll!(&mut first).is_pending());
        begun.recv().await.unwrap();
        assert_eq!(service.call(ask("/api/slow")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(service.call(ask("/livez")).await.status(), StatusCode::OK);
    }
    end.recv().await.unwrap();
}
