//! Settings that can be changed while the gateway runs: kept in the database, where they stand below flags, environment and file,
//! but for those whose environment and file say only what a new database begins with.

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
        self.set_all(&[(name, value.to_owned())], by).await
    }

    /// Sets several at once, or none of them.
    pub async fn set_all(&self, values: &[(&str, String)], by: &str) -> Result<(), ChangeError> {
        let set_at = self.clock.now();
        let mut changed = Vec::new();
        for (name, value) in values {
            let definition = self.changeable(name)?;
            self.base.clone().set_live(definition.name, value).map_err(ChangeError::Bad)?;
            let (name, value, set_by) = (definition.name.to_owned(), value.clone(), by.to_owned());
            changed.push(StoredSetting { name, value, set_at, set_by });
        }
        self.store.set_settings(&changed).await?;
        for StoredSetting { name, value, .. } in &changed {
            tracing::info!(setting = %name, %value, %by, "a setting was changed");
        }
        Ok(self.take().await?)
    }

    /// Whether a value could be set under this name; the error says what was expected.
    pub fn check(&self, name: &str, value: &str) -> Result<(), String> {
        self.base.clone().set_live(name, value)
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
        let current = self.current();
        let source = current.origins.of(name).map(|origin| origin.source);
        let pin = match source.filter(|source| definition.is_pinned_by(*source)) {
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
    use crate::config::AuthMode;
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
    async fn of_the_auth_mode_the_environment_says_the_first_value_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, live, _) = start(folder.path(), &[("AUTH_MODE", "client_key")]).await;
        let now = |live: &LiveSettings| {
            let current = live.current();
            let origin = current.origins.of("auth_mode").cloned().unwrap();
            (current.auth_mode, origin.source, origin.overrides, origin.text.unwrap())
        };
        assert_eq!(now(&live), (AuthMode::ClientKey, Source::Env, vec![], "client_key".to_owned()));
        live.set("auth_mode", "passthrough", "ada").await.unwrap();
        let set = (AuthMode::Passthrough, Source::Db, vec![Source::Env], "passthrough".to_owned());
        assert_eq!(now(&live), set);
        recorder.shutdown(Duration::from_secs(5)).await;
        drop((recorder, live));
        let (_recorder, live, _) = start(folder.path(), &[("AUTH_MODE", "both")]).await;
        assert_eq!(now(&live), set);
        live.forget("auth_mode", "ada").await.unwrap();
        assert_eq!(now(&live), (AuthMode::Both, Source::Env, vec![], "both".to_owned()));
    }

    #[tokio::test]
    async fn a_flag_pins_the_auth_mode() {
        let folder = tempfile::tempdir().unwrap();
        let recorder = Recorder::open(RecorderConfig::in_dir(folder.path())).await.unwrap();
        store(&recorder, "auth_mode", "both").await;
        let flags = [("auth_mode".to_owned(), "client_key".to_owned())].into();
        let sources = Sources { flags, folder: folder.path().to_owned(), ..Sources::default() };
        let base = Settings::load(&sources).unwrap();
        let none = Box::new(|_: &Settings| {});
        let live = LiveSettings::start(recorder.store().clone(), base, Clock::system(), none).await.unwrap();
        assert_eq!(live.current().auth_mode, AuthMode::ClientKey);
        let refused = live.set("auth_mode", "both", "ada").await.unwrap_err();
        assert!(matches!(refused, ChangeError::Pinned(_, "a flag")), "{refused}");
    }

    #[tokio::test]
    async fn of_several_settings_all_are_changed_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (_recorder, live, applied) = start(folder.path(), &[]).await;
        let both = |limit: &str| [("rate_limit_burst", "3".to_owned()), ("rate_limit_rpm", limit.to_owned())];
        let refused = live.set_all(&both("many"), "ada").await.unwrap_err();
        assert!(matches!(refused, ChangeError::Bad(_)), "{refused}");
        assert_eq!((live.current().rate_limit_burst, applied.load(Ordering::SeqCst)), (0, 0));
        live.set_all(&both("7"), "ada").await.unwrap();
        assert_eq!((live.current().rate_limit_burst, applied.load(Ordering::SeqCst)), (3, 7));
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
