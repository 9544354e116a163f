//! One choice of a streamed answer: its blocks, what is known of each, and what is still awaited.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use luthien_wire::stream::{Atom, BlockBuilder, Kind};
use luthien_wire::turn::{Block, BlockId, StopReason, ToolForm};

use super::Answered;
use super::transform::Likeness;
use crate::contract::TextWatch;
use crate::plan::{Inner, Item, Outcome};

/// How a block may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Text goes out in order, in front of held calls.
    Text,
    /// The client's calls go last, together.
    Call,
    /// The vendor's own calls stand where they stand, with their results; only text may overtake them.
    ServerCall,
    /// What such a call has given, by the call's id.
    Result(String),
    /// Thinking and the rest stand where they stand.
    InPlace,
}

/// Until when a block waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It does not.
    Live,
    /// Its text goes out as the streaming policies change it.
    Transform,
    /// Until it has been decided.
    Verdict,
}

/// A block on its way.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: BlockId,
    pub(super) lane: Lane,
    pub(super) hold: Hold,
    /// What has come and not gone out.
    pub(super) atoms: VecDeque<Atom>,
    pub(super) builder: Option<BlockBuilder>,
    pub(super) ended: bool,
    /// What was decided; only for `Hold::Verdict`.
    pub(super) outcome: Option<Outcome>,
    /// Nothing more of it will go out.
    pub(super) done: bool,
    /// Where it stands in what the client gets, once it has begun there.
    pub(super) at: Option<u32>,
    /// A Messages text block's start that waits for the first text, since an empty text block must not be sent.
    pub(super) start: Option<Atom>,
    /// Something else stands in its place.
    pub(super) changed: bool,
    /// What each streaming member has made of its text, in their order.
    pub(super) likeness: Vec<Likeness>,
    /// What the streaming members held back is out.
    pub(super) flushed: bool,
    /// The upstream's own end of it has gone out.
    pub(super) end_sent: bool,
    /// When the first transform happened, for the record.
    pub(super) transform_began: Option<tokio::time::Instant>,
    /// A call's id and its tool's name.
    pub(super) call: String,
    pub(super) tool: String,
    asked: bool,
    /// Where it stands among the choice's finished blocks.
    finished: Option<usize>,
}

impl Slot {
    pub(super) fn is_held(&self) -> bool {
        self.hold == Hold::Verdict
    }

    pub(super) fn decided(&self) -> bool {
        self.hold != Hold::Verdict || self.outcome.is_some()
    }
}

/// One choice.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) slots: Vec<Slot>,
    /// Finished blocks, for the members' context.
    earlier: Arc<Vec<Arc<Block>>>,
    pub(super) notices: Vec<String>,
    /// Calls that policies have put in place of blocks, each with the place of its slot.
    pub(super) added: Vec<(usize, luthien_wire::turn::ToolCall)>,
    pub(super) next: u32,
    pub(super) next_call: u32,
    pub(super) stop: Option<(Option<Atom>, StopReason)>,
    pub(super) text_sent: bool,
    pub(super) calls_sent: u32,
    /// A call was withheld, or one was added.
    pub(super) calls_changed: bool,
    /// The policy whose block of a call covers all that have not gone out.
    pub(super) covered_by: Option<&'static str>,
    /// All of it has gone out, the stop included.
    pub(super) released: bool,
    /// What members that watch the turn have decided.
    turn: Turn,
    /// What stands in place of all blocks.
    pub(super) instead: Option<Vec<Item>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    NotAsked,
    Asked,
    Decided,
}

type Asked = FuturesUnordered<BoxFuture<'static, Answered>>;

impl Choice {
    pub(super) fn stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// All of it is here, decided and unchanged, and nothing is to be added.
    pub(super) fn untouched(&self) -> bool {
        self.stopped()
            && self.notices.is_empty()
            && self.added.is_empty()
            && self.slots.iter().all(|slot| slot.decided() && !slot.changed)
    }

    /// No text is behind one of the client's calls.
    pub(super) fn texts_come_first(&self) -> bool {
        let mut from_call = self.slots.iter().skip_while(|slot| slot.lane != Lane::Call);
        from_call.all(|slot| slot.lane != Lane::Text)
    }

    /// Content is in hand that has not gone out.
    pub(super) fn holds(&self) -> bool {
        self.slots.iter().any(|slot| slot.is_held() && !slot.done)
    }

