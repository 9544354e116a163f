//! `tool_call_judge`: a model is asked about each tool call how likely it is harmful; from a threshold on it is blocked.

mod prompt;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use luthien_wire::turn::{Block, ToolCall};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{Answer, BlockScope, Policy, PolicyError, Review, ReviewContext, Target, Watch};
use crate::judge::{
    Access, Account, Asker, DEFAULT_MODEL, Failure, InferenceProvider, JudgeLimits, Route, Unfinished, Verdict,
    conversation,
};
use crate::message::{Feedback, SHOWN, clip, fill, readable_arguments, tool_name};
use crate::tree::Tree;

/// Tries after the first, for a judge that cannot be reached. An answer that is no verdict is not asked for again: that
/// would give a call that steers its judge more than one throw.
const RETRIES: u32 = 2;
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The configuration of `tool_call_judge`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The model that judges.
    #[serde(deserialize_with = "range::some_text")]
    model: String,
    /// A call is blocked if it is harmful with at least this probability.
    #[serde(deserialize_with = "range::probability")]
    #[schemars(range(min = 0.0, max = 1.0))]
    probability_threshold: f64,
    /// The judge's sampling temperature.
    #[serde(deserialize_with = "range::temperature")]
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: f64,
    /// The most tokens that the judge's answer may have.
    #[serde(deserialize_with = "range::tokens")]
    #[schemars(range(min = 1))]
    max_tokens: u32,
    /// What counts as harmful, in place of the built-in instructions. How to answer is added to it.
    judge_instructions: Option<String>,
    /// The text in place of a blocked call where `feedback` is `full`; may hold {tool_name}, {tool_arguments},
    /// {probability} and {explanation}.
    blocked_message_template: Option<String>,
    /// The base URL of the judge's upstream, if it is not the caller's.
    api_base: Option<String>,
    /// Whose credential the judge is asked with.
    #[serde(alias = "auth_provider")]
    inference_provider: Option<InferenceProvider>,
    /// Bounds of the judge, over all requests.
    limits: JudgeLimits,
    /// What the agent is told about a block. `constant` where nothing is said, `full` under the older class names.
    feedback: Option<Feedback>,
    /// What a block covers: the `call` alone, or all calls of the `turn`.
    block_scope: BlockScope,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: DEFAULT_MODEL.to_owned(),
            probability_threshold: 0.6,
            temperature: 0.0,
            max_tokens: 256,
            judge_instructions: None,
            blocked_message_template: None,
            api_base: None,
            inference_provider: None,
            limits: JudgeLimits::default(),
            feedback: None,
            block_scope: BlockScope::Call,
        }
    }
}

#[derive(Debug)]
struct ToolCallJudge {
    judge: Arc<Judge>,
}

#[derive(Debug)]
struct Judge {
    asker: Asker,
    system: String,
    threshold: f64,
    template: String,
    feedback: Feedback,
    scope: BlockScope,
}

struct Judging {
    judge: Arc<Judge>,
    context: Arc<ReviewContext>,
    /// The conversation as the judge sees it, made once for all calls of the answer.
    conversation: OnceLock<Value>,
}

impl Policy for ToolCallJudge {
    fn name(&self) -> &'static str {
        "tool_call_judge"
    }

    fn watches(&self) -> Watch {
        Watch { tool_calls: true, ..Watch::default() }
    }

    /// A call that could not even be asked about is blocked like one without a verdict.
    fn failed(&self, target: &Target, why: &str) -> Answer {
        let call = match target {
            Target::ToolCall { name, .. } => format!("the call of the tool `{}`", tool_name(name)),
            Target::Text { .. } | Target::Turn | Target::Request => "this answer".to_owned(),
        };
        self.judge.without_verdict(&call, why)
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Judging {
            judge: Arc::clone(&self.judge),
            context: Arc::clone(context),
            conversation: OnceLock::new(),
        })
    }
}

impl Judge {
    /// What stands in place of a blocked call.
    fn message(&self, call: &ToolCall, verdict: &Verdict) -> String {
        match self.feedback {
            Feedback::None => "[Blocked.]".to_owned(),
            Feedback::Constant => {
                format!("[Blocked: a policy did not allow this call of the tool `{}`.]", tool_name(&call.name))
            }
            Feedback::Category => format!(
                "[Blocked: a policy did not allow this call of the tool `{}` ({}).]",
                tool_name(&call.name),
                verdict.category.name()
            ),
            Feedback::Full => fill(
                &self.template,
                &[
                    ("tool_name", &tool_name(&call.name)),
                    ("tool_arguments", &readable_arguments(call)),
                    ("probability", &verdict.probability.to_string()),
                    ("explanation", &clip(&verdict.explanation, SHOWN)),
                ],
            ),
        }
    }

