//! The names of effects and of what they are about.

use luthien_shell::{Kind, Object};

/// The kinds of effects.
pub(crate) const KINDS: &[(Kind, &str)] = &[
    (Kind::Read, "read"),
    (Kind::Search, "search"),
    (Kind::Write, "write"),
    (Kind::Append, "append"),
    (Kind::Delete, "delete"),
    (Kind::Execute, "execute"),
    (Kind::Network, "network"),
    (Kind::Send, "send"),
    (Kind::Listen, "listen"),
    (Kind::Privilege, "privilege"),
    (Kind::Persist, "persist"),
    (Kind::Kill, "kill"),
    (Kind::ChangeMode, "change_mode"),
    (Kind::Install, "install"),
    (Kind::Capture, "capture"),
    (Kind::Weaken, "weaken"),
];

/// What effects are about.
pub(crate) const OBJECTS: &[(Object, &str)] = &[
    (Object::File, "file"),
    (Object::Device, "device"),
    (Object::Host, "host"),
    (Object::Code, "code"),
    (Object::Process, "process"),
    (Object::Service, "service"),
    (Object::Repository, "repository"),
    (Object::RemoteRepository, "remote_repository"),
    (Object::Container, "container"),
    (Object::Cluster, "cluster"),
    (Object::Cloud, "cloud"),
    (Object::Infrastructure, "infrastructure"),
    (Object::Database, "database"),
    (Object::Package, "package"),
    (Object::Account, "account"),
    (Object::Kernel, "kernel"),
    (Object::Defence, "defence"),
    (Object::Log, "log"),
    (Object::Schedule, "schedule"),
    (Object::Secret, "secret"),
    (Object::Input, "input"),
    (Object::Machine, "machine"),
    (Object::Backup, "backup"),
];

/// The kind with this name.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
}

/// What has this name.
pub(crate) fn object(name: &str) -> Option<Object> {
    OBJECTS.iter().find(|(_, known)| *known == name).map(|(object, _)| *object)
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("other", |(_, name)| name)
}

pub(crate) fn object_name(object: Object) -> &'static str {
    OBJECTS.iter().find(|(known, _)| *known == object).map_or("other", |(_, name)| name)
}

/// That there is no such name.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match similar::get_close_matches(name, &known, 1, 0.6).first() {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None => format!("unknown {what} `{name}`; known are {}", known.join(", ")),
    }
}

/// That there is no such kind of effect.
pub(crate) fn unknown_kind(name: &str) -> String {
    unknown("effect", name, KINDS.iter().map(|(_, known)| *known).chain(["unknown"]))
}

/// A set of kinds, and whether something is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u32);

impl Kinds {
    const UNKNOWN: u32 = 1 << 31;

    fn bit(kind: Kind) -> u32 {
        KINDS.iter().position(|(known, _)| *known == kind).map_or(0, |at| 1 << at)
    }

    /// With this kind.
    pub(crate) fn add(&mut self, kind: Kind) {
        self.0 |= Self::bit(kind);
    }

    /// With something unknown.
    pub(crate) fn add_unknown(&mut self) {
        self.0 |= Self::UNKNOWN;
    }

    pub(crate) fn has(self, kind: Kind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    pub(crate) fn unknown(self) -> bool {
        self.0 & Self::UNKNOWN != 0
    }

    /// Whether both have something.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the kinds, `unknown` at the end.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let kinds = KINDS.iter().filter(move |(kind, _)| self.has(*kind)).map(|(_, name)| *name);
        kinds.chain(self.unknown().then_some("unknown"))
    }
}
