//! What stands in a block's place after each member in turn has answered about it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::turn::{Block, BlockId, ToolCall};
use tokio::time::Instant;

use super::steps::Step;
use super::{Decision, Inner, Ledger, Opened, Panicked};
use crate::contract::{Action, Answer, BlockScope, Mode, Target, TextWatch};
use crate::message::tool_name;
use crate::people::Question;
use crate::tree::Weight;

/// A thing that goes out in place of a block.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// The model's, or a policy's in its place: later members see it.
    Block(Block),
    /// A block message: nobody reviews it again.
    Message(String),
}

/// What the members have decided about a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// What goes out instead; `None`: the block, as it came.
    pub(crate) items: Option<Vec<Item>>,
    /// Texts to show before any tool call.
    pub(crate) notices: Vec<String>,
    /// The policy whose block covers the turn's other calls.
    pub(crate) covers_turn: Option<&'static str>,
}

/// What the members are asked about.
pub(super) struct About<'a> {
    pub(super) id: BlockId,
    pub(super) earlier: &'a Arc<Vec<Arc<Block>>>,
    pub(super) deadline: Instant,
}

/// A block on its way through the members.
#[derive(Clone, Debug, Default)]
pub(super) struct Passage {
    pub(super) items: Vec<Item>,
    /// An enforced member has looked at it.
    pub(super) asked: bool,
    pub(super) changed: bool,
    pub(super) blocked: bool,
    pub(super) notices: Vec<String>,
    pub(super) covers_turn: Option<&'static str>,
    /// What persons have to decide, if it is not blocked.
    pub(super) questions: Vec<(&'static str, Question)>,
}

impl Passage {
    pub(super) fn of(items: Vec<Item>) -> Self {
        Self { items, ..Self::default() }
    }

    /// None where nobody looked at it.
    pub(super) fn weight(&self) -> Option<Weight> {
        self.asked.then_some(match self {
            Self { blocked: true, .. } => Weight::Blocks,
            Self { questions, .. } if !questions.is_empty() => Weight::Asks,
            Self { changed: true, .. } => Weight::Changes,
            _ => Weight::Passes,
        })
    }

    /// It is withheld.
    pub(super) fn withhold(&mut self, message: String) {
        self.items = vec![Item::Message(message)];
        (self.changed, self.blocked) = (true, true);
    }
}

impl Inner {
    /// Asks all members about a block, then persons if a member left it to them.
    pub(crate) async fn decide(self: Arc<Self>, id: BlockId, block: Block, earlier: Arc<Vec<Arc<Block>>>) -> Outcome {
        let about = About { id, earlier: &earlier, deadline: self.deadline() };
        let target = target(id, &block);
        let ledger = Ledger::enforced(&self);
        let mut passage = self.run(&self.steps, &about, Passage::of(vec![Item::Block(block)]), &ledger).await;
        if !passage.questions.is_empty() {
            let shown = passage.items.iter().filter_map(|item| match item {
                Item::Block(block) => Some(Arc::new(block.clone())),
                Item::Message(_) => None,
            });
            let questions = std::mem::take(&mut passage.questions);
            // What is withheld anyway is nobody's question.
            let shown: Vec<_> = shown.collect();
            let only_calls = shown.iter().all(|block| matches!(**block, Block::ToolCall(_)));
            if !shown.is_empty() {
                tokio::select! {
                    biased;
                    asked = self.ask_people(target, questions, shown, &ledger) => {
                        if let Err(denied) = asked {
                            passage.withhold(denied);
                        }
                    }
                    // The engine withholds them with the call that was blocked.
                    () = self.covered.until(id.choice), if only_calls => {}
                }
            }
        }
        if passage.covers_turn.is_some() {
            self.covered.cover(id.choice);
        }
        let Passage { items, changed, notices, covers_turn, .. } = passage;
        Outcome { items: changed.then_some(items), notices, covers_turn }
    }

    /// Asks those in the shadow about a block that nothing holds.
    pub(crate) fn only_shadow(self: &Arc<Self>, id: BlockId, block: &Block, earlier: &Arc<Vec<Arc<Block>>>) {
        self.each_shadow(&self.steps, &mut |steps| self.shadow(steps, id, vec![Item::Block(block.clone())], earlier));
    }

    /// Every shadow of the chain.
    pub(super) fn each_shadow(&self, steps: &[Step], visit: &mut dyn FnMut(&Arc<[Step]>)) {
        for step in steps {
            match step {
                Step::Shadow(steps) => visit(steps),
                Step::Branch(fork) => {
                    for steps in fork.taken(&self.context.request, &self.context) {
                        self.each_shadow(steps, visit);
                    }
                }
                Step::Parallel(_, members) => members.iter().for_each(|steps| self.each_shadow(steps, visit)),
                Step::One(_) => {}
            }
        }
    }

    /// Asks those in the shadow, on a task of their own that outlives the response.
    fn shadow(self: &Arc<Self>, steps: &Arc<[Step]>, id: BlockId, items: Vec<Item>, earlier: &Arc<Vec<Arc<Block>>>) {
        let (inner, steps, earlier) = (Arc::clone(self), Arc::clone(steps), Arc::clone(earlier));
        self.tasks.spawn(async move {
            let about = About { id, earlier: &earlier, deadline: inner.deadline() };
            inner.run(&steps, &about, Passage::of(items), &Ledger::shadow(&inner)).await;
        });
    }

