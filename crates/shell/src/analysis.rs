//! What an analysis says: commands, their effects, and what could not be understood.

use std::borrow::Cow;

use serde::Serialize;

/// Everything that is known of a piece of shell text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Analysis {
    /// What running it would do, in the order in which it was found.
    pub effects: Vec<Effect>,
    /// The commands, also those within substitutions, scripts in arguments and decoded text.
    pub commands: Vec<Command>,
    /// What could not be understood. A reader who must not miss anything refuses when this is not empty.
    pub unknown: Vec<Unknown>,
    /// Whether all of the text was read by bash's grammar. Where it was not, commands were found by a reader that forgives
    /// mistakes.
    pub parsed: bool,
}

/// One command, with what wraps it taken off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Command {
    /// The last part of its path: `rm` for `/bin/rm`. Empty for redirections that stand alone.
    pub name: String,
    /// As written, once quotes and variables are resolved.
    pub path: String,
    /// Its arguments, options included.
    pub args: Vec<Word>,
    /// Variables that are set for it.
    pub assignments: Vec<Assignment>,
    /// Where its input and output go, besides pipes.
    pub redirects: Vec<Redirect>,
    /// What it is run by, outermost first: `sudo`, `xargs`, `sh`, `ssh`…
    pub wrappers: Vec<String>,
    /// The commands whose output is its standard input.
    pub reads_from: Vec<usize>,
    /// The commands whose standard input is its output.
    pub writes_to: Vec<usize>,
    /// How many scripts it is inside of: 0 for what stands in the text itself.
    pub depth: usize,
    /// How it was found.
    pub via: Via,
}

/// A word after expansion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Word {
    /// The text; parts that are only known when the command runs stand as they are written (`$x`, `$(date)`).
    pub text: String,
    /// Whether parts are only known when the command runs.
    pub dynamic: bool,
    /// Whether it is a pattern of paths (`*.txt`).
    pub glob: bool,
    /// The commands whose output is in it.
    pub from: Vec<usize>,
    /// The text with unknown parts left out, as an unset variable would; a mark stands for unknown output of commands.
    #[serde(skip)]
    pub(crate) bare: String,
}

impl Word {
    /// A word whose text is known.
    pub fn fixed(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { bare: text.clone(), text, ..Self::default() }
    }

    /// What stands in `bare` for output that is not known.
    pub(crate) const MARK: char = '\u{1}';

    /// The text without its unknown parts.
    pub(crate) fn known(&self) -> Cow<'_, str> {
        if self.bare.contains(Self::MARK) {
            self.bare.replace(Self::MARK, "").into()
        } else {
            self.bare.as_str().into()
        }
    }

    /// The text as a script of its own. Commands whose output is in it ran already: they are not to be read again.
    pub(crate) fn script(&self) -> Cow<'_, str> {
        if self.bare.contains(Self::MARK) {
            self.bare.replace(Self::MARK, "$__").into()
        } else {
            self.text.as_str().into()
        }
    }
}

/// A variable that is set for a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: Word,
}

/// A redirection to or from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// The operator: `>`, `>>`, `<`, `&>`…
    pub operator: String,
    /// The file, or the descriptor after `>&`.
    pub target: Word,
}

/// How a command was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// In the text itself.
    #[default]
    Direct,
    /// In `$(…)`, backquotes, `<(…)` or `>(…)`.
    Substitution,
    /// In a function's body.
    Function,
    /// In the text given to `sh -c` and its like.
    ShellText,
    /// In the text given to `eval`.
    Eval,
    /// In what a shell reads from its standard input, a heredoc say.
    Input,
    /// In text that was decoded first.
    Decoded,
    /// In a file that the same script wrote.
    File,
    /// After `find -exec`.
    Find,
    /// After `xargs` or `parallel`.
    Xargs,
    /// On another machine, in a container or a cluster.
    Remote,
    /// In the code given to an interpreter.
    Code,
    /// In a trap, an alias or a variable that a shell runs.
    Hook,
}

/// One effect of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// What is done.
    pub kind: Kind,
    /// To what sort of thing.
    pub object: Object,
    /// To which: a path (normalised), a host or URL, a name, a text. `None` where the command does not name it.
    pub target: Option<String>,
    /// Whether the target has parts that are only known when the command runs.
    pub dynamic: bool,
    /// Whether all below the target is meant.
    pub recursive: bool,
    /// Whether the command is told not to ask and not to fail.
    pub force: bool,
    /// Which of the commands does it.
    pub command: usize,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Looks at it.
    Read,
    /// Looks for it, or lists it, and does not open it.
    Search,
    /// Makes it or replaces what it held.
    Write,
    /// Adds to its end.
    Append,
    /// Removes it, or what cannot be brought back of it.
    Delete,
    /// Runs it.
    Execute,
    /// Talks to it.
    Network,
    /// Sends data to it; always beside `Network`.
    Send,
    /// Waits for connections on it.
    Listen,
    /// Gets rights that the caller did not have.
    Privilege,
    /// Will be run later, or lets somebody in later.
    Persist,
    /// Stops it.
    Kill,
    /// Changes who may do what with it.
    ChangeMode,
    /// Installs it.
    Install,
    /// Records screen, clipboard, keyboard, traffic or memory.
    Capture,
    /// Switches a defence or a trace off: firewall, logs, history, integrity checks.
    Weaken,
}

