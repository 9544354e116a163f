//! The journal on disk: its records, its segments, its limit.

use super::replay::Recovered;
use super::*;
use crate::model::End;
use crate::recorder::gather::Sent;
use crate::redact::Redactor;
use crate::testing::{end, start};

fn journal(max_bytes: u64) -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, left) = Journal::open(folder.path(), max_bytes).expect("a journal");
    assert_eq!(left, Vec::<PathBuf>::new());
    (folder, journal)
}

fn segments(folder: &Path) -> Vec<u64> {
    let mut found: Vec<_> =
        fs::read_dir(folder).expect("a folder").filter_map(|e| number_of(&e.expect("an entry").path())).collect();
    found.sort_unstable();
    found
}

#[test]
fn only_what_is_new_is_appended() {
    let (_folder, journal) = journal(u64::MAX);
    let gather = Gather::new(start(1, None, "{}"), 0, Redactor::default());
    journal.keep(&gather).expect("kept");
    let (first, _) = journal.figures();
    journal.keep(&gather).expect("kept");
    assert_eq!(journal.figures().0, first);
    gather.lock().pieces.response.extend_from_slice(b"12345");
    journal.keep(&gather).expect("kept");
    assert_eq!(journal.figures().0, first + 8 + 17 + 5);
    journal.release(&gather);
    assert_eq!(journal.figures(), (0, 0));

    // The journal's thread may come to a transaction when it has just been stored.
    gather.lock().pieces.response.extend_from_slice(b"6");
    journal.keep(&gather).expect("left");
    assert_eq!(journal.figures(), (0, 0));
}

#[test]
fn segments_are_closed_when_large_and_go_when_nothing_needs_them() {
    let (folder, journal) = journal(u64::MAX);
    let large = vec![b'x'; usize::try_from(SEGMENT).expect("small")];
    let gathers: Vec<_> =
        (1..=3).map(|number| Gather::new(start(number, None, large.clone()), 0, Redactor::default())).collect();
    for gather in &gathers {
        journal.keep(gather).expect("kept");
    }
    assert_eq!(segments(folder.path()), [0, 1, 2]);
    journal.release(&gathers[1]);
    assert_eq!(segments(folder.path()), [0, 2]);
    journal.release(&gathers[0]);
    journal.release(&gathers[2]);
    assert_eq!(segments(folder.path()), [2]);
    assert_eq!(journal.figures().0, 0);
}

#[test]
fn what_is_spooled_after_a_replay_began_stays() {
    let (_folder, journal) = journal(u64::MAX);
    let (first, second) = (
        Gather::new(start(1, None, "{}"), 0, Redactor::default()),
        Gather::new(start(2, None, "{}"), 1, Redactor::default()),
    );
    assert!(journal.spool(&first));
    journal.keep(&second).expect("kept");
    let before = journal.spooled().expect("something");
    assert!(journal.spool(&second));
    journal.replayed(&before);
    let after = journal.spooled().expect("something");
    journal.replayed(&after);
    assert!(journal.spooled().is_none());
    assert_eq!(journal.figures(), (0, 0));
}

#[test]
fn what_does_not_fit_is_counted() {
    let (_folder, journal) = journal(100);
    let gather = Gather::new(start(1, None, "{}"), 0, Redactor::default());
    assert!(!journal.spool(&gather));
    assert!(journal.spooled().is_none());
    assert_eq!(journal.figures(), (0, 1));
}

#[test]
fn what_could_not_be_appended_is_appended_later() {
    let (folder, mut journal) = journal(u64::MAX);
    let gather = Gather::new(start(1, None, "{}"), 0, Redactor::default());
    gather.lock().pieces.response.extend_from_slice(b"one ");
    journal.keep(&gather).expect("kept");
    gather.lock().pieces.response.extend_from_slice(b"two ");
    journal.max_bytes = 0;
    journal.keep(&gather).expect_err("full");
    gather.lock().pieces.response.extend_from_slice(b"three");
    journal.max_bytes = u64::MAX;
    journal.keep(&gather).expect("kept");
    let path = folder.path().join("0000000000000000.journal");
    let mut replay = replay::Replay::new([path]);
    assert!(replay.next().is_none());
    let left = replay.unfinished();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].response, b"one two three");
}