    /// Through these steps in order.
    pub(super) fn run<'a>(
        self: &'a Arc<Self>,
        steps: &'a [Step],
        about: &'a About<'a>,
        mut passage: Passage,
        ledger: &'a Ledger<'a>,
    ) -> BoxFuture<'a, Passage> {
        Box::pin(async move {
            for step in steps {
                match step {
                    Step::One(at) => {
                        if let Some(member) = self.members.get(*at) {
                            self.through(member, about, &mut passage, ledger).await;
                        }
                    }
                    Step::Shadow(steps) => self.shadow(steps, about.id, passage.items.clone(), about.earlier),
                    Step::Branch(fork) => {
                        for steps in fork.taken(&self.context.request, &self.context) {
                            passage = self.run(steps, about, passage, ledger).await;
                        }
                    }
                    Step::Parallel(strategy, members) => {
                        self.group(*strategy, members, about, &mut passage, ledger).await;
                    }
                }
            }
            passage
        })
    }

    /// One member, about each item.
    async fn through(&self, member: &Opened, about: &About<'_>, passage: &mut Passage, ledger: &Ledger<'_>) {
        let items = std::mem::take(&mut passage.items);
        for item in items {
            let answer = match &item {
                Item::Block(Block::Text(text)) if member.watch.text == TextWatch::Whole => {
                    let target = Target::Text { block: about.id };
                    let question = async { member.review.text(text, about.earlier).await };
                    ledger.ask(member, &target, about.deadline, question).await
                }
                Item::Block(Block::Text(text)) if member.watch.text == TextWatch::Streamed => {
                    match ledger.transform_whole(member, about.id, text) {
                        Ok(new) if new == *text => Answer::pass(),
                        Ok(new) => Answer { action: Action::Replace(vec![Block::Text(new)]), ..Answer::default() },
                        Err(Panicked(message)) => Answer::block(message),
                    }
                }
                Item::Block(Block::ToolCall(call)) if member.watch.tool_calls => {
                    ledger.ask_about_call(member, about, call).await
                }
                _ => {
                    passage.items.push(item);
                    continue;
                }
            };
            self.take(member, item, answer, passage);
        }
    }

    /// Does to an item what a member has answered about it.
    fn take(&self, member: &Opened, item: Item, answer: Answer, passage: &mut Passage) {
        passage.asked = true;
        passage.notices.extend(answer.notices);
        match answer.action {
            Action::Pass => passage.items.push(item),
            Action::Ask(question) => {
                passage.questions.push((member.policy.name(), question));
                passage.items.push(item);
            }
            Action::Block(message) => {
                (passage.changed, passage.blocked) = (true, true);
                let covers = answer.scope == BlockScope::Turn;
                passage.covers_turn = covers.then(|| member.policy.name()).or(passage.covers_turn);
                passage.items.push(Item::Message(message));
            }
            Action::Replace(blocks) => {
                passage.changed = true;
                passage.items.extend(blocks.into_iter().map(|block| Item::Block(self.named(block))));
            }
        }
    }

    /// What stands in place of a call that was allowed, where another one's block covers the turn. Recorded.
    pub(crate) fn covered(&self, policy: &'static str, block: BlockId, id: &str, name: &str) -> Item {
        self.decided(Decision {
            policy,
            target: Target::ToolCall { block, id: id.to_owned(), name: name.to_owned() },
            action: "block",
            mode: Mode::Enforce,
            overruled: false,
            failed: false,
            score: None,
            reason: Some("another call of the turn was blocked, and the block covers the turn".into()),
            took: std::time::Duration::ZERO,
        });
        let name = tool_name(name);
        Item::Message(format!("[Blocked together with another call of this turn: the tool `{name}`.]"))
    }

    /// The same for the calls that a policy has put in place of a block.
    pub(crate) fn cover_items(&self, policy: &'static str, block: BlockId, items: &mut [Item]) {
        for item in items {
            if let Item::Block(Block::ToolCall(call)) = item {
                *item = self.covered(policy, block, &call.id, &call.name);
            }
        }
    }

    /// The block with an id, if it is a call that a policy made without one.
    pub(super) fn named(&self, block: Block) -> Block {
        match block {
            Block::ToolCall(call) if call.id.is_empty() => {
                Block::ToolCall(ToolCall { id: self.fresh_call_id(), ..call })
            }
            other => other,
        }
    }
}

fn target(id: BlockId, block: &Block) -> Target {
    match block {
        Block::ToolCall(call) => Target::ToolCall { block: id, id: call.id.clone(), name: call.name.clone() },
        Block::Text(_) | Block::Thinking(_) | Block::Opaque { .. } => Target::Text { block: id },
    }
}

impl Ledger<'_> {
    async fn ask_about_call(&self, member: &Opened, about: &About<'_>, call: &ToolCall) -> Answer {
        let target = Target::ToolCall { block: about.id, id: call.id.clone(), name: call.name.clone() };
        match call.arguments {
            Err(why) if !member.watch.unreadable_calls => {
                self.cannot_ask(member, &target, &format!("the arguments are {why}"))
            }
            _ => {
                let question = async { member.review.tool_call(call, about.earlier).await };
                self.ask(member, &target, about.deadline, question).await
            }
        }
    }

    /// Runs a streaming member over a text that is held anyway. Recorded where it changes something.
    fn transform_whole(&self, member: &Opened, id: BlockId, text: &str) -> Result<String, Panicked> {
        let asked = Instant::now();
        let mut new = self.piece(member, id, text)?.unwrap_or_else(|| text.to_owned());
        new.push_str(&self.rest(member, id)?);
        if new != text {
            self.replaced(member, id, asked);
        }
        Ok(new)
    }

    /// Records that a streaming member changed a text.
    pub(crate) fn replaced(&self, member: &Opened, id: BlockId, asked: Instant) {
        self.record(Decision {
            policy: member.policy.name(),
            target: Target::Text { block: id },
            action: "replace",
            mode: self.mode,
            overruled: false,
            failed: false,
            score: None,
            reason: None,
            took: asked.elapsed(),
        });
    }
}
