//! Answers with something wrong in them, by chance: a blocked call does not get out of any.

use std::collections::BTreeSet;

use luthien_testkit::fixtures::{self, Fixture};
use luthien_testkit::{Answer, Chunking, Reply};
use luthien_wire::Dialect;

use crate::converted::{abroad, pairs};
use crate::support::{BAD, Rig, judge, judged, turn};
use crate::words::{self, found, names, only_in_calls};

/// How many answers are tried for each dialect. Each depends on its number alone.
const ANSWERS: u64 = 400;

/// Numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Members that readers pass over, and some cannot even read.
const ODD: [&str; 8] = [
    "\"x\":1e999,",
    "\"x\":\"\\ud800\",",
    "\"x\":null,",
    "\"\":[],",
    "\"x\":{\"type\":\"text\"},",
    "\"x\":-0.0e-5,",
    "\"index\":0,",
    "\"type\":\"text\",",
];

/// Puts a member into the object that begins at the `n`th brace, if that is no part of a text.
fn with_member(frame: &str, chance: &mut Chance, member: &str) -> String {
    let braces: Vec<usize> = frame.match_indices("{\"").map(|(at, _)| at).collect();
    if braces.is_empty() {
        return frame.to_owned();
    }
    let at = *chance.of(&braces) + 1;
    format!("{}{member}{}", &frame[..at], &frame[at..])
}

/// Writes a letter of a key as an escape.
fn with_escape(frame: &str, chance: &mut Chance) -> String {
    let keys: Vec<usize> = frame
        .match_indices("\":")
        .filter_map(|(end, _)| frame[..end].rfind('"').map(|start| (start + 1, end)))
        .filter(|(start, end)| {
            start < end && frame[*start..*end].bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        })
        .map(|(start, _)| start)
        .collect();
    if keys.is_empty() {
        return frame.to_owned();
    }
    let at = *chance.of(&keys);
    format!("{}\\u{:04x}{}", &frame[..at], u32::from(frame.as_bytes()[at]), &frame[at + 1..])
}

fn mutated(fixture: &Fixture, chance: &mut Chance) -> Vec<u8> {
    let text = String::from_utf8(fixture.bytes.to_vec()).expect("UTF-8");
    let mut frames: Vec<String> =
        if fixture.streamed { text.split_inclusive("\n\n").map(str::to_owned).collect() } else { vec![text] };
    for _ in 0..=chance.below(3) {
        let at = chance.below(frames.len());
        match chance.below(if fixture.streamed { 7 } else { 2 }) {
            0 => frames[at] = with_escape(&frames[at], chance),
            1 => frames[at] = with_member(&frames[at], chance, chance_member(at)),
            2 => {
                let again = frames[at].clone();
                let to = chance.below(frames.len());
                frames.insert(to, again);
            }
            3 if frames.len() > 1 => drop(frames.remove(at)),
            4 => {
                let other = chance.below(frames.len());
                frames.swap(at, other);
            }
            5 => frames[at] = frames[at].replace("event: ", "event:").replace("data: {", "data:{"),
            _ => frames.truncate(at + 1),
        }
    }
    frames.concat().into_bytes()
}

fn chance_member(at: usize) -> &'static str {
    ODD[at % ODD.len()]
}

/// Answers with calls and the words by which one would be known.
fn judged_calls(dialect: Dialect) -> Vec<(&'static Fixture, BTreeSet<String>)> {
    // What a vendor's own call has given is no call once it has lost its call.
    let words = ["web", "mcp", "code", "search", "pause", "program", "image"];
    let own = |name: &str| words.iter().any(|word| name.contains(word)) || name.ends_with("shell_call");
    let fixtures = fixtures::all(dialect).iter().filter(|fixture| fixture.has_tool_calls && !own(fixture.name));
    let with_words = fixtures.map(|fixture| {
        let mut words = only_in_calls(fixture);
        words.retain(|word| !names(fixture).contains(word) && word.len() > 5 && !structure(dialect, word));
        (fixture, words)
    });
    with_words.filter(|(_, words)| !words.is_empty()).collect()
}

#[tokio::test]
async fn no_accident_lets_a_blocked_call_out() {
    let rig = Rig::new(Answer::text("x"), Some(judge())).await;
    let mut leaks = Vec::new();
    for dialect in Dialect::ALL {
        let fixtures = judged_calls(dialect);
        assert!(fixtures.len() > 10, "only {} fixtures", fixtures.len());
        for number in 0..ANSWERS {
            let mut chance = Chance(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (fixture, words) = chance.of(&fixtures);
            let bytes = mutated(fixture, &mut chance);
            let kind = if fixture.streamed { "text/event-stream" } else { "application/json" };
            let reply =
                Reply::whole(200, kind, bytes.clone()).chunking(*chance.of(&[Chunking::Whole, Chunking::Bytes(7)]));
            rig.upstream.default_script(judged(BAD, move |_| reply.clone()));
            let told = rig.told(dialect, &turn(dialect, "m", fixture.streamed)).await;
            if let Some(word) = found(words, &told.body, fixture.streamed) {
                let (name, bytes) = (fixture.name, String::from_utf8_lossy(&bytes));
                leaks.push(format!("{name} number {number}: '{word}':\n{bytes}\n-- became --\n{}", told.text()));
            }
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
    rig.stop().await;
}

#[tokio::test]
async fn no_accident_lets_a_blocked_call_through_a_conversion() {
    let mut leaks = Vec::new();
    let rig = Rig::converting(Answer::text("x"), Some(judge())).await;
    for (client, spoken) in pairs() {
        let (fixtures, structure) = (judged_calls(spoken), words::structure(client));
        for number in 0..ANSWERS / 4 {
            let mut chance = Chance(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (fixture, words) = chance.of(&fixtures);
            let bytes = mutated(fixture, &mut chance);
            let kind = if fixture.streamed { "text/event-stream" } else { "application/json" };
            let reply = Reply::whole(200, kind, bytes.clone());
            rig.upstream.default_script(judged(BAD, move |_| reply.clone()));
            let told = rig.told(client, &abroad(client, spoken, "m", fixture.streamed)).await;
            let mut words = words.clone();
            words.retain(|word| !structure.contains(word.as_str()));
            if let Some(word) = found(&words, &told.body, fixture.streamed) {
                let (name, bytes) = (fixture.name, String::from_utf8_lossy(&bytes));
                let told = told.text();
                leaks.push(format!(
                    "{client} on {spoken}: {name} number {number}: '{word}':\n{bytes}\n-- became --\n{told}"
                ));
            }
        }
    }
    rig.stop().await;
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n\n"));
}

/// A word of the protocol, which may stand anywhere.
fn structure(dialect: Dialect, word: &str) -> bool {
    match dialect {
        Dialect::Messages => ["input_json_delta", "partial_json", "tool_use"].contains(&word),
        Dialect::Chat => ["tool_calls", "function_call", "function", "arguments"].contains(&word),
        Dialect::Responses => ["function_call", "custom_tool_call", "arguments", "call_id", "action"].contains(&word),
    }
}
