//! What an operator allows, so that rules do not see it: files by their paths, commands by their lines.

use luthien_shell::{Command, Effect, Object};

use super::effects::{Effects, written};
use super::pattern::Globs;

/// Paths and commands that are allowed.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    paths: Globs,
    commands: Globs,
}

impl Allowed {
    /// From patterns of paths, and of commands as one line. The error says which list is wrong, where, and why.
    pub(crate) fn new(paths: &[String], commands: &[String]) -> Result<Self, (&'static str, usize, String)> {
        let wrong = |list: &'static str, patterns: &[String], of: fn(&[String]) -> Result<Globs, String>| {
            let found =
                patterns.iter().enumerate().find_map(|(at, one)| Some((at, of(std::slice::from_ref(one)).err()?)));
            let (at, why) = found.unwrap_or((0, "too much together".to_owned()));
            (list, at, why)
        };
        Ok(Self {
            paths: Globs::paths(paths).map_err(|_| wrong("allowed_paths", paths, Globs::paths))?,
            commands: Globs::lines(commands).map_err(|_| wrong("allowed_commands", commands, Globs::lines))?,
        })
    }

    /// The effects without those that are allowed.
    pub(super) fn rest_of(&self, effects: &Effects) -> Effects {
        let mut rest = effects.analysis().clone();
        let allowed: Vec<bool> = rest.commands.iter().map(|command| self.allows(command)).collect();
        rest.effects.retain(|effect| {
            !allowed.get(effect.command).copied().unwrap_or_default() && !self.is_allowed_path(effect)
        });
        for (command, _) in rest.commands.iter_mut().zip(&allowed).filter(|(_, allowed)| **allowed) {
            (command.name, command.path) = (String::new(), String::new());
            command.args.clear();
        }
        Effects::of(rest)
    }

    /// Whether all that is done is allowed, and all of it known.
    pub(super) fn covers(&self, effects: &Effects) -> bool {
        let analysis = effects.analysis();
        analysis.unknown.is_empty()
            && !analysis.commands.is_empty()
            && analysis.commands.iter().all(|command| self.allows(command))
    }

    /// A command is allowed by its words: one that also writes a file by a redirection does more than they say.
    fn allows(&self, command: &Command) -> bool {
        let writes = command.redirects.iter().any(|redirect| {
            redirect.operator.contains('>')
                && redirect.target.text != "/dev/null"
                && !redirect.target.text.bytes().all(|byte| byte.is_ascii_digit())
        });
        // So may one that sets variables: `LD_PRELOAD=…`. And `/tmp/git` need not be `git`.
        let as_named = command.assignments.is_empty() && command.path == command.name;
        !writes && as_named && self.commands.matches(&written(command))
    }

    fn is_allowed_path(&self, effect: &Effect) -> bool {
        matches!(effect.object, Object::File | Object::Device | Object::Log)
            && !effect.dynamic
            && effect.target.as_deref().is_some_and(|path| self.paths.holds(path))
    }
}
