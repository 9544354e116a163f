//! Clients of one dialect, upstreams of another: the rules hold for what a client is told, whoever said it.

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Answer, Asked, Chunking, Ending, Gate, Play, Reply, Script, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::broken::{last_frame, last_frames};
use crate::rewriting::{against_the_second, calls, three_calls};
use crate::support::{BAD, GOOD, JUDGE, Policy, Rig, event, fixture_of, judge, judged, read, turn};
use crate::tricks;
use crate::waiting::{behind, until};
use crate::words::{found, names, only_in_calls, structure};

mod thinking;

impl Rig {
    /// Models named `<dialect>/…` are asked of an upstream that speaks it, under the name after the slash.
    pub(crate) async fn converting(script: impl Into<Script>, policy: Option<Policy>) -> Self {
        let upstream = Upstream::start().await.expect("an upstream");
        upstream.default_script(script);
        let gateway = Gateway::start_converting(&Setup { upstream: upstream.base_url(), policy }).await;
        Self { upstream, gateway }
    }
}

/// Each client with each upstream of another dialect.
pub(crate) fn pairs() -> impl Iterator<Item = (Dialect, Dialect)> {
    let others = |client| Dialect::ALL.into_iter().filter(move |spoken| *spoken != client);
    Dialect::ALL.into_iter().flat_map(move |client| others(client).map(move |spoken| (client, spoken)))
}

/// A turn of this client for a model that speaks another dialect.
pub(crate) fn abroad(client: Dialect, spoken: Dialect, model: &str, stream: bool) -> Value {
    turn(client, &format!("{}/{model}", spoken.name()), stream)
}

/// Bodies that are no answer yet, or never will be one.
const NO_ANSWER: [&str; 5] =
    ["body_queued", "body_in_progress", "body_cancelled", "body_failed_rate_limit", "body_failed_context_length"];

fn fits(fixture: &Fixture) -> bool {
    fixture.well_formed && fixture.status == 200 && !NO_ANSWER.contains(&fixture.name)
}

