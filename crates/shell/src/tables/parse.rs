//! Reads the tables' text.

use std::collections::HashMap;

use super::{Act, Clause, Condition, Entry, Form, Rule, Select, Wrap};
use crate::analysis::{Kind, Object};

/// Adds a table's lines; gives those that could not be read.
pub(super) fn read(source: &'static str, table: &mut HashMap<&'static str, Entry>) -> Vec<&'static str> {
    let mut faults = Vec::new();
    for line in source.lines() {
        let text = line.trim();
        if !text.is_empty() && !text.starts_with('#') && line_of(text, table).is_none() {
            faults.push(line);
        }
    }
    faults
}

fn line_of(line: &'static str, table: &mut HashMap<&'static str, Entry>) -> Option<()> {
    let (head, body) = line.split_once(" : ")?;
    let mut words = head.split_whitespace();
    let names = words.next()?;
    let sub: Vec<&'static str> = words.collect();
    for name in names.split(',') {
        let mut rule = Rule { sub: sub.clone(), ..Rule::default() };
        let entry = table.entry(name).or_default();
        for clause in body.split(" ; ") {
            clause_of(clause, &mut rule, entry)?;
        }
        entry.rules.push(rule);
    }
    Some(())
}

fn clause_of(text: &'static str, rule: &mut Rule, entry: &mut Entry) -> Option<()> {
    let (conditions, text) = conditions(text.trim())?;
    let mut words = text.split_whitespace();
    let verb = words.next()?;
    let rest: Vec<&'static str> = words.collect();
    let act = match verb {
        "values" if rule.sub.is_empty() => {
            entry.values.extend(rest);
            return Some(());
        }
        "values" => {
            rule.values.extend(rest);
            return Some(());
        }
        "long" => {
            entry.long = true;
            return Some(());
        }
        "nothing" => return Some(()),
        "script" => Act::Script(rest),
        "recursive" | "force" => {
            let mut conditions = conditions;
            if !rest.is_empty() {
                conditions.push(Condition { not: false, any: rest });
            }
            let act = if verb == "force" { Act::Force } else { Act::Recursive };
            rule.clauses.push(Clause { conditions, act });
            return Some(());
        }
        "wrap" => {
            entry.wraps = true;
            Act::Wrap(wrap(&rest, conditions)?)
        }
        _ => {
            let (kind, object) = effect(verb)?;
            let selects = rest.iter().map(|word| select(word)).collect::<Option<Vec<Select>>>()?;
            if selects.is_empty() {
                return None;
            }
            rule.clauses.push(Clause { conditions, act: Act::Effect(kind, object, selects) });
            return Some(());
        }
    };
    rule.clauses.push(Clause { conditions: Vec::new(), act });
    Some(())
}

/// `[-f --force] [!-n]` in front of a clause.
fn conditions(mut text: &'static str) -> Option<(Vec<Condition>, &'static str)> {
    let mut out = Vec::new();
    while let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let not = inside.starts_with('!');
        let any = inside.trim_start_matches('!').split_whitespace().collect();
        out.push(Condition { not, any });
        text = after.trim_start();
    }
    Some((out, text))
}

fn wrap(words: &[&'static str], conditions: Vec<Condition>) -> Option<Wrap> {
    let (form, mut rest) = words.split_first()?;
    let mut take = |stop: fn(&str) -> bool| {
        let count = rest.iter().take_while(|word| stop(word)).count();
        let (taken, left) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        rest = left;
        taken.to_vec()
    };
    let number = |text: Vec<&'static str>| text.first().and_then(|text| text.parse().ok());
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let options = |word: &str| word.starts_with('-');
    let form = match *form {
        "skip" => Form::Skip(number(take(digits))?),
        "join" => Form::Join(number(take(digits))?),
        "dashes" => Form::Dashes,
        "text" => Form::Text(take(options)),
        "after" => Form::After(take(options)),
        _ => return None,
    };
    let mut wrap = Wrap {
        conditions,
        form,
        keep: false,
        remote: false,
        privilege: false,
        users: Vec::new(),
        sets: false,
        input: false,
    };
    for &word in rest {
        match word {
            "keep" => wrap.keep = true,
            "remote" => wrap.remote = true,
            "privilege" => wrap.privilege = true,
            "sets" => wrap.sets = true,
            "input" => wrap.input = true,
            option if option.starts_with('-') && wrap.privilege => wrap.users.push(option),
            _ => return None,
        }
    }
    Some(wrap)
}

fn effect(verb: &str) -> Option<(Kind, Object)> {
    let (kind, object) = verb.split_once('/').map_or((verb, None), |(kind, object)| (kind, Some(object)));
    let (kind, usual) = match kind {
        "read" => (Kind::Read, Object::File),
        "search" => (Kind::Search, Object::File),
        "write" => (Kind::Write, Object::File),
        "append" => (Kind::Append, Object::File),
        "delete" => (Kind::Delete, Object::File),
        "execute" => (Kind::Execute, Object::Code),
        "network" => (Kind::Network, Object::Host),
        "send" => (Kind::Send, Object::Host),
        "listen" => (Kind::Listen, Object::Host),
        "privilege" => (Kind::Privilege, Object::Account),
        "persist" => (Kind::Persist, Object::Schedule),
        "kill" => (Kind::Kill, Object::Process),
        "mode" => (Kind::ChangeMode, Object::File),
        "install" => (Kind::Install, Object::Package),
        "capture" => (Kind::Capture, Object::Input),
        "weaken" => (Kind::Weaken, Object::Defence),
        _ => return None,
    };
    let object = match object {
        None => usual,
        Some("file") => Object::File,
        Some("device") => Object::Device,
        Some("host") => Object::Host,
        Some("code") => Object::Code,
        Some("process") => Object::Process,
        Some("service") => Object::Service,
        Some("repository") => Object::Repository,
        Some("remote") => Object::RemoteRepository,
        Some("container") => Object::Container,
        Some("cluster") => Object::Cluster,
        Some("cloud") => Object::Cloud,
        Some("infrastructure") => Object::Infrastructure,
        Some("database") => Object::Database,
        Some("package") => Object::Package,
        Some("account") => Object::Account,
        Some("kernel") => Object::Kernel,
        Some("defence") => Object::Defence,
        Some("log") => Object::Log,
        Some("schedule") => Object::Schedule,
        Some("secret") => Object::Secret,
        Some("input") => Object::Input,
        Some("machine") => Object::Machine,
        Some("backup") => Object::Backup,
        Some(_) => return None,
    };
    Some((kind, object))
}

fn select(word: &'static str) -> Option<Select> {
    Some(match word {
        "&" => Select::None,
        "*" => Select::Operands(0, None),
        "last" => Select::Operands(-1, None),
        "..last" => Select::Operands(0, Some(-1)),
        "text" => Select::Text,
        "saved" => Select::Saved,
        _ if word.starts_with("@-") => Select::At(word.get(1..)?),
        _ if word.starts_with('-') => Select::Option(word),
        _ if word.ends_with('=') => Select::Key(word),
        _ => {
            if let Some(from) = word.strip_suffix("..") {
                Select::Operands(from.parse::<isize>().ok()? - 1, None)
            } else {
                let at = word.parse::<isize>().ok()? - 1;
                Select::Operands(at, Some(at + 1))
            }
        }
    })
}
