//! The request, before it is sent: each member in turn.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use futures_util::future::{BoxFuture, join_all};
use luthien_wire::request::Request;
use tokio::time::Instant;

use super::ask::answered;
use super::steps::Step;
use super::{Decision, Inner, Ledger, Opened, Reviews};
use crate::contract::{Action, Refusal, RequestAction, RequestAnswer, Sending, Target};
use crate::people::Question;
use crate::tree::{Strategy, Weight};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum RequestOutcome {
    /// It is sent.
    Send {
        /// As it is to be sent.
        request: Request,
        /// A policy changed it.
        changed: bool,
        /// Where and with what policies want it sent.
        sending: Sending,
    },
    /// It is not sent; the client gets a turn with this text.
    Blocked(String),
    /// It is not sent; the client gets this error.
    Refused(Refusal),
}

/// A request on its way through the members.
#[derive(Clone, Debug)]
struct Passage {
    request: Request,
    changed: bool,
    /// An enforced member has looked at it.
    asked: bool,
    ended: Option<Ended>,
    sending: Sending,
    notices: Vec<String>,
    questions: Vec<(&'static str, Question)>,
}

#[derive(Clone, Debug)]
enum Ended {
    Blocked(String),
    Refused(Refusal),
}

impl Passage {
    fn of(request: Request) -> Self {
        let (sending, notices, questions) = Default::default();
        Self { request, changed: false, asked: false, ended: None, sending, notices, questions }
    }

    /// None where nobody looked at it.
    fn weight(&self) -> Option<Weight> {
        let Self { changed, asked, ended, sending, questions, .. } = self;
        asked.then(|| match (ended, questions.is_empty()) {
            (Some(_), _) => Weight::Blocks,
            (None, false) => Weight::Asks,
            (None, true) if *changed || sending.upstream.is_some() || sending.credential.is_some() => Weight::Changes,
            (None, true) => Weight::Passes,
        })
    }
}

impl Reviews {
    /// Asks the members that watch requests, then persons if a member left it to them. Settles which branches are taken.
    pub async fn request(&self, request: Request) -> RequestOutcome {
        let inner = &self.0;
        let ledger = Ledger::enforced(inner);
        let mut passage = inner.run_request(&inner.steps, Passage::of(request), inner.deadline(), &ledger).await;
        if let Some(ended) = passage.ended {
            return match ended {
                Ended::Blocked(message) => RequestOutcome::Blocked(message),
                Ended::Refused(refusal) => RequestOutcome::Refused(refusal),
            };
        }
        let questions = std::mem::take(&mut passage.questions);
        if !questions.is_empty()
            && let Err(denied) = inner.ask_people(Target::Request, questions, Vec::new(), &ledger).await
        {
            return RequestOutcome::Blocked(denied);
        }
        let asked_for = inner.context.request.model();
        if passage.changed && passage.request.model() != asked_for && !asked_for.is_empty() {
            inner.renamed.store(true, Ordering::Relaxed);
        }
        inner.notices.lock().unwrap_or_else(PoisonError::into_inner).extend(passage.notices);
        RequestOutcome::Send { request: passage.request, changed: passage.changed, sending: passage.sending }
    }
}

impl Inner {
    fn run_request<'a>(
        self: &'a Arc<Self>,
        steps: &'a [Step],
        mut passage: Passage,
        deadline: Instant,
        ledger: &'a Ledger<'a>,
    ) -> BoxFuture<'a, Passage> {
        Box::pin(async move {
            for step in steps {
                if passage.ended.is_some() {
                    break;
                }
                match step {
                    Step::One(at) => {
                        if let Some(member) = self.members.get(*at).filter(|member| member.watch.request) {
                            let answer = ledger.ask_about_request(member, &passage.request, deadline).await;
                            take(member, answer, &mut passage);
                        }
                    }
                    Step::Shadow(steps) => {
                        let (inner, steps) = (Arc::clone(self), Arc::clone(steps));
                        let copy = Passage::of(passage.request.clone());
                        self.tasks.spawn(async move {
                            inner.run_request(&steps, copy, inner.deadline(), &Ledger::shadow(&inner)).await;
                        });
                    }
                    Step::Branch(fork) => {
                        let taken = fork.taken(&passage.request, &self.context);
                        for steps in taken {
                            passage = self.run_request(steps, passage, deadline, ledger).await;
                        }
                    }
                    Step::Parallel(strategy, members) => {
                        self.request_group(*strategy, members, &mut passage, deadline, ledger).await;
                    }
                }
            }
            passage
        })
    }

    async fn request_group<'a>(
        self: &'a Arc<Self>,
        strategy: Strategy,
        members: &'a [Arc<[Step]>],
        passage: &mut Passage,
        deadline: Instant,
        ledger: &'a Ledger<'a>,
    ) {
        let ledgers: Vec<Ledger<'_>> = members.iter().map(|_| ledger.of_member()).collect();
        let asked = members
            .iter()
            .zip(&ledgers)
            .map(|(steps, ledger)| self.run_request(steps, Passage::of(passage.request.clone()), deadline, ledger));
        let answers = join_all(asked).await;
        let weights: Vec<Option<Weight>> = answers.iter().map(Passage::weight).collect();
        let counts = strategy.choose(&weights);
        for (at, (answer, ledger)) in answers.into_iter().zip(&ledgers).enumerate() {
            let chosen = counts == Some(at);
            if !chosen && !matches!(weights.get(at), Some(None | Some(Weight::Passes))) {
                ledger.overrule();
                continue;
            }
            passage.notices.extend(answer.notices);
            passage.asked |= weights.get(at).is_some_and(Option::is_some);
            if chosen {
                passage.request = answer.request;
                passage.changed |= answer.changed;
                passage.ended = answer.ended;
                passage.sending.take(answer.sending);
                passage.questions.extend(answer.questions);
            }
        }
    }
}

