//! Which credential arrives where, for every way of bringing one and every way of a request: whole upstream requests are looked
//! through for everything that is secret.

use std::collections::BTreeSet;
use std::sync::Arc;

use luthien_gateway::config::GatewayConfig;
use luthien_policy::contract::Policy;
use luthien_policy::judge::JudgeRoute;
use luthien_testkit::client::{get, post, send};
use luthien_testkit::{Answer, Reply, Script, Upstream};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::client_keys::issue;
use crate::policies::Judged;
use crate::routing::{add, asks, rule};
use crate::support::{ADMIN_KEY, GATEWAY_KEY, Rig, path};

const KEY: &str = "sk-canary-of-the-caller";
const LOGIN: &str = "sk-ant-oat01-canary-login";
const APART: &str = "sk-canary-named-apart";

/// What is secret, and what the tables call it.
fn secrets(issued: &str) -> [(&'static str, String); 9] {
    [
        ("key", KEY.to_owned()),
        ("login", LOGIN.to_owned()),
        ("apart", APART.to_owned()),
        ("gateway", GATEWAY_KEY.to_owned()),
        ("issued", issued.to_owned()),
        ("admin", ADMIN_KEY.to_owned()),
        ("of anthropic", "sk-of-anthropic".to_owned()),
        ("of openai", "sk-of-openai".to_owned()),
        ("of other", "sk-of-other".to_owned()),
    ]
}

/// A way of calling: headers, in which `{…}` stands for a secret; what of it is the caller's own and goes to its own upstream, as
/// Anthropic and as OpenAI get it; whether a gateway key came.
struct Way {
    name: &'static str,
    headers: Headers,
    to_anthropic: Headers,
    to_openai: Headers,
    trusted: bool,
}

type Headers = &'static [(&'static str, &'static str)];

/// Upstreams by name, and the credential headers of a request that came there.
type Arrived = Vec<(&'static str, Vec<(String, String)>)>;

const SERVERS: (Headers, Headers) = (&[("x-api-key", "{of anthropic}")], &[("authorization", "Bearer {of openai}")]);

const fn own(name: &'static str, headers: Headers) -> Way {
    Way { name, headers, to_anthropic: headers, to_openai: headers, trusted: false }
}

const fn exchanged(name: &'static str, headers: Headers) -> Way {
    Way { name, headers, to_anthropic: SERVERS.0, to_openai: SERVERS.1, trusted: true }
}

const fn beside(name: &'static str, headers: Headers, sent: Headers) -> Way {
    Way { name, headers, to_anthropic: sent, to_openai: sent, trusted: true }
}

const fn apart(name: &'static str, headers: Headers, trusted: bool) -> Way {
    let to_openai = &[("authorization", "Bearer {apart}")];
    Way { name, headers, to_anthropic: &[("x-api-key", "{apart}")], to_openai, trusted }
}

const WAYS: [Way; 19] = [
    own("a key", &[("x-api-key", "{key}")]),
    own("a key as bearer", &[("authorization", "Bearer {key}")]),
    own("a login", &[("authorization", "Bearer {login}")]),
    own("two of its own", &[("x-api-key", "{key}"), ("authorization", "Bearer {login}")]),
    apart("one named apart alone", &[("x-anthropic-api-key", "{apart}")], false),
    apart("one named apart, and another", &[("x-anthropic-api-key", "{apart}"), ("x-api-key", "{key}")], false),
    exchanged("the gateway key", &[("x-api-key", "{gateway}")]),
    exchanged("the gateway key as bearer", &[("authorization", "Bearer {gateway}")]),
    exchanged("the gateway key in its header", &[("x-luthien-api-key", "{gateway}")]),
    exchanged("a key that was given out", &[("x-api-key", "{issued}")]),
    exchanged("the same as bearer", &[("authorization", "bearer {issued}")]),
    exchanged("the same in its header", &[("x-luthien-api-key", "Bearer {issued}")]),
    exchanged("both gateway keys", &[("x-api-key", "{gateway}"), ("authorization", "Bearer {issued}")]),
    beside(
        "the gateway key beside a login",
        &[("x-luthien-api-key", "{gateway}"), ("authorization", "Bearer {login}")],
        &[("authorization", "Bearer {login}")],
    ),
    beside(
        "the gateway key in a login's neighbour",
        &[("x-api-key", "{gateway}"), ("authorization", "Bearer {login}")],
        &[("authorization", "Bearer {login}")],
    ),
    beside(
        "a given key as bearer beside a key",
        &[("authorization", "Bearer {issued}"), ("x-api-key", "{key}")],
        &[("x-api-key", "{key}")],
    ),
    apart(
        "the gateway key and one named apart",
        &[("x-api-key", "{gateway}"), ("x-anthropic-api-key", "{apart}")],
        true,
    ),
    apart(
        "everything at once",
        &[
            ("x-luthien-api-key", "{issued}"),
            ("x-api-key", "{key}"),
            ("authorization", "Bearer {login}"),
            ("x-anthropic-api-key", "{apart}"),
        ],
        true,
    ),
    beside(
        "a gateway key where one is named apart",
        &[("x-luthien-api-key", "{gateway}"), ("x-anthropic-api-key", "{issued}"), ("x-api-key", "{key}")],
        &[("x-api-key", "{key}")],
    ),
];

/// Where a request of one way ended up.
struct Stage {
    rig: Rig,
    openai: Upstream,
    other: Upstream,
    local: Upstream,
    issued: String,
}

impl Stage {
    async fn new(policies: Vec<Arc<dyn Policy>>, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let start = async || Upstream::start().await.unwrap();
        let (openai, other, local) = (start().await, start().await, start().await);
        let rig = Rig::with(Answer::text("hi").call("Bash", &json!({"command": "ls"})), policies, |config| {
            config.client_key = Some(GATEWAY_KEY.into());
            config.upstreams[0].key = Some("sk-of-anthropic".into());
            config.upstreams[1].key = Some("sk-of-openai".into());
            config.upstreams[1].base_url = openai.base_url();
            add(config, "other", &Dialect::ALL, &other);
            add(config, "local", &Dialect::ALL, &local);
            let last = config.upstreams.last_mut().unwrap();
            (last.key, last.keyless) = (None, true);
            config.models = vec![
                rule("ruled", &[("other", None)]),
                rule("keyless", &[("local", None)]),
                rule("converted-to-openai", &[("openai", None)]),
                rule("converted-to-anthropic", &[("anthropic", None)]),
                rule("falls", &[("anthropic", None), ("other", None)]),
                rule("falls-open", &[("openai", None), ("local", None)]),
            ];
            change(config);
        })
        .await;
        let issued = issue(&rig, 0xcd, json!({})).await;
        Self { rig, openai, other, local, issued }
    }

    fn filled(&self, headers: &[(&'static str, &'static str)]) -> Vec<(&'static str, String)> {
        let fill = |value: &str| {
            secrets(&self.issued)
                .iter()
                .fold(value.to_owned(), |value, (name, secret)| value.replace(&format!("{{{name}}}"), secret))
        };
        headers.iter().map(|(name, value)| (*name, fill(value))).collect()
    }

    /// The headers of a way, with copies of what never leaves, and where `foreign` of all that is the caller's.
    fn brought(&self, way: &Way, foreign: bool) -> Vec<(&'static str, String)> {
        let mut headers = self.filled(way.headers);
        headers.extend(self.filled(&[("x-copy", "see {gateway} there"), ("x-note", "{issued},{admin}")]));
        if foreign {
            let brings = |secret: &str| way.headers.iter().any(|(_, value)| value.contains(secret));
            let copies = [("x-copy-one", "a {key} b"), ("x-copy-two", "{login};"), ("x-copy-three", "={apart}")];
            let known = copies.into_iter().zip(["{key}", "{login}", "{apart}"]).filter(|(_, secret)| brings(secret));
            let known: Vec<_> = known.map(|(copy, _)| copy).collect();
            headers.extend(self.filled(&known));
            headers.extend(self.filled(&[
                ("cookie", "s={key}"),
                ("x-goog-api-key", "{login}"),
                ("api-key", "{apart}"),
            ]));
        }
        headers
    }

    async fn ask(&self, way: &Way, foreign: bool, method: &str, target: &str, body: String) -> u16 {
        let headers = self.brought(way, foreign);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = self.rig.url(&format!("{target}?a=1&x={GATEWAY_KEY}&y={}&beta=true", self.issued));
        let exchange = send(method.parse().unwrap(), &url, &headers, body).await.unwrap();
        let status = exchange.status;
        let _ = exchange.all().await;
        status
    }

    /// Forgets what came, and says what came: for each upstream and each of its requests the credential headers.
    fn arrived(&self) -> Arrived {
        let all = [
            ("anthropic", &self.rig.upstream),
            ("openai", &self.openai),
            ("other", &self.other),
            ("local", &self.local),
        ];
        let mut arrived = Vec::new();
        for (name, upstream) in all {
            for request in upstream.requests() {
                let whole =
                    format!("{} {:?} {}", request.path, request.headers, String::from_utf8_lossy(&request.body));
                let found: BTreeSet<&str> = secrets(&self.issued)
                    .iter()
                    .filter(|(_, secret)| whole.contains(secret))
                    .map(|(name, _)| *name)
                    .collect();
                let usual = ["x-api-key", "authorization"];
                let held: Vec<(String, String)> = usual
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), request.header(name)?.to_owned())))
                    .collect();
                let in_place: BTreeSet<&str> = secrets(&self.issued)
                    .iter()
                    .filter(|(_, secret)| held.iter().any(|(_, value)| value.contains(secret)))
                    .map(|(name, _)| *name)
                    .collect();
                assert_eq!(found, in_place, "elsewhere in the request to {name}: {whole}");
                arrived.push((name, held));
            }
            upstream.clear();
        }
        arrived
    }

    fn expected(&self, all: &[(&'static str, &[(&'static str, &'static str)])]) -> Arrived {
        let text = |headers: &[(&'static str, &'static str)]| {
            self.filled(headers).into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>()
        };
        all.iter().map(|(name, headers)| (*name, text(headers))).collect()
    }

    async fn stop(self) {
        self.rig.stop().await;
        for upstream in [self.openai, self.other, self.local] {
            upstream.stop().await;
        }
    }
}

const OTHERS: Headers = &[("authorization", "Bearer {of other}")];
const OTHERS_MESSAGES: Headers = &[("x-api-key", "{of other}")];

fn messages(model: &str) -> String {
    asks(Dialect::Messages, model, false).to_string()
}

#[tokio::test]
async fn at_home_a_caller_is_known_by_its_own_and_a_gateway_key_by_the_servers() {
    let stage = Stage::new(Vec::new(), |_| {}).await;
    let chat = asks(Dialect::Chat, "m", false).to_string();
    let responses = asks(Dialect::Responses, "m", false).to_string();
    stage.openai.store("resp_1", &Reply::json(200, &json!({"id": "resp_1", "status": "completed", "output": []})));
    for way in &WAYS {
        for (method, target, body) in
            [("POST", "/v1/messages", messages("m")), ("POST", "/v1/messages/count_tokens", messages("m"))]
        {
            let status = stage.ask(way, false, method, target, body).await;
            let expected = stage.expected(&[("anthropic", way.to_anthropic)]);
            assert_eq!((status, stage.arrived()), (200, expected), "{}: {target}", way.name);
        }
        for (method, target, body) in [
            ("POST", "/v1/chat/completions", chat.clone()),
            ("POST", "/v1/responses", responses.clone()),
            ("POST", "/v1/responses/input_tokens", responses.clone()),
            ("GET", "/v1/responses/resp_1", String::new()),
            ("DELETE", "/v1/responses/resp_1", String::new()),
            ("POST", "/v1/embeddings", "{}".to_owned()),
        ] {
            stage.ask(way, false, method, target, body).await;
            let expected = stage.expected(&[("openai", way.to_openai)]);
            assert_eq!(stage.arrived(), expected, "{}: {target}", way.name);
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn elsewhere_only_an_upstreams_own_key_arrives_and_only_for_who_brings_a_gateway_key() {
    let stage = Stage::new(Vec::new(), |_| {}).await;
    for way in &WAYS {
        for (dialect, model, upstream, key) in [
            (Dialect::Messages, "ruled", "other", OTHERS_MESSAGES),
            (Dialect::Chat, "ruled", "other", OTHERS),
            (Dialect::Responses, "ruled", "other", OTHERS),
            (Dialect::Messages, "converted-to-openai", "openai", SERVERS.1),
            (Dialect::Chat, "converted-to-anthropic", "anthropic", SERVERS.0),
            (Dialect::Responses, "converted-to-anthropic", "anthropic", SERVERS.0),
        ] {
            let status = stage.ask(way, true, "POST", path(dialect), asks(dialect, model, false).to_string()).await;
            let (expected, sent) = if way.trusted { (200, &[(upstream, key)][..]) } else { (403, &[][..]) };
            assert_eq!((status, stage.arrived()), (expected, stage.expected(sent)), "{}: {dialect} {model}", way.name);
        }
        for dialect in Dialect::ALL {
            let status = stage.ask(way, true, "POST", path(dialect), asks(dialect, "keyless", false).to_string()).await;
            assert_eq!((status, stage.arrived()), (200, stage.expected(&[("local", &[])])), "{}: keyless", way.name);
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_fallback_gets_its_own_key_or_is_not_asked() {
    let stage = Stage::new(Vec::new(), |_| {}).await;
    let failing = || Script::always(Reply::json(503, &json!({"error": {"message": "no"}})));
    stage.rig.upstream.default_script(failing());
    stage.openai.default_script(failing());
    for way in &WAYS {
        let status = stage.ask(way, false, "POST", "/v1/messages", messages("falls")).await;
        let both = [("anthropic", way.to_anthropic), ("other", OTHERS_MESSAGES)];
        let (expected, sent) = if way.trusted { (200, &both[..]) } else { (503, &both[..1]) };
        assert_eq!((status, stage.arrived()), (expected, stage.expected(sent)), "{}", way.name);
        let body = asks(Dialect::Chat, "falls-open", false).to_string();
        let status = stage.ask(way, false, "POST", "/v1/chat/completions", body).await;
        let sent = [("openai", way.to_openai), ("local", &[][..])];
        assert_eq!((status, stage.arrived()), (200, stage.expected(&sent)), "{}", way.name);
    }
    stage.stop().await;
}

#[rstest]
#[case::the_callers(JudgeRoute::UserCredentials)]
#[case::a_providers(JudgeRoute::Provider("other".to_owned()))]
#[case::at_an_address(JudgeRoute::ApiBase(String::new()))]
#[tokio::test]
async fn a_judge_gets_the_callers_at_its_home_and_nothing_of_it_elsewhere(#[case] route: JudgeRoute) {
    let judge = Upstream::start().await.unwrap();
    let verdict = || Script::always(Answer::text("0"));
    judge.default_script(verdict());
    let route = match route {
        JudgeRoute::ApiBase(_) => JudgeRoute::ApiBase(judge.base_url()),
        route => route,
    };
    let stage = Stage::new(vec![Arc::new(Judged(route.clone()))], |_| {}).await;
    stage.other.default_script(verdict());
    for way in &WAYS {
        stage.ask(way, false, "POST", "/v1/messages", messages("m")).await;
        let home = ("anthropic", way.to_anthropic);
        let expected = match &route {
            JudgeRoute::UserCredentials => vec![home, home],
            JudgeRoute::Provider(_) => vec![home, ("other", OTHERS_MESSAGES)],
            JudgeRoute::ApiBase(_) => vec![home],
        };
        assert_eq!(stage.arrived(), stage.expected(&expected), "{}", way.name);
        for request in judge.requests() {
            let whole = format!("{} {:?} {}", request.path, request.headers, String::from_utf8_lossy(&request.body));
            assert!(secrets(&stage.issued).iter().all(|(_, secret)| !whole.contains(secret)), "{}: {whole}", way.name);
        }
    }
    assert_eq!(judge.requests().len(), if matches!(route, JudgeRoute::ApiBase(_)) { WAYS.len() } else { 0 });
    stage.stop().await;
    judge.stop().await;
}

#[tokio::test]
async fn lists_of_models_are_asked_for_with_the_credential_of_each_upstream() {
    let stage = Stage::new(Vec::new(), |config| config.models = vec![rule("other/*", &[("other", Some("*"))])]).await;
    for way in &WAYS {
        let (home, credential) = ("openai", way.to_openai);
        let brings = |secret: &str| way.headers.iter().any(|(_, value)| value.contains(secret));
        let anthropics = brings("{login}") && !brings("{key}") && !brings("{apart}");
        let (home, credential) = if anthropics { ("anthropic", way.to_anthropic) } else { (home, credential) };
        assert_eq!(stage.ask(way, false, "GET", "/v1/models", String::new()).await, 200, "{}", way.name);
        let all = [(home, credential), ("other", if anthropics { OTHERS_MESSAGES } else { OTHERS })];
        let sent = if way.trusted { &all[..] } else { &all[..1] };
        assert_eq!(stage.arrived(), stage.expected(sent), "{}", way.name);
    }
    stage.stop().await;
}

#[tokio::test]
async fn an_upstream_that_asks_for_no_key_gets_none_at_home_either() {
    let stage = Stage::new(Vec::new(), |config| {
        config.upstreams[0].keyless = true;
        config.upstreams[0].key = None;
    })
    .await;
    for way in &WAYS {
        assert_eq!(stage.ask(way, true, "POST", "/v1/messages", messages("m")).await, 200, "{}", way.name);
        assert_eq!(stage.arrived(), stage.expected(&[("anthropic", &[])]), "{}", way.name);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_gateway_key_leaves_in_no_disguise() {
    use base64::Engine as _;
    let stage = Stage::new(Vec::new(), |config| config.allowed_paths.push("/v1/files/*".to_owned())).await;
    let basic = |text: String| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
    let ours = [
        basic(format!("user:{GATEWAY_KEY}")),
        basic(format!("{}:", stage.issued)),
        basic(ADMIN_KEY.to_owned()).to_lowercase().replacen("basic", "bAsIc", 1),
    ];
    for value in &ours[..2] {
        let headers = [("authorization", value.as_str())];
        let exchange = post(&stage.rig.url("/v1/messages"), &headers, messages("m")).await.unwrap();
        assert_eq!(exchange.status, 401);
        let body = String::from_utf8(exchange.rest().await.unwrap().to_vec()).unwrap();
        assert!(body.contains("Basic"), "{body}");
        let beside = [("x-api-key", KEY), ("x-original-authorization", value.as_str())];
        post(&stage.rig.url("/v1/messages"), &beside, messages("m")).await.unwrap();
        assert!(!format!("{:?}", stage.rig.upstream.requests()).contains(value.split_once(' ').unwrap().1));
    }
    for target in [format!("/v1/files/{}", stage.issued), format!("/v1/models/{GATEWAY_KEY}")] {
        stage.rig.upstream.clear();
        let exchange = get(&stage.rig.url(&target), &[("x-api-key", KEY)]).await.unwrap();
        assert_eq!(exchange.status, 400, "{target}");
    }
    let name = format!("x-{}", stage.issued);
    let named = [("x-api-key", KEY), (name.as_str(), "1")];
    assert_eq!(post(&stage.rig.url("/v1/messages"), &named, messages("m")).await.unwrap().status, 200);
    for request in stage.rig.upstream.requests().into_iter().chain(stage.openai.requests()) {
        let whole = format!("{} {:?}", request.path, request.headers).to_lowercase();
        assert!(!whole.contains(&stage.issued) && !whole.contains(GATEWAY_KEY), "{whole}");
    }
    stage.stop().await;
}
