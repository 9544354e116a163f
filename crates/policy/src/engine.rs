//! The engine: carries policies' answers out on a streamed answer.
//!
//! Bytes in, bytes out; no I/O. It splits the stream into blocks, holds what the plan watches, asks, and releases, so that what
//! goes out is always well-formed: indices contiguous, one block at a time (Messages), tool calls last and whole, the stop
//! reason true. Until something has to be held, changed or mended, bytes go out as they came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream as _};
use luthien_wire::Dialect;
use luthien_wire::logprobs;
use luthien_wire::model_name;
use luthien_wire::sse::{Frame, Splitter};
use luthien_wire::stream::{Atom, Decoder, Encoder, Part, What};
use luthien_wire::turn::{StopReason, Unreadable};

use crate::contract::{Action, Target};
use crate::plan::{Inner, Item, Ledger, Outcome, Reviews, Summary};

mod choice;
mod emit;
mod output;
mod release;
mod transform;
mod whole;

use choice::Choice;
use emit::Emitter;
use output::Output;
pub use whole::{WholeOutcome, synthetic_turn};

/// The most blocks of a choice that are judged. Each verdict that is out knows the blocks before it, so that memory grows with
/// the square of this; no model writes as many.
const MOST_BLOCKS: usize = 4096;

/// How the upstream's stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamEnd {
    /// The body ended as HTTP says that bodies end.
    Clean,
    /// It broke off. `kind` is the error's type for the client, `message` what it is told.
    Broken {
        /// Stable error type.
        kind: &'static str,
        /// For a person.
        message: String,
    },
    /// The gateway itself must end it now: verdicts that are out are not waited for.
    Stopped {
        /// Stable error type.
        kind: &'static str,
        /// For a person.
        message: String,
    },
}

/// What a finished question was about, and its answer.
enum Answered {
    /// The block's place among the slots of its choice: an upstream may give two blocks the same index.
    Block {
        choice: u32,
        slot: usize,
        outcome: Outcome,
    },
    Turn(u32, Option<Vec<Item>>, Vec<String>),
}

/// One streamed answer under review.
pub struct StreamReview {
    emit: Emitter,
    splitter: Splitter,
    decoder: Decoder,
    /// A frame's atoms, for as long as they are handed on; kept for its memory.
    atoms: Vec<Atom>,
    choices: BTreeMap<u32, Choice>,
    asked: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// What came after a stop while verdicts were out.
    tail: Vec<Atom>,
    done_sent: bool,
    end: Option<UpstreamEnd>,
    /// Nothing more will be written.
    complete: bool,
    /// The gateway has ended the answer by itself.
    closed: bool,
}

impl Reviews {
    /// Begins the review of a streamed answer.
    pub fn stream(&self) -> StreamReview {
        let inner = Arc::clone(&self.0);
        let context = &inner.context;
        let dialect = context.dialect;
        inner.note(|summary| summary.watched |= watches_answers(&inner));
        StreamReview {
            splitter: Splitter::new(inner.options.event_limit),
            decoder: Decoder::new(dialect),
            atoms: Vec::new(),
            choices: BTreeMap::new(),
            asked: FuturesUnordered::new(),
            tail: Vec::new(),
            done_sent: false,
            end: None,
            complete: false,
            closed: false,
            emit: Emitter {
                encoder: Encoder::new(dialect, context.request.model(), &context.transaction_id),
                out: Output::default(),
                acting: false,
                head_sent: false,
                converted: false,
                held: 0,
                failed: None,
                inner,
            },
        }
    }

    /// Begins the review of a streamed answer that comes converted from another dialect. Where [`Self::hold_calls`] says so,
    /// its texts may stand behind calls: they go out in front of them.
    pub fn converted_stream(&self) -> StreamReview {
        let mut review = self.stream();
        review.emit.converted = self.0.context.dialect == Dialect::Messages;
        review
    }

    /// The policies in force hold tool calls until the end of the answer.
    pub fn hold_calls(&self) -> bool {
        self.0.watch().tool_calls || self.0.watch().turn
    }
}

