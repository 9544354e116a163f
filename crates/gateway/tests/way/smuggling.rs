//! Requests that are written to be read in two ways, on the gateway's own socket: they are refused, or there is one way to read what
//! goes upstream.

use luthien_gateway::config::AuthMode;
use luthien_testkit::Answer;
use luthien_testkit::upstream::Recorded;
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{GATEWAY_KEY, Rig, SERVER_KEY};

const BODY: &str = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#;

async fn rig() -> Rig {
    Rig::with(Answer::text("hi"), Vec::new(), |config| {
        config.client_key = Some(GATEWAY_KEY.into());
        config.upstreams[0].key = Some(SERVER_KEY.into());
        config.limits.request_bytes = 1 << 20;
    })
    .await
}

/// Writes these bytes and reads all that comes until the gateway closes.
async fn write(rig: &Rig, bytes: &[u8]) -> Vec<u8> {
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    // A gateway that has refused already may have closed.
    let _ = client.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = client.read_to_end(&mut answer).await;
    answer
}

/// The status codes of the answers on one connection.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer);
    text.split("HTTP/1.1 ").skip(1).map(|rest| rest[..3].parse().unwrap()).collect()
}

/// A turn with these lines of the head before those that it needs, and with this behind them.
fn turn(lines: &str, rest: &str) -> Vec<u8> {
    format!("POST /v1/messages HTTP/1.1\r\nhost: g\r\nconnection: close\r\n{lines}{rest}").into_bytes()
}

fn with_length(lines: &str) -> Vec<u8> {
    turn(lines, &format!("content-length: {}\r\n\r\n{BODY}", BODY.len()))
}

/// What an upstream's request can be read as: one turn of these bytes, with one length.
fn is_plain(request: &Recorded) {
    let all = |name: &str| request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).count();
    assert_eq!((all("content-length"), all("transfer-encoding"), all("host")), (1, 0, 1), "{:?}", request.headers);
    assert_eq!(request.header("content-length"), Some(request.body.len().to_string().as_str()));
    assert_eq!((&request.body[..], request.path.as_str()), (BODY.as_bytes(), "/v1/messages"));
    for (name, value) in &request.headers {
        assert!(!name.contains([' ', '\t', ':', '\0']) && !value.contains(['\r', '\n', '\0']), "{name}: {value}");
    }
}

const KEY: &str = "x-api-key: sk-mine\r\n";

