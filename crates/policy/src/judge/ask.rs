//! Asking a judge until it answers: retries, their delays, and the second upstream.

use std::time::Duration;

use super::{JudgeError, JudgeRequest, JudgeRoute, Route};
use crate::contract::ReviewContext;

/// The longest wait between two tries.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// How a policy asks its judge.
#[derive(Clone, Debug, PartialEq)]
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
}

/// Why there is no verdict, after all tries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// No answer.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// An answer that is not exactly one verdict.
    #[error("the judge's answer is unreadable: {0}")]
    Unreadable(String),
}

impl Asker {
    /// The judge's verdict on `prompt` under the instructions `system`, as `read` reads it.
    pub(crate) async fn ask<T>(
        &self,
        context: &ReviewContext,
        system: &str,
        prompt: &str,
        read: fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let mut route = &self.route.first;
        let second = self.route.second.as_ref().map(|second| JudgeRoute::Provider(second.provider.clone()));
        let mut delay = self.delay;
        let mut left = self.retries;
        loop {
            let failure = match context.judges.ask(self.request(system, prompt, route)).await {
                Ok(answer) => match read(&answer) {
                    Ok(verdict) => return Ok(verdict),
                    Err(why) => Failure::Unreadable(why),
                },
                Err(error) => Failure::Judge(error),
            };
            if let (Failure::Judge(JudgeError::Refused(why)), Some(next)) = (&failure, &second)
                && route != next
            {
                self.note_fallback(context, why);
                route = next;
                continue;
            }
            if left == 0 || !self.may_retry(&failure) {
                return Err(failure);
            }
            left -= 1;
            tokio::time::sleep(delay).await;
            delay = delay.saturating_mul(2).min(LONGEST_DELAY);
        }
    }

    fn may_retry(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Judge(JudgeError::Unavailable(_) | JudgeError::TimedOut(_)) => true,
            Failure::Judge(JudgeError::Refused(_)) => false,
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
            via: route.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