fn watches_answers(inner: &Inner) -> bool {
    inner.watch().answers()
}

impl StreamReview {
    /// Takes bytes of the upstream, divided in any way.
    pub fn push(&mut self, chunk: &[u8]) {
        if self.closed || self.complete {
            return;
        }
        self.splitter.push(chunk);
        loop {
            match self.splitter.next_frame() {
                Ok(Some(frame)) => {
                    let frame = self.sifted(frame);
                    let mut atoms = std::mem::take(&mut self.atoms);
                    self.decoder.decode(frame, &mut atoms);
                    for atom in atoms.drain(..) {
                        self.atom(atom);
                    }
                    self.atoms = atoms;
                    self.settle();
                    self.emit.end_of_frame();
                }
                Ok(None) => return,
                Err(error) => return self.cannot_read(&error.to_string(), None),
            }
            if self.closed {
                return;
            }
        }
    }

    /// The upstream's body has ended. That the answer is stopped counts also after that, while verdicts are still out.
    pub fn finish(&mut self, end: UpstreamEnd) {
        let stopped = matches!(end, UpstreamEnd::Stopped { .. });
        if self.closed || self.complete || (self.end.is_some() && !stopped) {
            return;
        }
        if end == UpstreamEnd::Clean
            && let Some(frame) = self.splitter.finish()
        {
            let frame = self.sifted(frame);
            let mut atoms = Vec::new();
            self.decoder.decode(frame, &mut atoms);
            for atom in atoms {
                // A frame that was cut off says nothing; what it was to say is missing, which `conclude` sees.
                if !matches!(atom.what, What::Unreadable(_)) {
                    self.atom(atom);
                }
            }
            self.emit.end_of_frame();
        }
        self.end = Some(end);
        self.conclude();
    }

