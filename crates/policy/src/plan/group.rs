//! Members that see the same: each is asked, a strategy says whose answer counts, and the others are recorded as overruled.

use std::sync::Arc;

use futures_util::future::join_all;

use super::items::{About, Passage};
use super::steps::Step;
use super::{Inner, Ledger};
use crate::tree::{Strategy, Weight};

impl Inner {
    /// About a block: what becomes of it in the passage.
    pub(super) async fn group<'a>(
        self: &'a Arc<Self>,
        strategy: Strategy,
        members: &'a [Arc<[Step]>],
        about: &'a About<'a>,
        passage: &mut Passage,
        ledger: &'a Ledger<'a>,
    ) {
        let ledgers: Vec<Ledger<'_>> = members.iter().map(|_| ledger.of_member()).collect();
        let asked = members.iter().zip(&ledgers).map(|(steps, ledger)| {
            let before = Passage::of(passage.items.clone());
            self.run(steps, about, before, ledger)
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
                passage.items = answer.items;
                passage.changed |= answer.changed;
                passage.blocked |= answer.blocked;
                passage.covers_turn = answer.covers_turn.or(passage.covers_turn);
                passage.questions.extend(answer.questions);
            }
        }
    }
}
