//! What goes from one command to another: code that is fetched or decoded and then run, shells whose ends are on the network.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use luthien_shell::{Command, Effect, Kind, Object};

use super::Effects;

/// Programs that take commands from whoever holds their input.
const SHELLS: &[&str] =
    &["sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "csh", "tcsh", "mksh", "yash", "pwsh", "powershell"];

impl Effects {
    /// Whether code runs that came over the network: through a pipe, a substitution, or a file.
    pub(super) fn fetched_code(&self) -> bool {
        self.runs_what(|command| self.has(command, |effect| effect.kind == Kind::Network))
    }

    /// Whether code runs that was decoded just before.
    pub(super) fn decoded_code(&self) -> bool {
        self.runs_what(|command| self.analysis.commands.get(command).is_some_and(decodes))
    }

    /// Whether a shell's input or output is on the network, so that who is there has the shell.
    pub(super) fn remote_shell(&self) -> bool {
        let commands = &self.analysis.commands;
        // A shell that runs a script takes no commands from elsewhere.
        let is_shell = |index: usize| {
            commands.get(index).is_some_and(|command| SHELLS.contains(&command.name.as_str()))
                && !self.has(index, |effect| effect.kind == Kind::Execute && effect.object == Object::File)
        };
        let wired = |effect: &Effect| matches!(effect.kind, Kind::Send | Kind::Listen);
        let wired: BTreeSet<usize> =
            self.analysis.effects.iter().filter(|effect| wired(effect)).map(|effect| effect.command).collect();
        let starts = |command: usize| {
            self.has(command, |effect| effect.kind == Kind::Execute) && self.starts_shell(command, &is_shell)
        };
        self.analysis.sources_of(wired.iter().copied()).into_iter().any(is_shell)
            || wired.into_iter().any(|command| is_shell(command) || starts(command))
    }

    /// Whether a command that runs code has a shell below it, or is told to run one.
    fn starts_shell(&self, command: usize, is_shell: &dyn Fn(usize) -> bool) -> bool {
        let Some(outer) = self.analysis.commands.get(command) else { return false };
        let below = self.analysis.commands.iter().enumerate().skip(command);
        below.filter(|(_, inner)| inner.wrappers.contains(&outer.name)).any(|(index, _)| is_shell(index))
            || self.has(command, |effect| {
                effect.kind == Kind::Execute && effect.target.as_deref().is_some_and(names_shell)
            })
    }

    /// Whether code runs that comes from a command of which `origin` is true.
    fn runs_what(&self, origin: impl Fn(usize) -> bool) -> bool {
        // Each command is asked about once, however many effects it has.
        let count = self.analysis.commands.len();
        let origins: Vec<OnceCell<bool>> = vec![OnceCell::new(); count];
        let origin = |command: usize| origins.get(command).is_some_and(|it| *it.get_or_init(|| origin(command)));
        let coming: Vec<OnceCell<bool>> = vec![OnceCell::new(); count];
        let sources = |command: usize| self.analysis.sources(command).into_iter().any(origin);
        let comes = |command: usize| coming.get(command).is_some_and(|it| *it.get_or_init(|| sources(command)));
        let executes = self.analysis.effects.iter().filter(|effect| effect.kind == Kind::Execute);
        executes.into_iter().any(|run| match (run.object, run.target.as_deref()) {
            (Object::Code, _) => comes(run.command),
            (Object::File, Some(file)) => self.analysis.effects.iter().any(|effect| {
                matches!(effect.kind, Kind::Write | Kind::Append)
                    && effect.object == Object::File
                    && effect.command <= run.command
                    && effect.target.as_deref() == Some(file)
                    && (origin(effect.command) || comes(effect.command))
            }),
            _ => false,
        })
    }

    fn has(&self, command: usize, is: impl Fn(&Effect) -> bool) -> bool {
        self.analysis.effects_of(command).any(is)
    }
}

/// Whether a command makes text out of what cannot be read.
fn decodes(command: &Command) -> bool {
    let given = |options: &[&str]| command.args.iter().any(|arg| options.contains(&arg.text.as_str()));
    match command.name.as_str() {
        "base64" | "base32" | "gbase64" | "basenc" => given(&["-d", "-D", "--decode", "-di", "-id", "-w0d"]),
        "openssl" => given(&["-d"]),
        "xxd" => command.args.iter().any(|arg| arg.text.starts_with('-') && arg.text.contains('r')),
        "printf" | "echo" => command.args.iter().any(|arg| arg.text.contains("\\x")),
        "b64decode" | "uudecode" | "rev" => true,
        _ => false,
    }
}

/// Whether a shell is named in code or in the words of `EXEC:…`.
fn names_shell(code: &str) -> bool {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    code.split(is_end).any(|word| SHELLS.contains(&word) || word == "cmd.exe")
}
