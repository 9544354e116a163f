//! Asks one policy one thing: under a deadline, surviving its panics, timed and recorded.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::{Decision, Inner, Ledger, Opened};
use crate::contract::{Action, Answer, PolicyError, Target};

impl Inner {
    /// When a decision that begins now must be made.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.options.policy_timeout
    }
}

impl Ledger<'_> {
    /// The member's answer; its `on_error` where it gives none. Recorded. The member is first called within `question`, so that
    /// a panic there is caught as well.
    pub(super) async fn ask(
        &self,
        member: &Opened,
        target: &Target,
        deadline: Instant,
        question: impl Future<Output = Result<Answer, PolicyError>> + Send,
    ) -> Answer {
        let asked = Instant::now();
        let answer = match answered(deadline, self.inner.options.policy_timeout, question).await {
            Ok(answer) => answer,
            Err(why) => member.policy.failed(target, &why),
        };
        self.record_answer(member, target, &answer, asked);
        answer
    }

    /// What stands in for the answer of a member that cannot be asked because of `why`. Recorded.
    pub(crate) fn cannot_ask(&self, member: &Opened, target: &Target, why: &str) -> Answer {
        let answer = member.policy.failed(target, why);
        self.record_answer(member, target, &answer, Instant::now());
        answer
    }

    fn record_answer(&self, member: &Opened, target: &Target, answer: &Answer, asked: Instant) {
        self.record(Decision {
            policy: member.policy.name(),
            target: target.clone(),
            action: action_name(&answer.action),
            mode: self.mode,
            overruled: false,
            failed: answer.failed,
            score: answer.score,
            reason: answer.reason.clone(),
            took: asked.elapsed(),
        });
    }
}

/// The answer, or why there is none.
pub(super) async fn answered<T>(
    deadline: Instant,
    limit: std::time::Duration,
    question: impl Future<Output = Result<T, PolicyError>> + Send,
) -> Result<T, String> {
    match timeout_at(deadline, AssertUnwindSafe(question).catch_unwind()).await {
        Ok(Ok(Ok(answer))) => Ok(answer),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_panic)) => Err("the policy panicked".into()),
        Err(_elapsed) => Err(format!("no decision within {limit:?}")),
    }
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Pass => "pass",
        Action::Replace(blocks) if blocks.is_empty() => "drop",
        Action::Replace(_) => "replace",
        Action::Block(_) => "block",
        Action::Ask(_) => "ask",
    }
}
