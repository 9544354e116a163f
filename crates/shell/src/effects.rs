//! From a command's arguments and the tables to its effects.

mod copies;
mod places;
mod statements;

use crate::{
    analysis::{Effect, Kind, Object, Word},
    options::{self, Arguments},
    paths,
    tables::{self, Act, Condition, Rule, Select},
    walk::{Context, Walker},
};

/// Files that are none.
const STREAMS: &[&str] = &[
    "/dev/null",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/stdin",
    "/dev/tty",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "-",
];

impl Walker {
    /// A path in one form, below the folder that the script went to.
    pub(crate) fn path(&self, path: &str) -> String {
        paths::normalise(path, self.folder.as_deref())
    }

    /// Adds an effect on a word.
    pub(crate) fn effect_on(&mut self, command: usize, kind: Kind, object: Object, word: &Word) {
        self.add_with(command, kind, object, word, false, false);
    }

    /// Adds an effect on a word, with the command's flags.
    pub(crate) fn add_with(
        &mut self,
        command: usize,
        kind: Kind,
        mut object: Object,
        word: &Word,
        recursive: bool,
        force: bool,
    ) {
        let text = word.text.as_str();
        if object == Object::File {
            if let Some(address) = text.strip_prefix("/dev/tcp/").or_else(|| text.strip_prefix("/dev/udp/")) {
                let host = address.replacen('/', ":", 1);
                self.add(command, Kind::Network, Object::Host, Some(host.clone()), word.dynamic);
                if kind != Kind::Read {
                    self.add(command, Kind::Send, Object::Host, Some(host), word.dynamic);
                }
                return;
            }
            if STREAMS.contains(&text)
                || text.starts_with("/dev/fd/")
                || text.starts_with("<(")
                || text.starts_with(">(")
            {
                return;
            }
            if text.starts_with("/dev/") && !text.starts_with("/dev/shm") {
                object = Object::Device;
            }
        }
        let target = match object {
            Object::File | Object::Device if !text.is_empty() => Some(self.path(text)),
            _ if text.is_empty() => None,
            _ => Some(text.to_owned()),
        };
        if object == Object::File
            && let Some(path) = &target
        {
            self.through_file(command, kind, path);
        }
        let stays = object == Object::File
            && matches!(kind, Kind::Write | Kind::Append)
            && target.as_deref().is_some_and(places::persistent);
        // Below a folder that is not known, nothing is.
        let below = self.folder.as_deref().is_some_and(|folder| folder.contains('$')) && !paths::rooted(text);
        let dynamic = word.dynamic || (below && matches!(object, Object::File | Object::Device));
        if stays {
            self.put(Effect {
                kind: Kind::Persist,
                object,
                target: target.clone(),
                dynamic,
                recursive,
                force,
                command,
            });
        }
        if let (Object::File, Kind::Write | Kind::Delete, Some(path)) = (object, kind, target.as_deref()) {
            if places::log(path) {
                self.put(Effect {
                    kind: Kind::Weaken,
                    object: Object::Log,
                    target: target.clone(),
                    dynamic,
                    recursive,
                    force,
                    command,
                });
            } else if path == "/proc/sysrq-trigger" {
                self.add(command, Kind::Kill, Object::Machine, None, false);
            }
        }
        if object == Object::Database && kind == Kind::Execute {
            self.add(command, kind, object, target, dynamic);
            return;
        }
        self.put(Effect { kind, object, target, dynamic, recursive, force, command });
    }

    /// Adds an effect as it is.
    pub(crate) fn add(&mut self, command: usize, kind: Kind, object: Object, target: Option<String>, dynamic: bool) {
        if let (Kind::Execute, Object::Database, Some(text)) = (kind, object, &target) {
            for does in statements::does(text) {
                match does {
                    statements::Does::Deletes => {
                        self.add(command, Kind::Delete, Object::Database, Some(text.clone()), dynamic);
                    }
                    statements::Does::RunsPrograms => {
                        self.add(command, Kind::Execute, Object::Code, Some(text.clone()), dynamic);
                    }
                }
            }
        }
        self.put(Effect { kind, object, target, dynamic, recursive: false, force: false, command });
    }

