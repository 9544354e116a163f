//! Readers see what is told, late ones what they missed, slow ones how much they missed.

use serde_json::json;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn told(activity: &Activity, second: i64) {
    activity.tell("t", "x.y", at(second), json!({"n": second}));
}

async fn second(watcher: &mut Watcher) -> i64 {
    match watcher.next().await {
        Seen::Event(event) => event.timestamp.as_second(),
        other => panic!("{other:?}"),
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
async fn the_backlog_is_bounded_and_a_slow_reader_is_told_what_it_missed() {
    let activity = Activity::default();
    let mut slow = activity.watch(None);
    let many = i64::try_from(BACKLOG).unwrap() + 500;
    for n in 1..=many {
        told(&activity, n);
    }
    let Seen::Dropped(missed) = slow.next().await else { panic!("it should have missed some") };
    assert_eq!(second(&mut slow).await, i64::try_from(missed).unwrap() + 1);
    assert_eq!(second(&mut activity.watch(Some(at(0)))).await, 501);
}