#[rstest]
#[case::two_lengths(&format!("{KEY}content-length: 3\r\n"))]
#[case::a_list_of_lengths(&format!("{KEY}content-length: 3, 3\r\n"))]
#[case::a_signed_length(&format!("{KEY}content-length: +72\r\n"))]
#[case::a_folded_line(&format!("{KEY}x-long: a\r\n b\r\n"))]
#[case::a_folded_credential("x-api-key: sk-\r\n mine\r\n")]
#[case::a_space_before_the_colon("x-api-key : sk-mine\r\n")]
#[case::a_tab_before_the_colon("x-api-key\t: sk-mine\r\n")]
#[case::a_space_before_the_name(&format!(" x-other: 1\r\n{KEY}"))]
#[case::nul_in_a_value("x-api-key: sk\0mine\r\n")]
#[case::a_bare_return_in_a_value("x-api-key: sk\rx-luthien-api-key: y\r\n")]
#[case::nul_in_a_name(&format!("{KEY}x-o\0ther: 1\r\n"))]
#[case::no_colon(&format!("{KEY}x-other\r\n"))]
#[case::no_name(&format!("{KEY}: 1\r\n"))]
#[case::an_unknown_coding(&format!("{KEY}transfer-encoding: gzip\r\n"))]
#[case::chunked_is_not_last(&format!("{KEY}transfer-encoding: chunked, gzip\r\n"))]
#[case::chunked_in_other_words(&format!("{KEY}transfer-encoding: xchunked\r\n"))]
#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused(#[case] lines: &str) {
    let rig = rig().await;
    let answer = write(&rig, &with_length(lines)).await;
    assert_eq!(statuses(&answer), [400], "{}", String::from_utf8_lossy(&answer));
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[rstest]
#[case::one_length_twice(with_length(&format!("{KEY}content-length: {}\r\n", BODY.len())))]
#[case::lines_that_end_with_a_feed_alone(String::from_utf8(with_length(KEY)).unwrap().replace("\r\n", "\n").into_bytes())]
#[case::names_in_capitals(with_length("X-API-KEY: sk-mine\r\nHOST: other\r\n"))]
#[case::chunks_with_extensions(turn(
    &format!("{KEY}transfer-encoding: chunked\r\n\r\n"),
    &format!("{:x};x=\"y\";z\r\n{BODY}\r\n0;last\r\nx-api-key: trailing\r\nx-luthien-api-key: t\r\n\r\n", BODY.len()),
))]
#[case::chunked_in_capitals(turn(
    &format!("{KEY}Transfer-Encoding: CHUNKED\r\n\r\n"),
    &format!("{:X}\r\n{BODY}\r\n0\r\n\r\n", BODY.len()),
))]
#[tokio::test]
async fn what_can_be_read_in_one_way_goes_on_plainly(#[case] bytes: Vec<u8>) {
    let rig = rig().await;
    let answer = write(&rig, &bytes).await;
    assert_eq!(statuses(&answer), [200], "{}", String::from_utf8_lossy(&answer));
    let requests = rig.upstream.requests();
    assert_eq!(requests.len(), 1);
    is_plain(&requests[0]);
    assert_eq!(requests[0].header("x-api-key"), Some("sk-mine"));
    assert!(!format!("{:?}", requests[0].headers).contains("trailing"));
    rig.stop().await;
}

