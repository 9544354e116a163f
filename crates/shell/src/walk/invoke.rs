//! One command with its words expanded: what it is, what it wraps, what it does.

use super::{Context, Walker};
use crate::{
    analysis::{Assignment, Command, Kind, Object, Redirect, Unknown, Word},
    decoders,
    flow::Flow,
    limits, paths, tables,
};

/// A command's words: the name it goes by, the word it is written as, and the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program<'a> {
    pub(crate) name: &'a str,
    pub(crate) first: &'a Word,
    pub(crate) arguments: &'a [Word],
}

/// What belongs to a command besides its words.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) redirects: Vec<Redirect>,
}

impl Walker {
    /// Follows a command; gives what it prints.
    pub(crate) fn invoke(&mut self, words: &[Word], call: Call, context: &Context) -> Flow {
        if self.out.commands.len() >= limits::COMMANDS {
            self.note(Unknown::TooMuch);
            return Flow::unknown(Vec::new());
        }
        if !self.spend(words.len() * 8) || !self.enter() {
            return Flow::unknown(Vec::new());
        }
        let flow = self.dispatch(words, call, context);
        self.leave();
        flow
    }

    fn dispatch(&mut self, words: &[Word], call: Call, context: &Context) -> Flow {
        let Some((first, arguments)) = words.split_first() else {
            return Flow::nothing();
        };
        // What a grammar that does not know `coproc` leaves over.
        if first.text == "}" && arguments.is_empty() {
            return Flow::nothing();
        }
        let Some(name) = name(first) else {
            let index =
                self.push(paths::basename(&first.text).to_owned(), first.text.clone(), arguments, call, context);
            self.note(Unknown::Name { command: index });
            self.add(index, Kind::Execute, Object::Code, None, true);
            return Flow::unknown(vec![index]);
        };
        if first.dynamic {
            let command = self.out.commands.len();
            self.note(Unknown::Name { command });
        }
        let program = Program { name, first, arguments };
        let call = match self.builtin(program, call, context) {
            Ok(flow) => return flow,
            Err(call) => call,
        };
        if let Some(flow) = self.call_function(name, arguments, context) {
            // A function may hide a command of that name, or not, if it is defined somewhere that does not run.
            if tables::entry(name).is_none() {
                return flow;
            }
        }
        let call = match self.wrapper(program, call, context) {
            Ok(flow) => return flow,
            Err(call) => call,
        };
        let call = match self.shell(program, call, context) {
            Ok(flow) => return flow,
            Err(call) => call,
        };
        let call = match self.interpreter(program, call, context) {
            Ok(flow) => return flow,
            Err(call) => call,
        };
        self.plain(program, call, context)
    }

    /// A command that runs no other.
    pub(crate) fn plain(&mut self, program: Program<'_>, call: Call, context: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        self.table_effects(index, name, arguments, context);
        self.program(index, first, arguments, context);
        self.scheduled(name, arguments, context);
        let file = arguments
            .iter()
            .filter(|word| !word.text.starts_with('-'))
            .find_map(|word| self.files.get(&self.path(&word.text)));
        let input = match (file, decoders::decodes(name)) {
            (Some(file), true) => file.clone(),
            _ => (*context.stdin).clone(),
        };
        let known = self.work(input.text.as_ref().map_or(0, String::len));
        let input = if known { input } else { Flow::unknown(input.from) };
        let mut flow = decoders::output(name, arguments, &input).unwrap_or_default();
        flow.from.push(index);
        if name == "cat" && context.stdin.text.is_none() {
            flow.text = self.concatenated(arguments);
        }
        if name == "tee" {
            for file in arguments.iter().filter(|word| !word.text.starts_with('-')) {
                self.store(file, (*context.stdin).clone(), false);
            }
        }
        self.settings(name, arguments, context);
        // `A-B=2 rm x`: another shell may take for an assignment what bash does not.
        if name.contains('=') && !arguments.is_empty() {
            self.invoke(arguments, Call::default(), context);
        }
        if name == "chmod" || name == "touch" { Flow { from: Vec::new(), ..flow } } else { flow }
    }

    /// A program that is named by its path and not by a name that we know is a file that is executed.
    fn program(&mut self, index: usize, first: &Word, arguments: &[Word], context: &Context) {
        if !first.text.contains('/') {
            return;
        }
        self.effect_on(index, Kind::Execute, Object::File, first);
        if let Some(text) = self.files.get(&self.path(&first.text)).and_then(|flow| flow.text.clone()) {
            self.shell_text(&text, arguments, crate::analysis::Via::File, context);
        }
    }

