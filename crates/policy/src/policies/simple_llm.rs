//! `simple_llm`: a model reads each text and tool call under plain instructions, and lets it pass or writes it anew.

pub(crate) mod presets;
mod prompt;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use luthien_wire::turn::{Block, ToolCall};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{Action, Answer, OnError, Policy, PolicyError, Review, ReviewContext, Target, TextWatch, Watch};
use crate::judge::{Access, Account, Asker, DEFAULT_MODEL, InferenceProvider, JudgeLimits, Route, Ruling, Unfinished};
use crate::message::{clip, tool_name};
use crate::tree::Tree;

/// The configuration of `simple_llm`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What to let pass and what to change, in plain words.
    #[serde(deserialize_with = "range::some_text")]
    instructions: String,
    /// The model that judges.
    #[serde(default = "default_model", deserialize_with = "range::some_text")]
    model: String,
    /// The judge's sampling temperature.
    #[serde(default, deserialize_with = "range::temperature")]
    #[schemars(range(min = 0.0, max = 2.0))]
    temperature: f64,
    /// The most tokens that the judge's answer may have.
    #[serde(default = "default_max_tokens", deserialize_with = "range::tokens")]
    #[schemars(range(min = 1))]
    max_tokens: u32,
    /// What happens to a block that the judge gave no verdict on.
    #[serde(default = "default_on_error")]
    on_error: OnError,
    /// How often to ask again, for a judge that is away or answers something else.
    #[serde(default = "default_max_retries", deserialize_with = "range::retries")]
    #[schemars(range(min = 0, max = 10))]
    max_retries: u32,
    /// Seconds before asking again; doubled each time.
    #[serde(default = "default_retry_delay", deserialize_with = "range::delay")]
    #[schemars(range(min = 0.0, max = 30.0))]
    retry_delay: f64,
    /// The base URL of the judge's upstream, if it is not the caller's.
    #[serde(default)]
    api_base: Option<String>,
    /// Whose credential the judge is asked with.
    #[serde(default, alias = "auth_provider")]
    inference_provider: Option<InferenceProvider>,
    /// Bounds of the judge, over all requests.
    #[serde(default)]
    limits: JudgeLimits,
}

fn default_model() -> String {
    DEFAULT_MODEL.to_owned()
}
fn default_max_tokens() -> u32 {
    4096
}
fn default_on_error() -> OnError {
    OnError::Pass
}
fn default_max_retries() -> u32 {
    2
}
fn default_retry_delay() -> f64 {
    0.5
}

impl Config {
    /// The defaults, with these instructions.
    fn new(instructions: &str, on_error: OnError) -> Self {
        Self {
            instructions: instructions.to_owned(),
            model: default_model(),
            temperature: 0.0,
            max_tokens: default_max_tokens(),
            on_error,
            max_retries: default_max_retries(),
            retry_delay: default_retry_delay(),
            api_base: None,
            inference_provider: None,
            limits: JudgeLimits::default(),
        }
    }
}

#[derive(Debug)]
struct SimpleLlm {
    rewriter: Arc<Rewriter>,
}

#[derive(Debug)]
struct Rewriter {
    name: &'static str,
    asker: Asker,
    system: String,
    on_error: OnError,
    /// What the text in place of a tool call begins with.
    mark: Option<&'static str>,
}

struct Rewriting {
    rewriter: Arc<Rewriter>,
    context: Arc<ReviewContext>,
}

/// What is judged.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Text(&'a str),
    Call(&'a ToolCall),
}

impl Subject<'_> {
    fn block_type(self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Call(_) => "tool_use",
        }
    }

    fn named(self) -> String {
        match self {
            Self::Text(_) => "this text".to_owned(),
            Self::Call(call) => format!("the call of the tool `{}`", tool_name(&call.name)),
        }
    }
}

impl Rewriter {
    /// The same words for every block and reason, so that the engine shows them once a turn.
    fn notice(&self) -> String {
        format!("[Not evaluated: the policy `{}` got no verdict on this response, so it is shown as it is.]", self.name)
    }

    fn failed_answer(&self, what: &str, why: &str) -> Answer {
        let mut answer = match self.on_error {
            OnError::Pass => Answer { notices: vec![self.notice()], ..Answer::pass() },
            OnError::Block => {
                Answer::block(format!("[Blocked: the policy `{}` got no verdict on {what}: {why}.]", self.name))
            }
        };
        answer.failed = true;
        answer.because(why)
    }

    /// The blocks in place of `subject`. A call that became text alone, or nothing, leaves a word of it.
    fn marked(&self, subject: Subject<'_>, mut blocks: Vec<Block>) -> Vec<Block> {
        let Subject::Call(call) = subject else { return blocks };
        if blocks.is_empty() {
            let mark = self.mark.unwrap_or("[Removed]");
            return vec![Block::Text(format!(
                "{mark} The call of the tool `{}` was taken out.",
                tool_name(&call.name)
            ))];
        }
        let calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
        if let (Some(mark), false, Some(Block::Text(text))) = (self.mark, calls, blocks.first_mut())
            && !text.starts_with(mark)
        {
            *text = format!("{mark} {text}");
        }
        blocks
    }
}