    /// Output, when there is some: write it at once, as one piece. `None`: the answer is complete. Pending: more input or a
    /// verdict is needed; the waker is registered for the latter.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.asked.is_empty() && !self.complete {
            match std::pin::Pin::new(&mut self.asked).poll_next(cx) {
                Poll::Ready(Some(answer)) => self.answered(answer),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        match self.emit.out.take() {
            Some(bytes) => Poll::Ready(Some(bytes)),
            None if self.complete => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// More of the upstream can be used.
    pub fn wants_input(&self) -> bool {
        !self.closed && !self.complete && self.end.is_none()
    }

    /// The gateway has ended the answer: the upstream is to be dropped.
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// Something is held until a verdict.
    pub fn holding(&self) -> bool {
        !self.asked.is_empty()
    }

    /// The terminal frame is out; no keep-alive may follow.
    pub fn ended(&self) -> bool {
        self.done_sent || self.complete
    }

    /// The answer ended before it was complete: the upstream's did, or said that it failed, or could not be read further.
    pub fn broke_off(&self) -> bool {
        self.complete && !self.done_sent
    }

    /// What became of the answer so far.
    pub fn summary(&self) -> Summary {
        Reviews(Arc::clone(&self.emit.inner)).summary()
    }

    /// Takes the verdicts that are ready at once, so that what needs no waiting leaves in its place.
    fn settle(&mut self) {
        // A verdict that comes later wakes whoever polls the output next: it stays queued until then.
        let mut cx = Context::from_waker(futures_util::task::noop_waker_ref());
        while !self.asked.is_empty() {
            match std::pin::Pin::new(&mut self.asked).poll_next(&mut cx) {
                Poll::Ready(Some(answer)) => self.answered(answer),
                Poll::Ready(None) | Poll::Pending => return,
            }
        }
    }

    /// The frame with the model that the client asked for, and without log probabilities that spell what may yet be withheld.
    fn sifted(&self, frame: Frame) -> Frame {
        let inner = &self.emit.inner;
        let renamed = inner.model().and_then(|model| model_name::renamed_frame(&frame, model));
        let frame = renamed.unwrap_or(frame);
        if !watches_answers(inner) {
            return frame;
        }
        let Some(sifted) = logprobs::sift_frame(inner.context.dialect, &frame) else { return frame };
        inner.note(|summary| summary.repaired = true);
        sifted
    }

    fn atom(&mut self, atom: Atom) {
        if self.closed {
            return;
        }
        self.emit.encoder.learn(&atom);
        self.mend(&atom);
        match &atom.what {
            What::Head => {
                self.emit.head_sent = true;
                self.emit.pass(atom);
            }
            What::Block { .. } => self.block(atom),
            What::Stop { choice, reason } => {
                let (choice, reason) = (*choice, reason.clone());
                self.stop(choice, &reason, Some(atom));
            }
            // Said again, it goes the way of the rest: as it came where nothing acts, else nowhere.
            What::Done if self.done_sent && !self.emit.acting => self.emit.pass(atom),
            What::Done => {
                for choice in self.unstopped() {
                    self.stop(choice, &StopReason::Other("missing".into()), None);
                }
                self.tail.push(atom);
            }
            What::Failed => self.upstream_failed(atom),
            What::Loose => self.loose(atom),
            What::Unreadable(why) => {
                let why = *why;
                self.cannot_read(&format!("an event of the stream is {}", in_words(why)), Some(atom));
            }
        }
        self.drain();
    }

    /// Where what an event repeats is not what was said, the gateway says it again as it was judged.
    fn mend(&mut self, atom: &Atom) {
        let contradicts = matches!(atom.part, Part::Event { agrees: false, .. });
        if contradicts && watches_answers(&self.emit.inner) {
            self.emit.acting = true;
            self.emit.inner.note(|summary| summary.repaired = true);
        }
    }

    /// A block's part: to its block, and to the block's reviewers once it has ended.
    fn block(&mut self, atom: Atom) {
        let What::Block { id, start, piece, end } = &atom.what else { return };
        let (id, end) = (*id, *end);
        let choice = self.choices.entry(id.choice).or_default();
        let stopped = choice.stopped();
        if start.is_some() && choice.slots.len() >= MOST_BLOCKS && watches_answers(&self.emit.inner) {
            return self.cannot_read("the answer has more blocks than can be judged", None);
        }
        if start.is_some() && !stopped {
            choice.judge_waiting(&self.emit.inner, &mut self.asked, false);
            let kind = start.clone().unwrap_or(luthien_wire::stream::Kind::Text);
            choice.begin(id, kind, &self.emit.inner);
        }
        let Some(slot) = choice.open_slot(id).filter(|_| !stopped) else {
            return self.cannot_read("a part of the stream belongs to no block", Some(atom));
        };
        if let Some(builder) = &mut slot.builder {
            builder.push(piece);
        }
        self.emit.acting |= slot.is_held();
        self.emit.held += atom.weight();
        slot.atoms.push_back(atom);
        if end {
            choice.ended(id, &self.emit.inner, &mut self.asked);
        }
        if self.emit.held > self.emit.inner.options.held_limit {
            self.cannot_read("more of the answer had to be held than the limit allows", None);
        }
    }

    /// A choice has ended, with all its blocks.
    fn stop(&mut self, at: u32, reason: &StopReason, atom: Option<Atom>) {
        let choice = self.choices.entry(at).or_default();
        if choice.stopped() {
            let at_once = choice.released && !self.emit.acting;
            match atom {
                Some(atom) if at_once => self.emit.pass(atom),
                // It would repeat the whole answer.
                Some(_) if self.emit.encoder.numbered() => {}
                Some(atom) => self.tail.push(atom),
                None => {}
            }
            return;
        }
        let cut_off = *reason == StopReason::MaxTokens || atom.is_none();
        choice.stop(atom, reason.clone(), cut_off, &self.emit.inner, &mut self.asked);
    }

    /// What policies do not look at: goes out in its place.
    fn loose(&mut self, atom: Atom) {
        if self.done_sent && self.emit.acting {
            return;
        }
        if self.choices.values().any(|choice| choice.stopped() && !choice.released) || !self.tail.is_empty() {
            self.tail.push(atom);
        } else if let Some(slot) = self.choices.values_mut().find_map(Choice::withheld_start) {
            slot.atoms.push_back(atom);
        } else {
            self.emit.pass(atom);
        }
    }

    fn unstopped(&self) -> Vec<u32> {
        self.choices.iter().filter(|(_, choice)| !choice.stopped()).map(|(at, _)| *at).collect()
    }

    fn answered(&mut self, answer: Answered) {
        match answer {
            Answered::Block { choice, slot, outcome } => {
                if let Some(choice) = self.choices.get_mut(&choice) {
                    choice.answered(slot, outcome);
                }
            }
            Answered::Turn(at, items, notices) => {
                if let Some(choice) = self.choices.get_mut(&at) {
                    choice.turn_answered(items, notices);
                }
            }
        }
        self.drain();
        if self.end.is_some() {
            self.conclude();
        }
    }

    /// The upstream says that it failed: what was held is dropped, and the client is told.
    fn upstream_failed(&mut self, atom: Atom) {
        // The failure may repeat what the answer had said.
        self.emit.acting |= self.drop_held() && self.emit.encoder.numbered();
        self.emit.pass(atom);
        self.emit.end_of_frame();
        self.complete = true;
    }

    /// Nothing more comes: writes the end that is missing, once no verdict is out.
    fn conclude(&mut self) {
        self.drain();
        // Verdicts are worth waiting for only where the answer can still be completed.
        let completable = match self.end {
            Some(UpstreamEnd::Stopped { .. }) => false,
            Some(UpstreamEnd::Broken { .. }) => self.unstopped().is_empty(),
            Some(UpstreamEnd::Clean) | None => true,
        };
        if self.complete || (completable && !self.asked.is_empty()) {
            return;
        }
        let ended = !self.choices.is_empty() && self.choices.values().all(|choice| choice.released);
        if !self.done_sent && ended {
            self.emit.write(|encoder| encoder.done());
            self.emit.inner.note(|summary| summary.repaired = true);
            self.done_sent = true;
        } else if !self.done_sent {
            self.drop_held();
            let (kind, message) = match self.end.take() {
                Some(UpstreamEnd::Broken { kind, message } | UpstreamEnd::Stopped { kind, message }) => (kind, message),
                _ => ("api_error", "the upstream ended its answer before it was complete".into()),
            };
            let context = &self.emit.inner.context;
            let so_far = self.emit.encoder.so_far();
            let frame = context.dialect.error_frame(kind, &message, &context.transaction_id, so_far);
            self.emit.own(&frame);
        }
        self.complete = true;
    }

    /// Forgets what has not gone out, verdicts that are still out included. True where something was held.
    fn drop_held(&mut self) -> bool {
        let undecided =
            !self.asked.is_empty() || self.choices.values().any(|choice| !choice.released && choice.holds());
        self.emit.inner.note(|summary| summary.undecided |= undecided);
        self.asked.clear();
        self.choices.clear();
        self.tail.clear();
        self.emit.held = 0;
        undecided
    }

    /// Something cannot be read, or not be held: ends the answer where a policy that blocks watches it, else lets it pass.
    fn cannot_read(&mut self, why: &str, atom: Option<Atom>) {
        let inner = &self.emit.inner;
        let said = inner.speaker().map(|member| Ledger::enforced(inner).cannot_ask(member, &Target::Turn, why));
        let Some(answer) = said else {
            if let Some(atom) = atom {
                self.emit.pass(atom);
            } else {
                // Not even a frame: hand on what is there, and stop looking.
                let rest = Bytes::copy_from_slice(self.splitter.pending());
                self.splitter.finish();
                self.emit.own(&rest);
            }
            return;
        };
        match (answer.action, atom) {
            (Action::Block(message), _) => self.close(&message),
            (_, Some(atom)) => self.emit.pass(atom),
            (_, None) => self.close(&format!("[{why}]")),
        }
    }
}

fn in_words(why: Unreadable) -> String {
    why.to_string()
}

#[cfg(test)]
mod tests;
