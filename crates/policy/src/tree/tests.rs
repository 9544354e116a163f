//! Which answer of a group counts.

use rstest::rstest;

use super::Weight::{Asks, Blocks, Changes, Passes};
use super::*;

#[rstest]
#[case(Strategy::FirstBlock, &[Changes, Asks, Blocks, Blocks], Some(2))]
#[case(Strategy::FirstBlock, &[Passes, Changes, Asks], Some(1))]
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
    assert_eq!(strategy.choose(weights), counts);
}
