//! Follows a script from command to command and gathers what they do.

mod builtins;
mod find;
mod functions;
mod invoke;
mod redirects;
mod shells;
mod variables;
mod wrappers;

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use crate::{
    analysis::{Analysis, Effect, Kind, Object, Unknown, Via, Word},
    flow::Flow,
    limits,
    syntax::{self, Node, Simple},
};

pub(crate) use invoke::{Call, Program};
pub(crate) use variables::joined_lines;

/// Where a command stands.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) via: Via,
    pub(crate) wrappers: Vec<String>,
    pub(crate) depth: usize,
    /// What it reads.
    pub(crate) stdin: Rc<Flow>,
}

impl Context {
    fn outermost() -> Self {
        Self { via: Via::Direct, wrappers: Vec::new(), depth: 0, stdin: Rc::new(Flow::unknown(Vec::new())) }
    }

    /// The same place with another input.
    pub(crate) fn reading(&self, stdin: Flow) -> Self {
        Self { stdin: Rc::new(stdin), ..self.clone() }
    }

    /// A script within this place.
    pub(crate) fn inside(&self, via: Via) -> Self {
        Self { via, depth: self.depth + 1, ..self.clone() }
    }

    /// The same place, wrapped once more.
    pub(crate) fn wrapped(&self, by: &str) -> Self {
        let mut inner = self.clone();
        inner.wrappers.push(by.to_owned());
        inner
    }
}

/// An effect that waits for the command that a wrapper runs.
#[derive(Debug)]
struct Pending {
    kind: Kind,
    object: Object,
    target: Option<String>,
}

/// What is known while a script is followed.
#[derive(Default)]
pub(crate) struct Walker {
    out: Analysis,
    variables: HashMap<String, Vec<Word>>,
    functions: BTreeMap<String, Function>,
    /// What the script wrote into files, as far as it is known.
    files: HashMap<String, Flow>,
    /// The folder that a `cd` led to.
    pub(crate) folder: Option<String>,
    /// The positional parameters; `None` where they are not known.
    parameters: Option<Vec<Word>>,
    /// `$0`, where it is not the shell.
    zero: Option<Word>,
    /// Which of a variable's possible values is looked at, and how many there may be.
    choice: usize,
    choices: usize,
    /// How many parts are open of which it is not known whether they run.
    maybe: usize,
    level: usize,
    spent: usize,
    worked: usize,
    /// Commands that read what the next command writes, from `>(…)`.
    pub(crate) taking: Vec<usize>,
    /// The text of the last `<(…)`, where it is known.
    pub(crate) given: Option<String>,
    pending: Vec<Pending>,
    calling: Vec<String>,
}

struct Function {
    body: Rc<Node>,
    called: bool,
}

impl Walker {
    pub(crate) fn new() -> Self {
        Self { parameters: Some(Vec::new()), choices: 1, ..Self::default() }
    }

