//! What was logged is found by each filter, with the bodies of the record, on both databases and after a kill.

use rstest::rstest;

use super::*;
use crate::model::{Heads, RawHeads, Start};
use crate::recorder::Recorder;
use crate::testing::{Db, answer, answered, end, id, messages, recorder_on, second, start};

fn heads(number: i64, url: &str) -> Heads {
    Heads {
        method: "POST".to_owned(),
        url: url.to_owned(),
        request_headers: vec![("x-a".into(), "1".into()), ("authorization".into(), "[redacted]".into())],
        response_headers: vec![("content-type".into(), "application/json".into())],
        started_at: Some(second(number)),
        completed_at: Some(second(number + 1)),
    }
}

fn both(number: i64) -> RawHeads {
    RawHeads {
        inbound: heads(number, "/v1/messages?beta=100%25_a"),
        outbound: Some(heads(number, "http://up:9000/v1/messages")),
    }
}

async fn talk(recorder: &Recorder) {
    let said = |text: &str| messages(&[serde_json::json!({"role": "user", "content": text})]);
    let first = Start { user_id: Some("ada".into()), ..start(1, Some("s"), said("about whales")) };
    let flight = answered(recorder, first, &answer("fine"));
    flight.heads(|kept| *kept = both(1));
    flight.finish(end(1));
    let other = Start { model: "claude-y".into(), ..start(2, None, said("about birds")) };
    let flight = answered(recorder, other, b"{\"error\": 1}");
    flight.heads(|kept| *kept = both(2));
    flight.finish(crate::model::End { http_status: Some(529), ..end(2) });
    // Nothing was logged of this one.
    answered(recorder, start(3, None, said("about whales")), b"{}").finish(end(3));
    recorder.settled().await;
}

async fn found(store: &Store, filter: RequestLogFilter) -> Vec<(TransactionId, String)> {
    let page = store.request_logs(&RequestLogFilter { limit: 200, ..filter }).await.expect("a query");
    assert_eq!(page.total, page.logs.len() as u64);
    page.logs.into_iter().map(|log| (log.transaction, log.direction)).collect()
}

fn side(number: u128, direction: &str) -> (TransactionId, String) {
    (id(number), direction.to_owned())
}

#[rstest]
#[tokio::test]
async fn each_filter_finds_its_own(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    talk(&recorder).await;
    let store = recorder.store();
    let (one, two) = ([side(1, "inbound"), side(1, "outbound")], [side(2, "inbound"), side(2, "outbound")]);
    let all = RequestLogFilter::default();
    assert_eq!(found(store, all.clone()).await, [&two[..], &one[..]].concat());
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        RequestLogFilter { user_id: text("ada"), ..all.clone() },
        RequestLogFilter { session_id: text("s"), ..all.clone() },
        RequestLogFilter { model: text("claude-x"), ..all.clone() },
        RequestLogFilter { before: Some(second(2)), ..all.clone() },
        RequestLogFilter { search: text("Whales"), ..all.clone() },
        RequestLogFilter { search: text("ADA"), ..all.clone() },
    ];
    for filter in filters {
        assert_eq!(found(store, filter.clone()).await, one, "{filter:?}");
    }
    assert_eq!(found(store, RequestLogFilter { after: Some(second(2)), ..all.clone() }).await, two);
    assert_eq!(found(store, RequestLogFilter { status: Some(529), ..all.clone() }).await, two[..1]);
    let inbound = RequestLogFilter { direction: text("inbound"), ..all.clone() };
    assert_eq!(found(store, inbound).await, [two[0].clone(), one[0].clone()]);
    for (search, count) in [("100%25_A", 2), ("up:9000", 2), ("%", 2), ("' OR 1=1 --", 0), ("penguins", 0)] {
        assert_eq!(
            found(store, RequestLogFilter { search: text(search), ..all.clone() }).await.len(),
            count,
            "{search}"
        );
    }
    assert_eq!(found(store, RequestLogFilter { endpoint: text("/v1/messages"), ..all.clone() }).await.len(), 4);
    assert_eq!(found(store, RequestLogFilter { session_id: text("nobody's"), ..all.clone() }).await, []);
    let page = store.request_logs(&RequestLogFilter { limit: 1, offset: 2, ..all }).await.expect("a query");
    assert_eq!((page.total, page.logs.len(), page.logs[0].transaction), (4, 1, id(1)));
}

#[rstest]
#[tokio::test]
async fn both_sides_of_one_are_given_with_their_bodies(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    talk(&recorder).await;
    let sides = recorder.store().request_log(id(1)).await.expect("a query");
    assert_eq!(sides.len(), 2);
    for side in sides {
        assert_eq!(side.log.request_headers, heads(1, "").request_headers);
        assert_eq!((side.log.started, side.log.completed), (second(1), Some(second(2))));
        assert_eq!((side.log.response_status, side.log.endpoint.as_str()), (Some(200), "/v1/messages"));
        assert_eq!((side.log.session_id.as_str(), side.log.user_id.as_deref()), ("s", Some("ada")));
        assert!(side.request.ends_with(b"whales\"}]}"));
        assert_eq!(side.response, answer("fine"));
    }
    assert_eq!(recorder.store().request_log(id(3)).await.expect("a query"), []);
}

#[rstest]
#[tokio::test]
async fn heads_of_what_a_kill_cut_off_are_logged_too(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (home, recorder) = recorder_on(db).await;
    let flight = answered(&recorder, start(1, None, "{}"), b"");
    flight.heads(|kept| *kept = both(1));
    recorder.settled().await;
    recorder.keep_now();
    let left = home.killed();
    let again = Recorder::open(left.config()).await.expect("a recorder");
    assert_eq!(again.store().request_log(id(1)).await.expect("a query").len(), 2);
    drop(flight);
}