#[rstest]
#[case::length_first("content-length: 6\r\ntransfer-encoding: chunked\r\n")]
#[case::coding_first("transfer-encoding: chunked\r\ncontent-length: 6\r\n")]
#[tokio::test]
async fn a_length_beside_chunks_does_not_count_and_nothing_behind_it_is_taken_for_a_request(#[case] lines: &str) {
    let rig = rig().await;
    let second = "POST /v1/messages HTTP/1.1\r\nhost: g\r\nx-api-key: sk-smuggled\r\ncontent-length: 2\r\n\r\n{}";
    let rest = format!("\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n{second}", BODY.len());
    let bytes = format!("POST /v1/messages HTTP/1.1\r\nhost: g\r\n{KEY}{lines}{rest}");
    let answer = write(&rig, bytes.as_bytes()).await;
    assert_eq!(statuses(&answer), [200], "and the connection is closed");
    let requests = rig.upstream.requests();
    assert_eq!(requests.len(), 1);
    is_plain(&requests[0]);
    assert_eq!(requests[0].header("x-api-key"), Some("sk-mine"));
    rig.stop().await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let rig = rig().await;
    for lines in [
        format!("{KEY}x-long: {}\r\n", "a".repeat(2 << 20)),
        format!("x-api-key: {}\r\n", "k".repeat(2 << 20)),
        KEY.to_owned() + &"x-many: 1\r\n".repeat(2000),
    ] {
        let answer = write(&rig, &with_length(&lines)).await;
        assert_eq!(statuses(&answer), [431]);
    }
    let answer =
        write(&rig, format!("POST /v1/messages?{} HTTP/1.1\r\nhost: g\r\n\r\n", "q".repeat(70_000)).as_bytes()).await;
    assert_eq!(statuses(&answer), [414]);
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[rstest]
#[case::two_in_one_line("x-api-key: lk-shared-gateway-key, sk-mine\r\n")]
#[case::two_bearers("authorization: Bearer lk-shared-gateway-key, Bearer sk-mine\r\n")]
#[case::another_scheme_before_it("authorization: Basic Bearer lk-shared-gateway-key\r\n")]
#[case::in_a_list("authorization: Bearer sk-mine,lk-shared-gateway-key\r\n")]
#[tokio::test]
async fn a_gateway_key_with_something_beside_it_in_its_line_lets_nobody_use_the_servers_key(#[case] line: &str) {
    let rig = rig().await;
    write(&rig, &with_length(line)).await;
    for request in rig.upstream.requests() {
        let whole = format!("{:?}", request.headers);
        assert!(!whole.contains(SERVER_KEY) && !whole.contains(GATEWAY_KEY), "{whole}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn in_the_mode_of_gateway_keys_they_let_nobody_in() {
    let rig = Rig::with(Answer::text("hi"), Vec::new(), |config| {
        config.client_key = Some(GATEWAY_KEY.into());
        config.access = AuthMode::ClientKey.into();
    })
    .await;
    for line in [
        "x-api-key: lk-shared-gateway-key, sk-mine\r\n",
        "authorization: Bearer lk-shared-gateway-key, Bearer sk-mine\r\n",
        "x-luthien-api-key: lk-shared-gateway-key\r\nx-luthien-api-key: sk-mine\r\n",
        "x-luthien-api-key: lk-shared-gateway-ke\r\n",
        "x-luthien-api-key: lk-shared-gateway-keyy\r\n",
        "x_luthien_api_key: lk-shared-gateway-key\r\n",
        "x_api_key: lk-shared-gateway-key\r\n",
        "cookie: x-api-key=lk-shared-gateway-key\r\n",
        "connection: x-api-key\r\nproxy-authorization: Bearer lk-shared-gateway-key\r\n",
    ] {
        let answer = write(&rig, &with_length(line)).await;
        assert_eq!(statuses(&answer), [401], "{line}");
    }
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}

#[tokio::test]
async fn connection_cannot_take_a_credential_out_from_behind_the_check() {
    let rig = rig().await;
    let lines = format!(
        "x-api-key: {GATEWAY_KEY}\r\nconnection: x-api-key, authorization, content-length, x-luthien-api-key\r\n"
    );
    assert_eq!(statuses(&write(&rig, &with_length(&lines)).await), [200]);
    let request = rig.upstream.requests().remove(0);
    is_plain(&request);
    assert_eq!(request.header("x-api-key"), Some(SERVER_KEY));
    rig.upstream.clear();
    // The caller's own is the caller's to withdraw: then nothing goes.
    let lines = format!("{KEY}connection: x-api-key\r\n");
    write(&rig, &with_length(&lines)).await;
    for request in rig.upstream.requests() {
        is_plain(&request);
        assert_eq!((request.header("x-api-key"), request.header("authorization")), (None, None));
    }
    rig.stop().await;
}

#[tokio::test]
async fn nothing_of_the_gateways_own_can_be_forged() {
    let rig = rig().await;
    let forged = "x-luthien-user-id: root\r\nx-luthien-transaction-id: 01938f00-0000-7000-8000-000000000000\r\n\
        x-call-id: 01938f00-0000-7000-8000-000000000000\r\nx-luthien-policy: none\r\nX-Luthien-Unreviewed: guess\r\n\
        x-luthien-upstream: openai\r\nx-luthien-fallback: x\r\nx-luthien-anything: 1\r\nx-luthien-dropped: y\r\n";
    let answer = write(&rig, &with_length(&format!("{KEY}{forged}"))).await;
    let text = String::from_utf8_lossy(&answer).to_lowercase();
    assert_eq!(statuses(&answer), [200]);
    assert!(!text.contains("01938f00-0000-7000") && text.contains("x-luthien-policy: no_op; version=3"), "{text}");
    assert!(text.contains("x-luthien-upstream: anthropic"));
    let request = rig.upstream.requests().remove(0);
    assert!(request.headers.iter().all(|(name, _)| !name.to_lowercase().starts_with("x-luthien-")));
    let record = rig.only_record().await;
    assert_eq!(record.user_id, None);
    assert!(!format!("{record:?}").contains("guess"));
    rig.stop().await;
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// Header fields as they come, each a literal that nobody indexes.
fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0x10], text(name), text(value)].concat()).collect()
}

