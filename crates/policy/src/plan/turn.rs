//! The whole turn: members that watch it, after those that watch its parts.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use luthien_wire::turn::Block;
use tokio::time::Instant;

use super::steps::Step;
use super::{Inner, Item, Ledger, Opened};
use crate::contract::{Action, Target};
use crate::people::Question;
use crate::tree::{Strategy, Weight};

/// A turn on its way through the members.
#[derive(Clone, Debug, Default)]
struct Passage {
    blocks: Arc<Vec<Block>>,
    /// What stands in its place: other blocks, or a block message.
    instead: Option<Vec<Item>>,
    blocked: bool,
    /// An enforced member has looked at it.
    asked: bool,
    notices: Vec<String>,
    questions: Vec<(&'static str, Question)>,
}

impl Passage {
    /// None where nobody looked at it.
    fn weight(&self) -> Option<Weight> {
        self.asked.then_some(match self {
            Self { blocked: true, .. } => Weight::Blocks,
            Self { questions, .. } if !questions.is_empty() => Weight::Asks,
            Self { instead: Some(_), .. } => Weight::Changes,
            _ => Weight::Passes,
        })
    }
}

impl Inner {
    /// Asks the members that watch whole turns. `None`: it goes on as it is. With it, what the user is to be shown.
    pub(crate) async fn decide_turn(self: Arc<Self>, blocks: Vec<Block>) -> (Option<Vec<Item>>, Vec<String>) {
        let ledger = Ledger::enforced(&self);
        let before = Passage { blocks: Arc::new(blocks), ..Passage::default() };
        let mut passage = self.run_turn(&self.steps, before, self.deadline(), &ledger).await;
        let questions = std::mem::take(&mut passage.questions);
        if !questions.is_empty() && !passage.blocked {
            let shown = passage.blocks.iter().map(|block| Arc::new(block.clone())).collect();
            if let Err(denied) = self.ask_people(Target::Turn, questions, shown, &ledger).await {
                passage.instead = Some(vec![Item::Message(denied)]);
            }
        }
        (passage.instead, passage.notices)
    }

    fn run_turn<'a>(
        self: &'a Arc<Self>,
        steps: &'a [Step],
        mut passage: Passage,
        deadline: Instant,
        ledger: &'a Ledger<'a>,
    ) -> BoxFuture<'a, Passage> {
        Box::pin(async move {
            for step in steps {
                if passage.blocked {
                    break;
                }
                match step {
                    Step::One(at) => {
                        if let Some(member) = self.members.get(*at).filter(|member| member.watch.turn) {
                            self.turn_through(member, &mut passage, deadline, ledger).await;
                        }
                    }
                    Step::Shadow(steps) => {
                        let (inner, steps) = (Arc::clone(self), Arc::clone(steps));
                        let copy = Passage { blocks: Arc::clone(&passage.blocks), ..Passage::default() };
                        self.tasks.spawn(async move {
                            inner.run_turn(&steps, copy, inner.deadline(), &Ledger::shadow(&inner)).await;
                        });
                    }
                    Step::Branch(fork) => {
                        for steps in fork.taken(&self.context.request, &self.context) {
                            passage = self.run_turn(steps, passage, deadline, ledger).await;
                        }
                    }
                    Step::Parallel(strategy, members) => {
                        self.turn_group(*strategy, members, &mut passage, deadline, ledger).await;
                    }
                }
            }
            passage
        })
    }

    async fn turn_through(&self, member: &Opened, passage: &mut Passage, deadline: Instant, ledger: &Ledger<'_>) {
        let blocks = Arc::clone(&passage.blocks);
        let question = async { member.review.turn(&blocks).await };
        let answer = ledger.ask(member, &Target::Turn, deadline, question).await;
        passage.asked = true;
        passage.notices.extend(answer.notices);
        match answer.action {
            Action::Pass => {}
            Action::Ask(question) => passage.questions.push((member.policy.name(), question)),
            Action::Block(message) => {
                passage.instead = Some(vec![Item::Message(message)]);
                passage.blocked = true;
            }
            Action::Replace(new) => {
                let new: Vec<Block> = new.into_iter().map(|block| self.named(block)).collect();
                passage.instead = Some(new.iter().cloned().map(Item::Block).collect());
                passage.blocks = Arc::new(new);
            }
        }
    }

    async fn turn_group<'a>(
        self: &'a Arc<Self>,
        strategy: Strategy,
        members: &'a [Arc<[Step]>],
        passage: &mut Passage,
        deadline: Instant,
        ledger: &'a Ledger<'a>,
    ) {
        let ledgers: Vec<Ledger<'_>> = members.iter().map(|_| ledger.of_member()).collect();
        let asked = members.iter().zip(&ledgers).map(|(steps, ledger)| {
            let before = Passage { blocks: Arc::clone(&passage.blocks), ..Passage::default() };
            self.run_turn(steps, before, deadline, ledger)
        });
        let answers = join_all(asked).await;
        let weights: Vec<Option<Weight>> = answers.iter().map(Passage::weight).collect();
        let counts = strategy.choose(&weights);
        for (at, (answer, ledger)) in answers.into_iter().zip(&ledgers).enumerate() {
            let chosen = counts == Some(at);
            if !chosen && !matches!(weights.get(at), Some(None | Some(Weight::Passes))) {
                ledger.overrule();
                continue;
            }
            passage.notices.extend(answer.notices);
            passage.asked |= weights.get(at).is_some_and(Option::is_some);
            if chosen {
                passage.blocks = answer.blocks;
                passage.instead = answer.instead.or(passage.instead.take());
                passage.blocked |= answer.blocked;
                passage.questions.extend(answer.questions);
            }
        }
    }
}
