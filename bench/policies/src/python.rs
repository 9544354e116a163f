//! A policy in Python, served by the SDK over a Unix socket: started here, ended when dropped.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use luthien_gateway::config::Network;
use luthien_gateway::policy_servers::HttpPolicyServers;
use luthien_policy::catalogue::{LoadEnv, PolicySpec, Servers, load};
use luthien_policy::contract::Policy;
use serde_json::json;

/// How long the interpreter may take to start, in steps of 20 ms.
const STEPS: u32 = 500;

/// The policies that ask it.
type Policies = Vec<Arc<dyn Policy>>;

/// The server and the folder of its socket.
pub(crate) struct Served {
    child: Child,
    folder: PathBuf,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Starts the server and loads the policy that asks it. To be called within a runtime.
pub(crate) fn serve() -> Result<(Served, Policies), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join(format!("luthien-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let socket = folder.join("policy.sock");
    let child = Command::new("python3")
        .args(["-m", "luthien_policy"])
        .arg(here.join("src/passes.py"))
        .arg("--socket")
        .arg(&socket)
        .env("PYTHONPATH", here.join("../../sdk/python/src"))
        .stdout(Stdio::null())
        .spawn()?;
    let mut served = Served { child, folder: folder.clone() };
    let mut steps = 0;
    while !socket.exists() {
        if let Some(status) = served.child.try_wait()? {
            return Err(format!("the policy server ended at once: {status}").into());
        }
        steps += 1;
        if steps > STEPS {
            return Err("the policy server did not begin to listen".into());
        }
        sleep(Duration::from_millis(20));
    }
    let transport = HttpPolicyServers::new(Network::default(), BTreeMap::new(), folder);
    let env = LoadEnv { servers: Servers::new(Arc::new(transport)), ..LoadEnv::default() };
    let config = json!({"url": format!("unix:{}", socket.display()), "watches": {"tool_calls": true}});
    let loaded = load(&PolicySpec::new("webhook", config), &env)?;
    Ok((served, loaded.tree.policies().into_iter().cloned().collect()))
}
