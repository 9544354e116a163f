//! Putting the parts together: settings, data folder, record, policy, gateway.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use luthien_gateway::data_dir::{DataDir, Keys};
use luthien_gateway::judges;
use luthien_gateway::policy_servers::HttpPolicyServers;
use luthien_gateway::policy_state::PolicyOptions;
use luthien_gateway::server_credentials::{KeySource, ServerCredentials};
use luthien_gateway::settings::{Settings, Sources};
use luthien_policy::catalogue::{self, LoadEnv, PolicySpec, Servers};
use luthien_policy::judge::JudgeClient;
use luthien_policy::remote::PolicyServers;
use luthien_record::DatabaseOptions;
use luthien_record::redact::Redactor;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

use crate::args::{RecordArgs, SettingArgs};
use crate::failure::Failure;
use crate::loopback;

pub(crate) use running::{Running, StartFailure, recorder_config};

mod running;

/// The settings, checked, and where they came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    sources: Sources,
}

impl Loaded {
    /// The settings of this process with these flags.
    pub(crate) fn new(given: &SettingArgs) -> Result<Self, Failure> {
        Self::from(Sources::of_process(given.flags.clone(), given.config.clone()))
    }

    /// The settings for reading the record: a data folder that is given leaves the database to it, whatever is configured.
    pub(crate) fn for_record(args: &RecordArgs) -> Result<Self, Failure> {
        let Some(folder) = &args.data_dir else {
            return Self::new(&SettingArgs { config: args.config.clone(), ..SettingArgs::default() });
        };
        let folder = std::path::absolute(folder)?;
        let flags = BTreeMap::from([("data_dir".to_owned(), folder.to_string_lossy().into_owned())]);
        Self::from(Sources { flags, folder, config: args.config.clone(), ..Sources::default() })
    }

    /// The settings of this process, for its record or for the one in a data folder that is given.
    pub(crate) fn for_keeping(args: &RecordArgs) -> Result<Self, Failure> {
        let folder = args.data_dir.as_ref().map(|folder| folder.to_string_lossy().into_owned());
        let flags = folder.map(|folder| ("data_dir".to_owned(), folder)).into_iter().collect();
        Self::from(Sources::of_process(flags, args.config.clone()))
    }

    /// The settings of these sources.
    pub(crate) fn from(sources: Sources) -> Result<Self, Failure> {
        let settings = Settings::load(&sources).map_err(|e| Failure::new(e.to_string()))?;
        Ok(Self { settings, sources })
    }

    /// Where the data folder is.
    pub(crate) fn folder(&self) -> PathBuf {
        self.settings.data_folder(&self.sources)
    }

    /// The data folder, made if it is not there.
    pub(crate) fn open_folder(&self) -> Result<DataDir, Failure> {
        DataDir::open(&self.folder())
            .map_err(|e| Failure::new(format!("{e}; choose another data folder with --data-dir or LUTHIEN_DATA_DIR")))
    }

    /// The database's URL.
    pub(crate) fn database(&self) -> String {
        let set = self.settings.database_url.as_ref().map(|url| url.expose_secret().to_owned());
        set.unwrap_or_else(|| DataDir::at(&self.folder()).database_url())
    }

    /// Its connections and patience.
    pub(crate) fn database_options(&self) -> DatabaseOptions {
        DatabaseOptions {
            pool_size: self.settings.database_pool_size.into(),
            connect_timeout: self.settings.database_connect_timeout,
            query_timeout: self.settings.database_query_timeout,
            migrate: self.settings.database_auto_migrate,
        }
    }

    /// Where the keys of stored credentials are.
    pub(crate) fn key_source(&self) -> KeySource {
        KeySource::new(self.settings.credential_encryption_key.as_ref(), &self.folder())
    }

    /// What is taken out of everything that is stored, told or logged.
    pub(crate) fn redactor(&self) -> Result<Redactor, Failure> {
        self.settings.redactor().map_err(|e| Failure::new(format!("redaction: {e}")))
    }

    /// The way to policy servers, to be made on the runtime of those that are started here.
    pub(crate) fn policy_servers(&self) -> HttpPolicyServers {
        let folder = self.folder().join("policies");
        HttpPolicyServers::new(self.settings.network(), self.sources.environment.clone(), folder)
    }

    /// What policies are loaded with.
    pub(crate) fn load_env(&self, servers: &Arc<HttpPolicyServers>) -> LoadEnv {
        let env = PolicyOptions::new(&self.settings, &self.sources).env;
        LoadEnv { servers: Servers::new(Arc::clone(servers) as Arc<dyn PolicyServers>), ..env }
    }

    /// The way to judges with the settings' own keys, where no gateway runs; `tasks` owns its connections.
    pub(crate) fn judges(&self, tasks: &TaskTracker) -> Result<Arc<dyn JudgeClient>, Failure> {
        let no_keys = Keys { admin: SecretString::default(), identity: [0; 32], admin_is_set: false, exposed: None };
        let config = self.settings.gateway_config(&no_keys);
        judges::without_caller(&config, ServerCredentials::default(), tasks).map_err(|e| Failure::new(e.to_string()))
    }

    /// The policy in the policy file, else in the settings file, with the name of that file.
    pub(crate) fn policy_of_files(&self) -> Result<Option<(PolicySpec, String)>, Failure> {
        let options = PolicyOptions::new(&self.settings, &self.sources);
        options.in_files().map_err(|why| Failure::new(format!("the policy cannot be used: {why}")))
    }

    /// The policy of this description. Policy servers are asked what they are.
    pub(crate) fn load(&self, spec: &PolicySpec) -> Result<catalogue::Loaded, Failure> {
        runtime(Some(1))?.block_on(async {
            let servers = Arc::new(self.policy_servers());
            let policy = catalogue::load_asking(spec, &self.load_env(&servers)).await;
            servers.shutdown().await;
            policy.map_err(|e| Failure::new(format!("the policy cannot be used: {e}")))
        })
    }

    /// The base URL of a gateway that runs on this data folder, if one answers.
    pub(crate) async fn running_gateway(&self) -> Option<String> {
        let base = DataDir::at(&self.folder()).running()?.url();
        loopback::alive(&base).await.then_some(base)
    }
}

/// A runtime with so many threads, or one for each core.
pub(crate) fn runtime(threads: Option<usize>) -> Result<Runtime, Failure> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().map_err(|e| Failure::new(format!("cannot start threads: {e}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_database_is_used_as_the_settings_say() {
        let set = [
            ("DATABASE_POOL_SIZE", "3"),
            ("DATABASE_CONNECT_TIMEOUT", "4s"),
            ("DATABASE_QUERY_TIMEOUT", "5s"),
            ("DATABASE_AUTO_MIGRATE", "false"),
        ];
        let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let loaded = Loaded::from(Sources { environment, folder: "/nonexistent".into(), ..Sources::default() });
        let options = loaded.ok().map(|loaded| loaded.database_options()).expect("settings");
        assert_eq!((options.pool_size, options.migrate), (3, false));
        let patience = (options.connect_timeout, options.query_timeout);
        assert_eq!(patience, (Duration::from_secs(4), Duration::from_secs(5)));
    }
}
