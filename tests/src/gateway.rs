//! The gateway under test: the real binary with a data folder of its own.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use http::Request;
use luthien_wire::Dialect;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::process::{Run, Server, clean, finish};
use crate::{http as web, places};

/// How a gateway is set up.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// The base URL of the upstream for Messages, such as `http://127.0.0.1:9000`.
    pub upstream: String,
    /// The policy's name and configuration; none leaves the default, which does nothing.
    pub policy: Option<(&'static str, Value)>,
}

/// A running gateway. It is killed when dropped; `stop` ends it as an operator would.
pub struct Gateway {
    server: Server,
    base: String,
}

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_secs(30);
const DATA: &str = "data";

impl Gateway {
    /// Starts a gateway in front of `upstream`, which serves both dialects, and waits until it is ready.
    pub async fn start(setup: &Setup) -> Self {
        Self::start_with(setup, &[]).await
    }

    /// The same with more in its environment, each a name and a value; they win over what `setup` says.
    pub async fn start_with(setup: &Setup, environment: &[(&str, &str)]) -> Self {
        Self::start_in(setup, environment, TempDir::new().expect("a temporary folder")).await
    }

    /// The same with this `luthien.yaml`, given as JSON.
    pub async fn start_configured(setup: &Setup, file: &Value) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // JSON is YAML.
        std::fs::write(folder.path().join("luthien.yaml"), file.to_string()).expect("the settings file");
        Self::start_in(setup, &[], folder).await
    }

    /// Starts a gateway that takes models named `messages/…`, `chat/…` and `responses/…` to what speaks these dialects at
    /// `upstream`, whatever the client speaks, under the name after the slash.
    pub async fn start_converting(setup: &Setup) -> Self {
        let base = &setup.upstream;
        let upstreams = json!({
            "of-messages": {"dialect": "messages", "base_url": base, "auth": "none"},
            "of-chat": {"dialect": "chat", "base_url": format!("{base}/v1"), "auth": "none"},
            "of-responses": {"dialect": "responses", "base_url": format!("{base}/v1"), "auth": "none"},
        });
        let rule = |dialect: &str| json!({"match": format!("{dialect}/*"), "upstream": format!("of-{dialect}"), "rename": "*"});
        let models = Dialect::ALL.map(|dialect| rule(dialect.name()));
        Self::start_configured(setup, &json!({"upstreams": upstreams, "models": models})).await
    }

    /// The same in a folder that another one has left.
    pub async fn start_in(setup: &Setup, environment: &[(&str, &str)], folder: TempDir) -> Self {
        Self::ready(Self::spawn(setup, environment, folder)).await
    }

    async fn ready(mut server: Server) -> Self {
        let address = |log: &str| log.lines().find_map(|line| line.strip_prefix("listening on ")).map(str::to_owned);
        let base = server.until(START, async |log| address(log)).await;
        let ready = format!("{base}/readyz");
        server.until(START, async |_| web::get(&ready).await.ok().filter(|answer| answer.status.is_success())).await;
        Self { server, base }
    }

    /// Starts one in this folder and kills it so soon after, whatever it is at; gives the folder.
    pub async fn killed_after(
        setup: &Setup,
        environment: &[(&str, &str)],
        folder: TempDir,
        after: Duration,
    ) -> TempDir {
        let server = Self::spawn(setup, environment, folder);
        tokio::time::sleep(after).await;
        server.kill().await
    }

    /// Starts one whose journal is on a disk of its own, of so many bytes. Fails the test where it cannot be mounted.
    pub async fn start_on_small_disk(setup: &Setup, environment: &[(&str, &str)], bytes: u64) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let journal = folder.path().join(DATA).join("journal");
        std::fs::create_dir_all(&journal).expect("a folder for the journal");
        let mount = "mount -t tmpfs -o mode=700,size=\"$1\" none \"$2\" && shift 2 && exec \"$@\"";
        let wrapped = |program: &[&str]| {
            let mut command = clean("unshare".as_ref(), folder.path());
            // Whoever is not root becomes it in a namespace of users.
            let root = std::fs::metadata("/proc/self").expect("a process").uid() == 0;
            command.args(if root { &[][..] } else { &["--map-root-user"][..] });
            command.args(["--mount", "sh", "-c", mount, "sh", &bytes.to_string()]);
            command.arg(&journal).args(program);
            command
        };
        let tried = finish(wrapped(&["true"]), b"", START).await;
        assert_eq!(
            tried.code,
            Some(0),
            "a small disk cannot be mounted: run this as root with the capability CAP_SYS_ADMIN, or where users may make \
             namespaces of their own (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0): {}",
            tried.stderr
        );
        let program = places::gateway();
        let command = wrapped(&[program.to_str().expect("a path in UTF-8")]);
        Self::ready(Self::spawn_as(command, setup, environment, folder)).await
    }

    fn spawn(setup: &Setup, environment: &[(&str, &str)], folder: TempDir) -> Server {
        Self::spawn_as(clean(&places::gateway(), folder.path()), setup, environment, folder)
    }

    /// The same with this command that runs the gateway's binary.
    fn spawn_as(mut command: Command, setup: &Setup, environment: &[(&str, &str)], folder: TempDir) -> Server {
        command.arg("serve");
        if let Some((class, config)) = &setup.policy {
            let file = folder.path().join("policy.yaml");
            // JSON is YAML.
            let policy = json!({"policy": {"class": class, "config": config}});
            std::fs::write(&file, policy.to_string()).expect("the policy file");
            command.env("POLICY_CONFIG", file);
        }
        command.env("GATEWAY_HOST", "127.0.0.1").env("GATEWAY_PORT", "0");
        command.env("LUTHIEN_DATA_DIR", folder.path().join(DATA));
        command.env("ANTHROPIC_BASE_URL", &setup.upstream).env("OPENAI_BASE_URL", format!("{}/v1", setup.upstream));
        command.envs(environment.iter().copied());
        Server::start(command, folder)
    }

    /// The base URL for clients, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// What the admin API answers to a GET of `path`, with the key from the data folder.
    pub async fn api(&self, path: &str) -> Value {
        let key =
            std::fs::read_to_string(self.server.folder.path().join(DATA).join("admin.key")).expect("the admin key");
        let request = Request::get(format!("{}{path}", self.base)).header("x-api-key", key.trim());
        let answer =
            web::send(request.body(bytes::Bytes::new()).expect("a request")).await.expect("an answer of the API");
        assert!(answer.status.is_success(), "{path}: {} {:?}", answer.status, answer.body);
        serde_json::from_slice(&answer.body).expect("the API speaks JSON")
    }

    /// The admin key, from the data folder.
    pub fn admin_key(&self) -> String {
        let file = self.server.folder.path().join(DATA).join("admin.key");
        std::fs::read_to_string(file).expect("the admin key").trim().to_owned()
    }

    /// What the admin API answers to this method, path and body.
    pub async fn admin(&self, method: &str, path: &str, body: &Value) -> web::Answer {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let request = request.header("x-api-key", self.admin_key()).header("content-type", "application/json");
        let body = bytes::Bytes::from(body.to_string());
        web::send(request.body(body).expect("a request")).await.expect("an answer of the API")
    }

    /// Puts a policy in force, by the admin API. Fails the test where it does not load.
    pub async fn set_policy(&self, class: &str, config: &Value) {
        let key =
            std::fs::read_to_string(self.server.folder.path().join(DATA).join("admin.key")).expect("the admin key");
        let body = json!({"policy_class_ref": class, "config": config}).to_string();
        let request = Request::post(format!("{}/api/admin/policy/set", self.base)).header("x-api-key", key.trim());
        let request = request.header("content-type", "application/json").body(bytes::Bytes::from(body));
        let answer = web::send(request.expect("a request")).await.expect("an answer of the API");
        let said: Value = serde_json::from_slice(&answer.body).expect("the API speaks JSON");
        assert_eq!(said["success"], true, "{said}");
    }

    /// What the admin API says of a call and its events, once it is recorded.
    pub async fn call(&self, id: &str) -> Value {
        let path = format!("/api/debug/calls/{id}");
        for _ in 0..500 {
            let all = self.api("/api/debug/calls?limit=1000").await;
            if all["calls"].as_array().is_some_and(|calls| calls.iter().any(|call| call["call_id"] == id)) {
                return self.api(&path).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the call {id} was not recorded within 10 s:\n{}", self.server.log());
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.server.folder.path().join(DATA)
    }

    /// Runs `luthien` with these arguments beside it, on the same data folder.
    pub async fn command(&self, args: &[&str]) -> Run {
        self.command_with(args, &[]).await
    }

    /// The same with more in its environment.
    pub async fn command_with(&self, args: &[&str], environment: &[(&str, &str)]) -> Run {
        let folder = self.server.folder.path();
        let mut command = clean(&places::gateway(), folder);
        command.args(args).env("LUTHIEN_DATA_DIR", folder.join(DATA)).envs(environment.iter().copied());
        finish(command, b"", Duration::from_mins(1)).await
    }

    /// Waits until `count` transactions can be read from the record and gives the API's list of them, newest first.
    pub async fn recorded(&mut self, count: u64) -> Vec<Value> {
        for _ in 0..500 {
            let calls = self.api("/api/debug/calls?limit=1000").await;
            if calls["total"].as_u64() >= Some(count) {
                assert_eq!(calls["total"], count, "more transactions than expected: {calls}");
                return calls["calls"].as_array().expect("a list of calls").clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{count} transactions were not recorded within 10 s:\n{}", self.server.log());
    }

    /// Kills it, as a crash or a lack of memory would; gives its folder, data included.
    pub async fn kill(self) -> TempDir {
        self.server.kill().await
    }

    /// Ends it by its process id and waits. Fails the test unless it ends well and its log holds no panic.
    pub async fn stop(self) {
        self.stopped().await;
    }

    /// The same; gives its folder, data included.
    pub async fn stopped(self) -> TempDir {
        let log = self.server.log();
        assert!(!log.contains("panicked at"), "the gateway panicked:\n{log}");
        self.server.stop(STOP).await
    }
}