impl Policy for SimpleLlm {
    fn name(&self) -> &'static str {
        self.rewriter.name
    }

    fn watches(&self) -> Watch {
        Watch { text: TextWatch::Whole, tool_calls: true, ..Watch::default() }
    }

    fn on_error(&self) -> OnError {
        self.rewriter.on_error
    }

    fn failed(&self, target: &Target, why: &str) -> Answer {
        let what = match target {
            Target::ToolCall { name, .. } => format!("the call of the tool `{}`", tool_name(name)),
            Target::Text { .. } | Target::Turn | Target::Request => "this text".to_owned(),
        };
        self.rewriter.failed_answer(&what, why)
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Rewriting { rewriter: Arc::clone(&self.rewriter), context: Arc::clone(context) })
    }
}

impl Rewriting {
    fn emit(&self, what: &str, data: Value) {
        self.context.events.emit(format!("policy.simple_llm.{what}"), data);
    }

    async fn judged(&self, subject: Subject<'_>, earlier: &[Arc<Block>]) -> Answer {
        let rewriter = &self.rewriter;
        let prompt = prompt::about(subject, earlier);
        let unfinished = Unfinished::new(|why| self.emit_error(subject, "not evaluated", why, &Account::default()));
        let (ruling, account) = rewriter.asker.ask(&self.context, &rewriter.system, &prompt, Ruling::read).await;
        unfinished.finish();
        match ruling {
            Ok(ruling) => self.ruled(subject, ruling, &account),
            Err(failure) => self.unruled(subject, &clip(&failure.to_string(), 300), &account),
        }
    }

    fn ruled(&self, subject: Subject<'_>, ruling: Ruling, account: &Account) -> Answer {
        let (action, summary, answer) = match ruling {
            Ruling::Pass => ("pass", format!("{} passed", subject.named()), Answer::pass()),
            Ruling::Replace(blocks) => {
                let blocks = self.rewriter.marked(subject, blocks);
                let summary = format!("{} replaced by {} blocks", subject.named(), blocks.len());
                let answer =
                    Answer { action: Action::Replace(blocks), ..Answer::default() }.because("replaced by the judge");
                ("replace", summary, answer)
            }
        };
        let data = json!({"summary": summary, "action": action, "block_type": subject.block_type()});
        self.emit("judge_result", account.in_event(data, &self.rewriter.asker.model));
        answer
    }

    fn unruled(&self, subject: Subject<'_>, why: &str, account: &Account) -> Answer {
        let outcome = match self.rewriter.on_error {
            OnError::Pass => "passed unevaluated",
            OnError::Block => "blocked unevaluated",
        };
        self.emit_error(subject, outcome, why, account);
        self.rewriter.failed_answer(&subject.named(), why)
    }

    fn emit_error(&self, subject: Subject<'_>, outcome: &str, why: &str, account: &Account) {
        let summary = format!("{} {outcome}", subject.named());
        let data = json!({"summary": summary, "error": why, "on_error": self.rewriter.on_error});
        self.emit("judge_error", account.in_event(data, &self.rewriter.asker.model));
    }
}

impl Review for Rewriting {
    fn text<'a>(&'a self, text: &'a str, earlier: &'a [Arc<Block>]) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move {
            if text.trim().is_empty() {
                return Ok(Answer::pass());
            }
            Ok(self.judged(Subject::Text(text), earlier).await)
        })
    }

    fn tool_call<'a>(
        &'a self,
        call: &'a ToolCall,
        earlier: &'a [Arc<Block>],
    ) -> BoxFuture<'a, Result<Answer, PolicyError>> {
        Box::pin(async move { Ok(self.judged(Subject::Call(call), earlier).await) })
    }
}

/// A judge with the operator's instructions.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    member(loading, "simple_llm", loading.read()?, None)
}

fn member(
    loading: &Loading<'_>,
    name: &'static str,
    config: Config,
    mark: Option<&'static str>,
) -> Result<Tree, LoadError> {
    let provider = config.inference_provider.unwrap_or_default();
    let asker = Asker {
        route: Route::new(loading, config.api_base.as_deref(), &provider)?,
        model: loading.env.judge_model.clone().unwrap_or(config.model),
        temperature: config.temperature,
        max_tokens: config.max_tokens,
        retries: config.max_retries,
        delay: Duration::from_secs_f64(config.retry_delay),
        retry_unreadable: true,
        access: Arc::new(Access::new(config.limits).watched(&loading.env.breakers)),
    };
    let system = prompt::system(&config.instructions);
    let rewriter = Arc::new(Rewriter { name, asker, system, on_error: config.on_error, mark });
    Ok(Tree::of(SimpleLlm { rewriter }))
}

#[cfg(test)]
mod tests;
