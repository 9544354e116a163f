//! What goes over the channels, as text.

use serde_json::{Value, json};

use crate::activity::ActivityEvent;
use crate::activity::bounds::{self, NAME, short};

/// The longest message that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// An event of another gateway; none where the message is this gateway's own. Fails where it is no event.
pub(super) fn event(payload: &[u8], own: &str) -> Result<Option<ActivityEvent>, ()> {
    if payload.len() > LONGEST {
        return Err(());
    }
    let mut event: ActivityEvent = serde_json::from_slice(payload).map_err(|_| ())?;
    if event.replica == own {
        return Ok(None);
    }
    if event.transaction_id.is_empty() {
        event.transaction_id.clone_from(&event.call_id);
    }
    for name in [&mut event.transaction_id, &mut event.call_id, &mut event.event_type, &mut event.replica] {
        *name = short(name, NAME).into_owned();
    }
    event.data = bounds::fitted(event.data);
    Ok(Some(event))
}

/// The hint that this gateway has changed something.
pub(super) fn hint(own: &str) -> String {
    json!({ "replica": own }).to_string()
}

/// Whether a hint is another gateway's.
pub(super) fn is_hint_of_another(payload: &[u8], own: &str) -> bool {
    let hint: Option<Value> = (payload.len() <= LONGEST).then(|| serde_json::from_slice(payload).ok()).flatten();
    hint.is_none_or(|hint| hint["replica"] != own)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn message(replica: &str) -> ActivityEvent {
        ActivityEvent {
            transaction_id: "t".to_owned(),
            call_id: "t".to_owned(),
            event_type: "pipeline.client_request".to_owned(),
            timestamp: Timestamp::UNIX_EPOCH,
            data: json!({"model": "m"}),
            replica: replica.to_owned(),
        }
    }

    #[test]
    fn what_others_tell_is_read_and_ones_own_is_not() {
        let payload = serde_json::to_vec(&message("a")).unwrap();
        assert_eq!(event(&payload, "b"), Ok(Some(message("a"))));
        assert_eq!(event(&payload, "a"), Ok(None));
    }

    #[test]
    fn the_older_form_is_read_too() {
        let payload = br#"{"call_id":"t","event_type":"pipeline.client_request","timestamp":"1970-01-01T00:00:00+00:00","data":{"model":"m"}}"#;
        assert_eq!(event(payload, "b"), Ok(Some(message(""))));
    }

    #[test]
    fn what_is_no_event_is_not_taken() {
        for payload in [&b"{}"[..], b"\xff", b"[]", &vec![b' '; LONGEST + 1]] {
            assert_eq!(event(payload, "b"), Err(()));
        }
        let large = ActivityEvent { data: json!({"text": "a".repeat(9000)}), ..message("a") };
        let read = event(&serde_json::to_vec(&large).unwrap(), "b").unwrap().unwrap();
        assert!(serde_json::to_vec(&read).unwrap().len() <= 4096);
    }

    #[test]
    fn ones_own_hint_is_none() {
        assert!(!is_hint_of_another(hint("a").as_bytes(), "a"));
        assert!(is_hint_of_another(hint("a").as_bytes(), "b"));
        assert!(is_hint_of_another(b"look", "a"));
    }
}
