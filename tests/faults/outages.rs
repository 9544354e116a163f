//! The database goes and comes back, or Redis does. Traffic goes on meanwhile, and afterwards everything is on the record, once.

use luthien_wire::Dialect;
use rstest::rstest;

use crate::fault::Fault;
use crate::load::Kind;
use crate::rig::{Rig, until};
use crate::said;

/// So that a test need not wait for the defaults.
const IMPATIENT: [(&str, &str); 2] = [("DATABASE_CONNECT_TIMEOUT", "1s"), ("DATABASE_QUERY_TIMEOUT", "1s")];
const WORKERS: [Kind; 3] = [Kind::Quick, Kind::Quick, Kind::Stream];

#[rstest]
#[case::locked(Fault::Locked)]
#[case::stopped(Fault::Stopped)]
#[case::killed(Fault::Killed)]
#[case::paused(Fault::Paused)]
#[case::slow(Fault::Slow)]
#[case::redis_stopped(Fault::RedisStopped)]
#[case::redis_paused(Fault::RedisPaused)]
#[tokio::test]
async fn traffic_goes_on_and_nothing_is_lost(#[case] fault: Fault) {
    let mut rig = Rig::new(fault, &IMPATIENT).await;
    assert_eq!(rig.health().await["status"], "healthy");
    let workers = rig.work(&WORKERS);
    rig.asked(20).await;
    rig.suffer();
    // A request that is not answered fails its worker, and with it the test.
    rig.asked(60).await;
    rig.is("degraded").await;
    rig.asked(20).await;
    rig.mend();
    rig.is("healthy").await;
    rig.asked(20).await;
    workers.over();
    rig.recorded(&workers.seen().await, 0).await;
    rig.is("healthy").await;
    assert_eq!(rig.health().await["checks"]["recorder"]["dropped"], 0);
    rig.stop().await;
}

/// Recording delays no answer: clients have all of theirs, whole and streamed, while not one record can be written.
#[rstest]
#[case::sqlite(Fault::Locked)]
#[case::postgres(Fault::Stuck)]
#[tokio::test]
async fn every_answer_has_ended_before_an_insert_that_hangs(#[case] fault: Fault) {
    let mut rig = Rig::new(fault, &[]).await;
    rig.suffer();
    // Each of the streams begins with another dialect.
    let workers = rig.work(&[Kind::Stream, Kind::Stream, Kind::Stream, Kind::Quick]);
    rig.asked(6).await;
    until("insert that hangs", async || rig.holds_an_insert().then_some(())).await;
    rig.asked(18).await;
    workers.over();
    let seen = workers.seen().await;
    for (number, one) in &seen {
        assert!(one.ended.is_some(), "request {number}, {:?}, {:?}", one.kind, one.dialect);
        assert_eq!(one.text, said::answer(*number, one.kind.pieces()), "request {number}");
    }
    for kind in [Kind::Quick, Kind::Stream] {
        for dialect in Dialect::ALL {
            assert!(seen.values().any(|one| (one.kind, one.dialect) == (kind, dialect)), "{kind:?}, {dialect:?}");
        }
    }
    // None of them waited for it.
    assert_eq!(rig.gateway.api("/api/debug/calls?limit=1").await["total"], 0);
    assert!(rig.holds_an_insert(), "it hangs no more");
    rig.mend();
    rig.recorded(&seen, 0).await;
    assert_eq!(rig.health().await["checks"]["recorder"]["dropped"], 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_database_that_crawls_holds_up_nobody_and_gets_everything() {
    let mut rig = Rig::new(Fault::Crawls, &[]).await;
    rig.suffer();
    let workers = rig.work(&WORKERS);
    rig.asked(80).await;
    workers.over();
    let seen = workers.seen().await;
    rig.mend();
    rig.recorded(&seen, 0).await;
    assert_eq!(rig.health().await["checks"]["recorder"]["dropped"], 0);
    rig.stop().await;
}
