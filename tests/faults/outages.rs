//! The database goes and comes back, or Redis does. Traffic goes on meanwhile, and afterwards everything is on the record, once.

use rstest::rstest;

use crate::fault::Fault;
use crate::load::Kind;
use crate::rig::Rig;

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
