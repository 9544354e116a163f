//! Asking a judge until it answers: retries, their delays, and the second upstream; and what it took, for the record.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::access::{Access, digest, remembered_by};
use super::{JudgeAnswer, JudgeError, JudgeRequest, JudgeRoute, Route};
use crate::contract::ReviewContext;

/// The longest wait between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// How a policy asks its judge.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    /// Where.
    pub(crate) route: Route,
    /// The model.
    pub(crate) model: String,
    /// Sampling temperature.
    pub(crate) temperature: f64,
    /// The most tokens of an answer.
    pub(crate) max_tokens: u32,
    /// How often to try again.
    pub(crate) retries: u32,
    /// The wait before the first try again; doubled for each further one.
    pub(crate) delay: Duration,
    /// Whether an unreadable answer is worth another try.
    pub(crate) retry_unreadable: bool,
    /// What all questions to this judge share.
    pub(crate) access: Arc<Access>,
}

/// Why there is no verdict, after all tries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No answer.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// It has failed too often.
    #[error("the judge is left alone for {:.0} s after failures in a row", .0.as_secs_f64().ceil())]
    LeftAlone(Duration),
    /// Too many other questions were under way.
    #[error("the judge was busy with other questions for {0:?}")]
    Busy(Duration),
    /// An answer that is not exactly one verdict.
    #[error("the judge's answer is unreadable: {0}")]
    Unreadable(String),
}

/// What a verdict took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// The question, as a digest in hex.
    pub(crate) digest: String,
    /// The verdict was given before, to the same question.
    pub(crate) cached: bool,
    /// How often it was asked.
    pub(crate) tries: u32,
    /// Tokens over all tries, as far as the judge said.
    pub(crate) input_tokens: u64,
    /// The same for its answers.
    pub(crate) output_tokens: u64,
    /// The model that was asked, where it was another than the policy has.
    pub(crate) model: Option<String>,
}

impl Account {
    /// `data` with the account in it, as `judge`.
    pub(crate) fn in_event(&self, mut data: Value, model: &str) -> Value {
        let Self { digest, cached, tries, input_tokens, output_tokens, model: asked } = self;
        let model = asked.as_deref().unwrap_or(model);
        data["judge"] = json!({
            "model": model, "prompt_digest": digest, "cached": cached, "tries": tries,
            "input_tokens": input_tokens, "output_tokens": output_tokens,
        });
        data
    }
}

impl Asker {
    /// The judge's verdict on `prompt` under the instructions `system`, as `read` reads it, and what it took.
    pub(crate) async fn ask<T>(
        &self,
        context: &ReviewContext,
        system: &str,
        prompt: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> (Result<T, Failure>, Account) {
        let mut account = Account::default();
        let first = self.request(system, prompt, &self.route.first);
        let digest = digest(&first);
        account.digest = blake3::Hash::from(digest).to_hex().to_string();
        let key = remembered_by(&digest, context.judges.version());
        if let Some(Ok(verdict)) = self.access.remembered(&key).map(|answer| read(&answer)) {
            account.cached = true;
            return (Ok(verdict), account);
        }
        let answered = self.until_answered(context, first, read, &mut account).await;
        let verdict = answered.map(|(answer, verdict)| {
            self.access.remember(key, &answer);
            verdict
        });
        (verdict, account)
    }

    async fn until_answered<T>(
        &self,
        context: &ReviewContext,
        mut request: JudgeRequest,
        read: fn(&str) -> Result<T, String>,
        account: &mut Account,
    ) -> Result<(String, T), Failure> {
        let second = self.route.second.as_ref().map(|second| JudgeRoute::Provider(second.provider.clone()));
        let mut delay = self.delay;
        let mut left = self.retries;
        let mut before = None;
        loop {
            let failure = match self.once(context, request.clone(), account).await {
                Ok(JudgeAnswer { text, .. }) => match read(&text) {
                    Ok(verdict) => return Ok((text, verdict)),
                    Err(why) => Failure::Unreadable(why),
                },
                Err(failure) => failure,
            };
            if let (Failure::Judge(JudgeError::Refused(why)), Some(next)) = (&failure, &second)
                && request.via != *next
            {
                self.note_fallback(context, why);
                request.via = next.clone();
                continue;
            }
            if left == 0 || !self.may_retry(&failure) {
                // What made the judge be left alone between two tries says more than that it is.
                return Err(before.filter(|_| matches!(failure, Failure::LeftAlone(_))).unwrap_or(failure));
            }
            before = Some(failure);
            left -= 1;
            tokio::time::sleep(delay).await;
            delay = delay.saturating_mul(2).min(LONGEST_DELAY);
        }
    }

    /// One try.
    async fn once(
        &self,
        context: &ReviewContext,
        request: JudgeRequest,
        account: &mut Account,
    ) -> Result<JudgeAnswer, Failure> {
        let leave = self.access.leave().await?;
        account.tries += 1;
        let patience = self.access.patience();
        let answer = timeout(patience, context.judges.ask(request)).await;
        let answer = answer.unwrap_or(Err(JudgeError::TimedOut(patience)));
        leave.went(answer.as_ref().err(), &self.model);
        if let Ok(answer) = &answer {
            account.model.clone_from(&answer.model);
            account.input_tokens = account.input_tokens.saturating_add(answer.input_tokens.unwrap_or(0));
            account.output_tokens = account.output_tokens.saturating_add(answer.output_tokens.unwrap_or(0));
        }
        Ok(answer?)
    }

    fn may_retry(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Judge(JudgeError::Unavailable(_) | JudgeError::RateLimited(_) | JudgeError::TimedOut(_)) => true,
            Failure::Judge(JudgeError::Refused(_)) | Failure::LeftAlone(_) | Failure::Busy(_) => false,
            Failure::Unreadable(_) => self.retry_unreadable,
        }
    }

    fn note_fallback(&self, context: &ReviewContext, why: &str) {
        let Some(second) = self.route.second.as_ref().filter(|second| second.warn) else { return };
        tracing::warn!(
            transaction_id = %context.transaction_id,
            provider = ?second.provider,
            ?why,
            "the caller's credential was refused for a judge; asking with the server's"
        );
    }

    fn request(&self, system: &str, prompt: &str, route: &JudgeRoute) -> JudgeRequest {
        JudgeRequest {
            model: self.model.clone(),
            system: system.to_owned(),
            prompt: prompt.to_owned(),
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            usual_model: self.route.usual_model,
            via: route.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