    /// A block begins.
    pub(super) fn begin(&mut self, id: BlockId, kind: Kind, inner: &Inner) {
        let watch = inner.watch();
        let (lane, mut hold, call, tool) = match &kind {
            Kind::Text => (
                Lane::Text,
                match watch.text {
                    TextWatch::None => Hold::Live,
                    TextWatch::Streamed => Hold::Transform,
                    TextWatch::Whole => Hold::Verdict,
                },
                String::new(),
                String::new(),
            ),
            Kind::Call { form, id, name, .. } => {
                let lane = if *form == ToolForm::Server { Lane::ServerCall } else { Lane::Call };
                let hold = if watch.tool_calls { Hold::Verdict } else { Hold::Live };
                (lane, hold, id.clone(), name.clone())
            }
            Kind::Result { call } => {
                let held = self.slots.iter().any(|slot| slot.is_call(call));
                let hold = if held && watch.tool_calls { Hold::Verdict } else { Hold::Live };
                (Lane::Result(call.clone()), hold, String::new(), String::new())
            }
            Kind::Thinking | Kind::Opaque(_) => (Lane::InPlace, Hold::Live, String::new(), String::new()),
        };
        if watch.turn {
            hold = Hold::Verdict;
        }
        let sees = inner.sees();
        let build = sees.tool_calls || sees.turn || sees.text == TextWatch::Whole || inner.shadows_text();
        self.slots.push(Slot {
            id,
            lane,
            hold,
            atoms: VecDeque::new(),
            builder: build.then(|| BlockBuilder::new(kind)),
            ended: false,
            outcome: None,
            done: false,
            at: None,
            start: None,
            changed: false,
            likeness: Vec::new(),
            flushed: false,
            end_sent: false,
            transform_began: None,
            call,
            tool,
            asked: false,
            finished: None,
        });
    }

    /// The block with this id that has not ended.
    pub(super) fn open_slot(&mut self, id: BlockId) -> Option<&mut Slot> {
        self.slots.iter_mut().rev().find(|slot| slot.id == id && !slot.ended)
    }

    /// The text block whose start waits for its first text, if what comes now comes within it.
    pub(super) fn withheld_start(&mut self) -> Option<&mut Slot> {
        self.slots.last_mut().filter(|slot| slot.hold == Hold::Transform && slot.start.is_some() && !slot.ended)
    }

    /// A block has ended. A call without arguments waits for what comes next: if that is the token limit, it was cut off.
    pub(super) fn ended(&mut self, id: BlockId, inner: &Arc<Inner>, asked: &mut Asked) {
        let Some(slot) = self.open_slot(id) else { return };
        slot.ended = true;
        let bare = matches!(slot.lane, Lane::Call | Lane::ServerCall) && !slot.has_arguments();
        if !bare {
            self.judge_waiting(inner, asked, false);
        }
    }

    /// Asks about every ended block that has not been asked about. `cut_off`: the answer ended with the last one.
    pub(super) fn judge_waiting(&mut self, inner: &Arc<Inner>, asked: &mut Asked, cut_off: bool) {
        let last = self.slots.len().wrapping_sub(1);
        for at in 0..self.slots.len() {
            let slot = &mut self.slots[at];
            if !slot.ended || slot.asked {
                continue;
            }
            slot.asked = true;
            let Some(builder) = slot.builder.take() else {
                if slot.is_held() {
                    slot.outcome = Some(Outcome::default());
                }
                continue;
            };
            let block = builder.finish(cut_off && at == last);
            let (id, earlier) = (slot.id, Arc::clone(&self.earlier));
            let judged = matches!(slot.lane, Lane::Text | Lane::Call | Lane::ServerCall);
            if slot.is_held() && judged {
                let (inner, block) = (Arc::clone(inner), block.clone());
                asked.push(Box::pin(async move {
                    Answered::Block { choice: id.choice, slot: at, outcome: inner.decide(id, block, earlier).await }
                }));
            } else if slot.is_held() {
                slot.outcome = Some(Outcome::default());
            } else if judged {
                inner.only_shadow(id, &block, &earlier);
            }
            slot.finished = Some(self.earlier.len());
            Arc::make_mut(&mut self.earlier).push(Arc::new(block));
        }
    }