    pub(crate) fn analyze(mut self, text: &str) -> Analysis {
        self.out.parsed = true;
        let mut end = text.len().min(limits::INPUT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if end < text.len() {
            self.note(Unknown::TooLong);
        }
        let context = Context::outermost();
        self.script(text.get(..end).unwrap_or_default(), &context);
        self.finish(&context)
    }

    pub(crate) fn analyze_argv(mut self, argv: &[String]) -> Analysis {
        self.out.parsed = true;
        let mut left = limits::INPUT;
        let mut words = Vec::with_capacity(argv.len());
        for argument in argv {
            let Some(rest) = left.checked_sub(argument.len()) else {
                self.note(Unknown::TooLong);
                break;
            };
            left = rest;
            words.push(Word::fixed(argument.as_str()));
        }
        let context = Context::outermost();
        self.invoke(&words, Call::default(), &context);
        self.finish(&context)
    }

    fn finish(mut self, context: &Context) -> Analysis {
        self.uncalled(context);
        self.out
    }

    /// Says once that something was not understood.
    pub(crate) fn note(&mut self, unknown: Unknown) {
        match unknown {
            Unknown::Unreadable | Unknown::TooLong | Unknown::TooDeep => self.out.parsed = false,
            Unknown::TooMuch | Unknown::Name { .. } | Unknown::Code { .. } => {}
        }
        if !self.out.unknown.contains(&unknown) {
            self.out.unknown.push(unknown);
        }
    }

    /// Leaves out what is beyond `most`, and says so. Numbers are all alike: of them nothing is hidden.
    pub(crate) fn at_most(&mut self, words: &mut Vec<Word>, most: usize) {
        if words.get(most..).unwrap_or_default().iter().any(|word| !word.text.bytes().all(|byte| byte.is_ascii_digit()))
        {
            self.note(Unknown::TooMuch);
        }
        words.truncate(most);
    }

    /// Goes one level deeper, if there is one left.
    pub(crate) fn enter(&mut self) -> bool {
        if self.level >= limits::DEPTH {
            self.note(Unknown::TooDeep);
            return false;
        }
        self.level += 1;
        true
    }

    pub(crate) fn leave(&mut self) {
        self.level -= 1;
    }

    /// Takes `bytes` from what expansions may make; `false` where nothing is left.
    pub(crate) fn spend(&mut self, bytes: usize) -> bool {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > limits::EXPANDED || self.worked > limits::WORK {
            self.note(Unknown::TooMuch);
            return false;
        }
        true
    }

    /// Takes `bytes` from what may be looked at; `false` where nothing is left.
    pub(crate) fn work(&mut self, bytes: usize) -> bool {
        self.worked = self.worked.saturating_add(bytes);
        self.spend(0)
    }

    /// How many commands were found.
    pub(crate) fn commands(&self) -> usize {
        self.out.commands.len()
    }

    /// Follows a script.
    pub(crate) fn script(&mut self, text: &str, context: &Context) -> Flow {
        let (byte, fixed) = limits::GRAMMAR_WORK;
        let work = if text.len() > limits::GRAMMAR { text.len() } else { text.len() * byte };
        if !self.spend(text.len()) || !self.work(fixed + work) || !self.enter() {
            return Flow::unknown(Vec::new());
        }
        let script = syntax::read(text);
        self.out.parsed &= script.parsed;
        if script.faulty {
            self.note(Unknown::Unreadable);
        }
        let flow = self.nodes(&script.nodes, context);
        self.leave();
        flow
    }

    /// Follows a script in a shell of its own, as `$(…)` does; gives what it prints.
    pub(crate) fn substitute(&mut self, text: &str, context: &Context) -> Word {
        let (choice, choices) = (std::mem::take(&mut self.choice), self.choices);
        let pending = std::mem::take(&mut self.pending);
        let flow = self.apart(|walker| walker.script(text, &context.inside(Via::Substitution)));
        self.pending = pending;
        (self.choice, self.choices) = (choice, choices);
        flow.word()
    }

    /// Runs something whose changes of folder and variables do not last.
    fn apart<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        let folder = self.folder.clone();
        self.maybe += 1;
        let result = run(self);
        self.maybe -= 1;
        self.folder = folder;
        result
    }

    fn nodes(&mut self, nodes: &[Node], context: &Context) -> Flow {
        let mut flow = Flow::nothing();
        for node in nodes {
            let next = self.node(node, context);
            flow = flow.then(next);
        }
        flow
    }

