//! `luthien serve`: the gateway until it is told to stop.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use luthien_gateway::data_dir::Kept;
use luthien_gateway::settings::LogFormat;

use crate::args::SettingArgs;
use crate::assembly::{self, Loaded, Running};
use crate::failure::Failure;
use crate::handles;
use crate::logging::{self, Format};
use crate::output::print;
use crate::process;
use crate::signals::Stop;

mod greeting;

/// Runs the gateway. Ends well when it was told to stop.
pub(crate) fn run(given: &SettingArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::new(given)?;
    let format = match loaded.settings.log_format {
        LogFormat::Auto => Format::of_stderr(),
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    logging::to_stderr(loaded.settings.log_level.as_str(), format, loaded.redactor()?)?;
    handles::raise();
    assembly::runtime(loaded.settings.worker_threads)?.block_on(serve(&loaded, process::kept()))
}

/// Serves until it is told to stop. `kept`: who keeps it running.
pub(crate) async fn serve(loaded: &Loaded, kept: Kept) -> Result<ExitCode, Failure> {
    // Before anything runs: a signal during the start must not lose records.
    let mut stop = Stop::listen()?;
    if let Some(base) = loaded.running_gateway().await {
        let folder = loaded.folder();
        return Err(Failure::new(format!(
            "a gateway runs on the data folder {} already, at {base}; stop it, or give this one a folder of its own with --data-dir",
            folder.display()
        )));
    }
    let folder = loaded.open_folder()?;
    let running = Running::start(loaded, &folder).await?;
    let note = running.announce(&folder, kept)?;
    // Nowhere but on a terminal: what else it is written to, others may read.
    let link = if io::stdout().is_terminal() { Some(running.login_link().await?) } else { None };
    print(&greeting::text(loaded, &folder, &running, link.as_deref()))?;
    tracing::info!(url = running.base(), policy = running.policy(), version = env!("CARGO_PKG_VERSION"), "listening");
    stop.asked().await;
    tracing::info!("stopping; running answers may end, another signal ends them now");
    running.stop(stop.asked()).await;
    tracing::info!("stopped");
    drop(note);
    Ok(ExitCode::SUCCESS)
}
