//! An answer says the same in every dialect, streamed or not, and again in its own.

use luthien_testkit::accumulate::accumulate;
use luthien_testkit::answer::Answer;
use luthien_testkit::asked::Asked;
use luthien_wire::Dialect;
use luthien_wire::convert::{self, AnswerContext, StreamConverter};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::cuts::{cuts, pieces};
use crate::lens;
use crate::said::{object, words};

/// An answer without a dialect.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) thought: Option<String>,
    text: Option<String>,
    calls: Vec<Value>,
    delta: usize,
    pings: bool,
}

/// What stands for a vendor's signature.
pub(crate) const SIGNATURE: &str = "U2lnbmF0dXJl";

pub(crate) fn said() -> impl Strategy<Value = Said> {
    (option::of(words()), option::of(words()), vec(object(), 0..4), 1..20_usize, any::<bool>()).prop_map(
        |(thought, text, calls, delta, pings)| {
            // An answer that says nothing is no answer in some dialects.
            let text = text.or_else(|| calls.is_empty().then(|| "Well.".to_owned()));
            Said { thought, text, calls, delta, pings }
        },
    )
}

impl Said {
    /// As a vendor of `dialect` gives it.
    pub(crate) fn bytes(&self, dialect: Dialect, stream: bool) -> Vec<u8> {
        let request = json!({
            "model": "vendor-model", "stream": stream, "stream_options": {"include_usage": true},
            "include": ["reasoning.encrypted_content"], "store": false, "messages": [], "input": [],
        });
        let asked = Asked::new(0, dialect, Vec::new(), request.to_string().into()).expect("a request");
        let ping = |answer: Answer| if self.pings { answer.ping().comment("still here") } else { answer };
        let mut answer = Answer::new().delta_size(self.delta);
        if let Some(thought) = &self.thought {
            answer = ping(answer.think(thought, SIGNATURE));
        }
        if let Some(text) = &self.text {
            answer = ping(answer.say(text));
        }
        for (at, input) in self.calls.iter().enumerate() {
            answer = answer.call_with_id(&format!("call_{at:04}"), &format!("tool_{at}"), input);
        }
        answer.bytes(&asked).to_vec()
    }
}

pub(crate) fn context(from: Dialect, to: Dialect) -> AnswerContext {
    AnswerContext {
        from,
        to,
        model: "asked-model".into(),
        id: "0199c2f0a0e87000800000000000000a".into(),
        free_text_tools: Vec::new(),
        renamed_tools: Vec::new(),
        namespaced_tools: Vec::new(),
        include_usage: true,
        legacy_functions: false,
        repeated: Map::new(),
    }
}

pub(crate) fn streamed(from: Dialect, to: Dialect, chunks: &[&[u8]]) -> Vec<u8> {
    let mut converter = StreamConverter::new(context(from, to), 1 << 20);
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| converter.push(chunk)).collect();
    out.extend_from_slice(&converter.finish());
    out
}

fn whole(from: Dialect, to: Dialect, body: &[u8]) -> Value {
    let converted = convert::whole(&context(from, to), body).expect("an answer");
    assert_eq!(converted.failed, None);
    serde_json::from_slice(&converted.body).expect("json")
}

/// Tokens that the answer names: what went in, and what came out.
fn usage(dialect: Dialect, body: &Value) -> (u64, u64) {
    let number = |name: &str| body["usage"][name].as_u64().unwrap_or_default();
    match dialect {
        Dialect::Chat => (number("prompt_tokens"), number("completion_tokens")),
        Dialect::Responses => (number("input_tokens"), number("output_tokens")),
        Dialect::Messages => {
            let cached = number("cache_read_input_tokens") + number("cache_creation_input_tokens");
            (number("input_tokens") + cached, number("output_tokens"))
        }
    }
}

fn pairs() -> impl Strategy<Value = (Dialect, Dialect)> {
    let all = Dialect::ALL.into_iter().flat_map(|from| Dialect::ALL.into_iter().map(move |to| (from, to)));
    prop::sample::select(all.filter(|(from, to)| from != to).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn an_answer_says_the_same_in_another_dialect((from, to) in pairs(), said in said(), cuts in cuts()) {
        let body = said.bytes(from, false);
        let expected: Value = serde_json::from_slice(&body).expect("json");
        let stream = said.bytes(from, true);
        let own = accumulate(from, &stream).expect("a stream");
        prop_assert_eq!(lens::answer(from, &own), lens::answer(from, &expected));

        let there = whole(from, to, &body);
        prop_assert_eq!(lens::answer(to, &there), lens::answer(from, &expected));
        prop_assert_eq!(usage(to, &there), usage(from, &expected));
        let there = streamed(from, to, &pieces(&stream, &cuts));
        let there = accumulate(to, &there).expect("a stream");
        prop_assert_eq!(lens::answer(to, &there), lens::answer(from, &expected));
        prop_assert_eq!(usage(to, &there), usage(from, &own));
    }

    #[test]
    fn an_answer_that_went_there_and_back_says_the_same((from, to) in pairs(), said in said()) {
        let body = said.bytes(from, false);
        let expected: Value = serde_json::from_slice(&body).expect("json");
        let there = whole(from, to, &body).to_string();
        let back = whole(to, from, there.as_bytes());
        prop_assert_eq!(lens::answer(from, &back), lens::answer(from, &expected));
        prop_assert_eq!(usage(from, &back), usage(from, &expected));

        let stream = said.bytes(from, true);
        let there = streamed(from, to, &[&stream]);
        let back = accumulate(from, &streamed(to, from, &[&there])).expect("a stream");
        prop_assert_eq!(lens::answer(from, &back), lens::answer(from, &expected));
    }
}
