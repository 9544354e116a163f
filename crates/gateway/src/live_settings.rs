//! Settings that can be changed while the gateway runs: kept in the database, where they stand below flags, environment and file.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use luthien_record::Store;
use luthien_record::store::{StoreError, StoredSetting};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::settings::{DEFINITIONS, Definition, Settings, Source};

/// How long to wait before what could not be read is read again.
const AGAIN: Duration = Duration::from_millis(500);

/// Puts settings in force. It is called with all of them, whichever has changed.
pub type Apply = Box<dyn Fn(&Settings) + Send + Sync>;

/// The settings in force, and the way to change them.
pub struct LiveSettings {
    store: Store,
    /// As flags, environment and file had them at the start. They are not read again: who can write to the file must not change what
    /// runs.
    base: Settings,
    current: ArcSwap<Settings>,
    apply: Apply,
    clock: Clock,
    turn: Mutex<()>,
}

impl std::fmt::Debug for LiveSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSettings").field("current", &self.current).finish_non_exhaustive()
    }
}

/// A setting was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none of this name.
    #[error("there is no setting `{0}`; GET /api/admin/config lists all of them")]
    Unknown(String),
    /// It cannot be changed while running.
    #[error("`{0}` cannot be changed while the gateway runs: set it by {1} and start the gateway again")]
    NotLive(String, String),
    /// Something stronger says what it is.
    #[error("`{0}` is set by {1}, which counts more than what is set here: change it there, or take it out")]
    Pinned(String, &'static str),
    /// The value is none.
    #[error("{0}")]
    Bad(String),
    /// The database did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LiveSettings {
    /// These settings, and over them what the database holds, put in force. What it holds and this version cannot use is told and left
    /// out.
    pub async fn start(store: Store, base: Settings, clock: Clock, apply: Apply) -> Result<Self, StoreError> {
        let current = ArcSwap::from_pointee(base.clone());
        let live = Self { store, base, current, apply, clock, turn: Mutex::new(()) };
        live.take().await?;
        Ok(live)
    }

    /// The settings in force.
    pub fn current(&self) -> Arc<Settings> {
        self.current.load_full()
    }

    /// Puts in force what the database says now.
    pub async fn take(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let mut settings = self.base.clone();
        for StoredSetting { name, value, .. } in self.store.settings().await? {
            if let Err(error) = settings.set_live(&name, &value) {
                tracing::warn!(setting = %name, %error, "a setting in the database cannot be used and does not count");
            }
        }
        (self.apply)(&settings);
        self.current.store(Arc::new(settings));
        Ok(())
    }

    /// Until `stop`: puts in force what the database says whenever `number` tells that it was changed.
    pub async fn follow(self: Arc<Self>, mut number: watch::Receiver<u64>, stop: CancellationToken) {
        while let Some(Ok(())) = stop.run_until_cancelled(number.changed()).await {
            while let Err(error) = self.take().await {
                tracing::warn!(%error, "the settings in the database cannot be read; trying again");
                if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Sets one, for all gateways on this database.
    pub async fn set(&self, name: &str, value: &str, by: &str) -> Result<(), ChangeError> {
        let definition = self.changeable(name)?;
        self.base.clone().set_live(definition.name, value).map_err(ChangeError::Bad)?;
        let setting = StoredSetting {
            name: definition.name.to_owned(),
            value: value.to_owned(),
            set_at: self.clock.now(),
            set_by: by.to_owned(),
        };
        self.store.set_setting(&setting).await?;
        tracing::info!(setting = definition.name, %value, %by, "a setting was changed");
        Ok(self.take().await?)
    }

    /// Forgets one: what is weaker counts again.
    pub async fn forget(&self, name: &str, by: &str) -> Result<(), ChangeError> {
        let definition = self.changeable(name)?;
        if self.store.forget_setting(definition.name).await? {
            tracing::info!(setting = definition.name, %by, "a setting that was set while running is forgotten");
        }
        Ok(self.take().await?)
    }

    fn changeable(&self, name: &str) -> Result<&'static Definition, ChangeError> {
        let known = |definition: &&Definition| definition.name == name;
        let definition = DEFINITIONS.iter().find(known).ok_or_else(|| ChangeError::Unknown(name.to_owned()))?;
        if !definition.live {
            let how =
                definition.environment.first().map_or_else(String::new, |variable| format!("the variable {variable}"));
            return Err(ChangeError::NotLive(name.to_owned(), how));
        }
        let pin = match self.current().origins.of(name).map(|origin| origin.source) {
            Some(Source::Cli) => "a flag",
            Some(Source::Env) => "the environment",
            Some(Source::File) => "the settings file",
            _ => return Ok(definition),
        };
        Err(ChangeError::Pinned(name.to_owned(), pin))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use jiff::Timestamp;
    use luthien_record::{Recorder, RecorderConfig};

    use super::*;
    use crate::settings::Sources;

    async fn start(folder: &std::path::Path, environment: &[(&str, &str)]) -> (Recorder, LiveSettings, Arc<AtomicU32>) {
        let recorder = Recorder::open(RecorderConfig::in_dir(folder)).await.unwrap();
        let owned = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let sources = Sources { environment: owned.collect(), folder: folder.to_owned(), ..Sources::default() };
        let applied = Arc::new(AtomicU32::new(u32::MAX));
        let to = Arc::clone(&applied);
        let apply = Box::new(move |settings: &Settings| to.store(settings.rate_limit_rpm, Ordering::SeqCst));
        let base = Settings::load(&sources).unwrap();
        let live = LiveSettings::start(recorder.store().clone(), base, Clock::system(), apply).await.unwrap();
        (recorder, live, applied)
    }

    async fn store(recorder: &Recorder, name: &str, value: &str) {
        let (name, value, set_by) = (name.to_owned(), value.to_owned(), "ada".to_owned());
        let setting = StoredSetting { name, value, set_at: Timestamp::UNIX_EPOCH, set_by };
        recorder.store().set_setting(&setting).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_set_is_in_force_at_once_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, live, applied) = start(folder.path(), &[]).await;
        live.set("rate_limit_rpm", "60", "ada").await.unwrap();
        assert_eq!(applied.load(Ordering::SeqCst), 60);
        let refused = live.set("rate_limit_rpm", "-1", "ada").await.unwrap_err();
        assert!(matches!(refused, ChangeError::Bad(_)), "{refused}");
        recorder.shutdown(std::time::Duration::from_secs(5)).await;
        drop((recorder, live));
        let (_recorder, live, applied) = start(folder.path(), &[]).await;
        assert_eq!((applied.load(Ordering::SeqCst), live.current().rate_limit_rpm), (60, 60));
    }

    #[tokio::test]
    async fn the_environment_counts_more_and_cannot_be_changed_here() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, live, applied) = start(folder.path(), &[("RATE_LIMIT_RPM", "5")]).await;
        store(&recorder, "rate_limit_rpm", "60").await;
        live.take().await.unwrap();
        assert_eq!(applied.load(Ordering::SeqCst), 5);
        let origin = live.current().origins.of("rate_limit_rpm").cloned().unwrap();
        assert_eq!((origin.source, origin.overrides), (Source::Env, vec![Source::Db]));
        let refused = live.set("rate_limit_rpm", "7", "ada").await.unwrap_err();
        assert!(matches!(refused, ChangeError::Pinned(..)), "{refused}");
    }

    #[tokio::test]
    async fn a_value_in_the_database_that_cannot_be_used_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, live, applied) = start(folder.path(), &[]).await;
        store(&recorder, "rate_limit_burst", "many").await;
        store(&recorder, "rate_limit_rpm", "60").await;
        live.take().await.unwrap();
        let now = live.current();
        assert_eq!((applied.load(Ordering::SeqCst), now.rate_limit_rpm, now.rate_limit_burst), (60, 60, 0));
    }

    #[tokio::test]
    async fn a_file_that_is_written_later_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, live, applied) = start(folder.path(), &[]).await;
        std::fs::write(folder.path().join("luthien.yaml"), "limits: { rate_limit_rpm: 7, rate_limit_burst: [ }")
            .unwrap();
        live.set("rate_limit_burst", "3", "ada").await.unwrap();
        store(&recorder, "rate_limit_rpm", "60").await;
        live.take().await.unwrap();
        let now = live.current();
        assert_eq!((applied.load(Ordering::SeqCst), now.rate_limit_rpm, now.rate_limit_burst), (60, 60, 3));
    }
}
