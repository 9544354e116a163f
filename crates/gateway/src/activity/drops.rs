//! Tells when records are lost.

use std::time::Duration;

use luthien_record::Recorder;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Activity;
use crate::clock::Clock;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);

/// Until `stop`: tells of records that were dropped because the journal was full or could not be written.
pub async fn tell_of_drops(recorder: Recorder, activity: Activity, clock: Clock, stop: CancellationToken) {
    let mut known = recorder.health().dropped;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => {}
        }
        known = told(known, recorder.health().dropped, &activity, clock);
    }
}

/// Tells if more are lost than were known to be; gives how many are known to be now.
fn told(known: u64, dropped: u64, activity: &Activity, clock: Clock) -> u64 {
    if dropped > known {
        let data = json!({"records": dropped - known, "records_since_start": dropped});
        activity.tell("", "recorder.truncated", clock.now(), data);
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Seen;

    #[tokio::test]
    async fn what_is_lost_is_told_once() {
        let (activity, clock) = (Activity::default(), Clock::system());
        let mut watcher = activity.watch(None);
        assert_eq!(told(2, 2, &activity, clock), 2);
        assert_eq!(told(2, 5, &activity, clock), 5);
        let Seen::Event(event) = watcher.next().await else { panic!("nothing was told") };
        assert_eq!((&*event.event_type, &event.data["records"]), ("recorder.truncated", &json!(3)));
    }
}
