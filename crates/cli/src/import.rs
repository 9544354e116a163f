//! `luthien import`: what the older proxies recorded, taken over.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use luthien_gateway::clock::Clock;
use luthien_policy::catalogue::PolicySpec;
use luthien_record::import::{self, Options, Summary, Target, Watch, luthien_proxy};
use luthien_record::older::{LeftOut, OlderControl, OlderError, OlderPolicy, OlderRecord, Unreadable};
use luthien_record::store::StoredPolicy;
use luthien_record::{Importer, Store};
use serde_json::json;

use crate::admin_client::AdminClient;
use crate::archive as record;
use crate::args::{ArchiveArgs, ControlArgs, ImportCommand, ProxyArgs, RecordArgs};
use crate::assembly::Loaded;
use crate::audit;
use crate::failure::Failure;
use crate::output::print;
use crate::progress::Progress;
use settings::{Plan, TakenOver};

mod settings;
mod words;

/// Who is said to have set an imported policy.
const BY: &str = "luthien import";

/// Runs the command.
pub(crate) async fn run(command: ImportCommand) -> Result<ExitCode, Failure> {
    match command {
        ImportCommand::LuthienProxy(args) => proxy(args).await,
        ImportCommand::LuthienControl(args) => control(args).await,
        ImportCommand::Archive(args) => archive(args).await,
    }
}

async fn proxy(args: ProxyArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_record(&args.record)?;
    let mut from = OlderRecord::open(&args.place).await.map_err(older)?;
    let policy = from.policy().await.map_err(older)?;
    // A policy that cannot be set is said before anything is written.
    if let Some(policy) = policy.as_ref().filter(|_| args.with_policy) {
        check(&loaded, policy)?;
    }
    let labels = from.labels().await.map_err(older)?;
    let found = if args.with_settings { Some(from.settings().await.map_err(older)?) } else { None };
    let mut left_out = from.left_out().await.map_err(older)?;
    if args.with_settings {
        left_out.retain(|one| {
            !matches!(one.table.as_str(), "server_credentials" | "inference_providers" | "gateway_config")
        });
    }
    let mut target = target(&loaded, &args.record, args.dry_run).await?;
    let mut watch = Watching::new(rejects(&loaded, args.rejects.clone()), args.dry_run);
    let options = Options { since: args.since, now: Clock::system().now() };
    let done = if args.without_history {
        Ok(Summary::default())
    } else {
        luthien_proxy(&mut from, &mut target, options, &mut watch).await
    };
    watch.progress.end();
    from.close().await;
    let summary = done.map_err(|e| Failure::new(e.to_string()))?;
    let set = match policy.as_ref().filter(|_| args.with_policy) {
        Some(policy) => Some(set(&args.record, &target, policy).await?),
        None => None,
    };
    let mut settings = None;
    if let Some(found) = found {
        let (there, write) = match &target {
            Target::Record(importer) => (Some(importer.store()), Some(importer.store())),
            Target::Nowhere(store) => (store.as_ref(), None),
        };
        settings = Some(Plan::make(&loaded, &args, found, there).await?.carry_out(&loaded, write).await?);
    }
    let mut names = Names { there: labels.len(), taken: None };
    if let Target::Record(importer) = target {
        if args.with_labels {
            names.taken = Some(name_users(importer.store(), &labels).await?);
        }
        audit::note(importer.store(), "import luthien-proxy", &audit::without_password(&args.place)).await;
        importer.close().await;
    }
    let told =
        Told { summary, policy, set, names, settings, left_out, rejects: watch.written(), dry_run: args.dry_run };
    print(&if args.json { format!("{:#}\n", told.json()) } else { words::proxy(&told) })?;
    Ok(ExitCode::SUCCESS)
}

