//! What the fixtures tell of their tokens is what is counted.

use luthien_testkit::fixtures;
use luthien_wire::Dialect;
use luthien_wire::answer::ending;
use luthien_wire::usage::UsageMeter;

#[test]
fn every_answer_that_ends_well_and_tells_its_usage_is_counted_by_that() {
    for dialect in Dialect::ALL {
        let telling = fixtures::all(dialect).iter().filter(|fixture| fixture.well_formed && fixture.status == 200);
        let mut counted = 0;
        for fixture in telling {
            let told = ending(dialect, fixture.streamed, fixture.bytes).usage.unwrap_or_default();
            let told = |name: &str| told.get(name).and_then(serde_json::Value::as_u64);
            let Some(output) = told("output_tokens").or(told("completion_tokens")) else { continue };
            let mut meter = UsageMeter::new(dialect);
            for piece in fixture.bytes.chunks(7) {
                meter.push(piece);
            }
            let usage = meter.usage(0);
            assert_eq!((usage.output, usage.estimated), (output, false), "{dialect} {}", fixture.name);
            counted += 1;
        }
        assert!(counted > 5, "{dialect}: {counted}");
    }
}
