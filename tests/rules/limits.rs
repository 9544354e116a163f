//! What cannot be held, decoded or read under a policy that blocks does not get out either.

use luthien_testkit::{Answer, Asked, Play, Reply, fixtures};
use luthien_wire::Dialect;
use serde_json::json;

use crate::support::{BAD, GOOD, Rig, decisions, event, judge, judged, read, response, turn};

const CANARY: &str = "canary";

fn leaks(body: &[u8]) -> bool {
    body.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

/// A call with arguments of so many words, whole in one event.
fn long_call(words: usize) -> Answer {
    Answer::new().say("words").call("Bash", &json!({"command": "canary ".repeat(words)})).delta_size(1 << 20)
}

#[tokio::test]
async fn a_call_over_a_limit_is_blocked_though_the_judge_allows_it() {
    for limit in ["MAX_EVENT_BYTES", "MAX_HELD_BYTES"] {
        let rig = Rig::with(judged(GOOD, |_| long_call(10_000)), Some(judge()), &[(limit, "20KiB")]).await;
        for dialect in Dialect::ALL {
            let told = rig.told(dialect, &turn(dialect, "m", true)).await;
            assert!(!leaks(&told.body), "{limit}: {}", told.text());
            assert!(read(dialect, &told.body).is_ok(), "{limit}: {}", told.text());
            let call = rig.gateway.call(told.id()).await;
            assert_eq!(response(&call)["evaluation"], "intervened", "{limit}");
            assert!(decisions(&call).iter().any(|decision| decision["failed"] == true), "{limit}: {call}");
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_coded_as_it_says_does_not_get_out() {
    for coding in ["gzip", "br", "zstd", "deflate", "compress", "x", "gzip, gzip", "identity, x", "GZIP", "aes128gcm"] {
        let script =
            judged(BAD, move |asked: &Asked| Play::from(long_call(3).reply(asked).header("content-encoding", coding)));
        let rig = Rig::new(script, Some(judge())).await;
        for dialect in Dialect::ALL {
            for stream in [true, false] {
                let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                assert!(!leaks(&told.body), "{coding}: {}", told.text());
                rig.gateway.call(told.id()).await;
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_do_not_get_out() {
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            for odd in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\0"] {
                let odd = odd.to_vec();
                let script = judged(BAD, move |asked: &Asked| {
                    let bytes = long_call(1).bytes(asked);
                    let at = bytes.windows(CANARY.len()).position(|window| window == CANARY.as_bytes());
                    let at = at.expect("the call");
                    let bytes = [&bytes[..at], &odd, &bytes[at..]].concat();
                    let kind = if asked.stream() { "text/event-stream" } else { "application/json" };
                    Play::from(Reply::whole(200, kind, bytes))
                });
                let rig = Rig::new(script, Some(judge())).await;
                let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                assert!(!leaks(&told.body), "{dialect:?} {stream}: {}", told.text());
                rig.stop().await;
            }
        }
    }
}

const REPAIRED: &str = "transaction.response_repaired";

/// A stream with defects that llama.cpp has.
#[tokio::test]
async fn what_is_repaired_satisfies_the_strictest_reader_and_what_nobody_touches_is_left() {
    for (verdict, policy) in [(GOOD, Some(judge())), (BAD, Some(judge())), (GOOD, None)] {
        let rig = Rig::new(judged(verdict, crate::support::fixture_of), policy.clone()).await;
        for name in ["llama_overlap", "text_after_tool"] {
            let fixture = fixtures::named(Dialect::Messages, name).expect("a fixture of that name");
            let told = rig.told(Dialect::Messages, &turn(Dialect::Messages, name, true)).await;
            if policy.is_some() {
                read(Dialect::Messages, &told.body).unwrap_or_else(|why| panic!("{name}: {why}\n{}", told.text()));
                // Blocks in another order, or fewer, are what a policy brings about, no repair.
                if (name, verdict) == ("llama_overlap", GOOD) {
                    event(&rig.gateway.call(told.id()).await, REPAIRED);
                }
            } else {
                assert_eq!(told.text(), String::from_utf8_lossy(fixture.bytes), "{name}");
                assert!(!rig.gateway.call(told.id()).await.to_string().contains(REPAIRED), "{name}");
            }
        }
        rig.stop().await;
    }
}