    /// Adds the effects that the tables know.
    pub(crate) fn table_effects(&mut self, command: usize, name: &str, arguments: &[Word], context: &Context) {
        copies::effects(self, command, name, arguments, context);
        let Some(entry) = tables::entry(name).or_else(|| tables::entry(unversioned(name))) else { return };
        let mut given = options::read(arguments, &entry.reading(&[], usize::MAX));
        let values: Vec<&'static str> = entry
            .rules
            .iter()
            .filter(|rule| rule.matches(&given.operands).is_some())
            .flat_map(|rule| rule.values.iter().copied())
            .collect();
        if !values.is_empty() {
            given = options::read(arguments, &entry.reading(&values, usize::MAX));
        }
        let mut found = Found { walker: self, command, arguments, recursive: false, force: false };
        for rule in &entry.rules {
            let Some(skip) = rule.matches(&given.operands) else { continue };
            found.rule(rule, skip, &given);
        }
    }
}

/// `mkfs` for `mkfs.ext4`, `pip` for `pip3.11`.
fn unversioned(name: &str) -> &str {
    name.split('.').next().unwrap_or(name).trim_end_matches(|c: char| c.is_ascii_digit())
}

struct Found<'a> {
    walker: &'a mut Walker,
    command: usize,
    arguments: &'a [Word],
    recursive: bool,
    force: bool,
}

impl Found<'_> {
    fn rule(&mut self, rule: &Rule, mut skip: usize, given: &Arguments<'_>) {
        let holds = |conditions: &[Condition]| conditions.iter().all(|condition| condition.holds(given));
        for clause in &rule.clauses {
            match &clause.act {
                Act::Recursive => self.recursive = holds(&clause.conditions),
                Act::Force => self.force = holds(&clause.conditions),
                Act::Script(options) => skip += usize::from(!options.iter().any(|option| given.has(option))),
                Act::Effect(..) | Act::Wrap(_) => {}
            }
        }
        let operands = given.operands.get(skip..).unwrap_or_default();
        for clause in &rule.clauses {
            if let Act::Effect(kind, object, selects) = &clause.act
                && holds(&clause.conditions)
            {
                for select in selects {
                    self.selected(*kind, *object, select, operands, given);
                }
            }
        }
    }

    fn selected(&mut self, kind: Kind, object: Object, select: &Select, operands: &[&Word], given: &Arguments<'_>) {
        match select {
            Select::None => self.add(kind, object, &Word::default()),
            Select::Operands(from, to) => {
                let index = |at: isize| {
                    if at < 0 { operands.len().checked_sub(at.unsigned_abs()) } else { Some(at.unsigned_abs()) }
                };
                let Some(from) = index(*from) else { return };
                let to = to.map_or(Some(operands.len()), index).unwrap_or(operands.len()).min(operands.len());
                for word in operands.get(from..to).unwrap_or_default() {
                    self.add(kind, object, word);
                }
            }
            Select::Option(option) => {
                for value in given.values(option) {
                    self.add(kind, object, &Word { text: value.text.to_owned(), ..value.word.clone() });
                }
            }
            Select::At(option) => {
                for value in given.values(option) {
                    if let Some(at) = value
                        .text
                        .rfind('@')
                        .filter(|&at| at == 0 || value.text.get(..at).is_some_and(|before| before.ends_with('=')))
                    {
                        let text = value.text.get(at + 1..).unwrap_or_default();
                        self.add(kind, object, &Word { text: text.to_owned(), ..value.word.clone() });
                    }
                }
            }
            Select::Key(key) => {
                for word in operands {
                    if let Some(value) = word.text.strip_prefix(key) {
                        self.add(kind, object, &Word { text: value.to_owned(), ..(*word).clone() });
                    }
                }
            }
            Select::Saved => {
                for word in operands {
                    let path = word.text.split(['?', '#']).next().unwrap_or_default();
                    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
                    let file = path.split_once('/').map_or("index.html", |(_, rest)| paths::basename(rest));
                    self.add(kind, object, &Word { text: file.to_owned(), ..(*word).clone() });
                }
            }
            Select::Text => {
                let text = self.arguments.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
                let dynamic = self.arguments.iter().any(|word| word.dynamic);
                let word = Word { dynamic, ..Word::fixed(text) };
                self.add(kind, object, &word);
            }
        }
    }

    fn add(&mut self, kind: Kind, object: Object, word: &Word) {
        self.walker.add_with(self.command, kind, object, word, self.recursive, self.force);
    }
}
