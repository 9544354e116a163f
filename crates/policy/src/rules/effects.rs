//! What a tool call does, and the questions that expressions ask about it.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::traits::Indexer;
use cel::common::types::{CelBool, CelInt, CelString, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use luthien_shell::{Analysis, Command, Effect, Kind, Object};

use super::functions::{absent, pattern, truth};
use super::pattern::{Globs, Pattern};
use super::values::{self, Boxed};

mod flows;
mod names;
mod tools;

pub(crate) use names::{Kinds, kind, kind_name, object, object_name, unknown_kind};
pub(super) use tools::is_tool;

static EFFECTS: Type = Type::new_unspecified_type("effects");

/// What a tool call does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    analysis: Analysis,
    kinds: Kinds,
}

impl Effects {
    /// Of a shell's command.
    pub(super) fn of_command(command: &str) -> Self {
        Self::of(luthien_shell::analyze(command)).patching(command.lines())
    }

    /// Of a program with its arguments, which no shell reads.
    pub(super) fn of_argv(argv: &[String]) -> Self {
        Self::of(luthien_shell::analyze_argv(argv))
    }

    /// What is known of it.
    pub(super) fn analysis(&self) -> &Analysis {
        &self.analysis
    }

    pub(super) fn of(analysis: Analysis) -> Self {
        let mut kinds = Kinds::default();
        for effect in &analysis.effects {
            kinds.add(effect.kind);
        }
        if !analysis.unknown.is_empty() {
            kinds.add_unknown();
        }
        Self { analysis, kinds }
    }

    /// The kinds of effects, and whether something is unknown.
    pub(crate) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// The effects, for people: `delete file /etc/passwd`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines_of(None)
    }

    /// Those of some kinds.
    pub(crate) fn lines_of(&self, kinds: Option<Kinds>) -> Vec<String> {
        let asked = |effect: &&Effect| kinds.is_none_or(|kinds| kinds.has(effect.kind));
        let mut lines: Vec<String> = self.analysis.effects.iter().filter(asked).map(line).collect();
        lines.dedup();
        if self.kinds.unknown() && kinds.is_none_or(Kinds::unknown) {
            lines.push("unknown".to_owned());
        }
        lines
    }

    /// Whether a file that a pattern says, or any file where there is none, has one of these effects.
    fn files(&self, kinds: &[Kind], globs: Option<&Globs>) -> bool {
        self.analysis.effects.iter().any(|effect| {
            kinds.contains(&effect.kind)
                && matches!(effect.object, Object::File | Object::Device)
                && globs.is_none_or(|globs| says(globs, effect))
        })
    }

    fn executes(&self, globs: &Globs) -> bool {
        let named = |command: &Command| {
            globs.matches(&command.name)
                || globs.matches(&command.path)
                || command.wrappers.iter().any(|wrapper| globs.matches(wrapper))
        };
        self.analysis.commands.iter().any(named)
            || self.analysis.effects.iter().any(|effect| {
                effect.kind == Kind::Execute
                    && effect.object == Object::File
                    && effect.target.as_deref().is_some_and(|path| globs.matches(base(path)) || globs.matches(path))
            })
    }

    fn connects(&self, globs: Option<&Globs>) -> bool {
        self.analysis.effects.iter().any(|effect| {
            matches!(effect.kind, Kind::Network | Kind::Send)
                && globs.is_none_or(|globs| effect.target.as_deref().is_some_and(|target| globs.matches(host(target))))
        })
    }

    fn runs(&self, globs: &Globs) -> bool {
        self.analysis.commands.iter().any(|command| globs.matches(&written(command)))
    }

    /// Whether what is read of such files goes out to the network.
    fn sends(&self, globs: Option<&Globs>) -> bool {
        let reads = |command: usize| {
            self.analysis.effects_of(command).any(|effect| {
                effect.kind == Kind::Read
                    && effect.object == Object::File
                    && globs.is_none_or(|globs| says(globs, effect))
            })
        };
        let senders: BTreeSet<usize> =
            self.analysis.effects.iter().filter(|effect| effect.kind == Kind::Send).map(|it| it.command).collect();
        let sources = self.analysis.sources_of(senders.iter().copied());
        senders.into_iter().chain(sources).any(reads)
    }

    fn does(&self, deed: &Deed) -> bool {
        self.analysis.effects.iter().any(|effect| {
            deed.kinds.has(effect.kind)
                && deed.object.is_none_or(|object| object == effect.object)
                && deed.target.as_ref().is_none_or(|globs| {
                    if matches!(effect.object, Object::File | Object::Device) {
                        says(globs, effect)
                    } else {
                        effect.target.as_deref().is_some_and(|target| globs.matches(target))
                    }
                })
        })
    }

    fn field(&self, field: &str) -> Result<Boxed<'static>, ExecutionError> {
        let text = |text: &str| -> Boxed<'static> { Box::new(CelString::from(text.to_owned())) };
        match field {
            "kinds" => Ok(values::list(self.kinds.names().map(text))),
            "unknown" => Ok(Box::new(CelBool::from(self.kinds.unknown()))),
            "parsed" => Ok(Box::new(CelBool::from(self.analysis.parsed))),
            "complete" => Ok(Box::new(CelBool::from(self.analysis.complete()))),
            "commands" => Ok(values::list(self.analysis.commands.iter().map(|command| {
                let depth = i64::try_from(command.depth).unwrap_or(i64::MAX);
                let members: [(&str, Boxed<'static>); 5] = [
                    ("name", text(&command.name)),
                    ("args", values::list(command.args.iter().map(|arg| text(&arg.text)))),
                    ("text", text(&written(command))),
                    ("wrappers", values::list(command.wrappers.iter().map(|wrapper| text(wrapper)))),
                    ("depth", Box::new(CelInt::from(depth))),
                ];
                values::map(members.into_iter())
            }))),
            "list" => Ok(values::list(self.analysis.effects.iter().map(|effect| {
                let command = self.analysis.commands.get(effect.command).map(written).unwrap_or_default();
                let members: [(&str, Boxed<'static>); 7] = [
                    ("command", text(&command)),
                    ("kind", text(kind_name(effect.kind))),
                    ("object", text(object_name(effect.object))),
                    ("target", text(effect.target.as_deref().unwrap_or_default())),
                    ("recursive", Box::new(CelBool::from(effect.recursive))),
                    ("force", Box::new(CelBool::from(effect.force))),
                    ("dynamic", Box::new(CelBool::from(effect.dynamic))),
                ];
                values::map(members.into_iter())
            }))),
            _ => Err(ExecutionError::no_such_key(field)),
        }
    }
}

