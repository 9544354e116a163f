//! Traffic: quick calls, streams that end, and streams that go on and on; and what its clients saw, and when.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use luthien_testkit::client::post;
use luthien_testkit::{Answer, Asked, Gate, Script};
use luthien_wire::Dialect;
use tokio::task::JoinSet;

use crate::said;

/// The time between two pieces of a stream.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// Pieces of an answer: of quick calls and streams that end, and of those that go on for longer than any test watches.
pub(crate) const SHORT: usize = 12;
pub(crate) const LONG: usize = 500;

/// What a worker asks for, one request after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole answers, one every tick.
    Quick,
    /// Streams of [`SHORT`] ticks.
    Stream,
    /// Streams of [`LONG`] ticks.
    Endless,
}

impl Kind {
    fn model(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Stream => "stream",
            Self::Endless => "endless",
        }
    }

    /// How many pieces the answer has.
    pub(crate) fn pieces(self) -> usize {
        if self == Self::Endless { LONG } else { SHORT }
    }
}

/// What a client saw of one call.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) kind: Kind,
    pub(crate) dialect: Dialect,
    /// From the answer's head.
    pub(crate) id: Option<String>,
    /// So much text, in bytes, had come by then; the first entry is the head's.
    pub(crate) came: Vec<(Instant, usize)>,
    pub(crate) text: String,
    /// When the answer had come to its proper end.
    pub(crate) ended: Option<Instant>,
}

impl Seen {
    /// The text that had come by then; none if not even the head had.
    pub(crate) fn by(&self, then: Instant) -> Option<&str> {
        let (_, length) = self.came.iter().rev().find(|(at, _)| *at <= then)?;
        Some(&self.text[..*length])
    }
}

/// The beat to which streams go on: each piece waits for the gate of its tick.
#[derive(Debug, Default)]
struct Pace {
    state: Mutex<(u64, BTreeMap<u64, Gate>)>,
}

impl Pace {
    fn tick(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        let now = state.0;
        if let Some(gate) = state.1.remove(&now) {
            gate.open();
        }
    }

    /// The gates of the next ticks.
    fn ahead(&self, count: usize) -> Vec<Gate> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.0;
        (1..).take(count).map(|step| state.1.entry(now + step).or_default().clone()).collect()
    }
}

/// All the traffic of a test; its requests are numbered from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pace: Arc<Pace>,
    next: Arc<AtomicU64>,
    /// The gateway has been killed, or no more is to be asked.
    over: Arc<AtomicBool>,
}

impl Load {
    /// What the upstream answers.
    pub(crate) fn script(&self) -> Script {
        let pace = Arc::clone(&self.pace);
        Script::new(move |asked: &Asked| {
            let number = said::number(&asked.last_user_text()).expect("a numbered request");
            let gates = match asked.model() {
                "stream" => pace.ahead(SHORT),
                "endless" => pace.ahead(LONG),
                _ => return Answer::text(&said::answer(number, SHORT)),
            };
            gates
                .iter()
                .enumerate()
                .fold(Answer::new(), |answer, (piece, gate)| answer.hold(gate).say(&said::piece(number, piece)))
        })
    }

    /// Starts a worker of each kind at `url`. They ask until the load is over.
    pub(crate) fn start(&self, url: &str, workers: &[Kind]) -> Workers {
        self.over.store(false, Ordering::SeqCst);
        let mut tasks = JoinSet::new();
        for (worker, kind) in workers.iter().copied().enumerate() {
            tasks.spawn(self.clone().work(url.to_owned(), kind, worker));
        }
        let (mut beat, pace) = (JoinSet::new(), Arc::clone(&self.pace));
        beat.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                pace.tick();
            }
        });
        Workers { tasks, _beat: beat, over: Arc::clone(&self.over) }
    }

    /// How many requests were begun.
    pub(crate) fn asked(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    async fn work(self, url: String, kind: Kind, worker: usize) -> Vec<Seen> {
        let mut all = Vec::new();
        for dialect in Dialect::ALL.into_iter().cycle().skip(worker) {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            let mut seen = Seen { number, kind, dialect, id: None, came: Vec::new(), text: String::new(), ended: None };
            let asked = ask(&url, &mut seen).await;
            all.push(seen);
            if self.is_over() {
                break;
            }
            asked.unwrap_or_else(|error| panic!("request {number}, {}: {error}", kind.model()));
            for gate in self.pace.ahead(1) {
                gate.pass().await;
            }
        }
        all
    }
}

/// Workers under way.
pub(crate) struct Workers {
    tasks: JoinSet<Vec<Seen>>,
    /// Goes on until the last answer has come.
    _beat: JoinSet<()>,
    over: Arc<AtomicBool>,
}

impl Workers {
    /// From here on failures are expected, and nobody asks again.
    pub(crate) fn over(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Waits for all of them, and gives what they saw by number. An answer under way is read to its end.
    pub(crate) async fn seen(self) -> BTreeMap<u64, Seen> {
        self.tasks.join_all().await.into_iter().flatten().map(|seen| (seen.number, seen)).collect()
    }
}

async fn ask(url: &str, seen: &mut Seen) -> Result<(), String> {
    let path = match seen.dialect {
        Dialect::Messages => "/v1/messages",
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
    };
    let stream = seen.kind != Kind::Quick;
    let body = said::request(seen.number, seen.kind.model(), seen.dialect, stream).to_string();
    let keys = [("x-api-key", "sk-callers"), ("authorization", "Bearer sk-callers")];
    let mut exchange = post(&format!("{url}{path}"), &keys, body).await.map_err(|error| error.to_string())?;
    seen.id = exchange.header("x-luthien-transaction-id").map(str::to_owned);
    seen.came.push((Instant::now(), 0));
    let status = exchange.status;
    if stream {
        while let Some(frame) = exchange.frame().await.map_err(|error| error.to_string())? {
            seen.text.push_str(&said::delta(seen.dialect, &frame.data.unwrap_or_default()));
            seen.came.push((Instant::now(), seen.text.len()));
        }
    } else {
        let body = exchange.rest().await.map_err(|error| error.to_string())?;
        seen.text = said::whole(seen.dialect, &serde_json::from_slice(&body).map_err(|error| error.to_string())?);
        seen.came.push((Instant::now(), seen.text.len()));
    }
    if status != 200 {
        return Err(format!("status {status}"));
    }
    seen.ended = Some(Instant::now());
    Ok(())
}
