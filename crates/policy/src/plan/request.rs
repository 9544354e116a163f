//! The request, before it is sent: each member in turn.

use luthien_wire::request::Request;
use std::sync::Arc;
use tokio::time::Instant;

use super::ask::answered;
use super::{Decision, Inner, Opened, Reviews};
use crate::contract::{Action, Mode, RequestAction, RequestAnswer, Target};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum RequestOutcome {
    /// It is sent.
    Send {
        /// As it is to be sent.
        request: Request,
        /// A policy changed it.
        changed: bool,
    },
    /// It is not sent; the client gets a turn with this text.
    Blocked(String),
}

impl Reviews {
    /// Asks the members that watch requests.
    pub async fn request(&self, request: Request) -> RequestOutcome {
        let inner = &self.0;
        let deadline = inner.deadline();
        let mut request = request;
        let mut changed = false;
        for (at, member) in inner.members.iter().enumerate() {
            if !member.watch.request {
                continue;
            }
            if member.mode == Mode::Shadow {
                let (inner, copy) = (Arc::clone(inner), request.clone());
                self.0.tasks.spawn(async move {
                    let deadline = inner.deadline();
                    inner.ask_request(&inner.members[at], &copy, deadline).await;
                });
                continue;
            }
            match inner.ask_request(member, &request, deadline).await {
                RequestAction::Pass => {}
                RequestAction::Replace(new) => {
                    request = new;
                    changed = true;
                }
                RequestAction::Block(message) => return RequestOutcome::Blocked(message),
            }
        }
        RequestOutcome::Send { request, changed }
    }
}

impl Inner {
    async fn ask_request(&self, member: &Opened, request: &Request, deadline: Instant) -> RequestAction {
        let asked = Instant::now();
        let question = async { member.review.request(request).await };
        let answer = match answered(deadline, self.options.policy_timeout, question).await {
            Ok(answer) => answer,
            Err(why) => {
                let failed = member.policy.failed(&Target::Request, &why);
                let action = match failed.action {
                    Action::Block(message) => RequestAction::Block(message),
                    Action::Pass | Action::Replace(_) => RequestAction::Pass,
                };
                RequestAnswer { action, reason: failed.reason, failed: true }
            }
        };
        self.decided(Decision {
            policy: member.policy.name(),
            target: Target::Request,
            action: match answer.action {
                RequestAction::Pass => "pass",
                RequestAction::Replace(_) => "replace",
                RequestAction::Block(_) => "block",
            },
            mode: member.mode,
            failed: answer.failed,
            score: None,
            reason: answer.reason,
            took: asked.elapsed(),
        });
        answer.action
    }
}
