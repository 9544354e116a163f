//! What an older database holds of credentials, judges' providers and settings.

use std::fmt;

use serde_json::Value;

use super::source::Source;
use super::survey::texts;
use super::{OlderError, json};

/// A credential as an older proxy kept it.
#[derive(Clone, PartialEq, Eq)]
pub struct OlderCredential {
    /// What it is called.
    pub name: String,
    /// Whose API it opens, where that is said.
    pub platform: Option<String>,
    /// Where that is, where that is said.
    pub platform_url: Option<String>,
    /// How it is brought, where that is said.
    pub credential_type: Option<String>,
    /// The value: a Fernet token where it is encrypted, else the secret itself.
    pub value: String,
    /// It is encrypted.
    pub encrypted: bool,
}

impl fmt::Debug for OlderCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OlderCredential").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A provider as an older proxy kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderProvider {
    /// What policies call it.
    pub name: String,
    /// How it is asked.
    pub backend_type: String,
    /// The credential that it is asked with.
    pub credential_name: Option<String>,
    /// The model where a policy names none.
    pub default_model: Option<String>,
    /// The rest.
    pub config: Value,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OlderSettings {
    /// The credentials, by name.
    pub credentials: Vec<OlderCredential>,
    /// The providers, by name.
    pub providers: Vec<OlderProvider>,
    /// Settings that were set while running: name and value.
    pub settings: Vec<(String, String)>,
}

pub(super) async fn read(source: &mut Source) -> Result<OlderSettings, OlderError> {
    let mut found = OlderSettings::default();
    if source.has("server_credentials", &["name", "credential_value"]) {
        let columns = ["name", "platform", "platform_url", "credential_type", "credential_value", "is_encrypted"];
        for row in source.select("server_credentials", &columns, "ORDER BY name", &[]).await? {
            let Some([Some(name), platform, platform_url, credential_type, Some(value), encrypted]) = texts(row) else {
                continue;
            };
            let encrypted = encrypted.is_some_and(|word| matches!(word.as_str(), "1" | "t" | "true"));
            found.credentials.push(OlderCredential { name, platform, platform_url, credential_type, value, encrypted });
        }
    }
    if source.has("inference_providers", &["name", "backend_type"]) {
        let columns = ["name", "backend_type", "credential_name", "default_model", "config"];
        for row in source.select("inference_providers", &columns, "ORDER BY name", &[]).await? {
            let Some([Some(name), Some(backend_type), credential_name, default_model, config]) = texts(row) else {
                continue;
            };
            let config = config.as_deref().map_or(Value::Null, json);
            found.providers.push(OlderProvider { name, backend_type, credential_name, default_model, config });
        }
    }
    if source.has("gateway_config", &["key", "value"]) {
        for row in source.select("gateway_config", &["key", "value"], "ORDER BY key", &[]).await? {
            if let Some([Some(key), Some(value)]) = texts(row) {
                found.settings.push((key, value));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::older::OlderRecord;
    use crate::older::testing::OldDatabase;
    use crate::testing::Db;

    #[rstest]
    #[tokio::test]
    async fn credentials_providers_and_settings_are_read(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let mut old = OldDatabase::new(db).await;
        old.run("INSERT INTO server_credentials VALUES ('b', 'anthropic', NULL, 'auth_token', 'gAAAA', 1)").await;
        old.run("INSERT INTO server_credentials VALUES ('a', NULL, 'http://x', NULL, 'sk-clear', 0)").await;
        old.run("INSERT INTO server_credentials VALUES ('none', NULL, NULL, NULL, NULL, 0)").await;
        old.run("INSERT INTO inference_providers VALUES ('j', 'direct_api', 'a', 'm', '{\"timeout\": 5}')").await;
        old.run("INSERT INTO gateway_config VALUES ('rate_limit_rpm', '60')").await;
        let mut record = OlderRecord::open(&old.place).await.unwrap();
        let found = record.settings().await.unwrap();
        let told: Vec<_> = found
            .credentials
            .iter()
            .map(|one| {
                (
                    one.name.as_str(),
                    one.platform.as_deref(),
                    one.platform_url.as_deref(),
                    one.value.as_str(),
                    one.encrypted,
                )
            })
            .collect();
        let expected =
            [("a", None, Some("http://x"), "sk-clear", false), ("b", Some("anthropic"), None, "gAAAA", true)];
        assert_eq!(told, expected);
        assert_eq!(
            (found.providers[0].name.as_str(), &found.providers[0].config),
            ("j", &serde_json::json!({"timeout": 5}))
        );
        assert_eq!(found.settings, [("rate_limit_rpm".to_owned(), "60".to_owned())]);
        assert!(!format!("{found:?}").contains("sk-clear"));
    }
}
