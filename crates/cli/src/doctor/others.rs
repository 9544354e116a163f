//! What the gateway asks: the database, Redis, the upstreams.

use std::time::Duration;

use luthien_gateway::clock::Clock;
use luthien_gateway::data_dir::Keys;
use luthien_gateway::{Obstacle, Probe, replicas};
use luthien_record::checkup;
use secrecy::SecretString;

use super::Finding;
use super::time::Reading;
use crate::assembly::Loaded;

/// Whether the database answers, has the right schema and can be written; and what its clock says.
pub(super) async fn database(loaded: &Loaded, clock: &Clock) -> (Finding, Option<Reading>) {
    const CHECK: &str = "database";
    let found = match checkup::look(&loaded.database(), loaded.database_options(), false).await {
        Ok(Some(found)) => found,
        Ok(None) => return (Finding::ok(CHECK, "there is none yet; the first start makes it"), None),
        Err(error) => {
            let mend = if loaded.database().starts_with("sqlite") {
                "see that the file is one of the gateway's and that this user may read it; `luthien restore` takes a backup's place"
            } else {
                "see that the server runs and that DATABASE_URL names it, the user and the database; until then the journal keeps what is recorded"
            };
            return (Finding::fail(CHECK, error.to_string(), mend), None);
        }
    };
    let reading = found.clock.map(|theirs| Reading { whose: "the database".to_owned(), theirs, ours: clock.now() });
    let finding = if let Some(why) = &found.schema.refused {
        Finding::fail(
            CHECK,
            format!("{}: its schema cannot be used: {why}", found.database),
            "`luthien migrate status` says more",
        )
    } else if found.schema.pending() {
        let text = format!("{}: its schema is older than this version", found.database);
        if loaded.settings.database_auto_migrate {
            Finding::warn(CHECK, text, "the next start brings it up to date; `luthien migrate up` does so now")
        } else {
            Finding::fail(CHECK, text, "`luthien migrate up` brings it up to date (DATABASE_AUTO_MIGRATE is off)")
        }
    } else if let Err(why) = &found.writable {
        Finding::fail(
            CHECK,
            format!("{}: it cannot be written: {why}", found.database),
            "give the user of the gateway the right to write there",
        )
    } else if found.journal_mode.as_deref().is_some_and(|mode| mode != "wal") {
        Finding::warn(
            CHECK,
            format!(
                "{}: it keeps no write-ahead log, so that readers and the writer wait for each other",
                found.database
            ),
            "put the data folder on a local disk: not every network's file system can do that",
        )
    } else {
        let millis = found.latency.as_secs_f64() * 1000.0;
        Finding::ok(CHECK, format!("{}, answers in {millis:.1} ms", found.database))
    };
    (finding, reading)
}

/// Whether a file is whole; nothing where there is no file.
pub(super) async fn integrity(loaded: &Loaded) -> Option<Finding> {
    const CHECK: &str = "integrity";
    let url = loaded.database();
    if !url.starts_with("sqlite") {
        return None;
    }
    // Why it cannot be opened is said of the database.
    let found = checkup::look(&url, loaded.database_options(), true).await.ok()??;
    Some(if found.damages.is_empty() {
        Finding::ok(CHECK, "the file is whole")
    } else {
        Finding::fail(
            CHECK,
            format!("the file is damaged: {}", found.damages.join("; ")),
            "stop the gateway, keep a copy of the file, and restore a backup (`luthien restore`)",
        )
    })
}

/// Whether Redis answers; nothing where none is set.
pub(super) async fn redis(loaded: &Loaded, within: Duration) -> Option<Finding> {
    const CHECK: &str = "redis";
    let url = loaded.settings.redis_url.as_ref()?;
    Some(match replicas::ping(&url.0, within).await {
        Ok(took) => Finding::ok(CHECK, format!("answers in {:.1} ms", took.as_secs_f64() * 1000.0)),
        Err(why) => Finding::fail(
            CHECK,
            format!("it does not answer: {why}"),
            "see that it runs and that REDIS_URL names it; until then each gateway counts alone, and what is set reaches the others by the database",
        ),
    })
}

/// Whether each upstream answers anything; and what its clock says.
pub(super) async fn upstreams(loaded: &Loaded, within: Duration, clock: &Clock) -> Vec<(Finding, Option<Reading>)> {
    // A probe carries no credential.
    let keys = Keys { admin: SecretString::default(), identity: [0; 32], admin_is_set: false, exposed: None };
    let config = loaded.settings.gateway_config(&keys);
    let found = luthien_gateway::probe(&config, within).await;
    found.iter().map(|probe| judged(probe, clock)).collect()
}

fn judged(probe: &Probe, clock: &Clock) -> (Finding, Option<Reading>) {
    const CHECK: &str = "upstream";
    let Probe { upstream, host, .. } = probe;
    let through = if probe.proxied { " through the proxy" } else { "" };
    let (what, why, mend) = match &probe.outcome {
        Ok(answered) => {
            let date = answered.date.as_deref();
            let reading = date.and_then(|date| Reading::of_date(upstream, date, clock.now()));
            let millis = answered.took.as_millis();
            let text = format!("{upstream} at {host}{through}: answers in {millis} ms (status {})", answered.status);
            return (Finding::ok(CHECK, text), reading);
        }
        Err(Obstacle::Settings(why)) => {
            ("cannot be used as it is set", why, "mend `upstreams` in luthien.yaml; `luthien config check` checks it")
        }
        Err(Obstacle::Name(why)) => (
            "its name is not known",
            why,
            "see that the base URL is right and that this machine's DNS answers; behind a proxy set HTTPS_PROXY",
        ),
        Err(Obstacle::Connection(why)) => {
            ("no connection", why, "see the base URL's port, the network and firewalls; behind a proxy set HTTPS_PROXY")
        }
        Err(Obstacle::Tls(why)) => (
            "TLS fails",
            why,
            "where a proxy or server has a certificate authority of its own, name its PEM file in EXTRA_CA_FILE; otherwise see this machine's clock and the certificate",
        ),
        Err(Obstacle::Silence(why)) => ("no answer", why, "see the base URL; `--timeout` gives it longer"),
    };
    (Finding::fail(CHECK, format!("{upstream} at {host}{through}: {what}: {why}"), mend), None)
}