    /// Text that a program runs because a setting or its input says so.
    pub(super) fn settings(&mut self, name: &str, arguments: &[Word], context: &Context) {
        match name {
            "git" => {
                for pair in arguments.windows(2).filter(|pair| pair.first().is_some_and(|word| word.text == "-c")) {
                    let Some((key, value)) = pair.last().and_then(|word| word.text.split_once('=')) else { continue };
                    let key = key.to_lowercase();
                    let runs = matches!(
                        key.as_str(),
                        "core.sshcommand"
                            | "core.pager"
                            | "core.editor"
                            | "core.fsmonitor"
                            | "diff.external"
                            | "sequence.editor"
                    );
                    if let Some(text) = value.strip_prefix('!').or(runs.then_some(value)) {
                        self.shell_text(text, &[], crate::analysis::Via::Hook, context);
                    }
                }
            }
            "ssh" | "scp" | "sftp" => {
                for option in arguments {
                    let text = option.text.strip_prefix("-o").unwrap_or(&option.text);
                    let (key, value) = text.split_once('=').or_else(|| text.split_once(' ')).unwrap_or_default();
                    if matches!(key.to_lowercase().as_str(), "proxycommand" | "localcommand" | "knownhostscommand") {
                        self.shell_text(value, &[], crate::analysis::Via::Hook, context);
                    }
                }
            }
            "psql" | "mysql" | "mariadb" | "sqlite3" | "mongo" | "mongosh" | "redis-cli" | "sqlplus" | "sqlcmd"
            | "cqlsh" | "clickhouse-client" | "duckdb" | "cockroach" => {
                if let (Some(text), Some(index)) = (&context.stdin.text, self.out.commands.len().checked_sub(1)) {
                    self.add(index, Kind::Execute, Object::Database, Some(text.trim_end().to_owned()), false);
                }
            }
            _ => {}
        }
    }

    /// What a scheduler is given to run later.
    fn scheduled(&mut self, name: &str, arguments: &[Word], context: &Context) {
        if !matches!(name, "at" | "batch" | "crontab") {
            return;
        }
        let file = arguments.iter().find_map(|word| self.files.get(&self.path(&word.text)));
        let Some(text) = file.map_or_else(|| context.stdin.text.clone(), |file| file.text.clone()) else { return };
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
        let script = if name == "crontab" {
            let fields = |line: &&str| if line.starts_with('@') { 1 } else { 5 };
            lines
                .iter()
                .map(|line| line.split_whitespace().skip(fields(line)).collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
                .join("\n")
        } else {
            lines.join("\n")
        };
        self.shell_text(&script, &[], crate::analysis::Via::Hook, context);
    }

    /// What `cat` prints of files that the script wrote.
    fn concatenated(&mut self, arguments: &[Word]) -> Option<String> {
        let mut out = String::new();
        let mut any = false;
        for file in arguments.iter().filter(|word| !word.text.starts_with('-')) {
            any = true;
            if file.text == "/dev/null" {
                continue;
            }
            out.push_str(self.files.get(&self.path(&file.text))?.text.as_deref()?);
            if out.len() > limits::VALUE {
                return None;
            }
        }
        any.then_some(out)
    }

    /// Adds a command to what was found.
    pub(crate) fn push(
        &mut self,
        name: String,
        path: String,
        arguments: &[Word],
        call: Call,
        context: &Context,
    ) -> usize {
        let index = self.out.commands.len();
        let mut reads_from = context.stdin.from.clone();
        reads_from.sort_unstable();
        reads_from.dedup();
        for &source in &reads_from {
            if let Some(source) = self.out.commands.get_mut(source) {
                source.writes_to.push(index);
            }
        }
        let mut writes_to = Vec::new();
        for reader in std::mem::take(&mut self.taking) {
            if let Some(command) = self.out.commands.get_mut(reader) {
                command.reads_from.push(index);
                writes_to.push(reader);
            }
        }
        let Call { assignments, redirects } = call;
        self.out.commands.push(Command {
            name,
            path,
            args: arguments.to_vec(),
            assignments,
            redirects: redirects.clone(),
            wrappers: context.wrappers.clone(),
            reads_from,
            writes_to,
            depth: context.depth,
            via: context.via,
        });
        for pending in std::mem::take(&mut self.pending) {
            self.add(index, pending.kind, pending.object, pending.target, false);
        }
        self.redirect_effects(index, &redirects);
        self.preloads(index);
        index
    }

    /// Variables that make the loader run something else.
    fn preloads(&mut self, index: usize) {
        let sets = self.out.commands.get(index).map(|command| command.assignments.clone()).unwrap_or_default();
        for set in sets {
            if matches!(
                set.name.as_str(),
                "LD_PRELOAD" | "LD_AUDIT" | "DYLD_INSERT_LIBRARIES" | "PYTHONSTARTUP" | "BASH_ENV"
            ) {
                self.effect_on(index, Kind::Execute, Object::File, &set.value);
            }
        }
    }
}

/// The name of the command that a word stands for. Where parts are unknown, what it is without them, if that is one that we know:
/// a variable that nobody set is nothing.
fn name(word: &Word) -> Option<&str> {
    let plain = paths::basename(&word.text);
    if word.glob {
        return tables::matching(plain);
    }
    if !word.dynamic {
        return Some(plain);
    }
    // `$DIR/bin/rm` is `rm`.
    if word.text.contains('/') && !plain.contains(['$', '`', ')']) && !plain.is_empty() {
        return Some(plain);
    }
    let known = word.known();
    tables::name(paths::basename(&known))
}
