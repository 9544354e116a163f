//! How callers get in, as it holds now, and what is remembered of them: with what the last one came, and which credentials their
//! vendors have taken.

pub(crate) mod verdicts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use serde::Serialize;

use self::verdicts::Verdicts;
use crate::config::AuthMode;
use crate::settings::Settings;

/// What a caller comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialType {
    /// An API key of its own for the vendor.
    ApiKey,
    /// A token of its own that it got by logging in at the vendor.
    Oauth,
    /// The shared gateway key; the gateway's own vendor key is used.
    GatewayKey,
    /// A key that the gateway has given out; the gateway's own vendor key is used.
    ClientKey,
}

impl CredentialType {
    const ALL: [Self; 4] = [Self::ApiKey, Self::Oauth, Self::GatewayKey, Self::ClientKey];

    /// Of a vendor's credential, by its form: a bearer alone does not tell, newer SDKs send API keys so.
    pub(crate) fn of_vendors(credential: &[u8]) -> Self {
        let signed = credential.starts_with(b"eyJ") && memchr::memchr_iter(b'.', credential).count() == 2;
        if credential.starts_with(OAUTH) || signed { Self::Oauth } else { Self::ApiKey }
    }
}

/// With what the vendor's own login tokens begin, where they are not signed.
pub(crate) const OAUTH: &[u8] = b"sk-ant-oat";

/// How callers get in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// With what.
    pub mode: AuthMode,
    /// Vendors are asked whether callers' own credentials are valid, and their word counts so long.
    pub validation: Option<Validity>,
}

/// For how long a vendor's word on a credential counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Where it takes the credential.
    pub valid: Duration,
    /// Where it does not.
    pub invalid: Duration,
}

impl From<AuthMode> for AccessRules {
    fn from(mode: AuthMode) -> Self {
        Self { mode, validation: None }
    }
}

impl From<&Settings> for AccessRules {
    fn from(settings: &Settings) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let validity = Validity {
            valid: seconds(settings.valid_cache_ttl_seconds),
            invalid: seconds(settings.invalid_cache_ttl_seconds),
        };
        Self { mode: settings.auth_mode, validation: settings.validate_credentials.then_some(validity) }
    }
}

/// The rules in force and what is remembered. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Access {
    rules: Arc<ArcSwap<AccessRules>>,
    /// The last caller's: microseconds and, in the lowest two bits, the type. 0: nobody came yet.
    last: Arc<AtomicU64>,
    pub(crate) verdicts: Verdicts,
}

impl<T: Into<AccessRules>> From<T> for Access {
    fn from(rules: T) -> Self {
        let access = Self::default();
        access.rules.store(Arc::new(rules.into()));
        access
    }
}

impl Access {
    /// Puts other rules in force for all requests from now on. What lets more callers in than before is warned of.
    pub fn set(&self, rules: AccessRules) {
        let before = self.rules.swap(Arc::new(rules));
        if before.mode == AuthMode::ClientKey && rules.mode != AuthMode::ClientKey {
            let mode = rules.mode.name();
            tracing::warn!(
                mode,
                "from now on callers get in with any credential of an upstream's, not with gateway keys alone"
            );
        }
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> Guard<Arc<AccessRules>> {
        self.rules.load()
    }

    /// Somebody was let in.
    pub(crate) fn used(&self, kind: CredentialType, at: Timestamp) {
        let at = u64::try_from(at.as_microsecond()).unwrap_or_default();
        self.last.store(at << 2 | kind as u64, Ordering::Relaxed);
    }

    /// With what the last caller came, and when; `None` where nobody came since the start.
    pub(crate) fn last(&self) -> Option<(CredentialType, Timestamp)> {
        let last = self.last.load(Ordering::Relaxed);
        if last == 0 {
            return None;
        }
        let kind = CredentialType::ALL.get(usize::try_from(last & 3).ok()?)?;
        Some((*kind, Timestamp::from_microsecond(i64::try_from(last >> 2).ok()?).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_caller_is_remembered_with_its_time() {
        let access = Access::default();
        assert_eq!(access.last(), None);
        for (seconds, kind) in CredentialType::ALL.into_iter().enumerate() {
            let at = Timestamp::from_microsecond(1_790_000_000_123_457 + i64::try_from(seconds).unwrap()).unwrap();
            access.used(kind, at);
            assert_eq!(access.last(), Some((kind, at)));
        }
    }

    #[test]
    fn a_bearer_alone_is_no_login() {
        for (credential, kind) in [
            ("sk-ant-oat01-x", CredentialType::Oauth),
            ("eyJhbGciOi.eyJzdWIi.c2ln", CredentialType::Oauth),
            ("eyJhbGciOi", CredentialType::ApiKey),
            ("sk-ant-api03-x", CredentialType::ApiKey),
            ("sk-proj-x", CredentialType::ApiKey),
        ] {
            assert_eq!(CredentialType::of_vendors(credential.as_bytes()), kind, "{credential}");
        }
    }
}