    pub(crate) fn node(&mut self, node: &Node, context: &Context) -> Flow {
        if !self.spend(16) || !self.enter() {
            return Flow::unknown(Vec::new());
        }
        let flow = match node {
            Node::Simple(simple) => self.simple(simple, context),
            Node::Pipeline(stages) => self.pipeline(stages, context),
            Node::List(nodes) => self.nodes(nodes, context),
            Node::Either(first, second) => {
                let first = self.node(first, context);
                self.maybe += 1;
                let second = self.node(second, context);
                self.maybe -= 1;
                first.or(second)
            }
            Node::Maybe(nodes) => {
                self.maybe += 1;
                let flow = self.nodes(nodes, context);
                self.maybe -= 1;
                Flow::unknown(flow.from)
            }
            Node::Subshell(nodes) => self.apart(|walker| walker.nodes(nodes, context)),
            Node::Redirected(inner, redirections) => self.redirected(inner, redirections, context),
            Node::For(variable, words, body) => self.each(variable, words, body, context),
            Node::Function(name, body) => {
                self.functions.insert(name.clone(), Function { body: Rc::clone(body), called: false });
                Flow::nothing()
            }
            Node::Text(text) => {
                self.word(text, context);
                Flow::nothing()
            }
        };
        self.leave();
        flow
    }

    fn pipeline(&mut self, stages: &[Node], context: &Context) -> Flow {
        let mut flow: Option<Flow> = None;
        for stage in stages {
            let place = match flow {
                Some(flow) => context.reading(flow),
                None => context.clone(),
            };
            flow = Some(self.apart(|walker| walker.node(stage, &place)));
        }
        flow.unwrap_or_else(Flow::nothing)
    }

    /// A loop over words: the variable may have each of them.
    fn each(&mut self, variable: &str, words: &[String], body: &[Node], context: &Context) -> Flow {
        let values = if words.is_empty() { self.parameters.clone() } else { Some(self.words(words, context)) };
        let mut values = values.unwrap_or_default();
        if values.is_empty() {
            values.push(Word { dynamic: true, ..Word::default() });
        }
        self.at_most(&mut values, limits::LOOP);
        self.variables.insert(variable.to_owned(), values);
        self.maybe += 1;
        let flow = self.nodes(body, context);
        self.maybe -= 1;
        Flow::unknown(flow.from)
    }

    /// A command, once for each value that the variables in it may have.
    fn simple(&mut self, simple: &Simple, context: &Context) -> Flow {
        let (choice, choices) = (self.choice, self.choices);
        let mut flow = Flow::nothing();
        let mut count = 1;
        self.choice = 0;
        while self.choice < count {
            self.choices = 1;
            let next = self.command(simple, context);
            count = self.choices.clamp(count, limits::LOOP);
            flow = if self.choice == 0 { next } else { Flow::unknown([flow.from, next.from].concat()) };
            self.choice += 1;
        }
        (self.choice, self.choices) = (choice, choices.max(1));
        flow
    }

    fn command(&mut self, simple: &Simple, context: &Context) -> Flow {
        self.given = None;
        let words = self.words(&simple.words, context);
        let assignments = self.assignments(&simple.assignments, context);
        let streams = self.streams(&simple.redirections, context);
        let place = match streams.stdin {
            Some(flow) => context.reading(flow),
            None => context.clone(),
        };
        if words.is_empty() {
            let forgets = assignments.iter().any(|set| builtins::forgets(&set.name, &set.value.text));
            if !streams.redirects.is_empty() || forgets {
                let call = Call { assignments: assignments.clone(), redirects: streams.redirects };
                let index = self.push(String::new(), String::new(), &[], call, &place);
                if forgets {
                    self.add(index, Kind::Weaken, Object::Log, None, false);
                }
            }
            for set in assignments {
                self.assign(&set.name, set.value, &place);
            }
            return Flow::nothing();
        }
        for set in &assignments {
            // Not for this command's own words, but for what it runs.
            self.hooked(&set.name, &set.value, &place);
            self.assign_maybe(&set.name, set.value.clone(), &place);
        }
        let flow = self.invoke(&words, Call { assignments, redirects: streams.redirects }, &place);
        self.written(streams.out, flow)
    }
}

impl Walker {
    /// Adds an effect, once.
    pub(crate) fn put(&mut self, effect: Effect) {
        if self.out.effects.len() >= limits::EFFECTS {
            self.note(Unknown::TooMuch);
        } else if !self.out.effects.iter().rev().take(32).any(|known| *known == effect) {
            self.out.effects.push(effect);
        }
    }
}
