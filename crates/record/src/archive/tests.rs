//! What is archived can be read again whole, and a folder keeps files whole or not at all.

use std::io::Read as _;

use bytes::Bytes;
use jiff::civil::date;
use luthien_wire::Dialect;
use serde_json::Value;
use uuid::Uuid;

use super::{Archive as _, Archived, Body, FolderArchive, Part};
use crate::model::{Evaluation, Status};
use crate::store::{TransactionDetail, UpstreamRequest};
use crate::testing::{decision, event, id, second};

fn detail() -> TransactionDetail {
    TransactionDetail {
        id: id(1),
        session_id: "s@07070707".into(),
        at: second(1),
        first_byte: Some(second(2)),
        ended: second(3),
        dialect: Dialect::Messages,
        path: "/v1/messages?beta=true".into(),
        turn: true,
        user_id: Some("ann".into()),
        model: "claude-x".into(),
        streamed: true,
        policy: "no_op".into(),
        status: Status::Completed,
        http_status: Some(200),
        error: Some("odd".into()),
        evaluation: Evaluation::Intervened,
        request: Bytes::from_static(b"{\"messages\":[]}"),
        edited_request: Some(Bytes::from_static(b"{}")),
        upstream_request: Some(UpstreamRequest {
            upstream: "openai".into(),
            method: "POST".into(),
            url: "http://up".into(),
            dialect: Dialect::Chat,
            body: Bytes::from_static(b"[]"),
        }),
        upstream_status: Some(200),
        upstream_headers: vec![("a".into(), "b".into())],
        upstream_response: Bytes::from_static(b"data: \"\xff\"\n\n"),
        own_response: Some(Bytes::from_static("data: \"\u{e4}\"\n\n".as_bytes())),
        decisions: vec![decision("p", "block")],
        events: vec![event("policy.p.done")],
        identities: Vec::new(),
    }
}

#[test]
fn a_line_holds_everything_and_is_read_back() {
    let archived = Archived::new(detail(), "s".into(), &[7; 16]);
    let line = serde_json::to_string(&archived).unwrap();
    assert_eq!(Archived::read(&line).unwrap(), archived);
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["credential"], "07070707070707070707070707070707");
    assert_eq!(value["session"], "s");
    assert_eq!(value["request"], "{\"messages\":[]}");
    assert_eq!(value["upstream"]["request"], "[]");
    assert_eq!(value["upstream"]["response"]["base64"], "ZGF0YTogIv8iCgo=");
    assert_eq!(value["client_response"], "data: \"\u{e4}\"\n\n");
}

#[test]
fn what_is_the_same_on_both_sides_is_written_once() {
    let mut same = detail();
    let request = same.request.clone();
    if let Some(sent) = &mut same.upstream_request {
        sent.body = request;
    }
    same.own_response = None;
    let value = serde_json::to_value(Archived::new(same, "s".into(), &[])).unwrap();
    assert_eq!(value["upstream"].get("request"), None);
    assert_eq!(value.get("client_response"), None);
    assert_eq!(value["credential"], "");
}

#[test]
fn lines_of_another_version_are_refused() {
    let mut archived = Archived::new(detail(), "s".into(), &[]);
    archived.luthien_transaction = 2;
    let error = Archived::read(&serde_json::to_string(&archived).unwrap()).unwrap_err();
    assert!(error.to_string().contains("version 1"), "{error}");
}

#[test]
fn the_schema_names_every_field_of_a_line() {
    let schema = std::fs::read_to_string("../../docs/schemas/archive-v1.json").unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let line = serde_json::to_value(Archived::new(detail(), "s".into(), &[7; 16])).unwrap();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&schema["properties"]), fields(&line));
    assert_eq!(fields(&schema["$defs"]["upstream"]["properties"]), fields(&line["upstream"]));
}

#[test]
fn turns_that_repeat_each_other_take_little_room() {
    let long: Vec<u8> = (0..4 << 20_u32).map(|n: u32| b'a' + (n.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let mut part = Part::new(date(2027, 1, 15)).unwrap();
    for _ in 0..4 {
        let mut line = Archived::new(detail(), "s".into(), &[]);
        line.request = Body(long.clone().into());
        part.add(&line).unwrap();
    }
    let (name, bytes) = part.finish(Uuid::from_u128(5), 1).unwrap();
    assert_eq!(name, "transactions-2027-01-15-00000000-0000-0000-0000-000000000005-0001.jsonl.zst");
    assert!(bytes.len() < 5 << 19, "{}", bytes.len());
    let mut text = String::new();
    zstd::stream::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut text).unwrap();
    let read: Vec<Archived> = text.lines().map(|line| Archived::read(line).unwrap()).collect();
    assert_eq!(read.len(), 4);
    assert!(read.iter().all(|line| line.request.0 == long));
}

#[tokio::test]
async fn a_folder_has_a_file_whole_and_never_replaces_one() {
    let folder = tempfile::tempdir().unwrap();
    let archive = FolderArchive::new(folder.path().join("made/here"));
    archive.put("a.jsonl.zst", Bytes::from_static(b"one")).await.unwrap();
    let error = archive.put("a.jsonl.zst", Bytes::from_static(b"two")).await.unwrap_err();
    assert_eq!((error.file.as_str(), error.place), ("a.jsonl.zst", archive.place()));
    assert_eq!(std::fs::read(folder.path().join("made/here/a.jsonl.zst")).unwrap(), b"one");
    assert_eq!(std::fs::read_dir(folder.path().join("made/here")).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn archived_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    FolderArchive::new(folder.path()).put("a", Bytes::new()).await.unwrap();
    assert_eq!(std::fs::metadata(folder.path().join("a")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_says_so_and_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let archive = FolderArchive::new(folder.path().join("file"));
    let error = archive.put("a", Bytes::from_static(b"one")).await.unwrap_err();
    assert!(error.to_string().contains("nothing is removed from the record"), "{error}");
}
