//! Readers see what is told, late ones what they missed, slow ones how much they missed.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn told(activity: &Activity, second: i64) {
    activity.tell("t", "x.y", at(second), json!({"n": second}));
}

fn elsewhere(activity: &Activity, second: i64) {
    let event = ActivityEvent {
        transaction_id: "o".to_owned(),
        call_id: "o".to_owned(),
        event_type: "x.y".to_owned(),
        timestamp: at(second),
        data: json!({}),
        replica: "other".to_owned(),
    };
    activity.pass_on(event);
}

async fn second(watcher: &mut Watcher) -> i64 {
    match watcher.next().await {
        Seen::Event(event) => event.timestamp.as_second(),
        Seen::Dropped(missed) => panic!("{missed} events were missed"),
    }
}

#[tokio::test]
async fn a_late_reader_first_gets_what_it_missed() {
    let activity = Activity::default();
    for n in 1..=3 {
        told(&activity, n);
    }
    let (mut all, mut none) = (activity.watch(Some(at(1))), activity.watch(None));
    told(&activity, 4);
    assert_eq!(second(&mut all).await, 2);
    assert_eq!(second(&mut all).await, 3);
    assert_eq!(second(&mut all).await, 4);
    assert_eq!(second(&mut none).await, 4);
}

#[tokio::test]
async fn what_is_told_after_a_reader_came_is_read_whatever_its_time() {
    let activity = Activity::default();
    for _ in 0..200 {
        told(&activity, 1);
    }
    let mut watcher = activity.watch(Some(at(5)));
    told(&activity, 2);
    assert_eq!(second(&mut watcher).await, 2);
}

#[tokio::test]
async fn the_backlog_is_bounded_and_a_slow_reader_is_told_what_it_missed() {
    let activity = Activity::default();
    let mut slow = activity.watch(None);
    let many = i64::try_from(KEPT).unwrap() + 500;
    for n in 1..=many {
        told(&activity, n);
    }
    assert_eq!(slow.next().await, Seen::Dropped(500));
    assert_eq!(second(&mut slow).await, 501);
    assert_eq!(second(&mut activity.watch(Some(at(0)))).await, 501);
    assert_eq!(activity.health(), ActivityHealth { readers: 1, missed: 500 });
}

#[tokio::test]
async fn a_waiting_reader_is_woken() {
    let activity = Activity::default();
    let mut watcher = activity.watch(None);
    let (seen, ()) = tokio::join!(second(&mut watcher), async { told(&activity, 1) });
    assert_eq!(seen, 1);
}

#[tokio::test]
async fn nothing_is_read_behind_the_end() {
    let activity = Activity::default();
    let mut watcher = activity.watch(None);
    told(&activity, 1);
    let end = Some(watcher.end());
    told(&activity, 2);
    assert!(matches!(watcher.at_once(end), Some(Seen::Event(event)) if event.timestamp == at(1)));
    assert_eq!(watcher.at_once(end), None);
}

#[tokio::test]
async fn what_happened_here_is_told_apart_and_counted() {
    let activity = Activity::new("a");
    let mut watcher = activity.watch(None);
    elsewhere(&activity, 1);
    told(&activity, 2);
    let (events, missed) = watcher.here().unwrap();
    assert_eq!((events.len(), missed, &*events[0].replica), (1, 0, "a"));
    for n in 0..i64::try_from(KEPT).unwrap() {
        told(&activity, n);
        elsewhere(&activity, n);
    }
    let mut read = 0;
    let mut missed = 0;
    while let Some((events, gone)) = watcher.here() {
        (read, missed) = (read + events.len() as u64, missed + gone);
    }
    assert_eq!((read, missed), (KEPT / 2, KEPT / 2));
}

proptest! {
    /// Whatever is told and read in whatever order: every reader gets each event once and in order, or is told of it as missed.
    #[test]
    fn nothing_is_read_twice_or_lost_unsaid(turns in prop::collection::vec((0_u16..1500, 0_u8..3, 0_usize..2000), 1..20)) {
        let activity = Activity::default();
        let mut readers: Vec<(Watcher, i64)> = (0..3).map(|_| (activity.watch(None), 0)).collect();
        let mut count = 0;
        for (events, reader, reads) in turns {
            for _ in 0..events {
                count += 1;
                told(&activity, count);
            }
            let (watcher, last) = &mut readers[usize::from(reader)];
            for _ in 0..reads {
                match watcher.at_once(None) {
                    Some(Seen::Event(event)) => {
                        *last += 1;
                        prop_assert_eq!(event.timestamp, at(*last));
                    }
                    Some(Seen::Dropped(missed)) => *last += i64::try_from(missed).unwrap(),
                    None => prop_assert_eq!(*last, count),
                }
            }
        }
    }
}
