//! The values that settings have, each read from text.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::definition::Kind;
use crate::caps::{Caps, ScopeKind};
use crate::config::AuthMode;
use crate::notify::Wanted;
use crate::redaction::{Detectors, Patterns};

/// A value that can be read from text. The error says what was expected, not what was found.
pub(super) trait Value: Sized {
    /// What it looks like.
    const KIND: Kind;
    /// Reads it.
    fn parse(text: &str) -> Result<Self, String>;
    /// Its size, for values that have a range: a count, bytes or milliseconds.
    fn magnitude(&self) -> Option<u128> {
        None
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn magnitude(&self) -> Option<u128> {
        self.as_ref().and_then(T::magnitude)
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a text that is not empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Value for SecretString {
    const KIND: Kind = Kind::Secret;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("a secret in one line".to_owned());
        }
        Ok(Self::from(text))
    }
}

/// The address of a Redis server; it may hold a password.
#[derive(Clone, Debug)]
pub struct RedisUrl(pub SecretString);

impl RedisUrl {
    /// The way to that server.
    pub(crate) fn client(&self) -> Option<redis::Client> {
        crate::replicas::client(self.0.expose_secret()).ok()
    }
}

impl Value for RedisUrl {
    const KIND: Kind = Kind::Secret;

    fn parse(text: &str) -> Result<Self, String> {
        crate::replicas::client(text)?;
        Ok(Self(SecretString::from(text)))
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind::Path;

    fn parse(text: &str) -> Result<Self, String> {
        // Only shells know what `~` means; taken as it is, it would make a folder of that name.
        if text.starts_with('~') {
            return Err("a path; write the home folder out, or `${HOME}` in the file".to_owned());
        }
        Ok(Self::from(text))
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Switch;

    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("`true` or `false`".to_owned()),
        }
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::Number;

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX))
            }

            fn magnitude(&self) -> Option<u128> {
                u128::try_from(*self).ok()
            }
        }
    )+};
}

numbers!(u16, u32, usize);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// As a count for buffers; what does not fit is the largest count there is.
    pub(super) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Value for ByteSize {
    const KIND: Kind = Kind::Size;

    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text.trim());
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "kib" | "k" => 1 << 10,
            "mb" => 1_000_000,
            "mib" | "m" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" | "g" => 1 << 30,
            "tib" | "t" => 1 << 40,
            _ => return Err(SIZE.to_owned()),
        };
        let count = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        count.map(Self).ok_or_else(|| SIZE.to_owned())
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.0.into())
    }
}

const SIZE: &str = "a size such as `512KiB`, `32MiB` or a number of bytes";
const DURATION: &str = "a time such as `500ms`, `10s`, `2m`, `1h` or a number of seconds";

/// A time such as `15m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    Value::parse(text)
}

impl Value for Duration {
    const KIND: Kind = Kind::Duration;

    fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        let mut millis: u64 = 0;
        if rest.is_empty() {
            return Err(DURATION.to_owned());
        }
        while !rest.is_empty() {
            let (number, tail) = split_unit(rest);
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, after) = tail.split_at(end);
            let factor: u64 = match unit.trim() {
                "ms" => 1,
                "s" | "" => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                _ => return Err(DURATION.to_owned()),
            };
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
            millis = part.and_then(|part| millis.checked_add(part)).ok_or_else(|| DURATION.to_owned())?;
            rest = after;
        }
        Ok(Self::from_millis(millis))
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.as_millis())
    }
}

/// A time that is mostly given in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days(pub Duration);

impl Value for Days {
    const KIND: Kind = Kind::Duration;

    fn parse(text: &str) -> Result<Self, String> {
        const A_DAY: f64 = 86_400.0;
        let text = text.trim();
        let bare = text.chars().all(|c| c.is_ascii_digit() || c == '.').then(|| text.parse::<f64>().ok()).flatten();
        let time = match bare {
            Some(days) => Duration::try_from_secs_f64(days * A_DAY).ok(),
            None => Duration::parse(text).ok(),
        };
        time.map(Self).ok_or_else(|| "a number of days such as `90` or `0.5`, or a time such as `36h`".to_owned())
    }

    fn magnitude(&self) -> Option<u128> {
        Some(self.0.as_millis())
    }
}

/// The digits at the start, and what follows them.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// An absolute `http` or `https` URL with a host, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        <Self as Value>::parse(&text).map_err(|expected| format!("expected {expected}"))
    }
}