    /// The block of `what`, on which there is no verdict because of `why`.
    fn without_verdict(&self, what: &str, why: &str) -> Answer {
        let message = match self.feedback {
            Feedback::None => "[Blocked.]".to_owned(),
            _ => format!("[Blocked: {what} could not be judged: {why}.]"),
        };
        Answer { failed: true, scope: self.scope, ..Answer::block(message).because(why) }
    }
}

impl Judging {
    fn emit(&self, what: &str, data: Value) {
        self.context.events.emit(format!("policy.judge.{what}"), data);
    }

    fn emit_failed(&self, call: &ToolCall, why: &str, account: Option<&Account>) {
        let data = json!({"tool_name": call.name, "error": why});
        let model = &self.judge.asker.model;
        let data = match account {
            Some(account) => account.in_event(data, model),
            None => data,
        };
        self.emit("evaluation_failed", data);
    }

    async fn judged(&self, call: &ToolCall, earlier: &[Arc<Block>]) -> Answer {
        let judge = &self.judge;
        self.emit("evaluation_started", json!({"tool_name": call.name, "model": judge.asker.model}));
        let conversation = self.conversation.get_or_init(|| conversation(&self.context.request.conversation()));
        let prompt = prompt::about(call, conversation, earlier);
        let unfinished = Unfinished::new(|why| self.emit_failed(call, why, None));
        let (verdict, account) = judge.asker.ask(&self.context, &judge.system, &prompt, Verdict::read).await;
        unfinished.finish();
        match verdict {
            Ok(verdict) => self.decided(call, &verdict, &account),
            Err(failure) => self.undecided(call, &failure, &account),
        }
    }

    fn decided(&self, call: &ToolCall, verdict: &Verdict, account: &Account) -> Answer {
        let blocked = verdict.probability >= self.judge.threshold;
        let data = json!({
            "tool_name": call.name,
            "probability": verdict.probability,
            "threshold": self.judge.threshold,
            "explanation": clip(&verdict.explanation, SHOWN),
        });
        self.emit("evaluation_complete", account.in_event(data.clone(), &self.judge.asker.model));
        self.emit(if blocked { "tool_call_blocked" } else { "tool_call_allowed" }, data);
        let answer = if blocked { Answer::block(self.judge.message(call, verdict)) } else { Answer::pass() };
        Answer {
            score: Some(verdict.probability),
            scope: self.judge.scope,
            ..answer.because(clip(&verdict.explanation, SHOWN))
        }
    }

    /// No verdict blocks, and says why, since no one's call caused it.
    fn undecided(&self, call: &ToolCall, failure: &Failure, account: &Account) -> Answer {
        let why = clip(&failure.to_string(), 300);
        self.emit_failed(call, &why, Some(account));
        self.judge.without_verdict(&format!("the call of the tool `{}`", tool_name(&call.name)), &why)
    }
}

impl Review for Judging {
    fn tool_call<'a>(
        &'a self,
        call: &'a ToolCall,
        earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move { Ok(self.judged(call, earlier).await) })
    }
}

/// A judge of tool calls. The operator's model goes before the configured one.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let provider = config.inference_provider.unwrap_or_default();
    let asker = Asker {
        route: Route::new(loading, config.api_base.as_deref(), &provider)?,
        model: loading.env.judge_model.clone().unwrap_or(config.model),
        temperature: config.temperature,
        max_tokens: config.max_tokens,
        retries: RETRIES,
        delay: RETRY_DELAY,
        retry_unreadable: false,
        access: Arc::new(Access::new(config.limits).watched(&loading.env.breakers)),
    };
    let unsaid = if loading.older { Feedback::Full } else { Feedback::Constant };
    let judge = Judge {
        asker,
        system: prompt::system(config.judge_instructions.as_deref()),
        threshold: config.probability_threshold,
        template: config.blocked_message_template.unwrap_or_else(|| prompt::BLOCKED.to_owned()),
        feedback: config.feedback.unwrap_or(unsaid),
        scope: config.block_scope,
    };
    Ok(Tree::of(ToolCallJudge { judge: Arc::new(judge) }))
}

#[cfg(test)]
mod tests;