/// Does to a request what a member has answered about it.
fn take(member: &Opened, answer: RequestAnswer, passage: &mut Passage) {
    passage.asked = true;
    passage.sending.take(answer.sending);
    passage.notices.extend(answer.notices);
    match answer.action {
        RequestAction::Pass => {}
        RequestAction::Replace(new) => {
            passage.request = new;
            passage.changed = true;
        }
        RequestAction::Block(message) => passage.ended = Some(Ended::Blocked(message)),
        RequestAction::Refuse(refusal) => passage.ended = Some(Ended::Refused(refusal)),
        RequestAction::Ask(question) => passage.questions.push((member.policy.name(), question)),
    }
}

impl Ledger<'_> {
    async fn ask_about_request(&self, member: &Opened, request: &Request, deadline: Instant) -> RequestAnswer {
        let asked = Instant::now();
        let question = async { member.review.request(request).await };
        let answer = match answered(deadline, self.inner.options.policy_timeout, question).await {
            Ok(answer) => answer,
            Err(why) => {
                let failed = member.policy.failed(&Target::Request, &why);
                let action = match failed.action {
                    Action::Block(message) => RequestAction::Block(message),
                    Action::Ask(question) => RequestAction::Ask(question),
                    Action::Pass | Action::Replace(_) => RequestAction::Pass,
                };
                RequestAnswer { action, reason: failed.reason, failed: true, ..RequestAnswer::default() }
            }
        };
        self.record(Decision {
            policy: member.policy.name(),
            target: Target::Request,
            action: match answer.action {
                RequestAction::Pass if answer.sending.upstream.is_some() => "route",
                RequestAction::Pass if answer.sending.credential.is_some() => "credential",
                RequestAction::Pass => "pass",
                RequestAction::Replace(_) => "replace",
                RequestAction::Block(_) => "block",
                RequestAction::Refuse(_) => "refuse",
                RequestAction::Ask(_) => "ask",
            },
            mode: self.mode,
            overruled: false,
            failed: answer.failed,
            score: answer.score,
            reason: answer.reason.clone(),
            took: asked.elapsed(),
        });
        answer
    }
}
