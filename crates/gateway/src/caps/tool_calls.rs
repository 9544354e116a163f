//! Tool calls beyond a cap are withheld like those that a policy blocks, whichever policies are in force, or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use luthien_policy::contract::{Answer, Policy, PolicyError, Review, ReviewContext, Watch};
use luthien_policy::plan::Plan;
use luthien_policy::tree::Tree;
use luthien_wire::turn::{Block, ToolCall};

/// At most so many calls in an answer.
#[derive(Clone, Copy, Debug)]
struct ToolCallCap {
    most: u32,
    /// Whose cap it is, in a word.
    of: &'static str,
}

/// What stands in front of all policies.
pub(super) fn plan(most: u32, of: &'static str) -> Plan {
    Plan::new(Tree::of(ToolCallCap { most, of }))
}

struct Counted {
    cap: ToolCallCap,
    calls: AtomicU32,
}

impl Policy for ToolCallCap {
    fn name(&self) -> &'static str {
        "tool_call_cap"
    }

    fn watches(&self) -> Watch {
        // A call that cannot be read is a call.
        Watch { tool_calls: true, unreadable_calls: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Counted { cap: *self, calls: AtomicU32::new(0) })
    }
}

impl Review for Counted {
    fn tool_call<'a>(
        &'a self,
        call: &'a ToolCall,
        _earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        let ToolCallCap { most, of } = self.cap;
        // Counted when asked, which is in the order of the calls.
        let before = self.calls.fetch_update(Ordering::AcqRel, Ordering::Acquire, |calls| calls.checked_add(1));
        let answer = if before.is_ok_and(|before| before < most) {
            Answer::pass()
        } else {
            let name: String = call.name.chars().filter(|c| !c.is_control()).take(100).collect();
            Answer::block(format!(
                "[Blocked: the cap `tool_calls_per_turn` of this {of} is reached: {most} in one answer. The call of the tool `{name}` was not made.]"
            ))
            .because(format!("more than {most} tool calls in one answer"))
        };
        Box::pin(async move { Ok(answer) })
    }
}