    /// The choice has ended.
    pub(super) fn stop(
        &mut self,
        atom: Option<Atom>,
        reason: StopReason,
        cut_off: bool,
        inner: &Arc<Inner>,
        asked: &mut Asked,
    ) {
        for slot in &mut self.slots {
            slot.ended = true;
        }
        self.judge_waiting(inner, asked, cut_off);
        self.notice(inner.closing());
        self.stop = Some((atom, reason));
        self.ask_about_turn(inner, asked);
    }

    /// Once everything in it is decided, asks about the whole turn.
    pub(super) fn ask_about_turn(&mut self, inner: &Arc<Inner>, asked: &mut Asked) {
        let ready = self.stopped() && self.slots.iter().all(Slot::decided);
        if !inner.sees().turn || self.turn != Turn::NotAsked || !ready {
            return;
        }
        let mut blocks: Vec<Block> = Vec::new();
        for slot in &self.slots {
            match slot.outcome.as_ref().and_then(|outcome| outcome.items.as_ref()) {
                None => {
                    blocks.extend(slot.finished.and_then(|at| self.earlier.get(at)).map(|block| Block::clone(block)));
                }
                Some(items) => blocks.extend(items.iter().filter_map(|item| match item {
                    Item::Block(block) => Some(block.clone()),
                    Item::Message(_) => None,
                })),
            }
        }
        let choice = self.slots.first().map_or(0, |slot| slot.id.choice);
        let inner_of_turn = Arc::clone(inner);
        let ask = async move {
            let (items, notices) = inner_of_turn.decide_turn(blocks).await;
            Answered::Turn(choice, items, notices)
        };
        self.turn = Turn::Asked;
        asked.push(Box::pin(ask));
    }

    /// Members that watch the turn still have to decide.
    pub(super) fn awaits_turn(&self, inner: &Inner) -> bool {
        inner.watch().turn && self.turn != Turn::Decided
    }

    /// Calls have begun to go out, and the choice has not ended.
    pub(super) fn has_let_calls_out(&self) -> bool {
        self.calls_sent > 0 && !self.released
    }

    /// Texts to show, each once.
    fn notice(&mut self, notices: Vec<String>) {
        for notice in notices {
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }

    /// A block was decided.
    pub(super) fn answered(&mut self, slot: usize, mut outcome: Outcome) {
        self.notice(std::mem::take(&mut outcome.notices));
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.changed = outcome.items.is_some();
            self.covered_by = outcome.covers_turn.or(self.covered_by);
            slot.outcome = Some(outcome);
        }
    }

    /// The turn was decided.
    pub(super) fn turn_answered(&mut self, items: Option<Vec<Item>>, notices: Vec<String>) {
        self.notice(notices);
        self.instead = items;
        self.turn = Turn::Decided;
    }

    /// Where a block covers the turn, withholds the calls that were allowed and have not begun to go out, the model's and
    /// those that a policy has put in place of something.
    pub(super) fn cover(&mut self, inner: &Inner) {
        let Some(policy) = self.covered_by else { return };
        for slot in &mut self.slots {
            if !slot.is_held() || slot.done || slot.at.is_some() {
                continue;
            }
            if let Some(items) = slot.outcome.as_mut().and_then(|outcome| outcome.items.as_mut()) {
                inner.cover_items(policy, slot.id, items);
            } else if matches!(slot.lane, Lane::Call | Lane::ServerCall) {
                let items = vec![inner.covered(policy, slot.id, &slot.call, &slot.tool)];
                slot.outcome = Some(Outcome { items: Some(items), ..Outcome::default() });
                slot.changed = true;
            }
        }
        self.added.clear();
    }

    /// The call that a result belongs to was withheld.
    pub(super) fn withheld(&self, call: &str) -> bool {
        self.slots.iter().any(|slot| slot.is_call(call) && slot.changed)
    }

    /// The call that a result belongs to has been decided.
    pub(super) fn call_decided(&self, call: &str) -> bool {
        self.slots.iter().filter(|slot| slot.is_call(call)).all(Slot::decided)
    }
}

impl Slot {
    /// It is the call of this id.
    fn is_call(&self, id: &str) -> bool {
        matches!(self.lane, Lane::Call | Lane::ServerCall) && self.call == id
    }

    fn has_arguments(&self) -> bool {
        self.builder.as_ref().is_none_or(BlockBuilder::has_text)
    }
}
