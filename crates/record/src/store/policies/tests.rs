//! What operators have set is read back as it was, with its history.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::testing::{Db, recorder_on};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn stored(scope: &str, credential: Option<[u8; 16]>, name: Option<&str>) -> StoredAssignment {
    StoredAssignment {
        id: 0,
        scope: scope.to_owned(),
        credential,
        name: name.map(str::to_owned),
        class_ref: "serial".to_owned(),
        config: json!({"policies": [{"class": "no_op", "x": 1.0}]}),
        mode: "shadow".to_owned(),
        how: "add".to_owned(),
        set_at: at(5),
        set_by: "a person".to_owned(),
        expires_at: Some(at(9)),
        ended: None,
    }
}

#[rstest]
#[tokio::test]
async fn assignments_stand_until_they_are_ended(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let store = recorder.store();
    let first = StoredAssignment { id: 1, ..stored("session", Some([7; 16]), Some("s")) };
    let second = StoredAssignment { id: 2, expires_at: None, ..stored("global", None, None) };
    assert_eq!((store.assign(&first).await.expect("kept"), store.assign(&second).await.expect("kept")), (1, 2));
    assert_eq!(store.assignments().await.expect("read"), [first.clone(), second.clone()]);
    store.end_assignment(1, at(6), "another").await.expect("ended");
    assert_eq!(store.assignments().await.expect("read"), [second]);
    let ended = StoredAssignment { ended: Some((at(6), "another".to_owned())), ..first };
    assert_eq!(store.ended_assignments(5, 0).await.expect("read"), [ended]);
    assert_eq!(store.ended_assignments(5, 1).await.expect("read"), []);
}

#[rstest]
#[tokio::test]
async fn the_last_position_of_the_panic_switch_counts(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let store = recorder.store();
    assert_eq!(store.panic().await.expect("read"), None);
    let on = StoredPanic {
        mode: "traffic".to_owned(),
        reason: Some("why".to_owned()),
        message: None,
        set_at: at(1),
        set_by: "a person".to_owned(),
    };
    store.set_panic(&on).await.expect("kept");
    assert_eq!(store.panic().await.expect("read"), Some(on.clone()));
    let off = StoredPanic { mode: "off".to_owned(), reason: None, ..on.clone() };
    store.set_panic(&off).await.expect("kept");
    assert_eq!(store.panic().await.expect("read"), Some(off.clone()));
    assert_eq!(store.panics(5).await.expect("read"), [off, on]);
}

#[rstest]
#[tokio::test]
async fn every_policy_that_was_set_can_be_read_again(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let store = recorder.store();
    for number in 1..=3_u64 {
        let policy = StoredPolicy {
            class_ref: format!("p{number}"),
            config: json!({}),
            mode: None,
            enabled_at: at(1),
            enabled_by: "a".to_owned(),
        };
        assert_eq!(store.set_policy(&policy).await.expect("kept"), number);
    }
    let listed = store.policies(2, 1).await.expect("read");
    assert_eq!(
        listed.iter().map(|(version, policy)| (*version, &*policy.class_ref)).collect::<Vec<_>>(),
        [(2, "p2"), (1, "p1")]
    );
    assert_eq!(store.policy(1).await.expect("read").expect("there").class_ref, "p1");
    assert_eq!(store.policy(4).await.expect("read"), None);
    assert_eq!(
        (store.policy_count().await.expect("read"), store.current_policy().await.expect("read").expect("one").0),
        (3, 3)
    );
}
