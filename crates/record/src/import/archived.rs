//! Import of the gateway's own archive: what retention took out of a record goes into one, as it was.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use super::{ImportError, Imported, ImportedAnswer, ImportedRequest, Run, Summary, Target, Watch};
use crate::archive::Archived;
use crate::model::{End, Start};
use crate::older::Unreadable;

/// How files in zstd begin.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// So many lines are looked up at a time.
const LINES: usize = 64;

/// Imports archive files, in zstd or plain; the calls of the summary are their lines.
pub async fn archive(files: &[PathBuf], into: &mut Target, watch: &mut impl Watch) -> Result<Summary, ImportError> {
    let mut run = Run { into, watch, batch: Vec::new(), bytes: 0, summary: Summary::default() };
    for (number, path) in (1..).zip(files) {
        let failed = |source| ImportError::Archive { path: path.clone(), source };
        let mut lines = open(path).map_err(failed)?.lines().zip(1_u64..);
        loop {
            let some = lines.by_ref().take(LINES).map(|(line, at)| Ok((line?, at)));
            let some = some.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
            if some.is_empty() {
                break;
            }
            run.lines(path, some).await?;
        }
        run.watch.progress(number, files.len() as u64);
    }
    run.flush().await?;
    Ok(run.summary)
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(if start == ZSTD {
        Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?))
    } else {
        Box::new(BufReader::new(file))
    })
}

impl<W: Watch> Run<'_, W> {
    async fn lines(&mut self, path: &Path, lines: Vec<(String, u64)>) -> Result<(), ImportError> {
        let mut some = Vec::new();
        for (line, at) in lines {
            self.summary.calls += 1;
            match Archived::read(&line) {
                Ok(archived) => some.push(archived),
                Err(error) => {
                    let (call_id, why) = (format!("{}:{at}", path.display()), error.to_string());
                    self.watch.rejected(&Unreadable { call_id, event_id: None, event_type: None, why })?;
                    self.summary.rejected += 1;
                }
            }
        }
        let ids: Vec<_> = some.iter().map(|archived| archived.id).collect();
        let mut known = self.into.known(&ids).await?;
        // The same one may be in two files, or twice in one.
        known.extend(self.batch.iter().map(|(transaction, _)| transaction.start.id).collect::<HashSet<_>>());
        for archived in some {
            if !known.insert(archived.id) {
                self.summary.already += 1;
                continue;
            }
            self.push(transaction(archived), false).await?;
        }
        Ok(())
    }
}

fn transaction(archived: Archived) -> Imported {
    let Archived { id, session, request, upstream, .. } = archived;
    let request = request.0;
    let (mut sent, mut response) = (None, None);
    if let Some(up) = upstream {
        response = up.status.map(|status| ImportedAnswer { status, headers: up.headers, body: up.response.0 });
        sent = Some(ImportedRequest {
            upstream: up.name,
            method: up.method,
            url: up.url,
            dialect: up.dialect,
            edited: archived.edited_request.map(|edited| edited.0),
            body: up.request.map_or_else(|| request.clone(), |body| body.0),
        });
    }
    Imported {
        start: Start {
            id,
            at: archived.started_at,
            dialect: archived.dialect,
            path: archived.path,
            conversation: archived.turn,
            // One without a session is called by its own id.
            session_id: Some(session).filter(|session| *session != id.to_string()),
            user_id: archived.user_id,
            credential: credential(&archived.credential),
            model: archived.model,
            streamed: archived.streamed,
            request,
            policy: archived.policy,
        },
        request: sent,
        response,
        client: archived.client_response.map(|client| client.0),
        first_byte: archived.first_byte_at,
        decisions: archived.decisions,
        events: archived.events,
        end: End {
            at: archived.ended_at,
            status: archived.status,
            http_status: archived.http_status,
            error: archived.error,
            evaluation: archived.evaluation,
        },
    }
}

/// The hash of these hexadecimal digits; none where there are no or other ones.
fn credential(digits: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::recorder::{Importer, Recorder};
    use crate::redact::Redactor;
    use crate::store::TransactionDetail;
    use crate::testing::{
        Db, Home, answer, answered, decision, end, event, id, messages, recorder_on, send, start, stored,
    };

    struct Quiet(Vec<Unreadable>);

    impl Watch for Quiet {
        fn progress(&mut self, _done: u64, _of: u64) {}
        fn rejected(&mut self, what: &Unreadable) -> std::io::Result<()> {
            self.0.push(what.clone());
            Ok(())
        }
    }

    /// A record, and what the archive has of it.
    async fn archived(db: Db) -> (Recorder, Home, String) {
        let (home, recorder) = recorder_on(db).await;
        let body = messages(&[serde_json::json!({"role": "user", "content": "hello"})]);
        answered(&recorder, start(1, Some("s"), body.clone()), &answer("yes")).finish(end(1));
        let flight = answered(&recorder, start(2, None, body), b"");
        send(&flight, "local", luthien_wire::Dialect::Chat, &"{\"model\": \"other\"}".into());
        flight.upstream_response(201, vec![("x-a".into(), "1".into())]);
        flight.upstream_bytes(b"first \xff");
        flight.client_bytes(b"|mine");
        flight.decision(decision("tool_call_judge", "block"));
        flight.event(event("policy.judge.tool_call_blocked"));
        flight.finish(end(2));
        recorder.settled().await;
        let mut text = String::new();
        for (number, session) in [(1, "s".to_owned()), (2, id(2).to_string())] {
            let detail = stored(&recorder, number).await.expect("stored");
            let line = Archived::new(detail, session, &[7; 16]);
            text = format!("{text}{}\n", serde_json::to_string(&line).expect("a line"));
        }
        (recorder, home, text)
    }

    async fn both(recorder: &Recorder) -> Vec<Option<TransactionDetail>> {
        vec![stored(recorder, 1).await, stored(recorder, 2).await]
    }

    #[rstest]
    #[tokio::test]
    async fn what_was_archived_comes_back_as_it_was(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (recorder, home, text) = archived(db).await;
        let plain = home.folder.path().join("a.jsonl");
        std::fs::write(&plain, format!("{text}{{\"luthien_transaction\": 2}}\n")).expect("written");
        let packed = home.folder.path().join("a.jsonl.zst");
        std::fs::write(&packed, zstd::encode_all(text.as_bytes(), 3).expect("packed")).expect("written");

        let other = Home::new(db);
        let config = other.config();
        let importer = Importer::open(&config.database, config.options, Redactor::default()).await.expect("opened");
        let mut into = Target::Record(Box::new(importer));
        let mut quiet = Quiet(Vec::new());
        let summary = archive(&[plain.clone(), packed], &mut into, &mut quiet).await.expect("imported");
        assert_eq!(summary, Summary { calls: 5, imported: 2, already: 2, rejected: 1, ..Summary::default() });
        assert_eq!(quiet.0[0].call_id, format!("{}:3", plain.display()));
        let again = Recorder::open(config).await.expect("a recorder");
        assert_eq!(both(&again).await, both(&recorder).await);
    }
}
