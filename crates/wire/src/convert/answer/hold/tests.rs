//! What waits, what does not, and how much of it.

use super::*;

fn call(key: u64) -> Event {
    Event::Start(key, Kind::Call { id: format!("call_{key}"), name: "f".into(), free_text: false })
}

fn arguments(key: u64, text: &str) -> Event {
    Event::Delta(key, Delta::Arguments(text.into()))
}

fn text(key: u64, text: &str) -> Event {
    Event::Delta(key, Delta::Text(text.into()))
}

#[test]
fn texts_go_out_at_once_and_all_else_behind_a_call_at_the_end_in_its_order() {
    let mut hold = Hold::new(1000);
    let mut out = Vec::new();
    let mut push = |event| {
        hold.push(event, &mut out).unwrap();
        std::mem::take(&mut out)
    };
    let thinking = || Event::Start(1, Kind::Thinking);
    assert_eq!(push(thinking()), [thinking()]);
    assert_eq!(push(Event::End(1)), [Event::End(1)]);
    for event in [call(2), arguments(2, "{"), arguments(2, "}"), Event::End(2), Event::Start(3, Kind::Thinking)] {
        assert_eq!(push(event), []);
    }
    assert_eq!(push(text(3, "Hm")), []);
    assert_eq!(push(Event::End(3)), []);
    for event in [Event::Start(4, Kind::Text), text(4, "Well"), Event::End(4)] {
        assert_eq!(push(event.clone()), [event]);
    }
    assert_eq!(push(call(5)), []);
    assert_eq!(push(Event::End(5)), []);
    let held = [call(2), arguments(2, "{}"), Event::End(2), Event::Start(3, Kind::Thinking), text(3, "Hm")];
    let expected: Vec<Event> = held.into_iter().chain([Event::End(3), call(5), Event::End(5), Event::Done]).collect();
    assert_eq!(push(Event::Done), expected);
}

#[test]
fn what_is_held_has_a_limit_that_small_fragments_count_towards_by_their_letters() {
    let mut hold = Hold::new(1000);
    let mut out = Vec::new();
    hold.push(call(1), &mut out).unwrap();
    let fitting = (0..900).map(|_| hold.push(arguments(1, "x"), &mut out)).all(|pushed| pushed.is_ok());
    assert!(fitting && out.is_empty());
    let most = (0..100).map(|_| hold.push(arguments(1, "x"), &mut out)).find(Result::is_err);
    assert_eq!(most, Some(Err(TooMuch(1000))));
}

#[test]
fn long_arguments_stay_events_of_a_bearable_length() {
    let mut hold = Hold::new(usize::MAX);
    let mut out = Vec::new();
    hold.push(call(1), &mut out).unwrap();
    for _ in 0..5 {
        hold.push(arguments(1, &"x".repeat(JOINED / 2)), &mut out).unwrap();
    }
    hold.push(Event::Done, &mut out).unwrap();
    let lengths = out.iter().filter_map(|event| match event {
        Event::Delta(_, Delta::Arguments(text)) => Some(text.len()),
        _ => None,
    });
    assert_eq!(lengths.collect::<Vec<_>>(), [JOINED, JOINED, JOINED / 2]);
}
