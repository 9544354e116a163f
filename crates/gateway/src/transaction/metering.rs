//! What a request uses: counted while its answer comes, and charged to those who have a limit when it ends.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use luthien_record::model::{Event, Status};
use luthien_record::recorder::InFlight;
use luthien_wire::Dialect;
use luthien_wire::usage::{Usage, UsageMeter};
use tokio_util::task::TaskTracker;

use super::{Recording, Transaction};
use crate::caps::{Charge, Places};
use crate::tab::Tab;

/// Counts what one request uses, of the upstream that was asked last.
#[derive(Debug, Default)]
pub(super) struct Metering(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// How many bytes were sent, and in which dialect; none before.
    sent: Option<(Dialect, usize)>,
    answer: Answer,
}

/// How the upstream has answered so far.
#[derive(Debug, Default)]
enum Answer {
    #[default]
    None,
    /// Nothing is counted of a failure.
    Failed,
    Counted(Box<UsageMeter>),
}

impl Metering {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is sent to an upstream.
    pub(super) fn sent(&self, dialect: Dialect, bytes: usize) {
        *self.lock() = Asked { sent: Some((dialect, bytes)), answer: Answer::None };
    }

    /// The upstream answers.
    pub(super) fn answered(&self, status: u16) {
        let mut asked = self.lock();
        let sent = asked.sent.filter(|_| (200..300).contains(&status));
        asked.answer = sent.map_or(Answer::Failed, |(dialect, _)| Answer::Counted(Box::new(UsageMeter::new(dialect))));
    }

    /// Bytes of its answer.
    pub(super) fn came(&self, bytes: &[u8]) {
        if let Answer::Counted(meter) = &mut self.lock().answer {
            meter.push(bytes);
        }
    }

    /// What was used, if anything was. Of a request whose answer nobody waited for, what it was asked with.
    fn usage(&self, status: Status) -> Option<Usage> {
        let asked = self.lock();
        let (_, bytes) = asked.sent?;
        match &asked.answer {
            Answer::Counted(meter) => Some(meter.usage(bytes)),
            Answer::Failed => None,
            Answer::None => {
                matches!(status, Status::ClientDisconnected | Status::Interrupted).then(|| Usage::of_request(bytes))
            }
        }
    }
}

impl Recording {
    /// Tells who counts, where somebody does.
    pub(super) fn meter(&self, tell: impl FnOnce(&Metering)) {
        if let Some(metering) = self.0.metering.get() {
            tell(metering);
        }
    }
}

impl Transaction {
    /// What it uses is counted, and charged at its end as `add` says; `tasks` owns what that takes.
    pub(crate) fn charges(&mut self, tasks: &TaskTracker, add: impl FnOnce(&mut Tab)) {
        // Counted once, however many are charged.
        let _ = self.recording.0.metering.set(Metering::default());
        add(self.tab.get_or_insert_with(|| Tab::new(tasks)));
    }

    /// Whose caps it is charged to, where they have any.
    pub(crate) fn charge(&mut self) -> Option<&mut Charge> {
        self.tab.as_mut()?.charge.as_mut()
    }

    /// It holds these until it ends, however that is.
    pub(crate) fn holds(&mut self, places: Places) {
        self.places = Some(places);
    }

    /// Charges what was used, and says so on the record.
    pub(super) fn settle(&mut self, record: &InFlight, at: Timestamp, status: Status) {
        let Some(tab) = self.tab.take() else { return };
        let Some(usage) = self.recording.0.metering.get().and_then(|metering| metering.usage(status)) else { return };
        let data = tab.settle(usage, at);
        self.recording.0.teller.happened(at, "transaction.tokens_counted", &data);
        record.event(Event { event_type: "transaction.tokens_counted".to_owned(), at, data });
    }
}