/// Sends one request over HTTP/2 and says whether it was answered with a head.
async fn over_http2(rig: &Rig, fields: &[(&str, &str)]) -> bool {
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const GO_AWAY: u8 = 7;
    let mut client = TcpStream::connect(rig.gateway.addr()).await.unwrap();
    let head = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    let request = [frame(HEADERS, 4, 1, &literals(fields)), frame(0, 1, 1, BODY.as_bytes())].concat();
    client.write_all(&[head, request].concat()).await.unwrap();
    loop {
        let mut head = [0; 9];
        if client.read_exact(&mut head).await.is_err() {
            return false;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        client.read_exact(&mut payload).await.unwrap();
        match head[3] {
            HEADERS => return true,
            RESET | GO_AWAY => return false,
            _ => {}
        }
    }
}

const PSEUDO: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "g"), (":path", "/v1/messages")];

#[tokio::test]
async fn over_http2_a_plain_request_is_answered() {
    let rig = rig().await;
    let fields = [&PSEUDO[..], &[("x-api-key", "sk-mine"), ("host", "elsewhere")]].concat();
    assert!(over_http2(&rig, &fields).await);
    let request = rig.upstream.requests().remove(0);
    is_plain(&request);
    assert_eq!(request.header("host"), Some(rig.upstream.address().to_string().as_str()));
    rig.stop().await;
}

#[rstest]
#[case::two_paths(&[(":path", "/v1/models")])]
#[case::two_methods(&[(":method", "GET")])]
#[case::a_name_in_capitals(&[("X-Api-Key", "sk-mine")])]
#[case::a_pseudo_header_behind_others(&[("x-api-key", "sk-mine"), (":authority", "h")])]
#[case::an_unknown_pseudo_header(&[(":x-api-key", "sk-mine")])]
#[case::a_header_of_the_connection(&[("x-api-key", "sk-mine"), ("connection", "x-api-key")])]
#[case::chunks(&[("x-api-key", "sk-mine"), ("transfer-encoding", "chunked")])]
#[case::a_line_end_in_a_value(&[("x-api-key", "sk\r\nx-luthien-api-key: y")])]
#[case::nul_in_a_value(&[("x-api-key", "sk\0")])]
#[case::a_colon_in_a_name(&[("x-api-key:", "sk-mine")])]
#[case::a_space_in_a_name(&[("x-api key", "sk-mine")])]
#[case::a_length_that_is_none(&[("x-api-key", "sk-mine"), ("content-length", "3")])]
#[tokio::test]
async fn over_http2_what_is_malformed_is_refused(#[case] more: &[(&str, &str)]) {
    let rig = rig().await;
    let answered = over_http2(&rig, &[&PSEUDO[..], more].concat()).await;
    assert!(rig.upstream.requests().is_empty(), "{answered}");
    rig.stop().await;
}

#[tokio::test]
async fn a_target_in_another_form_is_no_way_round_a_check() {
    let rig = rig().await;
    for target in ["http://api.elsewhere.example/v1/messages", "HTTP://g/v1/messages"] {
        let bytes = with_length(KEY);
        let bytes = String::from_utf8(bytes).unwrap().replacen("/v1/messages", target, 1);
        assert_eq!(statuses(&write(&rig, bytes.as_bytes()).await), [200], "{target}");
        let request = rig.upstream.requests().pop().unwrap();
        is_plain(&request);
        assert_eq!(request.header("host"), Some(rig.upstream.address().to_string().as_str()));
    }
    rig.upstream.clear();
    for line in ["CONNECT api.anthropic.com:443 HTTP/1.1", "OPTIONS * HTTP/1.1", "GET //v1/messages HTTP/1.1"] {
        let answer = write(&rig, format!("{line}\r\nhost: g\r\n{KEY}connection: close\r\n\r\n").as_bytes()).await;
        let refused = statuses(&answer);
        assert!(matches!(refused[..], [400..=499]), "{line}: {refused:?}");
    }
    assert!(rig.upstream.requests().is_empty());
    rig.stop().await;
}
