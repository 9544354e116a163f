//! Whatever overlaps comes out in sequence; what must be kept is bounded.

use super::*;
use crate::convert::answer::event::Stop;

fn text(key: Key, text: &str) -> Event {
    Event::Delta(key, Delta::Text(text.into()))
}

fn arguments(key: Key, fragment: &str) -> Event {
    Event::Delta(key, Delta::Arguments(fragment.into()))
}

fn call(key: Key, free_text: bool) -> Event {
    Event::Start(key, Kind::Call { id: format!("call_{key}"), name: "run".into(), free_text })
}

/// The events in order, as short words.
fn ordered(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let mut order = Order::new(100);
    let mut out = Vec::new();
    for event in events {
        order.push(event, &mut out).unwrap();
    }
    out.iter().map(word).collect()
}

fn word(event: &Event) -> String {
    match event {
        Event::Start(key, Kind::Text) => format!("text {key}"),
        Event::Start(key, Kind::Thinking) => format!("thinking {key}"),
        Event::Start(key, _) => format!("call {key}"),
        Event::Delta(_, Delta::Text(more) | Delta::Arguments(more)) => more.clone(),
        Event::End(key) => format!("end {key}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn text_that_overlaps_is_never_kept() {
    // As llama.cpp writes it: all blocks end at the end.
    let events = [
        Event::Start(0, Kind::Thinking),
        text(0, "a"),
        Event::Start(1, Kind::Text),
        text(1, "b"),
        text(0, "c"),
        text(1, "d"),
        Event::End(0),
        Event::End(1),
    ];
    let expected =
        ["thinking 0", "a", "end 0", "text 1", "b", "end 1", "thinking 0", "c", "end 0", "text 1", "d", "end 1"];
    assert_eq!(ordered(events), expected);
}

#[test]
fn a_block_that_says_nothing_is_none() {
    assert_eq!(ordered([Event::Start(0, Kind::Text), Event::End(0), Event::Stop(Stop::End)]), ["Stop(End)"]);
}

#[test]
fn a_call_beside_an_open_call_waits_for_its_end() {
    let events = [
        call(0, false),
        arguments(0, "{\"a\":"),
        call(1, false),
        arguments(1, "{}"),
        text(2, "x"),
        arguments(0, "1}"),
        Event::End(1),
        Event::End(0),
        Event::Stop(Stop::ToolUse),
    ];
    let expected =
        ["call 0", "{\"a\":", "1}", "end 0", "call 1", "{}", "end 1", "text 2", "x", "end 2", "Stop(ToolUse)"];
    let mut all: Vec<Event> = events.into();
    all.insert(0, Event::Start(2, Kind::Text));
    assert_eq!(ordered(all), expected);
}

#[test]
fn whole_arguments_end_a_call_without_a_word() {
    let events = [call(0, false), arguments(0, "{\"a\":\"}\"}"), call(1, false), arguments(1, "["), arguments(1, "]")];
    assert_eq!(ordered(events), ["call 0", "{\"a\":\"}\"}", "end 0", "call 1", "[", "]"]);
    // Free text is never known to be whole.
    let events = [call(0, true), arguments(0, "{}"), call(1, true), arguments(0, "more"), Event::Stop(Stop::ToolUse)];
    assert_eq!(ordered(events), ["call 0", "{}", "more", "end 0", "call 1", "end 1", "Stop(ToolUse)"]);
}

#[test]
fn a_call_that_ended_takes_nothing_but_white_space() {
    let mut order = Order::new(100);
    let mut out = Vec::new();
    for event in [call(0, false), arguments(0, "{}"), call(1, false), arguments(0, " \n")] {
        order.push(event, &mut out).unwrap();
    }
    let more = order.push(arguments(0, "{\"b\":1}"), &mut out);
    assert_eq!(more, Err(Disorder::Unreadable(Unreadable::Contradiction)));
}

#[test]
fn a_call_without_a_name_is_unreadable() {
    let nameless = Event::Start(0, Kind::Call { id: "call_0".into(), name: String::new(), free_text: false });
    assert!(Order::new(100).push(nameless, &mut Vec::new()).is_err());
}

#[test]
fn what_waits_is_bounded() {
    let mut order = Order::new(100);
    let mut out = Vec::new();
    for event in [call(0, false), call(1, false), arguments(1, &"x".repeat(100))] {
        order.push(event, &mut out).unwrap();
    }
    assert_eq!(order.push(arguments(1, "x"), &mut out), Err(Disorder::TooMuch(100)));
}

#[test]
fn what_has_gone_out_makes_room() {
    let mut order = Order::new(100);
    let mut out = Vec::new();
    let long = "x".repeat(90);
    let events =
        [call(0, false), call(1, true), arguments(1, &long), Event::End(0), call(2, true), arguments(2, &long)];
    for event in events {
        order.push(event, &mut out).unwrap();
    }
    assert_eq!(order.kept, 90);
}

#[test]
fn blocks_are_counted() {
    let mut order = Order::new(100);
    let mut out = Vec::new();
    let more = MAX_BLOCKS as Key + 5;
    let begun = (0..more).take_while(|key| order.push(Event::Start(*key, Kind::Text), &mut out).is_ok()).count();
    assert_eq!(begun, MAX_BLOCKS);
}

#[test]
fn fragments_that_wait_become_one() {
    let mut order = Order::new(100);
    let mut out = Vec::new();
    let more = std::iter::repeat_n(arguments(1, "x"), 50);
    for event in [call(0, false), call(1, false)].into_iter().chain(more) {
        order.push(event, &mut out).unwrap();
    }
    assert_eq!(order.kept, 50);
    out.clear();
    order.push(Event::End(0), &mut out).unwrap();
    assert_eq!(out.iter().filter(|event| matches!(event, Event::Delta(..))).count(), 1);
}
