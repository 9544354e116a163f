//! The demo's stage: a scripted upstream, and a gateway before it in a folder of its own.

use std::path::{Path, PathBuf};

use luthien_gateway::settings::Sources;
use luthien_record::model::TransactionId;
use luthien_record::store::{Store, TransactionDetail};
use luthien_testkit::{Answer, Asked, Script, Upstream};
use serde_json::json;

use super::story::{self, SCENES};
use crate::assembly::{Loaded, Running};
use crate::failure::Failure;

/// All that runs during the demo.
pub(super) struct Stage {
    upstream: Upstream,
    gateway: Running,
    base: String,
    folder: PathBuf,
}

impl Stage {
    /// Starts everything on free ports. Neither environment nor files of the user have a say.
    pub(super) async fn open() -> Result<Self, Failure> {
        let upstream =
            Upstream::start().await.map_err(|e| Failure::new(format!("cannot start the scripted model: {e}")))?;
        upstream.default_script(Script::new(answer));
        let folder = tempfile::Builder::new()
            .prefix("luthien-demo-")
            .tempdir()
            .map_err(|e| Failure::new(format!("cannot make a temporary folder: {e}")))?
            .keep();
        let loaded = settings(&folder, &upstream.base_url())?;
        let gateway = Running::start(&loaded, &loaded.open_folder()?).await?;
        let base = gateway.base();
        Ok(Self { upstream, gateway, base, folder })
    }

    /// The gateway's base URL.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The record.
    pub(super) fn store(&self) -> &Store {
        self.gateway.recorder().store()
    }

    /// The transaction in the record, once it is there.
    pub(super) async fn recorded(&self, id: TransactionId) -> Result<TransactionDetail, Failure> {
        self.gateway.recorder().settled().await;
        let found = self.store().transaction(id).await?;
        found.ok_or_else(|| Failure::new(format!("the transaction {id} is not in the record")))
    }

    /// Stops everything. Gives the folder, which stays.
    pub(super) async fn close(self) -> PathBuf {
        self.gateway.stop(std::future::pending()).await;
        self.upstream.stop().await;
        self.folder
    }
}

fn settings(folder: &Path, upstream: &str) -> Result<Loaded, Failure> {
    let flag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let flags = [
        flag("host", "127.0.0.1"),
        flag("port", "0"),
        flag("data_dir", &folder.to_string_lossy()),
        flag("anthropic_base_url", upstream),
        flag("openai_base_url", &format!("{upstream}/v1")),
    ];
    let sources = Sources { flags: flags.into(), folder: folder.to_owned(), ..Sources::default() };
    let mut loaded = Loaded::from(sources)?;
    let judge = json!({"model": story::JUDGE, "probability_threshold": 0.6});
    loaded.settings.policy = Some(json!({"class": "tool_call_judge", "config": judge}));
    Ok(loaded)
}

/// The model's next answer, or the judge's verdict.
fn answer(asked: &Asked) -> Answer {
    if asked.model() == story::JUDGE {
        return verdict(&asked.value().to_string());
    }
    let said = asked.messages().iter().filter(|message| message["role"] == "assistant").count();
    let Some(scene) = SCENES.get(said) else { return Answer::text("The demo is over.") };
    let answer = Answer::text(scene.text);
    match scene.call {
        Some(call) => answer.call_with_id(call.id, "Bash", &call.arguments()),
        None => answer,
    }
}

/// What the judge says about the call that its question holds; where one command begins another, the longer one counts.
fn verdict(question: &str) -> Answer {
    let calls = SCENES.iter().filter_map(|scene| scene.call);
    let asked_about = calls.filter(|call| question.contains(call.command)).max_by_key(|call| call.command.len());
    match asked_about {
        Some(call) => Answer::text(&call.verdict_text()),
        None => Answer::text("This call is not in the script."),
    }
}
