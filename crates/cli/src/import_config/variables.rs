//! What became of each variable of the older proxies.

use luthien_gateway::settings::{DEFINITIONS, Definition};

/// What becomes of a variable.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It is a setting of the same name.
    Taken(&'static Definition),
    /// It is a setting under another name.
    Renamed(&'static Definition),
    /// There is no need of it, for this reason.
    NotNeeded(&'static str),
    /// Nobody knows it.
    Unknown,
}

/// Older names of settings.
const RENAMED: [(&str, &str); 9] = [
    ("PROXY_PORT", "GATEWAY_PORT"),
    ("PROXY_HOST", "GATEWAY_HOST"),
    ("OPENAI_API_BASE", "OPENAI_BASE_URL"),
    ("BACKEND_URL", "OPENAI_BASE_URL"),
    ("BACKEND_API_KEY", "OPENAI_API_KEY"),
    ("ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"),
    ("LUTHIEN_POLICY_CONFIG", "POLICY_CONFIG"),
    ("LUTHIEN_LOG_LEVEL", "LOG_LEVEL"),
    ("REDIS_URI", "REDIS_URL"),
];

/// What there is no need of: the name, or what it begins with where it ends with `*`.
const NOT_NEEDED: [(&str, &str); 25] = [
    ("LITELLM_*", "the gateway talks to the vendors itself; there is no LiteLLM"),
    ("POSTGRES_*", "was for the database's container; DATABASE_URL names the database"),
    ("DB_*", "was for the older proxy's own database; `luthien import` reads it"),
    ("PG*", "was for the older proxy's own database; `luthien import` reads it"),
    ("REDIS_PORT", "was for the container of Redis; REDIS_URL names it"),
    ("COMPOSE_*", "is for docker compose"),
    ("DOCKER_*", "is for docker"),
    ("PYTHON*", "is for Python"),
    ("UV_*", "is for Python"),
    ("UVICORN_*", "is for Python's server"),
    ("WEB_CONCURRENCY", "one process serves all; WORKER_THREADS sets its threads"),
    ("RUN_MODE", "there is one mode"),
    ("RELOAD", "there is one mode"),
    ("DEBUG", "LOG_LEVEL=debug tells more"),
    ("VERBOSE_CLIENT_ERRORS", "errors always say what is wrong"),
    ("USAGE_TELEMETRY", "there is no telemetry"),
    ("SENTRY_*", "there is no telemetry"),
    ("OTEL_*", "this version exports no traces"),
    ("TEMPO_*", "this version exports no traces"),
    ("GRAFANA_*", "this version exports no traces"),
    ("SERVICE_*", "this version exports no traces"),
    ("ENVIRONMENT", "this version exports no traces"),
    ("LOCALHOST_AUTH_BYPASS", "admin calls need the admin key from this machine too: the agent runs on it"),
    ("CREDENTIAL_ENCRYPTION_KEY", "was for what the older proxy's database holds; give those credentials anew"),
    ("TOP_LEVEL_POLICY_NAME", "`luthien import luthien-control URL --with-policy NAME` sets that policy"),
];

/// What becomes of the variable of this name.
pub(super) fn fate(name: &str) -> Fate {
    if let Some(definition) = called(name) {
        if name == "USAGE_TELEMETRY" {
            return Fate::NotNeeded("there is no telemetry");
        }
        return Fate::Taken(definition);
    }
    if let Some(definition) = RENAMED.iter().find(|(older, _)| *older == name).and_then(|(_, now)| called(now)) {
        return Fate::Renamed(definition);
    }
    let fits = |known: &str| known.strip_suffix('*').map_or(known == name, |start| name.starts_with(start));
    match NOT_NEEDED.iter().find(|(known, _)| fits(known)) {
        Some((_, why)) => Fate::NotNeeded(why),
        None => Fate::Unknown,
    }
}

fn called(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.environment.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_newer_name_is_a_setting() {
        for (older, now) in RENAMED {
            assert!(called(now).is_some() && called(older).is_none(), "{older} -> {now}");
            assert!(matches!(fate(older), Fate::Renamed(_)), "{older}");
        }
        assert!(matches!(fate("PROXY_API_KEY"), Fate::Taken(definition) if definition.name == "client_api_key"));
        assert!(matches!(fate("LITELLM_MASTER_KEY"), Fate::NotNeeded(_)));
        assert!(matches!(fate("SOMETHING"), Fate::Unknown));
    }
}