/// The fields of effects.
pub(super) const FIELDS: &[&str] = &["kinds", "unknown", "parsed", "complete", "commands", "list"];

/// What `does` asks for.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    kinds: Kinds,
    object: Option<Object>,
    target: Option<Globs>,
}

impl Deed {
    /// From its arguments: a kind, a sort of thing, patterns of which.
    pub(super) fn new(words: &[String]) -> Result<Self, String> {
        let Some((first, rest)) = words.split_first() else { return Err("`does` takes a kind of effect".to_owned()) };
        let mut kinds = Kinds::default();
        kinds.add(kind(first).ok_or_else(|| names::unknown("effect", first, names::KINDS.iter().map(|k| k.1)))?);
        let Some((second, targets)) = rest.split_first() else { return Ok(Self { kinds, object: None, target: None }) };
        let object =
            object(second).ok_or_else(|| names::unknown("object", second, names::OBJECTS.iter().map(|o| o.1)))?;
        let target = match targets {
            [] => None,
            globs if matches!(object, Object::File | Object::Device) => Some(Globs::paths(globs)?),
            globs => Some(Globs::lines(globs)?),
        };
        Ok(Self { kinds, object: Some(object), target })
    }
}

/// Whether the patterns say what a file's effect is about: the path, a folder around it, or, where all below the path is
/// meant, something below.
fn says(globs: &Globs, effect: &Effect) -> bool {
    let Some(target) = effect.target.as_deref() else { return false };
    globs.holds(target) || (effect.recursive && globs.may_lie_below(target))
}

/// The command as one line.
pub(super) fn written(command: &Command) -> String {
    let mut line = command.name.clone();
    for arg in &command.args {
        line.push(' ');
        line.push_str(&arg.text);
    }
    line
}

