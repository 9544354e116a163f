//! `luthien claude` and `luthien codex`: an agent with its traffic through the gateway.

use std::ffi::OsString;
use std::process::ExitCode;

use luthien_gateway::data_dir::{Kept, RunningFile};

use crate::args::SettingArgs;
use crate::assembly::{Loaded, Running, StartFailure};
use crate::failure::Failure;
use crate::output::say;
use crate::signals::Stop;
use crate::terminal::visible_line;
use crate::{logfile, logging, loopback};
use lease::Lease;
pub(crate) use lease::start as starting;

mod child;
mod codex;
mod find;
mod lease;

/// An agent that can be started.
struct Agent {
    /// What people call it.
    title: &'static str,
    /// The program.
    program: &'static str,
    /// Its npm package.
    package: &'static str,
}

const CLAUDE: Agent = Agent { title: "Claude Code", program: "claude", package: "@anthropic-ai/claude-code" };
const CODEX: Agent = Agent { title: "Codex", program: "codex", package: "@openai/codex" };

/// Runs Claude Code. Its exit code is ours.
pub(crate) async fn claude(args: Vec<OsString>) -> Result<ExitCode, Failure> {
    let program = CLAUDE.find()?;
    let way = Box::pin(Way::open()).await?;
    announce(&CLAUDE, &way.base);
    let mut env = no_proxy();
    env.push(("ANTHROPIC_BASE_URL".to_owned(), way.base.clone()));
    let ended = child::run(&program, &args, &env).await;
    way.close().await?;
    ended
}

/// Runs Codex. Its exit code is ours.
pub(crate) async fn codex(args: Vec<OsString>) -> Result<ExitCode, Failure> {
    codex::check(&args)?;
    let program = CODEX.find()?;
    let way = Box::pin(Way::open()).await?;
    if way.own.is_none() && !loopback::speaks_responses(&way.base).await {
        let base = way.base.clone();
        way.close().await?;
        return Err(Failure::new(format!(
            "Codex speaks the OpenAI Responses API, which the gateway that runs at {base} does not serve: it is of an older version; \
             stop it and try again"
        )));
    }
    announce(&CODEX, &way.base);
    let codex::Setup { args: overrides, env } = way.credentials.setup(&way.base);
    let args: Vec<OsString> = overrides.into_iter().map(OsString::from).chain(args).collect();
    let env: Vec<(String, String)> = no_proxy().into_iter().chain(env).collect();
    let ended = child::run(&program, &args, &env).await;
    way.close().await?;
    ended
}

impl Agent {
    fn find(&self) -> Result<std::path::PathBuf, Failure> {
        find::on_path(self.program, std::env::var_os("PATH").as_deref()).ok_or_else(|| {
            let Self { title, program, package } = self;
            Failure::new(format!(
                "{title} was not found: there is no `{program}` on the PATH; install it with: npm install -g {package}"
            ))
        })
    }
}

/// The gateway that the agent goes through: one that runs already, or one that we brought along.
struct Way {
    base: String,
    own: Option<(Running, RunningFile)>,
    lease: Lease,
    /// What the settings say of credentials.
    credentials: codex::Credentials,
}

impl Way {
    async fn open() -> Result<Self, Failure> {
        let mut loaded = Loaded::new(&SettingArgs::default())?;
        let credentials = codex::Credentials::new(loaded.settings.client_api_key.clone(), loaded.settings.auth_mode);
        let folder = loaded.open_folder()?;
        let lease = Lease::take(folder.path()).await?;
        let _starting = lease::start(folder.path()).await?;
        if let Some(base) = loaded.running_gateway().await {
            return Ok(Self { base, own: None, lease, credentials });
        }
        let file = folder.path().join(logfile::NAME);
        logging::to_file(loaded.settings.log_level.as_str(), &file, loaded.redactor()?)?;
        "127.0.0.1".clone_into(&mut loaded.settings.host);
        let running = match Running::start(&loaded, &folder).await {
            Err(StartFailure::Listen(_)) => {
                loaded.settings.port = 0;
                Running::start(&loaded, &folder).await?
            }
            started => started?,
        };
        for note in running.policy_notes().into_iter().filter(|note| note.warning) {
            say(&format!("luthien: {}", visible_line(&note.text)));
        }
        let note = running.announce(&folder, Kept::Agent)?;
        Ok(Self { base: running.base(), own: Some((running, note)), lease, credentials })
    }

    /// Our own gateway stays for other agents that have come to it meanwhile.
    async fn close(self) -> Result<(), Failure> {
        let Some((running, note)) = self.own else { return Ok(()) };
        let mut stop = Stop::listen()?;
        if !self.lease.alone() {
            say("luthien: other agents use this gateway too; it stops with the last of them, or with Ctrl-C");
            tokio::select! {
                () = self.lease.last() => {}
                () = stop.asked() => {}
            }
        }
        running.stop(stop.asked()).await;
        drop(note);
        Ok(())
    }
}

fn announce(agent: &Agent, base: &str) {
    say(&format!(
        "luthien: {} goes through {base}; afterwards, `luthien sessions` shows what was recorded",
        agent.title
    ));
}

/// The gateway is on this machine: a proxy in between could not reach it.
fn no_proxy() -> Vec<(String, String)> {
    let known = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let hosts = known.split(',').map(str::trim).filter(|host| !host.is_empty()).chain(["127.0.0.1", "localhost"]);
    let list = hosts.collect::<Vec<_>>().join(",");
    vec![("NO_PROXY".to_owned(), list.clone()), ("no_proxy".to_owned(), list)]
}
