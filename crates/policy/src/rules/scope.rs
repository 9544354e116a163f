//! What an expression sees: each variable is built when an expression first asks for it, and once for all rules.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use cel::ExecutionError;
use cel::common::types::{CelBool, CelInt, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use luthien_wire::request::Request;
use luthien_wire::turn::{Block, ToolCall, ToolForm};

use super::allowed::Allowed;
use super::effects::{Effects, EffectsValue};
use super::functions::{Budget, PatternValue};
use super::values::{self, Boxed};

mod command;
mod history;
mod shells;
mod view;

pub(crate) use history::Known;
pub(crate) use shells::Shells;
use view::{Root, View};

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About<'a> {
    /// A tool call.
    Call(&'a ToolCall),
    /// A text.
    Text(&'a str),
    /// The request.
    Request,
    /// A whole answer.
    Turn(&'a [Block]),
}

/// Who asks, and what was said before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    /// The request.
    pub(crate) request: &'a Request,
    /// What is known of the request already, for all rules and all blocks of its answer.
    pub(crate) known: &'a Known,
    /// The session, if the client named one.
    pub(crate) session: Option<&'a str>,
    /// The user, if the client named one and is believed.
    pub(crate) user: Option<&'a str>,
    /// The finished blocks of the answer.
    pub(crate) earlier: &'a [Arc<Block>],
}

/// Everything that expressions may ask about one subject.
pub(crate) struct Scope<'a> {
    pub(super) about: About<'a>,
    pub(super) around: Around<'a>,
    args: OnceLock<Boxed<'a>>,
    command: OnceLock<Option<Cow<'a, str>>>,
    effects: OnceLock<Arc<Effects>>,
    calls: OnceLock<Boxed<'a>>,
    results: OnceLock<Boxed<'a>>,
    messages: OnceLock<Boxed<'a>>,
    tools: OnceLock<Boxed<'a>>,
    body: OnceLock<Boxed<'a>>,
    allowed: Option<&'a Allowed>,
    /// An expression asked for arguments that cannot be read.
    asked_unreadable: AtomicBool,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(about: About<'a>, around: Around<'a>) -> Self {
        Self {
            about,
            around,
            args: OnceLock::new(),
            command: OnceLock::new(),
            effects: OnceLock::new(),
            calls: OnceLock::new(),
            results: OnceLock::new(),
            messages: OnceLock::new(),
            tools: OnceLock::new(),
            body: OnceLock::new(),
            allowed: None,
            asked_unreadable: AtomicBool::new(false),
        }
    }

    /// Without the effects that are allowed.
    pub(super) fn allowing(self, allowed: Option<&'a Allowed>) -> Self {
        Self { allowed, ..self }
    }

    /// Whether the operator allows all that the call does.
    pub(super) fn is_allowed(&self) -> bool {
        self.allowed.is_some_and(|allowed| self.call().is_some() && allowed.covers(&self.all_effects()))
    }

    pub(crate) fn about(&self) -> About<'a> {
        self.about
    }

    pub(crate) fn request(&self) -> &'a Request {
        self.around.request
    }

    /// The tool call that it is about.
    pub(crate) fn call(&self) -> Option<&'a ToolCall> {
        match self.about {
            About::Call(call) => Some(call),
            _ => None,
        }
    }

    /// What the tool call does, as far as it can be told. Of arguments that cannot be read nothing can.
    pub(crate) fn effects(&self) -> &Arc<Effects> {
        self.effects.get_or_init(|| match self.allowed {
            Some(allowed) => Arc::new(allowed.rest_of(&self.all_effects())),
            None => self.all_effects(),
        })
    }

    fn all_effects(&self) -> Arc<Effects> {
        match self.call() {
            Some(call) => {
                let shells = self.around.known.shells();
                let of_shell = command::effects(call, &|command| shells.effects(command));
                of_shell.unwrap_or_else(|| Arc::new(Effects::of_tool(call)))
            }
            None => Arc::default(),
        }
    }

    /// The command of a shell tool.
    pub(crate) fn command(&self) -> Option<&str> {
        self.command.get_or_init(|| self.call().and_then(command::of)).as_deref()
    }

    /// Why the arguments cannot be read, if an expression asked for them.
    pub(super) fn unreadable(&self) -> Option<String> {
        let why = self.call()?.arguments.as_ref().err()?;
        self.asked_unreadable.load(Ordering::Relaxed).then(|| why.to_string())
    }

    /// The arguments, always a map.
    fn args(&self) -> &Boxed<'a> {
        self.args.get_or_init(|| match self.call() {
            Some(call) => args_of(call),
            None => values::map(std::iter::empty()),
        })
    }

    fn ask_arguments(&self) {
        if self.call().is_some_and(|call| call.arguments.is_err()) {
            self.asked_unreadable.store(true, Ordering::Relaxed);
        }
    }

    /// A list of the variable `history`.
    fn history<'b>(&'b self, field: &str) -> Result<CowVal<'b, 'b>, ExecutionError> {
        let Around { request, known, .. } = self.around;
        let list = match field {
            "calls" => self.calls.get_or_init(|| known.calls(request)),
            "results" => self.results.get_or_init(|| known.results(request)),
            _ => return Err(ExecutionError::no_such_key(field)),
        };
        Ok(CowVal::Borrowed(list.as_ref()))
    }

    /// A field of the variable `request`.
    fn request_field<'b>(&'b self, field: &str) -> Result<CowVal<'b, 'b>, ExecutionError> {
        let Around { request, known, .. } = self.around;
        let text = |text: &'b str| Ok(CowVal::owned(CelString::from(text)));
        let built = match field {
            "model" => return text(request.model()),
            "dialect" => return text(request.dialect().name()),
            "system" => return text(known.system(request)),
            "last" => return text(known.last(request)),
            "stream" => return Ok(CowVal::owned(CelBool::from(request.stream()))),
            "max_tokens" => {
                let most = request.max_tokens().ok_or_else(|| ExecutionError::no_such_key(field))?;
                return Ok(CowVal::owned(CelInt::from(i64::try_from(most).unwrap_or(i64::MAX))));
            }
            "messages" => self.messages.get_or_init(|| known.messages(request)),
            "tools" => self.tools.get_or_init(|| known.tools(request)),
            "body" => self.body.get_or_init(|| known.body(request)),
            _ => return Err(ExecutionError::no_such_key(field)),
        };
        Ok(CowVal::Borrowed(built.as_ref()))
    }

    /// A field of the variable `tool`.
    fn tool<'b>(&'b self, field: &str) -> Result<CowVal<'b, 'b>, ExecutionError> {
        let Some(call) = self.call() else { return Err(ExecutionError::no_such_key(field)) };
        let text = |text: &'b str| Ok(CowVal::owned(CelString::from(text)));
        match field {
            "name" => text(&call.name),
            "raw" => text(&call.raw),
            "form" => text(match call.form {
                ToolForm::Client => "client",
                ToolForm::Server => "server",
                ToolForm::Unknown => "unknown",
            }),
            "args" => {
                self.ask_arguments();
                Ok(CowVal::Borrowed(self.args().as_ref()))
            }
            "command" => {
                self.ask_arguments();
                self.command().map_or_else(|| Err(ExecutionError::no_such_key(field)), text)
            }
            "effects" => {
                self.ask_arguments();
                Ok(CowVal::owned(EffectsValue(Arc::clone(self.effects()))))
            }
            _ => Err(ExecutionError::no_such_key(field)),
        }
    }

    /// How many bytes there are to look at, roughly: loops over much are given fewer steps.
    fn weight(&self) -> usize {
        match self.about {
            About::Call(call) => call.raw.len(),
            About::Text(text) => text.len(),
            About::Request => self.around.request.body().len(),
            About::Turn(blocks) => blocks.iter().map(block_weight).sum(),
        }
    }
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("about", &self.about).finish_non_exhaustive()
    }
}

