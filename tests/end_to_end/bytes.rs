//! With no policy, every byte leaves as it came, both ways, however the upstream cuts its answer.

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Asked, Chunking, Reply, Script, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http::{Answer, post};
use luthien_wire::Dialect;
use rstest::rstest;

fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages?beta=true",
        Dialect::Chat | Dialect::Responses => "/v1/chat/completions?beta=true",
    }
}

/// A request whose form nobody would choose: spaces, an escape, a number with a trailing zero, an unknown field.
fn body(fixture: &Fixture) -> String {
    let Fixture { name, streamed, .. } = fixture;
    format!(
        "{{\"temperature\": 1.00 ,\n\"stream\":{streamed},\"model\":\"{name}\", \"max_tokens\":16,\"unknown\":{{\"b\":1,\"a\":2}},\
         \"messages\":[ {{\"content\":\"Gr\\u00f6\\u00dfe 😀\",\"role\":\"user\"}} ]}} \n"
    )
}

/// An upstream that answers each request with the fixture that its model names, cut so.
async fn with_fixtures(chunking: Chunking) -> Upstream {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::new(move |asked: &Asked| {
        let fixture = fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name");
        Reply::fixture(fixture).chunking(chunking)
    }));
    upstream
}

fn both_dialects(wanted: impl Fn(&&Fixture) -> bool) -> Vec<&'static Fixture> {
    [Dialect::Messages, Dialect::Chat].into_iter().flat_map(fixtures::all).filter(wanted).collect()
}

async fn through(gateway: &Gateway, fixture: &Fixture) -> Answer {
    post(&format!("{}{}", gateway.url(), path(fixture.dialect)), body(fixture)).await.expect("an answer")
}

#[rstest]
#[case::whole(Chunking::Whole)]
#[case::frame_by_frame(Chunking::PerFrame)]
#[case::seven_bytes(Chunking::Bytes(7))]
#[case::byte_by_byte(Chunking::Bytes(1))]
#[tokio::test]
async fn nothing_is_changed_where_nothing_acts(#[case] chunking: Chunking) {
    let upstream = with_fixtures(chunking).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let fixtures = both_dialects(|fixture| fixture.well_formed || fixture.status >= 400);
    assert!(fixtures.len() > 80, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        upstream.clear();
        let answer = through(&gateway, fixture).await;
        assert_eq!(answer.status, fixture.status, "{}", fixture.name);
        assert_eq!(String::from_utf8_lossy(&answer.body), String::from_utf8_lossy(fixture.bytes), "{}", fixture.name);
        assert_eq!(answer.body, fixture.bytes, "{}", fixture.name);
        let received = upstream.turns();
        assert_eq!(received.len(), 1, "{}", fixture.name);
        assert_eq!(received[0].path, path(fixture.dialect), "{}", fixture.name);
        assert_eq!(received[0].body, body(fixture), "{}", fixture.name);
    }
    gateway.stop().await;
}

/// A stream that breaks the rules is passed on all the same; only its end may get what is missing there.
#[tokio::test]
async fn an_ill_formed_stream_keeps_every_whole_frame() {
    let upstream = with_fixtures(Chunking::PerFrame).await;
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let fixtures = both_dialects(|fixture| fixture.streamed && !fixture.well_formed);
    assert!(fixtures.len() > 10, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        let answer = through(&gateway, fixture).await;
        let text = std::str::from_utf8(fixture.bytes).expect("a fixture in UTF-8");
        let frames = text.rfind("\n\n").map_or(text, |end| &text[..end + 2]);
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.starts_with(frames), "{}:\n{body}\n-- is not, at its start, --\n{frames}", fixture.name);
    }
    gateway.stop().await;
}
