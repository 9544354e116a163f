//! What a webhook is told: after each transaction, at a block, when a person is asked, and what becomes of it when nobody takes it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use luthien_gateway::approvals::Reply;
use luthien_gateway::clock::Clock;
use luthien_gateway::config::Network;
use luthien_gateway::notify::{Notifier, Post, PostConfig};
use luthien_gateway::panic_switch::{PanicMode, PanicOrder};
use luthien_gateway::settings::{Settings, Sources};
use luthien_policy::breakers::{BreakerChange, BreakerWatch};
use luthien_testkit::{Answer, Gate};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Rig, id, options, path, turn, turn_in};
use luthien_wire::Dialect;

/// Takes notifications, answering each with the next of these statuses, then with 200.
struct Hook {
    url: String,
    state: Arc<Taken>,
    _server: JoinSet<()>,
}

struct Taken {
    answers: Mutex<Vec<u16>>,
    got: watch::Sender<Vec<(HeaderMap, Value)>>,
    gate: Gate,
}

async fn take(
    State(state): State<Arc<Taken>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 2]) {
    let said = serde_json::from_slice(&body).unwrap();
    state.got.send_modify(|got| got.push((headers, said)));
    state.gate.pass().await;
    let mut answers = state.answers.lock().unwrap();
    let status = if answers.is_empty() { 200 } else { answers.remove(0) };
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "0"), ("location", "http://127.0.0.1:9/elsewhere")])
}

async fn serve(listener: tokio::net::TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            // What goes wrong shows in what was taken.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Hook {
    async fn new(answers: &[u16]) -> Self {
        let hook = Self::closed(answers).await;
        hook.state.gate.open();
        hook
    }

    /// It answers nothing before its gate is open.
    async fn closed(answers: &[u16]) -> Self {
        let state =
            Arc::new(Taken { answers: Mutex::new(answers.to_vec()), got: watch::Sender::default(), gate: Gate::new() });
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router));
        Self { url, state, _server: server }
    }

    /// Waits until so many have come.
    async fn got(&self, count: usize) -> Vec<(HeaderMap, Value)> {
        let mut got = self.state.got.subscribe();
        let all = tokio::time::timeout(Duration::from_secs(30), got.wait_for(|got| got.len() >= count)).await;
        all.expect("notifications in time").unwrap().clone()
    }

    fn post(&self, change: impl FnOnce(&mut PostConfig)) -> (Post, Notifier) {
        let settings = Settings::load(&Sources {
            environment: [("WEBHOOK_URL".to_owned(), self.url.clone())].into(),
            ..Sources::default()
        });
        let mut config = settings.unwrap().post_config().expect("an address");
        config.delay = Duration::from_millis(10);
        config.network = Network::default();
        change(&mut config);
        Post::start(config, Clock::system()).unwrap()
    }
}

