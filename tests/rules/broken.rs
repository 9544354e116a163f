//! Upstreams that refuse or break off, while policies watch.

use luthien_testkit::{Answer, Reply, Script, Step, fixtures};
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::support::{GOOD, JUDGE, Rig, decisions, event, fixture_of, judge, judged, read, turn};

#[tokio::test]
async fn an_upstreams_error_passes_as_it_came_and_nothing_is_judged() {
    let odd = "{\"error\" :{\"message\":\"Overloaded\\u0021\"}, \"x\":1.0}\n";
    for policy in [None, Some(judge()), Some(("simple_llm", json!({"instructions": "x", "model": JUDGE})))] {
        for status in [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529] {
            let reply = Reply::whole(status, "application/json; x=1", odd)
                .header("retry-after", "7")
                .header("retry-after-ms", "7000")
                .header("x-should-retry", "true")
                .header("anthropic-ratelimit-requests-remaining", "0")
                .header("x-ratelimit-remaining-tokens", "0");
            let rig = Rig::new(Script::always(reply), policy.clone()).await;
            for dialect in Dialect::ALL {
                for stream in [true, false] {
                    let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
                    assert_eq!((told.status, told.text().as_str()), (status, odd));
                    for (name, value) in [
                        ("retry-after", "7"),
                        ("retry-after-ms", "7000"),
                        ("x-should-retry", "true"),
                        ("content-type", "application/json; x=1"),
                        ("anthropic-ratelimit-requests-remaining", "0"),
                        ("x-ratelimit-remaining-tokens", "0"),
                    ] {
                        assert_eq!(told.header(name), Some(value), "{name} of {status}");
                    }
                    if status == 529 {
                        let call = rig.gateway.call(told.id()).await;
                        assert_eq!(event(&call, "transaction.failed")["status"], "upstream_error");
                        assert_eq!(decisions(&call).len(), 0, "{call}");
                    }
                }
            }
            assert_eq!(rig.upstream.turns().len(), 6, "{status}: each was asked for once");
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn an_error_that_is_no_json_passes_as_it_came() {
    let html = "<html>Bad Gateway\0\u{1F600}</html>";
    let rig = Rig::new(Script::always(Reply::whole(502, "text/html", html)), Some(judge())).await;
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
            assert_eq!((told.status, told.text().as_str()), (502, html));
            assert_eq!(told.header("content-type"), Some("text/html"));
        }
    }
    rig.stop().await;
}

/// How the frame begins that says that an answer has failed, and the one that ends an answer.
pub(crate) fn last_frames(dialect: Dialect) -> [&'static str; 2] {
    match dialect {
        Dialect::Messages => ["event: error\ndata: {\"type\":\"error\"", "event: message_stop\n"],
        Dialect::Chat => ["data: {\"error\":{", "data: [DONE]"],
        Dialect::Responses => {
            ["event: response.failed\ndata: {\"type\":\"response.failed\"", "event: response.completed\n"]
        }
    }
}

pub(crate) fn last_frame(text: &str) -> &str {
    assert!(text.ends_with("\n\n"), "{text}");
    text.trim_end().rsplit("\n\n").next().expect("a last event")
}

#[tokio::test]
async fn a_cut_stream_never_ends_well() {
    for policy in [None, Some(judge()), Some(("all_caps", json!({})))] {
        let rig = Rig::new(judged(GOOD, fixture_of), policy.clone()).await;
        for dialect in Dialect::ALL {
            for name in ["cut_in_text", "cut_in_tool"] {
                fixtures::named(dialect, name).expect("a fixture of that name");
                let told = rig.told(dialect, &turn(dialect, name, true)).await;
                let text = told.text();
                let [error, end] = last_frames(dialect);
                assert!(last_frame(&text).starts_with(error), "{name} under {policy:?}: {text}");
                assert!(!text.contains(end), "{name}: {text}");
                let call = rig.gateway.call(told.id()).await;
                assert_eq!(event(&call, "transaction.failed")["status"], "upstream_broken");
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_break_at_any_event_is_an_error_or_the_answers_proper_end() {
    let answer = Answer::new().say("some words").call("Bash", &json!({"command": "make"}));
    for policy in [None, Some(judge())] {
        for dialect in Dialect::ALL {
            let script = move |count: usize, how: Step, answer: Answer| {
                judged(GOOD, move |asked| answer.reply(asked).cut_after(count, how.clone()))
            };
            let rig = Rig::new(Answer::text("x"), policy.clone()).await;
            let [error, end] = last_frames(dialect);
            let mut ends = 0;
            for count in 1..16 {
                for how in [Step::Close, Step::Reset] {
                    rig.upstream.default_script(script(count, how, answer.clone()));
                    let told = rig.told(dialect, &turn(dialect, "m", true)).await;
                    let text = told.text();
                    if last_frame(&text).starts_with(end) {
                        let whole = read(dialect, &told.body).expect("well-formed");
                        assert!(whole.to_string().contains("Bash"), "after {count} events: {whole}");
                        ends += 1;
                    } else {
                        assert!(last_frame(&text).starts_with(error), "after {count} events: {text}");
                        assert!(!text.contains(end), "after {count} events: {text}");
                    }
                }
            }
            assert!(ends >= 2, "{dialect}: the answer is whole at the last");
            rig.stop().await;
        }
    }
}

/// Codex takes nothing but `response.failed` for a failure (W-54); its number follows the last.
#[tokio::test]
async fn the_failure_of_a_response_has_the_next_number() {
    for policy in [None, Some(judge()), Some(("all_caps", json!({})))] {
        let rig = Rig::new(judged(GOOD, fixture_of), policy.clone()).await;
        for name in
            ["cut_before_items", "cut_in_text", "cut_in_tool", "cut_before_completed", "cut_in_custom_tool_call"]
        {
            let told = rig.told(Dialect::Responses, &turn(Dialect::Responses, name, true)).await;
            let numbers: Vec<u64> = told
                .text()
                .lines()
                .filter_map(|line| line.strip_prefix("data: "))
                .map(|data| {
                    serde_json::from_str::<Value>(data).expect("JSON")["sequence_number"].as_u64().expect("a number")
                })
                .collect();
            let expected: Vec<u64> = (0..).take(numbers.len()).collect();
            assert_eq!(numbers, expected, "{name} under {policy:?}: {}", told.text());
        }
        rig.stop().await;
    }
}
