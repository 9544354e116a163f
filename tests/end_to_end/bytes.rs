//! With no policy, every byte leaves as it came, both ways, however the upstream cuts its answer.

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Asked, Chunking, Reply, Script, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::http::post;
use luthien_wire::Dialect;
use rstest::rstest;

fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => "/v1/messages?beta=true",
        Dialect::Chat => "/v1/chat/completions?beta=true",
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

#[rstest]
#[case::whole(Chunking::Whole)]
#[case::frame_by_frame(Chunking::PerFrame)]
#[case::seven_bytes(Chunking::Bytes(7))]
#[case::byte_by_byte(Chunking::Bytes(1))]
#[tokio::test]
async fn nothing_is_changed_where_nothing_acts(#[case] chunking: Chunking) {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::new(move |asked: &Asked| {
        let fixture = fixtures::named(asked.dialect, asked.model()).expect("a fixture of that name");
        Reply::fixture(fixture).chunking(chunking)
    }));
    let gateway = Gateway::start(&Setup { upstream: upstream.base_url(), policy: None }).await;

    let whole = |fixture: &&Fixture| fixture.well_formed || fixture.status >= 400;
    let fixtures: Vec<_> =
        [Dialect::Messages, Dialect::Chat].into_iter().flat_map(fixtures::all).filter(whole).collect();
    assert!(fixtures.len() > 40, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        upstream.clear();
        let sent = body(fixture);
        let answer =
            post(&format!("{}{}", gateway.url(), path(fixture.dialect)), sent.clone()).await.expect("an answer");
        assert_eq!(answer.status, fixture.status, "{}", fixture.name);
        assert_eq!(String::from_utf8_lossy(&answer.body), String::from_utf8_lossy(fixture.bytes), "{}", fixture.name);
        assert_eq!(answer.body, fixture.bytes, "{}", fixture.name);
        let received = upstream.turns();
        assert_eq!(received.len(), 1, "{}", fixture.name);
        assert_eq!(received[0].path, path(fixture.dialect), "{}", fixture.name);
        assert_eq!(received[0].body, sent, "{}", fixture.name);
    }
    gateway.stop().await;
}