/// Waits until the notifier's figures are so.
async fn until(notifier: &Notifier, delivered: u64, dropped: u64, failed: u64) {
    let so = async {
        loop {
            let health = notifier.health().unwrap();
            if (health.delivered, health.dropped, health.failed) == (delivered, dropped, failed) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = || notifier.health();
    assert!(tokio::time::timeout(Duration::from_secs(30), so).await.is_ok(), "{:?}", health());
}

#[tokio::test]
async fn each_transaction_is_told_when_it_has_ended() {
    let hook = Hook::new(&[]).await;
    let (post, notifier) = hook.post(|config| config.secret = Some("the-secret".into()));
    let rig = Rig::told(Answer::text("hello"), options(), notifier.clone()).await;
    notifier.found_at(&rig.url(""));
    let mut ids = Vec::new();
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            let exchange = rig.ask(path(dialect), &turn_in(dialect, stream)).await;
            ids.push((id(&exchange), dialect.name(), stream));
            exchange.rest().await.unwrap();
        }
    }
    let got = hook.got(6).await;
    for (id, dialect, stream) in ids {
        let (headers, said) = got.iter().find(|(_, said)| said["transaction"]["transaction_id"] == id).expect("told");
        assert_eq!((&said["kind"], &said["version"]), (&json!("transaction"), &json!(1)));
        let transaction = &said["transaction"];
        assert_eq!((&transaction["dialect"], &transaction["streamed"]), (&json!(dialect), &json!(stream)));
        assert_eq!((&transaction["status"], &transaction["http_status"]), (&json!("completed"), &json!(200)));
        assert_eq!((&transaction["evaluation"], &transaction["model"]), (&json!("none"), &json!("m")));
        assert_eq!(said["links"]["record"], rig.url(&format!("/api/debug/calls/{id}")));
        assert_eq!(headers["x-luthien-kind"], "transaction");
        assert_eq!(headers["x-luthien-notification"].to_str().unwrap(), said["id"]);
        assert!(headers["x-luthien-signature"].to_str().unwrap().starts_with("t="));
        assert!(!format!("{headers:?}{said}").contains("sk-callers-own"));
    }
    until(&notifier, 6, 0, 0).await;
    post.shutdown().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_block_is_told_at_once_and_transactions_only_where_they_are_wanted() {
    let hook = Hook::new(&[]).await;
    let (post, notifier) = hook.post(|config| config.wanted = wanted("interventions,policy.blocked"));
    let call = Answer::new().call("Bash", &json!({"command": "rm -rf /"})).say("done");
    let policy = ("dogfood_safety", json!({"blocked_patterns": ["rm -rf"]}));
    let mut options = options();
    options.inline = Some((json!({"class": policy.0, "config": policy.1}), "the test".to_owned()));
    let rig = Rig::told(call, options, notifier.clone()).await;
    let exchange = rig.ask("/v1/messages", &turn(false)).await;
    let blocked = id(&exchange);
    exchange.rest().await.unwrap();
    let got = hook.got(2).await;
    let of = |kind: &str| &got.iter().find(|(_, said)| said["kind"] == kind).expect("told").1;
    let block = of("policy.blocked");
    assert_eq!((&block["data"]["policy"], &block["data"]["action"]), (&json!("dogfood_safety"), &json!("block")));
    assert_eq!(block["data"]["target"]["name"], "Bash");
    assert_eq!(block["transaction"]["transaction_id"], blocked);
    assert_eq!(of("transaction")["transaction"]["evaluation"], "intervened");
    assert_eq!(of("transaction")["transaction"]["decisions"][0]["action"], "block");
    rig.upstream.default_script(Answer::text("harmless"));
    rig.ask("/v1/messages", &turn(true)).await.rest().await.unwrap();
    rig.gateway.shutdown(Duration::from_secs(10)).await;
    post.shutdown().await;
    assert_eq!(notifier.health().unwrap().delivered, 2);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_under_the_same_id() {
    let hook = Hook::new(&[503, 429, 200]).await;
    let (post, notifier) = hook.post(|_| {});
    let rig = Rig::told(Answer::text("hello"), options(), notifier.clone()).await;
    rig.ask("/v1/messages", &turn(false)).await.rest().await.unwrap();
    let got = hook.got(3).await;
    until(&notifier, 1, 0, 0).await;
    assert!(got.iter().all(|(_, said)| said == &got[0].1));
    post.shutdown().await;
    rig.stop().await;
}

#[tokio::test]
async fn redirects_and_refusals_are_given_up_at_once() {
    for status in [307, 404] {
        let hook = Hook::new(&[status]).await;
        let (post, notifier) = hook.post(|_| {});
        let rig = Rig::told(Answer::text("hello"), options(), notifier.clone()).await;
        rig.ask("/v1/messages", &turn(false)).await.rest().await.unwrap();
        until(&notifier, 0, 0, 1).await;
        assert_eq!(hook.got(1).await.len(), 1);
        post.shutdown().await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_nobody_and_what_finds_no_room_is_counted() {
    let hook = Hook::closed(&[]).await;
    let (post, notifier) = hook.post(|config| (config.pending, config.drain) = (1, Duration::from_mins(1)));
    let rig = Rig::told(Answer::text("hello"), options(), notifier.clone()).await;
    // Eight under way, one waiting.
    for taken in 1..=8 {
        rig.ask("/v1/messages", &turn(false)).await.rest().await.unwrap();
        hook.got(taken).await;
    }
    for _ in 0..3 {
        rig.ask("/v1/messages", &turn(false)).await.rest().await.unwrap();
    }
    until(&notifier, 0, 2, 0).await;
    assert_eq!(notifier.health().unwrap().pending, 9);
    hook.state.gate.open();
    post.shutdown().await;
    assert_eq!(notifier.health().unwrap().delivered, 9);
    rig.stop().await;
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_receiver_beyond_its_time() {
    let hook = Hook::closed(&[]).await;
    let (post, notifier) = hook.post(|config| config.drain = Duration::from_millis(50));
    let rig = Rig::told(Answer::text("hello"), options(), notifier.clone()).await;
    rig.ask("/v1/messages", &turn(false)).await.rest().await.unwrap();
    hook.got(1).await;
    tokio::time::timeout(Duration::from_secs(30), post.shutdown()).await.expect("an end");
    assert_eq!(notifier.health().unwrap().delivered, 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_question_to_a_person_and_the_panic_switch_are_told() {
    let hook = Hook::new(&[]).await;
    let (post, notifier) = hook.post(|config| config.wanted = wanted("alerts"));
    let asks = json!({"rules": [{"name": "ask", "when": "tool.name == \"Bash\"", "action": "ask", "message": "a person decides"}]});
    let mut options = options();
    options.inline = Some((json!({"class": "rules", "config": asks}), "the test".to_owned()));
    let call = Answer::tool("Bash", &json!({"command": "ls"}));
    let rig = Rig::told(call, options, notifier.clone()).await;
    notifier.found_at(&rig.url(""));
    post.watch(rig.recorder.clone(), Arc::clone(&rig.live), Clock::system());
    let url = rig.url("/v1/messages");
    let body = turn(false).to_string();
    let mut asking = JoinSet::new();
    asking.spawn(async move { luthien_testkit::client::post(&url, &[crate::support::KEY], body).await });
    let asked = hook.got(1).await;
    assert_eq!((&asked[0].1["kind"], &asked[0].1["data"]["target"]["name"]), (&json!("policy.ask"), &json!("Bash")));
    assert_eq!(asked[0].1["links"]["approvals"], rig.url("/api/admin/approvals"));
    let approval = asked[0].1["data"]["approval"].as_str().expect("an id").to_owned();
    let yes = Reply { allow: true, message: None, by: "ada".to_owned() };
    rig.approvals.answer(&approval, yes).expect("an answer");
    asking.join_next().await.expect("a task").expect("its end").expect("an answer").rest().await.unwrap();

    let order = PanicOrder { mode: PanicMode::ToolCalls, by: "ada".to_owned(), ..PanicOrder::default() };
    rig.live.halt(&order, Clock::system().now());
    let told = hook.got(2).await;
    assert_eq!((&told[1].1["kind"], &told[1].1["data"]["mode"]), (&json!("panic"), &json!("tool_calls")));
    assert_eq!(told[1].1["data"]["by"], "ada");
    post.shutdown().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_breaker_is_told_when_it_opens_and_when_it_closes() {
    let hook = Hook::new(&[]).await;
    let (post, notifier) = hook.post(|config| config.wanted = wanted("breaker.opened,breaker.closed"));
    let watch = notifier.breakers(Clock::system());
    let change = |opened| BreakerChange { what: "judge", name: "a-model".to_owned(), opened };
    watch.changed(change(Some((Duration::from_secs(15), "status 500".to_owned()))));
    let opened = hook.got(1).await[0].1.clone();
    watch.changed(change(None));
    let closed = hook.got(2).await[1].1.clone();
    assert_eq!((&opened["kind"], &closed["kind"]), (&json!("breaker.opened"), &json!("breaker.closed")));
    let data = json!({"what": "judge", "name": "a-model", "seconds": 15.0, "failure": "status 500"});
    assert_eq!((&opened["data"], &closed["data"]), (&data, &json!({"what": "judge", "name": "a-model"})));
    post.shutdown().await;
}

fn wanted(words: &str) -> luthien_gateway::notify::Wanted {
    let environment = [("WEBHOOK_URL", "http://127.0.0.1:9"), ("WEBHOOK_EVENTS", words)];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Settings::load(&Sources { environment, ..Sources::default() }).unwrap().webhook_events
}
