//! The real pi in front of the gateway: a tool loop in each dialect, with an upstream of each dialect behind it.

use luthien_testkit::{Answer, Script, Upstream};
use luthien_tests::clients::{Run, pi};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

/// A command whose output is not part of it, so that seeing the output proves that it ran.
const COMMAND: &str = "echo answer-$((6*7))";
const OUTPUT: &str = "answer-42";
const SIGNATURE: &str = "c2lnbmF0dXJlLW9mLXRoZS12ZW5kb3I=";

/// pi's events.
fn events(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

#[rstest]
#[case::messages(Dialect::Messages)]
#[case::chat(Dialect::Chat)]
#[case::responses(Dialect::Responses)]
#[tokio::test]
async fn a_tool_loop_runs_whatever_the_upstream_speaks(#[case] client: Dialect) {
    let first =
        Answer::new().think("Numbers.", SIGNATURE).say("I will run it.").call("bash", &json!({"command": COMMAND}));
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::rounds([first, Answer::text("The number was printed.")]));
    let mut gateway = Gateway::start_converting(&Setup { upstream: upstream.base_url(), policy: None }).await;

    for spoken in Dialect::ALL {
        let what = format!("{} to {}", client.name(), spoken.name());
        upstream.clear();
        let run = pi(client, gateway.url(), &format!("{}/a-model", spoken.name()), "Print the number, please.").await;

        assert_eq!(run.code, Some(0), "{what}: {run:?}");
        let events = events(&run);
        let ran = of_type(&events, "tool_execution_end");
        assert_eq!(ran.len(), 1, "{what}: {}", run.stdout);
        assert_eq!(ran[0]["result"]["content"][0]["text"].as_str().map(str::trim), Some(OUTPUT), "{what}");
        let last = of_type(&events, "message_end").into_iter().next_back().expect("a last message");
        assert_eq!(last["message"]["content"][0]["text"], "The number was printed.", "{what}");

        let turns = upstream.turns();
        assert_eq!(turns.len(), 2, "{what}: one request before the tool and one after");
        for turn in &turns {
            assert_eq!(turn.path, format!("/v1{}", spoken.path()), "{what}");
            assert_eq!(turn.json()["model"], "a-model", "{what}");
        }
        let [before, after] = [0, 1].map(|n| turns[n].json().to_string());
        assert!(!before.contains(OUTPUT) && after.contains(OUTPUT), "{what}: the tool's output came back: {after}");
        // Chat has no signatures, and pi keeps none there.
        let signed = spoken != Dialect::Chat && client != Dialect::Chat;
        assert_eq!(after.contains(SIGNATURE), signed, "{what}: {after}");
    }
    gateway.recorded(6).await;
    gateway.stop().await;
}