async fn archive(args: ArchiveArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_record(&args.record)?;
    let mut target = target(&loaded, &args.record, args.dry_run).await?;
    let mut watch = Watching::new(rejects(&loaded, args.rejects), args.dry_run);
    let done = import::archive(&args.files, &mut target, &mut watch).await;
    watch.progress.end();
    if let Target::Record(importer) = target {
        let files: Vec<_> = args.files.iter().map(|file| file.display().to_string()).collect();
        audit::note(importer.store(), "import archive", &files.join(" ")).await;
        importer.close().await;
    }
    let summary = done.map_err(|e| Failure::new(e.to_string()))?;
    let rejects = watch.written();
    print(&if args.json {
        format!("{:#}\n", json!({"dry_run": args.dry_run, "summary": summary, "rejects": rejects}))
    } else {
        words::archive(&summary, rejects.as_deref(), args.dry_run)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Where an import goes.
async fn target(loaded: &Loaded, args: &RecordArgs, dry_run: bool) -> Result<Target, Failure> {
    if dry_run {
        return Ok(Target::Nowhere(record::open(args).await?));
    }
    loaded.open_folder()?;
    let importer = Importer::open(&loaded.database(), loaded.database_options(), loaded.redactor()?).await;
    Ok(Target::Record(Box::new(importer.map_err(|e| Failure::new(e.to_string()))?)))
}

/// Where what cannot be read is written down.
fn rejects(loaded: &Loaded, given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| loaded.folder().join("import-rejects.jsonl"))
}

async fn control(args: ControlArgs) -> Result<ExitCode, Failure> {
    let loaded = Loaded::for_record(&args.record)?;
    let mut from = OlderControl::open(&args.place).await.map_err(older)?;
    let policies = from.policies().await.map_err(older)?;
    let keys = from.keys().await.map_err(older)?;
    from.close().await;
    let mut version = None;
    if let Some(name) = &args.with_policy {
        let named = policies.iter().find(|policy| policy.name.as_ref() == Some(name));
        let policy = named.ok_or_else(|| Failure::new(format!("there is no policy {name} there")))?;
        check(&loaded, policy)?;
        let target = target(&loaded, &args.record, false).await?;
        version = Some(set(&args.record, &target, policy).await?);
    }
    let loads: Vec<_> = policies.iter().map(|policy| check(&loaded, policy).err().map(|e| e.to_string())).collect();
    print(&if args.json {
        format!("{:#}\n", json!({"policies": policies, "problems": loads, "set": version, "keys_left_out": keys}))
    } else {
        words::control(&policies, &loads, version.as_deref(), keys)
    })?;
    Ok(ExitCode::SUCCESS)
}

/// How an import went, to be told.
struct Told {
    summary: Summary,
    policy: Option<OlderPolicy>,
    /// What was said when the policy was set.
    set: Option<String>,
    names: Names,
    /// What became of credentials, providers and settings, where that was asked for.
    settings: Option<TakenOver>,
    left_out: Vec<LeftOut>,
    rejects: Option<PathBuf>,
    dry_run: bool,
}

/// The names of users.
struct Names {
    there: usize,
    /// How many were taken over, where that was asked for.
    taken: Option<usize>,
}

impl Told {
    fn json(&self) -> serde_json::Value {
        json!({
            "dry_run": self.dry_run, "summary": self.summary, "policy": self.policy, "policy_set": self.set,
            "labels": self.names.there, "labels_taken": self.names.taken,
            "settings": self.settings.as_ref().map(TakenOver::json), "left_out": self.left_out, "rejects": self.rejects,
        })
    }
}

/// Shows how far the import is, and writes down what could not be read.
struct Watching {
    progress: Progress,
    path: PathBuf,
    dry_run: bool,
    file: Option<std::fs::File>,
}

impl Watching {
    fn new(path: PathBuf, dry_run: bool) -> Self {
        Self { progress: Progress::new("calls"), path, dry_run, file: None }
    }

    /// The file, if there is something in it.
    fn written(self) -> Option<PathBuf> {
        self.file.is_some().then_some(self.path)
    }
}

impl Watch for Watching {
    fn progress(&mut self, done: u64, of: u64) {
        self.progress.show(done, of);
    }

    fn rejected(&mut self, what: &Unreadable) -> std::io::Result<()> {
        if self.dry_run {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create(&self.path)?),
        };
        writeln!(file, "{}", serde_json::to_string(what)?)
    }
}

fn create(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn older(error: OlderError) -> Failure {
    Failure::new(error.to_string())
}

/// Gives users the names that they had there, where they have none here; gives how many.
async fn name_users(store: &Store, labels: &[(String, String)]) -> Result<usize, Failure> {
    let (known, at) = (store.labels().await?, Clock::system().now());
    let mut taken = 0;
    for (user, name) in labels.iter().filter(|(user, _)| !known.contains_key(user)) {
        store.set_label(user, name, at).await?;
        taken += 1;
    }
    Ok(taken)
}

/// Whether this version can load the policy.
fn check(loaded: &Loaded, policy: &OlderPolicy) -> Result<(), Failure> {
    let spec = PolicySpec::new(policy.class_ref.as_str(), policy.config.clone());
    let servers = std::sync::Arc::new(loaded.policy_servers());
    let loads = luthien_policy::catalogue::load(&spec, &loaded.load_env(&servers));
    loads.map(|_| ()).map_err(|e| Failure::new(format!("the policy {} cannot be used: {e}", policy.class_ref)))
}

/// Sets the policy: through the gateway that runs, else in the record, where the next start finds it.
async fn set(args: &RecordArgs, target: &Target, policy: &OlderPolicy) -> Result<String, Failure> {
    if Loaded::for_record(args)?.running_gateway().await.is_some() {
        let order = json!({"policy_class_ref": policy.class_ref, "config": policy.config, "enabled_by": BY});
        let said = AdminClient::find(args).await?.post("/api/admin/policy/set", &order).await?;
        return if said["success"] == true {
            Ok("the gateway that runs has it now".to_owned())
        } else {
            Err(Failure::new(format!("the gateway does not take the policy: {}", said["error"])))
        };
    }
    let Target::Record(importer) = target else { return Err(Failure::new("a dry run sets no policy")) };
    let stored = StoredPolicy {
        class_ref: policy.class_ref.clone(),
        config: policy.config.clone(),
        mode: None,
        enabled_at: Clock::system().now(),
        enabled_by: BY.to_owned(),
    };
    let version = importer.store().set_policy(&stored).await?;
    audit::note(importer.store(), "import", &format!("policy {}", stored.class_ref)).await;
    Ok(format!("it is version {version}; the next start has it"))
}
