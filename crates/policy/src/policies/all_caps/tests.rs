//! Upper case of any text under any cut.

use luthien_wire::turn::BlockId;
use proptest::prelude::*;

use super::Upper;
use crate::contract::Review;

const BLOCK: BlockId = BlockId { choice: 0, block: 0 };

#[test]
fn letters_without_a_single_capital_grow() {
    assert_eq!(Upper.text_delta(BLOCK, "straße ŉ ﬁn").as_deref(), Some("STRASSE ʼN FIN"));
}

#[test]
fn text_that_is_upper_case_already_is_left_alone() {
    assert_eq!(Upper.text_delta(BLOCK, "ABC 123 ΣΑΣ"), None);
}

proptest! {
    #[test]
    fn the_sum_does_not_depend_on_the_cut(pieces in prop::collection::vec(".{0,6}|[σΣςßiİıǆŉﬃ]{1,4}", 0..8)) {
        let whole = pieces.concat();
        let sum: String = pieces.iter().map(|p| Upper.text_delta(BLOCK, p).unwrap_or_else(|| p.clone())).collect();
        prop_assert_eq!(sum + &Upper.text_end(BLOCK), whole.to_uppercase());
    }
}
