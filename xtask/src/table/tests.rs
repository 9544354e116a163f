//! Medians and columns.

use super::{columns, median};

#[test]
fn the_median_is_the_middle() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0]), Some(3.0));
    assert_eq!(median(&[9.0, 1.0, 3.0]), Some(3.0));
    assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
}

#[test]
fn columns_line_up() {
    let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
    let table = columns(&[row(&["call", "per second"]), row(&["small, no policy", "7"])]);
    assert_eq!(table, "call              per second\nsmall, no policy           7");
}
