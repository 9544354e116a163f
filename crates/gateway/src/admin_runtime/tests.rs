//! The routes run on threads of their own, bounded, with a deadline, and stop when nobody waits.

use std::future::pending;
use std::pin::pin;

use axum::routing::{get, post};
use futures_util::{StreamExt, poll, stream};
use http_body_util::BodyExt;
use rstest::rstest;
use tokio::sync::mpsc;

use super::*;

/// One call at once, and one stream.
const ONE: Limits =
    Limits { at_once: 1, streams: 1, deadline: Duration::from_mins(1), patience: Duration::from_mins(1) };

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
    let runtime = AdminRuntime::with_limits(
        Router::new().route("/api/slow", get(pending::<String>)),
        Limits { deadline: Duration::ZERO, ..Limits::default() },
    )
    .unwrap();
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
    let runtime = AdminRuntime::with_limits(router, ONE).unwrap();
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

#[tokio::test]
async fn the_pieces_of_a_body_are_made_on_the_admin_threads() {
    let pieces = || async {
        let piece = || async { Ok::<_, Infallible>(thread().await) };
        Body::from_stream(stream::once(piece()).chain(stream::once(piece())))
    };
    let runtime = AdminRuntime::start(Router::new().route("/api/export", get(pieces))).unwrap();
    assert_eq!(text(runtime.service().call(ask("/api/export")).await).await, "adminadmin");
    runtime.shutdown(Duration::from_secs(5)).await;
}

/// A body that begins, tells when it is dropped, and goes on for ever.
fn endless(told: Told) -> Body {
    let begun = stream::once(async { Ok::<_, Infallible>("begun") });
    Body::from_stream(begun.chain(stream::once(async move {
        let _told = told;
        pending().await
    })))
}

async fn first(body: &mut Body) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[rstest]
#[case("/api/export")]
#[case("/request-logs")]
#[case("/request-logs/1")]
#[tokio::test]
async fn a_body_counts_while_it_is_made_and_ends_when_nobody_reads(#[case] path: &str) {
    let (ended, mut end) = mpsc::unbounded_channel();
    let export = move || std::future::ready(endless(Told(ended.clone())));
    let runtime = AdminRuntime::with_limits(Router::new().route(path, get(export)), ONE).unwrap();
    let service = runtime.service();
    let mut body = service.call(ask(path)).await.into_body();
    assert_eq!(first(&mut body).await, "begun");
    assert_eq!(service.call(ask(path)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(body);
    // By then the place is free.
    end.recv().await.unwrap();
    assert_eq!(service.call(ask(path)).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn event_streams_are_counted_apart() {
    let (ended, _end) = mpsc::unbounded_channel();
    let events = move || {
        let body = endless(Told(ended.clone()));
        async { ([(header::CONTENT_TYPE, "text/event-stream")], body) }
    };
    let router = Router::new().route("/api/events", get(events)).route("/api/thread", get(thread));
    let runtime = AdminRuntime::with_limits(router, ONE).unwrap();
    let service = runtime.service();
    let mut open = service.call(ask("/api/events")).await;
    assert_eq!(open.status(), StatusCode::OK);
    assert_eq!(first(open.body_mut()).await, "begun");
    assert_eq!(service.call(ask("/api/thread")).await.status(), StatusCode::OK);
    assert_eq!(service.call(ask("/api/events")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_body_that_fails_stays_broken() {
    let failing = || async { Body::from_stream(stream::iter([Ok("begun"), Err("the record is damaged")])) };
    let runtime = AdminRuntime::start(Router::new().route("/api/export", get(failing))).unwrap();
    let mut body = runtime.service().call(ask("/api/export")).await.into_body();
    assert_eq!(first(&mut body).await, "begun");
    assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "the record is damaged");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn at_the_end_a_body_under_way_is_broken_off() {
    let (ended, mut end) = mpsc::unbounded_channel();
    let export = move || std::future::ready(endless(Told(ended.clone())));
    let runtime = AdminRuntime::start(Router::new().route("/api/export", get(export))).unwrap();
    let mut body = runtime.service().call(ask("/api/export")).await.into_body();
    assert_eq!(first(&mut body).await, "begun");
    runtime.shutdown(Duration::ZERO).await;
    end.recv().await.unwrap();
    assert!(body.frame().await.unwrap().unwrap_err().to_string().contains("broken off"));
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_left() {
    let pieces = || async { Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>("piece"))) };
    let limits = Limits { patience: Duration::ZERO, ..ONE };
    let runtime = AdminRuntime::with_limits(Router::new().route("/api/export", get(pieces)), limits).unwrap();
    let body = runtime.service().call(ask("/api/export")).await.into_body();
    // Waits for the making of bodies.
    runtime.shutdown(Duration::from_secs(5)).await;
    let error = body.collect().await.unwrap_err();
    assert!(error.to_string().contains("broken off"));
}