fn line(effect: &Effect) -> String {
    let mut line = format!("{} {}", kind_name(effect.kind), object_name(effect.object));
    if let Some(target) = &effect.target {
        line.push(' ');
        line.push_str(target);
    }
    if effect.recursive {
        line.push_str(" and all below");
    }
    line
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The host in a URL, `user@host:path` or `host:port`.
fn host(target: &str) -> &str {
    let (scheme, rest) = target.split_once("://").map_or(("", target), |(scheme, rest)| (scheme, rest));
    let authority = if scheme == "file" { "" } else { rest.split(['/', '?', '#']).next().unwrap_or(rest) };
    let host = authority.rsplit('@').next().unwrap_or(authority);
    if let Some(end) = host.strip_prefix('[').and_then(|inner| inner.find(']')) {
        return &host[1..=end];
    }
    match host.split_once(':') {
        // More than one colon: an address of version 6 without brackets.
        Some((_, after)) if after.contains(':') => host,
        Some((name, _)) => name,
        None => host,
    }
}

/// Effects as a value of CEL's.
#[derive(Clone, Debug)]
pub(super) struct EffectsValue(pub(super) Arc<Effects>);

impl StaticVal for EffectsValue {}

impl Val for EffectsValue {
    fn get_type(&self) -> &Type {
        &EFFECTS
    }

    fn cel_type() -> &'static Type {
        &EFFECTS
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Indexer for EffectsValue {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = key.downcast_ref::<CelString<'_>>().map(CelString::inner).unwrap_or_default();
        self.0.field(name).map(CowVal::Owned)
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;
type Function = for<'b, 'v> fn(Args<'b, 'v>) -> Answer<'b, 'v>;

/// Declares what can be asked of effects.
pub(super) fn declare(env: &mut Env, takes_pattern: &'static Type) -> Result<(), DeclarationError> {
    let alone: [(&str, Function); 10] = [
        ("reads", |args| ask(&args, |it| it.files(READS, None))),
        ("writes", |args| ask(&args, |it| it.files(WRITES, None))),
        ("deletes", |args| ask(&args, |it| it.files(DELETES, None))),
        ("connects", |args| ask(&args, |it| it.connects(None))),
        ("network", |args| ask(&args, |it| it.kinds.has(Kind::Network))),
        ("privilege", |args| ask(&args, |it| it.kinds.has(Kind::Privilege))),
        ("sends", |args| ask(&args, |it| it.sends(None))),
        ("fetched_code", |args| ask(&args, Effects::fetched_code)),
        ("decoded_code", |args| ask(&args, Effects::decoded_code)),
        ("remote_shell", |args| ask(&args, Effects::remote_shell)),
    ];
    for (name, op) in alone {
        env.add_member_overload(name, &format!("effects_{name}"), EFFECTS.to_owned(), vec![], op)?;
    }
    let with_pattern: [(&str, Function); 8] = [
        ("reads", |args| ask_globs(&args, |it, globs| it.files(READS, Some(globs)))),
        ("writes", |args| ask_globs(&args, |it, globs| it.files(WRITES, Some(globs)))),
        ("deletes", |args| ask_globs(&args, |it, globs| it.files(DELETES, Some(globs)))),
        ("executes", |args| ask_globs(&args, Effects::executes)),
        ("connects", |args| ask_globs(&args, |it, globs| it.connects(Some(globs)))),
        ("runs", |args| ask_globs(&args, Effects::runs)),
        ("sends", |args| ask_globs(&args, |it, globs| it.sends(Some(globs)))),
        ("does", |args| {
            let Pattern::Deed(deed) = pattern(&args, 1)? else { return Err(absent("an effect")) };
            ask(&args, |it| it.does(deed))
        }),
    ];
    for (name, op) in with_pattern {
        let takes = vec![takes_pattern.to_owned()];
        env.add_member_overload(name, &format!("effects_{name}_pattern"), EFFECTS.to_owned(), takes, op)?;
    }
    Ok(())
}

const READS: &[Kind] = &[Kind::Read];
const WRITES: &[Kind] = &[Kind::Write, Kind::Append];
const DELETES: &[Kind] = &[Kind::Delete];

fn ask<'b, 'v>(args: &[CowVal<'_, '_>], question: impl FnOnce(&Effects) -> bool) -> Answer<'b, 'v> {
    let effects = args.first().and_then(|arg| arg.downcast_ref::<EffectsValue>()).ok_or_else(|| absent("effects"))?;
    Ok(truth(question(&effects.0)))
}

fn ask_globs<'b, 'v>(args: &[CowVal<'_, '_>], question: impl FnOnce(&Effects, &Globs) -> bool) -> Answer<'b, 'v> {
    let Pattern::Globs(globs) = pattern(args, 1)? else { return Err(absent("a pattern")) };
    ask(args, |it| question(it, globs))
}

#[cfg(test)]
mod tests;
