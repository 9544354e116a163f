//! How long policies take to decide about one tool call or text, on one core, engine and record apart.
//!
//! Prints a line of JSON for each policy and subject: microseconds a decision in each round.

mod contenders;

use std::error::Error;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contenders::{Contender, Subject};
use futures_util::FutureExt as _;
use luthien_policy::catalogue::{LoadEnv, PolicySpec, load};
use luthien_policy::contract::{Policy, ReviewContext, Watch};
use luthien_wire::turn::BlockId;
use serde_json::json;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long one measurement goes on, at least.
const AT_LEAST: Duration = Duration::from_millis(150);

/// Where the text stands.
const BLOCK: BlockId = BlockId { choice: 0, block: 0 };

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let context = contenders::context()?;
    for Contender { name, class, config } in contenders::contenders() {
        let loaded = load(&PolicySpec::new(class, config), &LoadEnv::default())?;
        let policies: Vec<Arc<dyn Policy>> = loaded.tree.policies().into_iter().cloned().collect();
        for (subject, said) in contenders::subjects() {
            let micros: Vec<f64> = (0..=rounds).map(|_| measure(&policies, &context, &said)).collect();
            // The first warms caches and the allocator.
            let line = json!({"policy": name, "subject": subject, "micros": micros.get(1..)});
            writeln!(std::io::stdout(), "{line}")?;
        }
    }
    Ok(())
}

/// Microseconds a decision: a review is opened for each, as each request has its own.
fn measure(policies: &[Arc<dyn Policy>], context: &Arc<ReviewContext>, said: &Subject) -> f64 {
    let began = Instant::now();
    let mut decisions = 0_u32;
    while began.elapsed() < AT_LEAST {
        for policy in policies {
            let review = policy.review(context);
            decide(policy.watches(), review.as_ref(), black_box(said));
        }
        decisions += 1;
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(decisions)
}

/// None of these policies waits for anything.
fn decide(watch: Watch, review: &dyn luthien_policy::contract::Review, said: &Subject) {
    match said {
        Subject::Call(call) if watch.tool_calls => {
            black_box(review.tool_call(call, &[]).now_or_never());
        }
        Subject::Text(text) => {
            black_box(review.text_delta(BLOCK, text));
            black_box(review.text_end(BLOCK));
            black_box(review.text(text, &[]).now_or_never());
        }
        Subject::Call(_) => {}
    }
}
