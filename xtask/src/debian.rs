//! What the tests need from the system: looks for it, and installs it with apt-get where that is allowed.

use std::process::Command;

use crate::{Failure, command, say};

/// Something that has to be there, and the Debian package that brings it.
struct Need {
    package: &'static str,
    probe: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    Need { package: "nodejs", probe: &["node", "--version"] },
    Need { package: "npm", probe: &["npm", "--version"] },
    Need { package: "python3", probe: &["python3", "--version"] },
    Need { package: "python3-venv", probe: &["python3", "-c", "import ensurepip, venv"] },
    Need { package: "iproute2", probe: &["ip", "-V"] },
    Need { package: "util-linux", probe: &["unshare", "--version"] },
    // The package keeps its programs out of the search path, under the version's number.
    Need {
        package: "postgresql",
        probe: &["sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres || command -v postgres"],
    },
    Need { package: "redis-server", probe: &["sh", "-c", "command -v redis-server || command -v valkey-server"] },
];

/// The oldest Node on which the vendors' packages run.
const OLDEST_NODE: u32 = 20;

/// Makes sure that everything is there, or names what is missing and how to get it.
pub(crate) fn provide() -> Result<(), Failure> {
    let missing = missing();
    if !missing.is_empty() {
        let names = missing.join(" ");
        if !may_install() {
            return Err(format!(
                "these Debian packages are missing: {names}\ninstall them with `apt-get install {names}` and run this again"
            ));
        }
        say(format_args!("installing Debian packages: {names}"));
        command::run(Command::new("apt-get").args(["update", "-qq"]))?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "-qq", "-y", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command::run(&mut install)?;
        let missing = self::missing();
        if !missing.is_empty() {
            return Err(format!("still missing after apt-get: {}", missing.join(" ")));
        }
    }
    let version = command::output(Command::new("node").arg("--version"))?;
    match major(&version) {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => Err(format!(
            "node is {}, but the clients need {OLDEST_NODE} or newer: install one from nodejs.org",
            version.trim()
        )),
    }
}

fn missing() -> Vec<&'static str> {
    let there = |need: &&Need| !command::succeeds(Command::new(need.probe[0]).args(&need.probe[1..]));
    NEEDS.iter().filter(there).map(|need| need.package).collect()
}

fn may_install() -> bool {
    command::root() && command::succeeds(Command::new("apt-get").arg("--version"))
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
