//! What policies change of answers: the strictest readers take it, and all places that repeat it agree (W-05, W-08, W-32).

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Answer, Asked, Play, Reply, Script};
use luthien_wire::Dialect;
use serde_json::{Value, json};

use crate::support::{BAD, GOOD, JUDGE, Policy, Rig, Told, chain, decisions, fixture_of, judge, judged, read, turn};

fn streams() -> impl Iterator<Item = &'static Fixture> {
    Dialect::ALL.into_iter().flat_map(fixtures::all).filter(|fixture| fixture.streamed && fixture.well_formed)
}

/// Policies that change texts, each in its way.
fn changes() -> Vec<Policy> {
    let swap = ("string_replacement", json!({"replacements": [["e", "3"], ["parser", "reader of text"]]}));
    let loud = ("all_caps", json!({}));
    vec![swap.clone(), loud.clone(), chain(&[swap, judge(), loud])]
}

#[tokio::test]
async fn a_changed_stream_is_read_by_the_strictest() {
    let mut wrong = Vec::new();
    for policy in changes() {
        let rig = Rig::new(judged(GOOD, fixture_of), Some(policy.clone())).await;
        for fixture in streams() {
            let told = rig.told(fixture.dialect, &turn(fixture.dialect, fixture.name, true)).await;
            if let Err(why) = read(fixture.dialect, &told.body) {
                wrong.push(format!("{} {} under {}: {why}\n{}", fixture.dialect, fixture.name, policy.0, told.text()));
            }
        }
        rig.stop().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text of an answer's first message.
fn first_text(answer: &Value) -> &str {
    let places = ["/content/0/text", "/choices/0/message/content", "/output/0/content/0/text"];
    let text = places.iter().find_map(|place| answer.pointer(place)).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text in {answer}"))
}

#[tokio::test]
async fn a_changed_text_is_changed_everywhere() {
    for fixture in ["text", "text_unicode"] {
        for stream in [true, false] {
            let rig = Rig::new(fixture_script(stream), Some(("all_caps", json!({})))).await;
            for dialect in Dialect::ALL {
                let told = rig.told(dialect, &turn(dialect, fixture, stream)).await;
                let answer = if stream { read(dialect, &told.body).expect("well-formed") } else { told.json() };
                let text = first_text(&answer);
                assert_eq!(text, text.to_uppercase(), "{dialect} {fixture}");
                assert!(!told.text().contains("ready") && !told.text().contains("naïve"), "{}", told.text());
            }
            rig.stop().await;
        }
    }
}

/// The fixture that a request names, streamed or whole.
fn fixture_script(stream: bool) -> Script {
    Script::new(move |asked: &Asked| {
        let name = match (stream, asked.model()) {
            (false, "text") => "body_text",
            (false, _) => "body_unicode",
            (true, name) => name,
        };
        Reply::fixture(fixtures::named(asked.dialect, name).expect("a fixture of that name"))
    })
}

/// The judge blocks the second call: a question has the calls before it, not those after it.
pub(crate) fn against_the_second() -> Script {
    Script::new(move |asked: &Asked| {
        let holds = |word: &str| String::from_utf8_lossy(&asked.body).contains(word);
        let verdict = if holds("forbidden-b") && !holds("allowed-c") { BAD } else { GOOD };
        if asked.model() == JUDGE { Play::from(Answer::text(verdict)) } else { three_calls().into() }
    })
}

pub(crate) fn three_calls() -> Answer {
    Answer::text("Let me see.")
        .call_with_id("call_one", "Read", &json!({"path": "allowed-a"}))
        .call_with_id("call_two", "Bash", &json!({"command": "forbidden-b"}))
        .call_with_id("call_three", "Read", &json!({"path": "allowed-c"}))
}

/// The ids and names of an answer's calls, and whether its end says that there are some.
pub(crate) fn calls(dialect: Dialect, answer: &Value) -> (Vec<(String, String)>, bool) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |list: &Value, kind: &str, id: &str, name: &str| {
        let items = list.as_array().into_iter().flatten().filter(|item| item["type"] == kind);
        items.map(|item| (word(&item[id]), word(item.pointer(name).unwrap_or(&Value::Null)))).collect()
    };
    match dialect {
        Dialect::Messages => (of(&answer["content"], "tool_use", "id", "/name"), answer["stop_reason"] == "tool_use"),
        Dialect::Chat => {
            let choice = &answer["choices"][0];
            let calls = of(&choice["message"]["tool_calls"], "function", "id", "/function/name");
            (calls, choice["finish_reason"] == "tool_calls")
        }
        Dialect::Responses => {
            let calls: Vec<_> = of(&answer["output"], "function_call", "call_id", "/name");
            let any = !calls.is_empty();
            (calls, any && answer["status"] == "completed")
        }
    }
}

async fn told_of(rig: &Rig, dialect: Dialect, stream: bool) -> (Told, Value) {
    let told = rig.told(dialect, &turn(dialect, "m", stream)).await;
    let answer = if stream {
        read(dialect, &told.body).unwrap_or_else(|why| panic!("{dialect}: {why}\n{}", told.text()))
    } else {
        told.json()
    };
    (told, answer)
}

#[tokio::test]
async fn after_one_of_three_calls_is_blocked_the_others_keep_their_ids() {
    let loud: Policy = ("tool_call_judge", json!({"model": JUDGE}));
    for policy in [judge(), loud] {
        let rig = Rig::new(against_the_second(), Some(policy.clone())).await;
        for dialect in Dialect::ALL {
            for stream in [true, false] {
                let (told, answer) = told_of(&rig, dialect, stream).await;
                let pair = |id: &str| (id.to_owned(), "Read".to_owned());
                assert_eq!(calls(dialect, &answer), (vec![pair("call_one"), pair("call_three")], true), "{answer}");
                assert!(!told.text().contains("forbidden-b") && !told.text().contains("call_two"), "{}", told.text());
                let said = answer.to_string();
                assert!(said.contains("allowed-a") && said.contains("allowed-c"), "{said}");
                assert!(!said.contains("forbidden-b"), "{said}");
                let call = rig.gateway.call(told.id()).await;
                let actions: Vec<&Value> = decisions(&call).iter().map(|decision| &decision["action"]).collect();
                assert_eq!(actions.iter().filter(|action| **action == "block").count(), 1, "{call}");
            }
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn after_all_calls_are_blocked_the_answer_is_a_text_and_a_success() {
    let rig = Rig::new(judged(BAD, |_| three_calls()), Some(("tool_call_judge", json!({"model": JUDGE})))).await;
    for dialect in Dialect::ALL {
        for stream in [true, false] {
            rig.upstream.clear();
            let (told, answer) = told_of(&rig, dialect, stream).await;
            assert_eq!((told.status, rig.turns().len()), (200, 1));
            assert_eq!(calls(dialect, &answer), (Vec::new(), false), "{answer}");
            assert!(first_text(&answer).contains("Let me see."), "{answer}");
            let end = match dialect {
                Dialect::Messages => &answer["stop_reason"],
                Dialect::Chat => &answer["choices"][0]["finish_reason"],
                Dialect::Responses => &answer["status"],
            };
            let expected = match dialect {
                Dialect::Messages => "end_turn",
                Dialect::Chat => "stop",
                Dialect::Responses => "completed",
            };
            assert_eq!(end, expected, "{answer}");
        }
    }
    rig.stop().await;
}

/// What the client says next holds the answer that it got: the upstream takes it as it is.
#[tokio::test]
async fn the_next_turn_carries_what_was_left_and_nothing_of_what_was_blocked() {
    let rig = Rig::new(against_the_second(), Some(judge())).await;
    for stream in [true, false] {
        let (_, answer) = told_of(&rig, Dialect::Responses, stream).await;
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        input.extend(answer["output"].as_array().expect("items").iter().cloned());
        for id in ["call_one", "call_three"] {
            input.push(json!({"type": "function_call_output", "call_id": id, "output": "ok"}));
        }
        rig.upstream.clear();
        let body = json!({"model": "m", "stream": stream, "store": false, "input": input});
        let told = rig.told(Dialect::Responses, &body).await;
        assert_eq!(told.status, 200, "{}", told.text());
        let sent = rig.turns().remove(0);
        assert_eq!(sent.json()["input"], Value::from(input));
        assert!(!String::from_utf8_lossy(&sent.body).contains("forbidden-b"));
    }
    rig.stop().await;
}

/// What a call item is, is judged, whoever runs it (W-07): one question for each.
#[tokio::test]
async fn every_kind_of_call_is_judged() {
    let kinds = [
        ("function_call", "read_file"),
        ("custom_tool_call", "apply_patch"),
        ("web_search_call", "web_search"),
        ("file_search_call", "file_search"),
        ("code_interpreter_call", "code_interpreter"),
        ("image_generation_call", "image_generation"),
        ("mcp_call", "roll"),
        ("mcp_approval_request", "roll"),
        ("shell_call", "shell"),
        ("local_shell_call", "local_shell"),
        ("apply_patch_call", "apply_patch"),
        ("computer_call", "computer"),
        ("unknown_item", "sketch"),
    ];
    // A streamed call and the same one whole are the same question: each is to be asked.
    let judge = ("tool_call_judge", json!({"model": JUDGE, "limits": {"cache_seconds": 0}}));
    let rig = Rig::new(judged(GOOD, fixture_of), Some(judge)).await;
    for (kind, tool) in kinds {
        for (name, stream) in [(kind.to_owned(), true), (format!("body_{kind}"), false)] {
            rig.upstream.clear();
            let told = rig.told(Dialect::Responses, &turn(Dialect::Responses, &name, stream)).await;
            let asked: Vec<String> = rig
                .upstream
                .turns()
                .iter()
                .filter(|turn| turn.json()["model"] == JUDGE)
                .map(|turn| String::from_utf8_lossy(&turn.body).into_owned())
                .collect();
            assert_eq!(asked.len(), 1, "{name}: {asked:?}");
            assert!(asked[0].contains(tool), "{name}: {}", asked[0]);
            let call = rig.gateway.call(told.id()).await;
            assert_eq!(decisions(&call).len(), 1, "{name}: {call}");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn usage_ids_and_ends_of_responses_survive_a_block() {
    let rig = Rig::new(judged(BAD, fixture_of), Some(judge())).await;
    for fixture in fixtures::all(Dialect::Responses).iter().filter(|fixture| fixture.streamed && fixture.well_formed) {
        let told = rig.told(Dialect::Responses, &turn(Dialect::Responses, fixture.name, true)).await;
        let before = read(Dialect::Responses, fixture.bytes).expect("well-formed");
        let after = read(Dialect::Responses, &told.body).expect("well-formed");
        let (mut before, mut after) = (before, after);
        for response in [&mut before, &mut after] {
            response["output"] = Value::Null;
        }
        assert_eq!(after, before, "{}", fixture.name);
    }
    rig.stop().await;
}

#[tokio::test]
async fn reasoning_reaches_the_client_untouched_under_every_policy() {
    for policy in changes() {
        let rig = Rig::new(judged(BAD, fixture_of), Some(policy.clone())).await;
        for name in
            ["reasoning_summary", "reasoning_encrypted", "reasoning_text", "reasoning_function_call", "computer_call"]
        {
            let fixture = fixtures::named(Dialect::Responses, name).expect("a fixture of that name");
            let told = rig.told(Dialect::Responses, &turn(Dialect::Responses, name, true)).await;
            let reasoning = |bytes: &[u8]| {
                let response = read(Dialect::Responses, bytes).expect("well-formed");
                let items = response["output"].as_array().expect("items").clone();
                items.into_iter().filter(|item| item["type"] == "reasoning").collect::<Vec<_>>()
            };
            assert_eq!(reasoning(fixture.bytes).len(), 1, "{name}");
            assert_eq!(reasoning(&told.body), reasoning(fixture.bytes), "{name} under {policy:?}");
        }
        rig.stop().await;
    }
}