impl Value for BaseUrl {
    const KIND: Kind = Kind::Url;

    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "a URL such as `https://example.com/v1`, without user name, query or fragment".to_owned();
        let uri: http::Uri = text.parse().map_err(|_| expected())?;
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority =
            uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        if !scheme || !authority || uri.query().is_some() || text.contains('#') {
            return Err(expected());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// An absolute `http` or `https` URL that may hold a secret, in its path or query.
#[derive(Clone, Debug)]
pub struct SecretUrl(pub SecretString);

impl Value for SecretUrl {
    const KIND: Kind = Kind::Secret;

    fn parse(text: &str) -> Result<Self, String> {
        let expected = || "an `http` or `https` URL with a host, without user name or fragment".to_owned();
        let uri: http::Uri = text.parse().map_err(|_| expected())?;
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.authority().is_some_and(|host| !host.host().is_empty() && !host.as_str().contains('@'));
        if scheme && host && !text.contains('#') { Ok(Self(SecretString::from(text))) } else { Err(expected()) }
    }
}

impl Value for Wanted {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Value for Detectors {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Value for Patterns {
    const KIND: Kind = Kind::Lines;

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

/// The caps of one kind of scope.
macro_rules! caps {
    ($(#[doc = $doc:literal] $name:ident = $kind:ident;)+) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub Caps);

        impl Value for $name {
            const KIND: Kind = Kind::Object;

            fn parse(text: &str) -> Result<Self, String> {
                if text.is_empty() {
                    return Ok(Self::default());
                }
                Caps::parse(ScopeKind::$kind, text).map(Self).map_err(|why| format!("an object of caps ({why})"))
            }
        }
    )+};
}

caps! {
    /// What each key may use.
    KeyCaps = Key;
    /// What each session may use.
    SessionCaps = Session;
    /// What each user may use.
    UserCaps = User;
}

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $( $(#[$item_meta:meta])* $item:ident = $word:literal, )+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$item_meta])* $item, )+
        }

        impl $name {
            /// The word for it, as in the settings.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$item => $word, )+
                }
            }
        }

        impl Value for $name {
            const KIND: Kind = Kind::Choice(&[$($word),+]);

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $( text if text.eq_ignore_ascii_case($word) => Ok(Self::$item), )+
                    _ => Err(format!("one of {}", [$(concat!("`", $word, "`")),+].join(", "))),
                }
            }
        }
    };
}

choice! {
    /// Where the active policy comes from at the start.
    PolicySource {
        /// Only the database.
        Db = "db",
        /// Only the file.
        File = "file",
        /// The database; the file where that holds none.
        DbFallbackFile = "db-fallback-file",
        /// The file; the database where that holds none.
        FileFallbackDb = "file-fallback-db",
    }
}

choice! {
    /// What becomes of traffic whose policy did not load.
    #[derive(Default)]
    PolicyFailMode {
        /// It is refused.
        #[default]
        Closed = "closed",
        /// It passes, recorded as failed open.
        Open = "open",
    }
}

/// Names, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Value for Names {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let mut names: Vec<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if names.iter().all(|name| name.chars().all(plain)) {
            Ok(Self(names))
        } else {
            Err("names of letters, digits, `_`, `-` and `.`, separated by commas".to_owned())
        }
    }
}

/// Paths of the gateway, each beginning with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths(pub Vec<String>);

impl Value for Paths {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let paths: Vec<String> =
            text.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect();
        if paths.iter().all(|path| path.starts_with("/v1/")) {
            Ok(Self(paths))
        } else {
            Err("paths that begin with `/v1/`, separated by commas".to_owned())
        }
    }
}

impl Value for AuthMode {
    const KIND: Kind = Kind::Choice(&["client_key", "passthrough", "both"]);

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            // The older word for it.
            "client_key" | "proxy_key" => Ok(Self::ClientKey),
            "passthrough" => Ok(Self::Passthrough),
            "both" => Ok(Self::Both),
            _ => Err("one of `client_key`, `passthrough`, `both`".to_owned()),
        }
    }
}

choice! {
    /// How a bucket encrypts what is written to it.
    S3Encryption {
        /// With the storage's own keys.
        Aes256 = "AES256",
        /// With a key of the key management service.
        Kms = "aws:kms",
    }
}

choice! {
    /// How much is logged.
    LogLevel {
        /// Only what failed.
        Error = "error",
        /// What needs attention.
        Warn = "warn",
        /// What a person running it wants to see.
        Info = "info",
        /// What helps to find a fault.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

choice! {
    /// The form of the log.
    LogFormat {
        /// Text on a terminal, else JSON.
        Auto = "auto",
        /// A JSON object a line.
        Json = "json",
        /// Text for people.
        Text = "text",
    }
}
