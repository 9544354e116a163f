//! Converted streams are what the strictest reader takes.

use luthien_testkit::accumulate::accumulate;

use crate::support::{context, converted, pairs, streams};

#[test]
fn well_formed_streams_become_well_formed_streams() {
    let mut wrong = Vec::new();
    for (from, to) in pairs() {
        for fixture in streams(from).filter(|fixture| fixture.well_formed) {
            let (out, converter) = converted(context(from, to), fixture.bytes, usize::MAX);
            if let Err(error) = accumulate(to, &out) {
                wrong.push(format!("{from} {} in {to}: {error} (trouble: {:?})", fixture.name, converter.trouble()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
