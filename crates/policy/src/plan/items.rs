//! What stands in a block's place after each member in turn has answered about it.

use std::sync::Arc;

use luthien_wire::turn::{Block, BlockId, ToolCall};
use tokio::time::Instant;

use super::{Decision, Inner, Opened, Panicked};
use crate::contract::{Action, Answer, BlockScope, Mode, Target, TextWatch};
use crate::message::tool_name;

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
    /// The block itself was withheld.
    pub(crate) blocked: bool,
    /// The policy whose block covers the turn's other calls.
    pub(crate) covers_turn: Option<&'static str>,
}

impl Inner {
    /// Asks all members about a block.
    pub(crate) async fn decide(self: Arc<Self>, id: BlockId, block: Block, earlier: Arc<Vec<Arc<Block>>>) -> Outcome {
        let deadline = self.deadline();
        let mut items = vec![Item::Block(block)];
        let mut outcome = Outcome::default();
        for at in 0..self.members.len() {
            if self.members[at].mode == Mode::Shadow {
                self.shadow(at, id, items.clone(), &earlier);
                continue;
            }
            let mut next = Vec::with_capacity(items.len());
            for item in items {
                self.one(&self.members[at], id, item, &earlier, deadline, &mut next, &mut outcome).await;
            }
            items = next;
        }
        if outcome.items.is_some() {
            outcome.items = Some(items);
        }
        outcome
    }

    /// Asks the shadow members about a block that nothing holds.
    pub(crate) fn only_shadow(self: &Arc<Self>, id: BlockId, block: &Block, earlier: &Arc<Vec<Arc<Block>>>) {
        for at in 0..self.members.len() {
            if self.members[at].mode == Mode::Shadow {
                self.shadow(at, id, vec![Item::Block(block.clone())], earlier);
            }
        }
    }

    /// Asks one shadow member, on a task of its own that outlives the response.
    fn shadow(self: &Arc<Self>, at: usize, id: BlockId, items: Vec<Item>, earlier: &Arc<Vec<Arc<Block>>>) {
        let inner = Arc::clone(self);
        let earlier = Arc::clone(earlier);
        self.tasks.spawn(async move {
            let deadline = inner.deadline();
            for item in items {
                let mut unused = Vec::new();
                let member = &inner.members[at];
                inner.one(member, id, item, &earlier, deadline, &mut unused, &mut Outcome::default()).await;
            }
        });
    }

    #[expect(clippy::too_many_arguments, reason = "one step of a loop that two callers share")]
    async fn one(
        &self,
        member: &Opened,
        id: BlockId,
        item: Item,
        earlier: &[Arc<Block>],
        deadline: Instant,
        next: &mut Vec<Item>,
        outcome: &mut Outcome,
    ) {
        let answer = match &item {
            Item::Block(Block::Text(text)) if member.watch.text == TextWatch::Whole => {
                let target = Target::Text { block: id };
                self.ask(member, &target, deadline, async { member.review.text(text, earlier).await }).await
            }
            Item::Block(Block::Text(text)) if member.watch.text == TextWatch::Streamed => {
                match self.transform_whole(member, id, text) {
                    Ok(new) if new == *text => Answer::pass(),
                    Ok(new) => Answer { action: Action::Replace(vec![Block::Text(new)]), ..Answer::default() },
                    Err(Panicked(message)) => Answer::block(message),
                }
            }
            Item::Block(Block::ToolCall(call)) if member.watch.tool_calls => {
                self.ask_about_call(member, id, call, earlier, deadline).await
            }
            _ => return next.push(item),
        };
        outcome.notices.extend(answer.notices);
        match answer.action {
            Action::Pass => next.push(item),
            Action::Block(message) => {
                outcome.items = Some(Vec::new());
                outcome.blocked = true;
                let covers = answer.scope == BlockScope::Turn;
                outcome.covers_turn = covers.then(|| member.policy.name()).or(outcome.covers_turn);
                next.push(Item::Message(message));
            }
            Action::Replace(blocks) => {
                outcome.items = Some(Vec::new());
                next.extend(blocks.into_iter().map(|block| Item::Block(self.named(block))));
            }
        }
    }

    async fn ask_about_call(
        &self,
        member: &Opened,
        id: BlockId,
        call: &ToolCall,
        earlier: &[Arc<Block>],
        deadline: Instant,
    ) -> Answer {
        let target = Target::ToolCall { block: id, id: call.id.clone(), name: call.name.clone() };
        match call.arguments {
            Err(why) if !member.watch.unreadable_calls => {
                self.cannot_ask(member, &target, &format!("the arguments are {why}"))
            }
            _ => self.ask(member, &target, deadline, async { member.review.tool_call(call, earlier).await }).await,
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
        self.decided(Decision {
            policy: member.policy.name(),
            target: Target::Text { block: id },
            action: "replace",
            mode: member.mode,
            failed: false,
            score: None,
            reason: None,
            took: asked.elapsed(),
        });
    }

    /// What stands in place of a call that was allowed, where another one's block covers the turn. Recorded.
    pub(crate) fn covered(&self, policy: &'static str, block: BlockId, id: &str, name: &str) -> Item {
        self.decided(Decision {
            policy,
            target: Target::ToolCall { block, id: id.to_owned(), name: name.to_owned() },
            action: "block",
            mode: Mode::Enforce,
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
    fn named(&self, block: Block) -> Block {
        match block {
            Block::ToolCall(call) if call.id.is_empty() => {
                Block::ToolCall(ToolCall { id: self.fresh_call_id(), ..call })
            }
            other => other,
        }
    }

    /// Asks the members that watch whole turns. `None`: it goes on as it is.
    pub(crate) async fn decide_turn(self: Arc<Self>, blocks: Vec<Block>) -> (Option<Vec<Item>>, Vec<String>) {
        let deadline = self.deadline();
        let mut now: Option<Vec<Item>> = None;
        let mut blocks = Arc::new(blocks);
        let mut notices = Vec::new();
        for at in 0..self.members.len() {
            let member = &self.members[at];
            if !member.watch.turn {
                continue;
            }
            if member.mode == Mode::Shadow {
                let (inner, blocks) = (Arc::clone(&self), Arc::clone(&blocks));
                self.tasks.spawn(async move {
                    let member = &inner.members[at];
                    let asked = async { member.review.turn(&blocks).await };
                    inner.ask(member, &Target::Turn, inner.deadline(), asked).await;
                });
                continue;
            }
            let asked = async { member.review.turn(&blocks).await };
            let answer = self.ask(member, &Target::Turn, deadline, asked).await;
            notices.extend(answer.notices);
            match answer.action {
                Action::Pass => {}
                Action::Block(message) => return (Some(vec![Item::Message(message)]), notices),
                Action::Replace(new) => {
                    let new: Vec<Block> = new.into_iter().map(|block| self.named(block)).collect();
                    now = Some(new.iter().cloned().map(Item::Block).collect());
                    blocks = Arc::new(new);
                }
            }
        }
        (now, notices)
    }
}