#[tokio::test]
async fn every_answer_of_another_dialect_is_read_by_the_strictest() {
    let mut wrong = Vec::new();
    let policies = [None, Some(judge()), Some(("all_caps", json!({}))), Some(("debug_logging", json!({})))];
    for policy in policies {
        let rig = Rig::converting(judged(GOOD, fixture_of), policy.clone()).await;
        for (client, spoken) in pairs() {
            for fixture in fixtures::all(spoken).iter().filter(|fixture| fits(fixture)) {
                let told = rig.told(client, &abroad(client, spoken, fixture.name, fixture.streamed)).await;
                let answer = if fixture.streamed {
                    read(client, &told.body).map(|_| ())
                } else {
                    serde_json::from_slice::<Value>(&told.body).map(|_| ()).map_err(|error| error.to_string())
                };
                if let Err(why) = answer.and(if told.status == 200 { Ok(()) } else { Err("no success".to_owned()) }) {
                    let policy = policy.as_ref().map(|policy| policy.0);
                    let (name, text) = (fixture.name, told.text());
                    wrong.push(format!("{client} on {spoken}: {name} under {policy:?}: {why}\n{text}"));
                }
            }
        }
        rig.stop().await;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[tokio::test]
async fn no_byte_of_a_blocked_call_gets_through_a_conversion() {
    let mut leaks = Vec::new();
    let byte_by_byte = |asked: &Asked| fixture_of(asked).chunking(Chunking::Bytes(1));
    let rig = Rig::converting(judged(BAD, byte_by_byte), Some(judge())).await;
    for (client, spoken) in pairs() {
        let structure = structure(client);
        for fixture in fixtures::all(spoken).iter().filter(|fixture| fixture.has_tool_calls) {
            let mut words = only_in_calls(fixture);
            words.retain(|word| !names(fixture).contains(word) && !structure.contains(word.as_str()));
            let told = rig.told(client, &abroad(client, spoken, fixture.name, fixture.streamed)).await;
            if let Some(word) = found(&words, &told.body, fixture.streamed) {
                leaks.push(format!("{client} on {spoken}: {}: '{word}'\n{}", fixture.name, told.text()));
            }
            if fits(fixture) && fixture.streamed {
                let answer = read(client, &told.body);
                let answer = answer.unwrap_or_else(|why| panic!("{client} on {spoken}: {}: {why}", fixture.name));
                assert_eq!(calls(client, &answer).0, Vec::new(), "{client} on {spoken}: {}", fixture.name);
            }
        }
    }
    rig.stop().await;
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
}

#[tokio::test]
async fn text_comes_before_the_verdict_and_the_call_after_it() {
    for (client, spoken) in pairs() {
        let gate = Gate::new();
        let call = Answer::new().say("first words").call("Bash", &json!({"command": "make"}));
        let rig = Rig::converting(behind(&gate, call), Some(judge())).await;
        let mut exchange = rig.ask(client, &abroad(client, spoken, "m", true)).await;
        let before = until(&mut exchange, "first words").await;
        gate.reached().await;
        assert!(!before.contains("Bash") && !before.contains("make"), "{client} on {spoken}: {before}");
        gate.open();
        let rest = exchange.rest().await.expect("the rest");
        let answer = read(client, &[before.as_bytes(), &rest].concat()).expect("well-formed");
        assert!(answer.to_string().contains("Bash"), "{client} on {spoken}: {answer}");
        rig.stop().await;
    }
}

/// However the upstream's bytes are cut, the client gets the same.
#[tokio::test]
async fn a_converted_stream_does_not_depend_on_how_it_was_cut() {
    let mut told = Vec::new();
    for chunking in [Chunking::Whole, Chunking::PerFrame, Chunking::Bytes(1), Chunking::Bytes(7)] {
        let rig = Rig::converting(Script::new(move |asked| fixture_of(asked).chunking(chunking)), None).await;
        let mut answers = Vec::new();
        for (client, spoken) in pairs() {
            for fixture in fixtures::all(spoken).iter().filter(|fixture| fits(fixture) && fixture.streamed) {
                let told = rig.told(client, &abroad(client, spoken, fixture.name, true)).await;
                let answer = read(client, &told.body).expect("well-formed");
                answers.push((client, spoken, fixture.name, without_ids(answer)));
            }
        }
        told.push(answers);
        rig.stop().await;
    }
    for other in &told[1..] {
        for (one, other) in told[0].iter().zip(other) {
            assert_eq!(one, other);
        }
    }
}

/// The answer without what is made anew for each: ids and times.
fn without_ids(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(members) => {
            for name in ["id", "created", "created_at", "completed_at", "item_id", "call_id"] {
                members.shift_remove(name);
            }
            members.values_mut().for_each(|value| *value = without_ids(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_ids(value.take())),
        _ => {}
    }
    answer
}

#[tokio::test]
async fn a_held_converted_stream_stays_alive() {
    for (client, spoken) in pairs() {
        let gate = Gate::new();
        let call = Answer::tool("Bash", &json!({"command": "make"}));
        let upstream = Upstream::start().await.expect("an upstream");
        upstream.default_script(behind(&gate, call));
        let base = upstream.base_url() + if spoken == Dialect::Messages { "" } else { "/v1" };
        let settings = json!({
            "upstreams": {"abroad": {"dialect": spoken, "base_url": base, "auth": "none"}},
            "models": [{"match": "m", "upstream": "abroad"}],
            "timeouts": {"keep_alive": "1s"},
        });
        let setup = Setup { upstream: upstream.base_url(), policy: Some(judge()) };
        let rig = Rig { gateway: Gateway::start_configured(&setup, &settings).await, upstream };
        let mut exchange = rig.ask(client, &turn(client, "m", true)).await;
        gate.reached().await;
        let ping = match client {
            Dialect::Messages => "event: ping",
            Dialect::Chat => ": keep-alive",
            Dialect::Responses => "event: keepalive",
        };
        let seen = until(&mut exchange, ping).await;
        assert!(!seen.contains("Bash"), "{client} on {spoken}: {seen}");
        gate.open();
        let rest = exchange.rest().await.expect("the rest");
        let all = [seen.as_bytes(), &rest].concat();
        read(client, &all)
            .unwrap_or_else(|why| panic!("{client} on {spoken}: {why}\n{}", String::from_utf8_lossy(&all)));
        rig.stop().await;
    }
}

#[tokio::test]
async fn after_one_of_three_calls_is_blocked_the_others_keep_their_ids() {
    let rig = Rig::converting(against_the_second(), Some(judge())).await;
    for (client, spoken) in pairs() {
        for stream in [true, false] {
            rig.upstream.clear();
            let told = rig.told(client, &abroad(client, spoken, "m", stream)).await;
            let answer = if stream { read(client, &told.body).expect("well-formed") } else { told.json() };
            let pair = |id: &str| (id.to_owned(), "Read".to_owned());
            assert_eq!(calls(client, &answer), (vec![pair("call_one"), pair("call_three")], true), "{answer}");
            assert!(!answer.to_string().contains("forbidden-b"), "{client} on {spoken}: {answer}");
            assert_eq!(rig.turns().len(), 1);
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn after_all_calls_are_blocked_the_answer_is_a_success_without_calls() {
    let rig = Rig::converting(judged(BAD, |_| three_calls()), Some(judge())).await;
    for (client, spoken) in pairs() {
        for stream in [true, false] {
            let told = rig.told(client, &abroad(client, spoken, "m", stream)).await;
            let answer = if stream { read(client, &told.body).expect("well-formed") } else { told.json() };
            assert_eq!((told.status, calls(client, &answer)), (200, (Vec::new(), false)), "{client} on {spoken}");
            let ends = [&answer["stop_reason"], &answer["choices"][0]["finish_reason"], &answer["status"]];
            let expected = ["end_turn", "stop", "completed"];
            assert!(ends.iter().zip(expected).any(|(end, word)| *end == word), "{client} on {spoken}: {answer}");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_upstream_along() {
    for (client, spoken) in pairs() {
        for policy in [None, Some(judge())] {
            let gate = Gate::new();
            let answer = Answer::text("first words").hold(&gate).say("never");
            let rig = Rig::converting(answer, policy).await;
            let mut exchange = rig.ask(client, &abroad(client, spoken, "m", true)).await;
            let id = exchange.header("x-luthien-transaction-id").expect("an id").to_owned();
            until(&mut exchange, "first").await;
            gate.reached().await;
            drop(exchange);
            assert_eq!(rig.upstream.ended(0).await.expect("a turn").ending, Ending::ClientGone, "{client} on {spoken}");
            let call = rig.gateway.call(&id).await;
            assert_eq!(event(&call, "transaction.client_disconnected")["status"], "client_disconnected");
            rig.stop().await;
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_or_breaks_off_fails_in_the_clients_dialect() {
    for policy in [None, Some(judge()), Some(("all_caps", json!({})))] {
        let rig = Rig::converting(judged(GOOD, fixture_of), policy.clone()).await;
        for (client, spoken) in pairs() {
            let broken = fixtures::all(spoken).iter().filter(|fixture| {
                let name = fixture.name;
                fixture.streamed
                    && (name.starts_with("cut_in") || name.starts_with("failed") || name.starts_with("error_"))
            });
            for fixture in broken {
                let told = rig.told(client, &abroad(client, spoken, fixture.name, true)).await;
                let (text, [error, end]) = (told.text(), last_frames(client));
                let case = format!("{client} on {spoken}: {} under {policy:?}", fixture.name);
                let streamed = told.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
                if streamed {
                    assert!(last_frame(&text).starts_with(error), "{case}: {text}");
                } else {
                    assert!(told.status >= 400 && told.json()["error"]["message"].is_string(), "{case}: {text}");
                }
                assert!(!text.contains(end), "{case}: {text}");
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn an_error_keeps_its_status_and_its_words() {
    for policy in [None, Some(judge())] {
        let rig = Rig::converting(judged(GOOD, fixture_of), policy).await;
        for (client, spoken) in pairs() {
            for fixture in fixtures::all(spoken).iter().filter(|fixture| fixture.status >= 400) {
                for stream in [true, false] {
                    let case = format!("{client} on {spoken}: {}", fixture.name);
                    let told = rig.told(client, &abroad(client, spoken, fixture.name, stream)).await;
                    assert_eq!(told.status, fixture.status, "{case}");
                    assert_eq!(
                        fixture.header.map(|(name, _)| told.header(name)),
                        fixture.header.map(|(_, value)| Some(value))
                    );
                    let Ok(came) = serde_json::from_slice::<Value>(fixture.bytes) else { continue };
                    let words = |error: &Value| error["error"]["message"].as_str().map(str::to_owned);
                    let (said, came) = (words(&told.json()).unwrap_or_default(), words(&came).unwrap_or_default());
                    // Claude Code knows by its first words that a prompt is too long.
                    assert!(said.ends_with(&came), "{case}: {}", told.text());
                    let envelope = if client == Dialect::Messages { json!("error") } else { Value::Null };
                    assert_eq!(told.json()["type"], envelope, "{case}: {}", told.text());
                }
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    let rig = Rig::converting(judged(GOOD, fixture_of), Some(judge())).await;
    for client in [Dialect::Messages, Dialect::Chat] {
        for name in NO_ANSWER {
            let told = rig.told(client, &abroad(client, Dialect::Responses, name, false)).await;
            assert!(told.status >= 400, "{client}: {name}: {}", told.text());
            assert!(told.json()["error"]["message"].is_string(), "{client}: {name}: {}", told.text());
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_a_client_says_and_gets_is_on_the_record_in_both_dialects() {
    let rig = Rig::converting(judged(GOOD, |_| three_calls()), Some(judge())).await;
    for (client, spoken) in pairs() {
        rig.upstream.clear();
        let told = rig.told(client, &abroad(client, spoken, "m", true)).await;
        let call = rig.gateway.call(told.id()).await;
        let converted = event(&call, "transaction.converted");
        assert_eq!((&converted["from"], &converted["to"]), (&json!(client), &json!(spoken)), "{call}");
        let asked = rig.turns().remove(0);
        assert_eq!((asked.path.as_str(), &asked.json()["model"]), (crate::support::path(spoken), &json!("m")));
    }
    rig.stop().await;
}

#[tokio::test]
async fn no_trick_gets_a_call_through_a_conversion() {
    let mut leaks = Vec::new();
    let rig = Rig::converting(Answer::text("x"), Some(judge())).await;
    for (client, spoken) in pairs() {
        for (name, bytes) in tricks::all(spoken) {
            for kind in ["text/event-stream", "application/json"] {
                for stream in [true, false] {
                    let reply = Reply::whole(200, kind, bytes.clone());
                    rig.upstream.default_script(judged(BAD, move |_| reply.clone()));
                    let told = rig.told(client, &abroad(client, spoken, "m", stream)).await;
                    if told.text().contains(tricks::CANARY) {
                        leaks.push(format!("{client} on {spoken}: {name} as {kind}, stream {stream}: {}", told.text()));
                    }
                }
            }
        }
    }
    rig.stop().await;
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
}

/// An upstream that answers as if it spoke what the client speaks is not taken at its word.
#[tokio::test]
async fn an_answer_in_a_dialect_that_was_not_asked_for_gets_nothing_out() {
    for (client, spoken) in pairs() {
        for stream in [true, false] {
            let script = Script::new(move |asked: &Asked| {
                if asked.model() == JUDGE {
                    return Play::from(Answer::text(BAD));
                }
                let name = if client == Dialect::Messages { "text_two_tools" } else { "function_calls_two" };
                let name = if client == Dialect::Chat { "text_tool" } else { name };
                let fixture = fixtures::named(client, name).expect("a fixture of that name");
                Reply::fixture(fixture).into()
            });
            let rig = Rig::converting(script, Some(judge())).await;
            let told = rig.told(client, &abroad(client, spoken, "m", stream)).await;
            for word in ["next_token", "lexer.rs", "read_file"] {
                assert!(!told.text().contains(word), "{client} on {spoken}: {} {}", told.status, told.text());
            }
            rig.stop().await;
        }
    }
}