#[test]
fn failures_leave_no_files_behind() {
    let (folder, journal) = journal(u64::MAX);
    let gather = Gather::new(start(1, None, "{}"), 0, Redactor::default());
    for _ in 0..3 {
        // A file that cannot be written, as on a full disk.
        let number = journal.lock().next;
        let path = folder.path().join(format!("{number:016}.journal"));
        fs::write(&path, "").expect("written");
        let mut files = journal.lock();
        files.next += 1;
        files.segments.insert(number, Segment::default());
        files.active = Some((number, File::open(&path).expect("a file")));
        drop(files);
        journal.keep(&gather).expect_err("read only");
        assert!(journal.spooled().is_none());
    }
    assert_eq!(segments(folder.path()), Vec::<u64>::new());
    assert!(journal.spool(&gather));
    assert_eq!(segments(folder.path()), [3]);
}

#[test]
fn a_long_stream_does_not_keep_every_segment_of_its_time() {
    let (folder, journal) = journal(u64::MAX);
    let long = Gather::new(start(1, None, "{\"a\": 1}"), 0, Redactor::default());
    long.lock().pieces.sent = Some(Sent {
        upstream: "u".into(),
        method: "POST".into(),
        url: "/".into(),
        dialect: None,
        body: None,
        edited: None,
    });
    long.lock().pieces.client = Some(Vec::new());
    let mut said = Vec::new();
    for number in 2..40 {
        said.push(b'a' + u8::try_from(number % 26).expect("small"));
        long.lock().pieces.response.clone_from(&said);
        long.lock().pieces.client = Some(said.clone());
        journal.keep(&long).expect("kept");
        let short = Gather::new(start(number, None, "{}"), 1, Redactor::default());
        journal.keep(&short).expect("kept");
        journal.lock().active = None;
        journal.release(&short);
        assert!(segments(folder.path()).len() <= SPREAD);
        let paths: Vec<_> = segments(folder.path()).into_iter().map(|number| journal.path(number)).collect();
        let mut replay = replay::Replay::new(paths);
        assert!(replay.next().is_none());
        let left = replay.unfinished();
        let kept = left.iter().find(|pieces| pieces.start.id == crate::testing::id(1)).expect("kept");
        assert_eq!((&kept.response, kept.client.as_ref()), (&said, Some(&said)));
        assert_eq!(kept.start.request, "{\"a\": 1}");
    }
    journal.release(&long);
    assert_eq!(journal.figures(), (0, 0));
    assert_eq!(segments(folder.path()), Vec::<u64>::new());
}

#[test]
fn an_end_waits_for_what_has_not_been_looked_at() {
    let (folder, _journal) = journal(u64::MAX);
    let redactor = Redactor::new([("key", r"\bsk-[a-z0-9]{8,}")]).expect("patterns");
    let gather = Gather::new(start(1, None, "{}"), 0, redactor);
    let mut records = Vec::new();
    let mut write = || {
        let mut state = gather.lock();
        state.kept = record::write_new(&state, &mut records);
        state.kept.end
    };
    gather.lock().pieces.response.extend_from_slice(b"sk-12345678 and more");
    gather.redact();
    // It ends when the journal has begun to look.
    gather.lock().pieces.end = Some(End { error: Some("with sk-abcdefgh9".into()), ..end(1) });
    assert!(!write());
    gather.redact();
    assert!(write());

    let path = folder.path().join("0000000000000000.journal");
    fs::write(&path, records).expect("written");
    let read: Vec<_> = replay::Replay::new([path]).collect();
    let [Recovered::Transaction(pieces)] = &read[..] else { panic!("one transaction: {read:?}") };
    assert_eq!(pieces.response, b"[redacted] and more");
    let error = pieces.end.as_ref().and_then(|end| end.error.as_deref());
    assert_eq!(error, Some("with [redacted]"));
}
