//! Stops the gateway that was announced, and never anybody else.

use std::time::Duration;

use luthien_gateway::data_dir::{DataDir, Kept, Running};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::{an_agents, served_by};
use crate::admin_client::AdminClient;
use crate::assembly::Loaded;
use crate::failure::Failure;
use crate::loopback;
use crate::output::{count, say};
use crate::process::{Process, Standing};

/// How often is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How often one that has to end at once is told so: a second signal means that.
const AGAIN: Duration = Duration::from_millis(300);

/// How long the end may take beside what running answers are given: notifications, the record.
const BESIDE: Duration = Duration::from_secs(45);

/// How long running answers may take where the gateway is told to end at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Stops the gateway of this data folder and waits for its end; gives what it was, or none if none ran.
pub(super) async fn stop(loaded: &Loaded, now: bool) -> Result<Option<Running>, Failure> {
    let Some(note) = DataDir::at(&loaded.folder()).running() else { return Ok(None) };
    let process = match Standing::of(&note) {
        Standing::Gone => return Ok(None),
        Standing::Same(process) => process,
        // Only an answer shows that it is the gateway.
        Standing::Likely(process) if loopback::alive(&note.url()).await => process,
        Standing::Likely(process) => {
            return Err(Failure::new(format!(
                "the process {} may be the gateway, but does not answer at {}; if it is, end it with `kill {}`",
                process.number(),
                note.url(),
                process.number()
            )));
        }
    };
    match note.started.as_ref().map(|started| &started.kept) {
        Some(Kept::Service { unit }) => return Err(served_by(unit.as_deref(), "stop")),
        // The signal would go to the agent.
        Some(Kept::Agent) => return Err(an_agents()),
        _ => {}
    }
    let drain = if now { AT_ONCE } else { loaded.settings.drain_timeout };
    let running = under_way(loaded).await;
    tell(&process, "stop")?;
    if !now && running > 0 {
        let running = count(running, "request");
        say(&format!(
            "luthien: waiting for {running} to end, at most {} seconds; `luthien down --now` does not wait",
            drain.as_secs()
        ));
    }
    wait(&process, drain + BESIDE, now).await?;
    Ok(Some(note))
}

/// Waits for the end of a gateway that was told to stop.
async fn wait(process: &Process, most: Duration, now: bool) -> Result<(), Failure> {
    let (began, mut told) = (Instant::now(), Instant::now());
    while !process.ended() {
        if began.elapsed() > most {
            let number = process.number();
            return Err(Failure::new(format!(
                "the gateway (pid {number}) has not ended after {} seconds; `luthien logs` says what it does, `kill -9 {number}` ends it (the \
                 journal keeps what was not recorded yet)",
                most.as_secs()
            )));
        }
        if now && told.elapsed() > AGAIN {
            told = Instant::now();
            // It may just have ended.
            let _ = process.signal(Signal::TERM);
        }
        sleep(LOOK).await;
    }
    Ok(())
}

fn tell(process: &Process, what: &str) -> Result<(), Failure> {
    process.signal(Signal::TERM).map_err(|e| {
        let number = process.number();
        Failure::new(format!("cannot {what} the gateway (pid {number}): {e}; it may belong to another user"))
    })
}

/// How many requests are under way; none where the gateway does not say.
async fn under_way(loaded: &Loaded) -> u64 {
    let Ok(Some(client)) = AdminClient::running(loaded).await else { return 0 };
    let said = client.get("/api/admin/system-status").await.unwrap_or_default();
    said["in_flight"].as_u64().unwrap_or(0)
}
