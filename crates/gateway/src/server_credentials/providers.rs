//! Inference providers: where policies ask judges by name, each with a credential of the gateway's own.

use luthien_record::store::StoredProvider;
use luthien_wire::Dialect;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Credential, CredentialType};
use crate::upstream::Base;

/// Anthropic's API, where nothing else is said.
const ANTHROPIC: &str = "https://api.anthropic.com";

/// OpenAI's API, where nothing else is said.
const OPENAI: &str = "https://api.openai.com/v1";

/// How a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// The API of the credential's platform: Messages for `anthropic`, Chat for `openai`.
    DirectApi,
    /// Anthropic Messages with the token of a Claude subscription.
    ClaudeCode,
    /// Anthropic Messages.
    Messages,
    /// OpenAI Chat.
    Chat,
    /// OpenAI Responses.
    Responses,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::DirectApi, Self::ClaudeCode, Self::Messages, Self::Chat, Self::Responses];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::DirectApi => "direct_api",
            Self::ClaudeCode => "claude_code",
            Self::Messages => "messages",
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What a provider's `config` may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Where it is, as the vendors' SDKs take it. `messages`, `chat` and `responses` need it, or a credential with a `platform_url`.
    #[serde(default, alias = "api_base", skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// What is wrong with a provider: the field, and what.
pub type Wrong = (&'static str, String);

/// A provider that can be asked.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) backend: Backend,
    pub(crate) credential: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) config: ProviderConfig,
}

impl Provider {
    /// As it is kept; an error where this version cannot use it.
    pub(crate) fn read(stored: StoredProvider) -> Result<Self, String> {
        let backend = Backend::named(&stored.backend_type);
        let backend = backend.ok_or_else(|| format!("its backend `{}` is not known here", stored.backend_type))?;
        let provider = Self {
            name: stored.name,
            backend,
            credential: stored.credential_name,
            model: stored.default_model,
            config: config(stored.config)?,
        };
        provider.check().map_err(|(field, why)| format!("{field} {why}"))?;
        Ok(provider)
    }

    /// What can be found wrong without its credential.
    pub(crate) fn check(&self) -> Result<(), Wrong> {
        if let Some(url) = &self.config.base_url {
            Base::parse(&self.name, url).map_err(|error| ("config", error.to_string()))?;
        }
        let alone = matches!(self.backend, Backend::DirectApi | Backend::ClaudeCode);
        if alone && self.credential.is_none() {
            return Err(("credential_name", format!("is needed for `{}`", self.backend.name())));
        }
        if !alone && self.credential.is_none() && self.config.base_url.is_none() {
            return Err((
                "config",
                format!("needs `base_url` for `{}`, or a credential with a `platform_url`", self.backend.name()),
            ));
        }
        Ok(())
    }

    /// Where it is, and what is spoken there.
    pub(crate) fn place(&self, credential: Option<&Credential>) -> Result<(Dialect, String), Wrong> {
        let platform = credential.map(|credential| credential.platform.as_str());
        let (dialect, usual) = match (self.backend, platform) {
            (Backend::DirectApi, Some("anthropic")) => (Dialect::Messages, Some(ANTHROPIC)),
            (Backend::DirectApi, Some("openai")) => (Dialect::Chat, Some(OPENAI)),
            (Backend::DirectApi, other) => {
                let why = format!(
                    "is for the platform `{}`, and `direct_api` takes `anthropic` and `openai`: use `messages`, `chat` or `responses`",
                    other.unwrap_or_default()
                );
                return Err(("credential_name", why));
            }
            (Backend::ClaudeCode, _) => {
                if credential.is_none_or(|credential| credential.kind != CredentialType::AuthToken) {
                    return Err(("credential_name", "has to be of the type `auth_token` for `claude_code`".to_owned()));
                }
                (Dialect::Messages, Some(ANTHROPIC))
            }
            (Backend::Messages, _) => (Dialect::Messages, None),
            (Backend::Chat, _) => (Dialect::Chat, None),
            (Backend::Responses, _) => (Dialect::Responses, None),
        };
        let of_credential = credential.and_then(|credential| credential.platform_url.as_deref());
        let base = self.config.base_url.as_deref().or(of_credential).or(usual);
        let base =
            base.ok_or_else(|| ("config", "needs `base_url`: its credential has no `platform_url`".to_owned()))?;
        Ok((dialect, base.to_owned()))
    }
}

/// Whether this version can use a provider: why not.
pub fn acceptable(stored: &StoredProvider) -> Result<(), String> {
    Provider::read(stored.clone()).map(drop)
}

/// The `config` of a provider.
pub(crate) fn config(value: Value) -> Result<ProviderConfig, String> {
    if value.is_null() {
        Ok(ProviderConfig::default())
    } else {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }
}
