//! How long policies take to decide about one tool call or text, on one core, engine and record apart.
//!
//! Prints a line of JSON for each policy and subject: microseconds a decision in each round.

mod contenders;
mod python;

use std::error::Error;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contenders::{Contender, Subject};
use luthien_policy::catalogue::{LoadEnv, PolicySpec, load};
use luthien_policy::contract::{Policy, PolicyError, Review, ReviewContext, TextWatch, Watch};
use luthien_wire::turn::BlockId;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

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
    let runtime = Builder::new_current_thread().enable_all().build()?;
    for Contender { name, class, config } in contenders::contenders() {
        let loaded = load(&PolicySpec::new(class, config), &LoadEnv::default())?;
        let policies: Vec<Arc<dyn Policy>> = loaded.tree.policies().into_iter().cloned().collect();
        rows(name, &policies, &context, &runtime, rounds)?;
    }
    let (_served, policies) = runtime.block_on(async { python::serve() })?;
    rows("Python, over a Unix socket", &policies, &context, &runtime, rounds)
}

/// A line for each subject.
fn rows(
    name: &str,
    policies: &[Arc<dyn Policy>],
    context: &Arc<ReviewContext>,
    runtime: &Runtime,
    rounds: u32,
) -> Result<(), Box<dyn Error>> {
    for (subject, said) in contenders::subjects() {
        let measured = (0..=rounds).map(|_| runtime.block_on(measure(policies, context, &said)));
        let micros = measured.collect::<Result<Vec<f64>, _>>()?;
        // The first warms caches and the allocator.
        let line = json!({"policy": name, "subject": subject, "micros": micros.get(1..)});
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}

/// Microseconds a decision: a review is opened for each, as each request has its own.
async fn measure(
    policies: &[Arc<dyn Policy>],
    context: &Arc<ReviewContext>,
    said: &Subject,
) -> Result<f64, PolicyError> {
    let began = Instant::now();
    let mut decisions = 0_u32;
    while began.elapsed() < AT_LEAST {
        for policy in policies {
            let review = policy.review(context);
            decide(policy.watches(), review.as_ref(), black_box(said)).await?;
        }
        decisions += 1;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(decisions))
}

/// Only the policy in Python waits for anything.
async fn decide(watch: Watch, review: &dyn Review, said: &Subject) -> Result<(), PolicyError> {
    match said {
        Subject::Call(call) if watch.tool_calls => {
            black_box(review.tool_call(call, &[]).await?);
        }
        Subject::Text(text) => {
            black_box(review.text_delta(BLOCK, text));
            black_box(review.text_end(BLOCK));
            if watch.text == TextWatch::Whole {
                black_box(review.text(text, &[]).await?);
            }
        }
        Subject::Call(_) => {}
    }
    Ok(())
}
