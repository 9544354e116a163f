//! What defines a setting, and the macro that makes the struct and the table out of one list.

use super::origins::Source;

/// What a setting's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A time such as `10s`; a bare number is seconds.
    Duration,
    /// A size such as `32MiB`; a bare number is bytes.
    Size,
    /// A path.
    Path,
    /// An `http://` or `https://` URL.
    Url,
    /// A secret: never shown, and also read from a file by the name with `_FILE`.
    Secret,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Several texts, separated by commas or as a list in the file.
    List,
    /// Several texts that may hold commas: one in each line, or a list in the file.
    Lines,
    /// Several values by name: JSON, or a map in the file.
    Object,
}

/// One setting: its names, its default, its meaning.
#[derive(Debug)]
pub struct Definition {
    /// The name in the code; with dashes, the flag.
    pub name: &'static str,
    /// The place in `luthien.yaml`, with dots.
    pub path: &'static str,
    /// The environment variables, the first one preferred.
    pub environment: &'static [&'static str],
    /// The default as text; empty for none.
    pub default: &'static str,
    /// The least and the most, as text.
    pub range: Option<(&'static str, &'static str)>,
    /// What it means and why the default is as it is, a line each.
    pub doc: &'static [&'static str],
    /// What the value looks like.
    pub kind: Kind,
    /// It can be set while running, which is kept in the database.
    pub live: bool,
    /// What environment and file say is for the first start: what was set while running counts more.
    pub first_boot: bool,
}

impl Definition {
    /// The flag without its dashes, such as `max-request-bytes`.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Whether this place counts more than what is set while running.
    pub fn is_pinned_by(&self, source: Source) -> bool {
        if self.first_boot { source == Source::Cli } else { source < Source::Db }
    }

    /// Whether the value must not be shown.
    pub fn secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// The meaning in one line.
    pub fn meaning(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// The section of the file that it is in.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(section, _)| section)
    }
}

macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty = $default:literal, at $path:literal, env [$($env:literal),+] $(, from $low:literal to $high:literal)? $(+ $live:ident)?;
    )+) => {
        /// Every setting, checked.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $( $(#[doc = $doc])+ pub $name: $type, )+
            /// The upstreams: `anthropic`, `openai`, and those that the file adds.
            pub upstreams: Vec<crate::config::UpstreamConfig>,
            /// Which models go elsewhere than to their dialect's default.
            pub models: Vec<crate::config::ModelRoute>,
            /// The policy as the file's `policy` section has it, if it names one.
            pub policy: Option<serde_json::Value>,
            /// The file that was read.
            pub file: Option<std::path::PathBuf>,
            /// Where each value comes from.
            pub origins: $crate::settings::Origins,
        }

        /// The table of all settings, in the order of the reference.
        pub static DEFINITIONS: &[Definition] = &[$(
            Definition {
                name: stringify!($name),
                path: $path,
                environment: &[$($env),+],
                default: $default,
                range: $crate::settings::definition::range!($($low $high)?),
                doc: &[$($doc),+],
                kind: <$type as $crate::settings::value::Value>::KIND,
                live: $crate::settings::definition::live!($($live)?),
                first_boot: $crate::settings::definition::first_boot!($($live)?),
            }
        ),+];

        impl Settings {
            /// Changes one setting to what was set while running, unless something stronger says what it is. The error says what
            /// was expected.
            pub fn set_live(&mut self, name: &str, text: &str) -> Result<(), String> {
                let Some(definition) = DEFINITIONS.iter().find(|definition| definition.name == name && definition.live) else {
                    return Err("a setting that can be changed while running".to_owned());
                };
                match name {
                    $( stringify!($name) => {
                        let value = sources::read_one::<$type>(definition, text)?;
                        if self.origins.set_live(definition, text) {
                            self.$name = value;
                        }
                    } )+
                    _ => {}
                }
                Ok(())
            }

            /// Reads every setting from what was found; what is wrong is noted there.
            fn assemble(found: &mut sources::Found) -> Option<Self> {
                $( let $name = found.read::<$type>(stringify!($name)); )+
                let rest = found.rest();
                Some(Self {
                    $( $name: $name?, )+
                    upstreams: Vec::new(),
                    models: Vec::new(),
                    policy: rest.policy,
                    file: rest.file,
                    origins: rest.origins,
                })
            }
        }
    };
}

macro_rules! range {
    () => {
        None
    };
    ($low:literal $high:literal) => {
        Some(($low, $high))
    };
}

macro_rules! live {
    () => {
        false
    };
    (live) => {
        true
    };
    (first_boot) => {
        true
    };
}

macro_rules! first_boot {
    () => {
        false
    };
    (live) => {
        false
    };
    (first_boot) => {
        true
    };
}

pub(super) use {first_boot, live, range, settings};