/// The command of a call of a shell tool.
pub(super) fn command_of(call: &ToolCall) -> Option<Cow<'_, str>> {
    command::of(call)
}

/// The arguments of a call as a map. Free text, and what else is no object, is its member `input`.
pub(super) fn args_of(call: &ToolCall) -> Boxed<'_> {
    match &call.arguments {
        Ok(object @ serde_json::Value::Object(_)) => values::from_json(object),
        Ok(other) => values::map(std::iter::once(("input", values::from_json(other)))),
        Err(_) => values::map(std::iter::empty()),
    }
}

fn block_weight(block: &Block) -> usize {
    match block {
        Block::Text(text) | Block::Thinking(text) => text.len(),
        Block::ToolCall(call) => call.raw.len(),
        Block::Opaque { raw, .. } => raw.len(),
    }
}

/// Answers the names of one expression.
pub(super) struct Resolver<'s, 'a> {
    scope: &'s Scope<'a>,
    /// Handed out by reference, so that what they hold is not copied.
    views: [(&'static str, View<'s, 'a>); 5],
    patterns: &'s [PatternValue],
    budget: Budget,
}

impl<'s, 'a> Resolver<'s, 'a> {
    /// About as many bytes may be gone through by the loops of one expression.
    const WORK: usize = 1 << 28;

    pub(super) fn new(scope: &'s Scope<'a>, patterns: &'s [PatternValue]) -> Self {
        let elements = (Self::WORK / scope.weight().max(1)).clamp(2_000, 100_000);
        let views = [
            ("tool", View::new(scope, Root::Tool)),
            ("request", View::new(scope, Root::Request)),
            ("history", View::new(scope, Root::History)),
            ("turn", View::new(scope, Root::Turn)),
            ("earlier", View::new(scope, Root::Earlier)),
        ];
        scope.asked_unreadable.store(false, Ordering::Relaxed);
        Self { scope, views, patterns, budget: Budget::new(elements as u64) }
    }

    /// The expression went through more elements than it may.
    pub(super) fn exhausted(&self) -> bool {
        self.budget.exhausted()
    }
}

impl VariableResolver for Resolver<'_, '_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let scope = self.scope;
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        if let Some((_, view)) = self.views.iter().find(|(known, _)| *known == name) {
            return Some(CowVal::Borrowed(view));
        }
        match name {
            "text" => match scope.about {
                About::Text(said) => text(said),
                _ => None,
            },
            "dialect" => text(scope.around.request.dialect().name()),
            "model" => text(scope.around.request.model()),
            "session" => text(scope.around.session.unwrap_or_default()),
            "user" => text(scope.around.user.unwrap_or_default()),
            _ => match name.strip_prefix('@')? {
                "budget" => Some(CowVal::Borrowed(&self.budget)),
                "shells" => Some(CowVal::Borrowed(scope.around.known.shells())),
                number => self.patterns.get(number.parse::<usize>().ok()?).map(|p| CowVal::Borrowed(p as &dyn Val)),
            },
        }
    }
}
