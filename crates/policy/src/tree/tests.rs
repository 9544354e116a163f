//! Which answer of a group counts.

use rstest::rstest;

use super::Weight::{Asks, Blocks, Changes, Passes};
use super::*;

#[rstest]
#[case(Strategy::FirstBlock, &[Changes, Asks, Blocks, Blocks], Some(2))]
#[case(Strategy::FirstBlock, &[Passes, Changes, Asks], Some(2))]
#[case(Strategy::FirstBlock, &[Passes, Changes, Changes], Some(1))]
#[case(Strategy::FirstBlock, &[Passes, Passes], None)]
#[case(Strategy::MostRestrictive, &[Changes, Blocks, Asks, Blocks], Some(1))]
#[case(Strategy::MostRestrictive, &[Changes, Asks], Some(1))]
#[case(Strategy::UnanimousPass, &[Passes, Changes, Passes], Some(1))]
#[case(Strategy::UnanimousPass, &[Passes, Passes], None)]
#[case(Strategy::MajorityPass, &[Passes, Blocks, Passes], None)]
#[case(Strategy::MajorityPass, &[Passes, Blocks], Some(1))]
#[case(Strategy::MajorityPass, &[Passes, Changes, Blocks], Some(2))]
#[case(Strategy::Designated(1), &[Blocks, Passes], None)]
#[case(Strategy::Designated(1), &[Passes, Changes], Some(1))]
#[case(Strategy::Designated(7), &[Blocks], None)]
#[case(Strategy::MajorityPass, &[], None)]
fn the_strategy_says_whose_answer_counts(
    #[case] strategy: Strategy,
    #[case] weights: &[Weight],
    #[case] counts: Option<usize>,
) {
    let answers: Vec<_> = weights.iter().copied().map(Some).collect();
    assert_eq!(strategy.choose(&answers), counts);
}

#[rstest]
#[case(Strategy::MajorityPass, &[None, Some(Blocks), None], Some(1))]
#[case(Strategy::MajorityPass, &[None, Some(Passes), None], None)]
#[case(Strategy::UnanimousPass, &[None, Some(Passes), Some(Changes)], Some(2))]
#[case(Strategy::Designated(0), &[None, Some(Blocks)], None)]
fn who_was_not_asked_has_no_voice(
    #[case] strategy: Strategy,
    #[case] answers: &[Option<Weight>],
    #[case] counts: Option<usize>,
) {
    assert_eq!(strategy.choose(answers), counts);
}
