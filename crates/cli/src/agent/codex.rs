//! How Codex is pointed at a gateway: by overrides on its command line, so that nothing in its own configuration changes.

use std::ffi::OsString;

use luthien_gateway::config::AuthMode;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::Failure;

/// Where Codex finds the gateway's key.
const KEY_VARIABLE: &str = "LUTHIEN_CLIENT_KEY";

/// The provider's settings begin so.
const PROVIDER: &str = "model_providers.luthien";

/// What is known of the credentials that Codex may use.
#[derive(Debug)]
pub(super) struct Credentials {
    /// The user's `OPENAI_API_KEY` is set.
    pub(super) own: bool,
    /// The gateway key.
    pub(super) gateway: Option<SecretString>,
    /// Which of them the gateway takes.
    pub(super) mode: AuthMode,
}

/// What Codex is started with, before the user's arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

impl Credentials {
    /// What is known in this process.
    pub(super) fn new(gateway: Option<SecretString>, mode: AuthMode) -> Self {
        let own = std::env::var_os("OPENAI_API_KEY").is_some_and(|key| !key.is_empty());
        Self { own, gateway, mode }
    }

    /// A provider of its own at `base`, with the user's key, else the gateway's, else what Codex is logged in with.
    pub(super) fn setup(&self, base: &str) -> Setup {
        let mut setup = Setup::default();
        setup.set("model_provider", "\"luthien\"");
        setup.of_provider("name", "\"Luthien\"");
        setup.of_provider("base_url", &format!("\"{base}/v1\""));
        match (&self.gateway, self.mode) {
            (Some(key), AuthMode::ClientKey | AuthMode::Both) if !self.own => {
                setup.of_provider("env_key", &format!("\"{KEY_VARIABLE}\""));
                setup.give(key);
            }
            (Some(key), AuthMode::ClientKey) => {
                setup.of_provider("env_key", "\"OPENAI_API_KEY\"");
                setup.of_provider("env_http_headers", &format!("{{\"x-api-key\"=\"{KEY_VARIABLE}\"}}"));
                setup.give(key);
            }
            _ if self.own => setup.of_provider("env_key", "\"OPENAI_API_KEY\""),
            _ => setup.of_provider("requires_openai_auth", "true"),
        }
        setup.of_provider("wire_api", "\"responses\"");
        setup.of_provider("supports_websockets", "false");
        setup
    }
}

impl Setup {
    fn of_provider(&mut self, key: &str, value: &str) {
        self.set(&format!("{PROVIDER}.{key}"), value);
    }

    fn set(&mut self, key: &str, value: &str) {
        self.args.extend(["-c".to_owned(), format!("{key}={value}")]);
    }

    fn give(&mut self, key: &SecretString) {
        self.env.push((KEY_VARIABLE.to_owned(), key.expose_secret().to_owned()));
    }
}

/// Refuses arguments with which Codex would take another way than through the gateway.
pub(super) fn check(args: &[OsString]) -> Result<(), Failure> {
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let own = words.iter().take_while(|word| *word != "--");
    let mut before = "";
    for word in own {
        let value = if matches!(before, "-c" | "--config") {
            Some(word.as_str())
        } else {
            let short = word.strip_prefix("-c").map(|value| value.strip_prefix('=').unwrap_or(value));
            word.strip_prefix("--config=").or(short)
        };
        let elsewhere = ["--oss", "--local-provider", "--remote"]
            .iter()
            .any(|flag| word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')));
        if elsewhere || value.is_some_and(chooses_provider) {
            return Err(Failure::new(format!(
                "with `{word}` Codex would not go through the gateway; leave it out, or run `codex` itself"
            )));
        }
        before = word;
    }
    Ok(())
}

/// A setting that decides which provider Codex asks, or where ours is.
fn chooses_provider(setting: &str) -> bool {
    let key = setting.split('=').next().unwrap_or_default().trim().replace('"', "");
    key == "model_provider" || key == "model_providers" || key.starts_with(PROVIDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(own: bool, gateway: Option<&str>, mode: AuthMode) -> (String, Vec<(String, String)>) {
        let credentials = Credentials { own, gateway: gateway.map(SecretString::from), mode };
        let Setup { args, env } = credentials.setup("http://127.0.0.1:8000");
        let settings: Vec<&str> = args.iter().filter_map(|arg| arg.strip_prefix("model_providers.luthien.")).collect();
        (settings.join(" "), env)
    }

    #[test]
    fn the_credential_is_the_users_then_the_gateways_then_the_login() {
        let around = |credential: &str| {
            format!(
                "name=\"Luthien\" base_url=\"http://127.0.0.1:8000/v1\" {credential} wire_api=\"responses\" supports_websockets=false"
            )
        };
        let key = vec![("LUTHIEN_CLIENT_KEY".to_owned(), "lk".to_owned())];
        let own = around("env_key=\"OPENAI_API_KEY\"");
        let gateway = around("env_key=\"LUTHIEN_CLIENT_KEY\"");
        let login = around("requires_openai_auth=true");
        let both = around("env_key=\"OPENAI_API_KEY\" env_http_headers={\"x-api-key\"=\"LUTHIEN_CLIENT_KEY\"}");
        assert_eq!(args(true, None, AuthMode::Both), (own.clone(), vec![]));
        assert_eq!(args(true, Some("lk"), AuthMode::Both), (own, vec![]));
        assert_eq!(args(true, Some("lk"), AuthMode::ClientKey), (both, key.clone()));
        assert_eq!(args(false, Some("lk"), AuthMode::Both), (gateway, key));
        assert_eq!(args(false, Some("lk"), AuthMode::Passthrough), (login.clone(), vec![]));
        assert_eq!(args(false, None, AuthMode::Both), (login, vec![]));
    }

    fn refused(line: &str) -> bool {
        check(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).is_err()
    }

    #[test]
    fn arguments_that_lead_around_the_gateway_are_refused() {
        for line in [
            "--oss",
            "exec --local-provider=ollama hi",
            "-c model_provider=openai",
            "exec -cmodel_provider=\"openai\" hi",
            "--config model_providers.luthien.base_url=\"http://elsewhere\"",
            "--config=model_providers={}",
            "--remote ws://elsewhere",
        ] {
            assert!(refused(line), "{line}");
        }
        for line in
            ["exec hi", "-c model=gpt-5 exec", "-p work --oss-like", "exec -- --oss", "-c model_providers.mine.name=x"]
        {
            assert!(!refused(line), "{line}");
        }
    }
}
