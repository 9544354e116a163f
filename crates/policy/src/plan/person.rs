//! What policies leave to persons: asked last, about what would go out, with a deadline of its own.

use std::sync::Arc;

use luthien_wire::turn::Block;
use tokio::time::{Instant, timeout};

use super::{Decision, Inner, Ledger};
use crate::contract::{OnError, Target};
use crate::people::{Asked, Question, Ruling};

impl Inner {
    /// Puts the questions of one thing together to the people there are. The error is what the client sees in its place.
    pub(super) async fn ask_people(
        &self,
        target: Target,
        questions: Vec<(&'static str, Question)>,
        shown: Vec<Arc<Block>>,
        ledger: &Ledger<'_>,
    ) -> Result<(), String> {
        let streamed = self.context.request.stream() && target != Target::Request;
        let limit = if streamed { self.options.person_timeout_streamed } else { self.options.person_timeout };
        let limit = questions.iter().filter_map(|(_, question)| question.timeout).fold(limit, Ord::min);
        let blocks = questions.iter().any(|(_, question)| question.unanswered == OnError::Block);
        let unanswered = if blocks { OnError::Block } else { OnError::Pass };
        let policy = questions.first().map_or("ask", |(policy, _)| policy);
        let denied = questions.first().map(|(_, question)| question.denied.clone()).unwrap_or_default();
        let policies = questions.into_iter().map(|(policy, question)| (policy, question.why)).collect();
        let asked = Asked { policies, target: target.clone(), shown, timeout: limit, unanswered };
        let began = Instant::now();
        let ruling = timeout(limit, self.context.people.ask(asked, &self.context)).await;
        let (passes, failed, reason, message) = match ruling {
            Ok(Ruling::Allowed { by }) => (true, false, format!("allowed by {by}"), denied),
            Ok(Ruling::Denied { by, message }) => (false, false, format!("denied by {by}"), message.unwrap_or(denied)),
            Ok(Ruling::Unreachable { why }) => (unanswered == OnError::Pass, true, why, denied),
            Err(_elapsed) => (unanswered == OnError::Pass, true, format!("nobody answered within {limit:?}"), denied),
        };
        ledger.record(Decision {
            policy,
            target,
            action: if passes { "pass" } else { "block" },
            mode: ledger.mode,
            overruled: false,
            failed,
            score: None,
            reason: Some(reason),
            took: began.elapsed(),
        });
        if passes { Ok(()) } else { Err(message) }
    }
}
