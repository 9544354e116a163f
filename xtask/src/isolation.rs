//! Cargo in a network namespace with nothing but loopback, where one can be made.

use std::process::Command;

use crate::places::Places;
use crate::{command, say};

/// Root stays root: PostgreSQL runs as another account, which a namespace of users would not know.
const AS_ROOT: [&str; 4] = ["--net", "sh", "-c", "ip link set lo up && exec \"$@\""];
/// Anybody else needs a namespace of users to make one of networks, stays who they are in it, and gives up the powers that
/// bringing up loopback took.
const AS_USER: [&str; 6] = [
    "--map-current-user",
    "--keep-caps",
    "--net",
    "sh",
    "-c",
    "ip link set lo up && exec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"",
];

/// A `cargo` command in the workspace's root; says whether it can reach the network.
pub(crate) fn cargo(places: &Places) -> Command {
    if command::succeeds(unshare().arg("true")) {
        say("the tests run in a network namespace of their own: nothing they start can leave this machine");
        let mut tests = unshare();
        command::forget_xtask(&mut tests);
        tests.arg(command::cargo_program()).current_dir(&places.root);
        tests
    } else {
        say("a network namespace cannot be made here: the tests run with this machine's network");
        command::cargo(&places.root)
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(if command::root() { &AS_ROOT[..] } else { &AS_USER[..] }).arg("sh");
    command
}
