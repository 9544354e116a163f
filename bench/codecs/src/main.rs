//! How many bytes a second the codecs take, on one core, beside a scan for line ends of the same bytes.
//!
//! Prints a line of JSON for each measurement: dialect, shape, what was done, bytes a second in each round.

mod answers;
mod work;

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use answers::Shape;
use luthien_wire::Dialect;
use serde_json::json;
use work::WORK;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many bytes of answers there are, so that they do not all fit a core's own caches.
const BYTES: usize = 8 << 20;

/// How long one measurement goes on, at least.
const AT_LEAST: Duration = Duration::from_millis(150);

fn main() -> std::io::Result<()> {
    let rounds: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    for dialect in Dialect::ALL {
        for shape in Shape::ALL {
            let answer = answers::answer(dialect, shape);
            let copies = vec![answer.clone(); BYTES / answer.len()];
            let mut speeds: Vec<Vec<f64>> = WORK.iter().map(|_| Vec::new()).collect();
            for round in 0..=rounds {
                for (work, speeds) in WORK.iter().zip(&mut speeds) {
                    let mut copies = copies.iter().cycle();
                    let speed = measure(|| copies.next().and_then(|answer| (work.run)(dialect, answer)));
                    // The first warms caches and the allocator.
                    if round > 0 {
                        speeds.push(speed.map_or(0.0, |passes| passes * precise(answer.len())));
                    }
                }
            }
            for (work, speeds) in WORK.iter().zip(speeds) {
                let line = json!({"dialect": dialect.name(), "shape": shape.name(), "bytes": answer.len(), "work": work.name, "speeds": speeds});
                writeln!(std::io::stdout(), "{line}")?;
            }
        }
    }
    Ok(())
}

/// Passes a second; none where the work cannot be done.
fn measure(mut pass: impl FnMut() -> Option<usize>) -> Option<f64> {
    let began = Instant::now();
    let mut passes = 0_u32;
    while began.elapsed() < AT_LEAST {
        black_box(pass()?);
        passes += 1;
    }
    Some(f64::from(passes) / began.elapsed().as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "answers have less than 2^52 bytes")]
fn precise(count: usize) -> f64 {
    count as f64
}