/// To what sort of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A file or folder.
    File,
    /// A disk or another device, or the file system on it.
    Device,
    /// A host or URL.
    Host,
    /// Code or a script; the target is its text or the file it is in.
    Code,
    /// A process.
    Process,
    /// A service of the system.
    Service,
    /// Work in a version control checkout.
    Repository,
    /// A branch, tag or repository elsewhere.
    RemoteRepository,
    /// A container, image or volume.
    Container,
    /// Something in a cluster.
    Cluster,
    /// Something at a cloud or service provider.
    Cloud,
    /// Infrastructure that is described as code.
    Infrastructure,
    /// A statement to a database; the target is its text.
    Database,
    /// A package.
    Package,
    /// A user or group.
    Account,
    /// The kernel, its modules and parameters.
    Kernel,
    /// Packet filters and other defences.
    Defence,
    /// Logs and histories.
    Log,
    /// Jobs that run later.
    Schedule,
    /// Passwords, keys and tokens in a store.
    Secret,
    /// Screen, clipboard, keyboard, camera.
    Input,
    /// The machine: power, clock, boot.
    Machine,
    /// Backups and snapshots.
    Backup,
}

/// What could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// The command's name is only known when it runs.
    Name {
        /// Which command.
        command: usize,
    },
    /// The command runs a script or code that is only known when it runs.
    Code {
        /// Which command.
        command: usize,
    },
    /// The text is not what bash's grammar allows; what could be found in it was.
    Unreadable,
    /// The text is longer than what is looked at.
    TooLong,
    /// The text is nested deeper than what is followed.
    TooDeep,
    /// Following it takes more steps than are allowed.
    TooMuch,
}

impl Analysis {
    /// What this and then another text do. Nothing flows between them.
    #[must_use]
    pub fn then(mut self, mut next: Self) -> Self {
        let before = self.commands.len();
        let moved = |indices: &mut Vec<usize>| indices.iter_mut().for_each(|index| *index += before);
        for command in &mut next.commands {
            moved(&mut command.reads_from);
            moved(&mut command.writes_to);
            command.args.iter_mut().for_each(|word| moved(&mut word.from));
            command.assignments.iter_mut().for_each(|set| moved(&mut set.value.from));
            command.redirects.iter_mut().for_each(|redirect| moved(&mut redirect.target.from));
        }
        next.effects.iter_mut().for_each(|effect| effect.command += before);
        for unknown in &mut next.unknown {
            if let Unknown::Name { command } | Unknown::Code { command } = unknown {
                *command += before;
            }
        }
        self.commands.append(&mut next.commands);
        self.effects.append(&mut next.effects);
        self.unknown.append(&mut next.unknown);
        self.parsed &= next.parsed;
        self
    }

    /// Whether all of it was followed: it is not too long, nested too deeply or too involved for that.
    pub fn complete(&self) -> bool {
        !self.unknown.iter().any(|unknown| matches!(unknown, Unknown::TooLong | Unknown::TooDeep | Unknown::TooMuch))
    }

    /// The commands whose output may reach the command `index`, through pipes and words, however far.
    pub fn sources(&self, index: usize) -> Vec<usize> {
        self.sources_of(std::iter::once(index)).into_iter().filter(|&source| source != index).collect()
    }

    /// The commands whose output may reach one of `commands`, in one go.
    pub fn sources_of(&self, commands: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut found = vec![false; self.commands.len()];
        let mut open: Vec<usize> = commands.into_iter().collect();
        while let Some(command) = open.pop().and_then(|next| self.commands.get(next)) {
            let words = command.args.iter().chain(command.assignments.iter().map(|set| &set.value));
            for &source in command.reads_from.iter().chain(words.flat_map(|word| &word.from)) {
                if let Some(found) = found.get_mut(source)
                    && !std::mem::replace(found, true)
                {
                    open.push(source);
                }
            }
        }
        (0..found.len()).filter(|&source| found.get(source) == Some(&true)).collect()
    }

    /// The effects of the command `index`.
    pub fn effects_of(&self, index: usize) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(move |effect| effect.command == index)
    }
}
