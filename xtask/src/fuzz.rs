//! `cargo xtask fuzz`: feeds the readers and the engine with inputs that nobody thought of.
//!
//! Works on a stable compiler: libFuzzer comes as a crate, and coverage from LLVM's own pass. Inputs that break something
//! are kept in `fuzz/found` and tried first from then on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::places::Places;
use crate::{Failure, command, say};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// This many inputs in place of a time, the same ones each time: what was learned before is left aside.
    #[arg(long)]
    runs: Option<u32>,
    /// The targets; all if none is named.
    targets: Vec<String>,
}

/// A target, and the folders whose files it begins with.
struct Target {
    name: &'static str,
    seeds: &'static [&'static str],
}

const MESSAGES: &str = "crates/testkit/fixtures/messages";
const CHAT: &str = "crates/testkit/fixtures/chat";
const RESPONSES: &str = "crates/testkit/fixtures/responses";
const REQUESTS: &str = "fuzz/seeds/requests";
const CALLS: &str = "fuzz/seeds/calls";
const SHELL: &str = "fuzz/seeds/shell";
const HEADS: &str = "fuzz/seeds/heads";
const ADMIN: &str = "fuzz/seeds/admin";
const ANSWERS: &[&str] = &[MESSAGES, CHAT, RESPONSES, CALLS];

const TARGETS: &[Target] = &[
    Target { name: "framing", seeds: ANSWERS },
    Target { name: "messages", seeds: &[MESSAGES] },
    Target { name: "chat", seeds: &[CHAT] },
    Target { name: "responses", seeds: &[RESPONSES] },
    Target { name: "wholes", seeds: ANSWERS },
    Target { name: "requests", seeds: &[REQUESTS] },
    Target { name: "asks", seeds: &[REQUESTS] },
    Target { name: "answers", seeds: ANSWERS },
    Target { name: "engine", seeds: ANSWERS },
    Target { name: "shell", seeds: &[SHELL] },
    Target { name: "heads", seeds: &[HEADS] },
    Target { name: "calls", seeds: &[ADMIN] },
];

/// What makes LLVM count which branches an input takes, and tell what it compares with. The engine and the readers are
/// fuzzed with the flag that crates know fuzzing by.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";

/// The largest input that is tried, in bytes.
const LARGEST: u32 = 16 << 10;

/// The longest that one input may take, in seconds.
const SLOWEST: u32 = 20;

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let unknown = args.targets.iter().find(|name| TARGETS.iter().all(|target| target.name != **name));
    if let Some(name) = unknown {
        let known = TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
        return Err(format!("there is no fuzz target {name}; there are {known}"));
    }
    let places = Places::find()?;
    let programs = build(&places)?;
    let chosen = |target: &&Target| args.targets.is_empty() || args.targets.iter().any(|name| name == target.name);
    let left = Mutex::new(TARGETS.iter().filter(chosen).collect::<Vec<_>>().into_iter());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let broken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let next = left.lock().ok().and_then(|mut left| left.next());
                    let Some(target) = next else { return };
                    if let (Err(why), Ok(mut broken)) = (fuzz(&places, &programs, target, args), broken.lock()) {
                        broken.push(why);
                    }
                }
            });
        }
    });
    match broken.into_inner() {
        Ok(broken) if broken.is_empty() => Ok(()),
        Ok(broken) => Err(broken.join("\n")),
        Err(_) => Err("a thread that ran a target panicked".into()),
    }
}

/// Builds all targets; gives their folder.
fn build(places: &Places) -> Result<PathBuf, Failure> {
    let target = places.target.join("fuzz");
    let version = command::output(command::cargo(&places.root).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("`cargo -vV` names no host")?;
    let mut build = command::cargo(&places.root.join("fuzz"));
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", COVERAGE);
    // With a target named, build scripts and macros are built without the flags. Not `--locked`: a dependency that the
    // product gains is no fault here.
    build.args(["build", "--release", "--target", host, "--target-dir"]).arg(&target);
    command::run(&mut build)?;
    Ok(target.join(host).join("release"))
}

fn fuzz(places: &Places, programs: &Path, target: &Target, args: &Args) -> Result<(), Failure> {
    let name = target.name;
    let folder = |path: PathBuf| match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(error) => Err(format!("cannot make {}: {error}", path.display())),
    };
    // What is found out about coverage is kept with what is built.
    let corpus = places.target.join(if args.runs.is_some() { "fuzz/empty" } else { "fuzz/corpus" }).join(name);
    if args.runs.is_some() && corpus.is_dir() {
        fs::remove_dir_all(&corpus).map_err(|error| format!("cannot empty {}: {error}", corpus.display()))?;
    }
    let corpus = folder(corpus)?;
    let logs = folder(places.target.join("fuzz/logs"))?;
    let found = folder(places.root.join("fuzz/found").join(name))?;
    let log = logs.join(name);
    let output = File::create(&log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
    let errors = output.try_clone().map_err(|error| format!("cannot write {}: {error}", log.display()))?;

    let mut fuzz = Command::new(programs.join(name));
    match args.runs {
        Some(runs) => fuzz.arg(format!("-runs={runs}")).arg("-seed=1"),
        None => fuzz.arg(format!("-max_total_time={}", args.seconds)),
    };
    fuzz.arg(format!("-max_len={LARGEST}")).arg(format!("-timeout={SLOWEST}"));
    fuzz.arg(format!("-dict={}", places.root.join("fuzz/words.dict").display()));
    fuzz.arg(format!("-artifact_prefix={}/", found.display())).arg("-print_final_stats=1");
    fuzz.arg(&corpus).arg(&found);
    fuzz.args(target.seeds.iter().map(|seeds| places.root.join(seeds)).filter(|seeds| seeds.is_dir()));
    let status = fuzz.stdout(output).stderr(errors).status().map_err(|error| format!("cannot run {name}: {error}"))?;
    let said = fs::read(&log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    if status.success() {
        let inputs = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        say(format_args!("fuzzed {name}: {} inputs", inputs.unwrap_or(" unknown").trim()));
        return Ok(());
    }
    let panic = said.lines().skip_while(|line| !line.contains("panicked at")).take(6).collect::<Vec<_>>().join("\n");
    say(format_args!("{name} broke:\n{panic}"));
    let input = said.lines().find_map(|line| line.split("Test unit written to ").nth(1)).unwrap_or("none");
    Err(format!("{name} ended with {status}; the input is {input}, all that was said is in {}", log.display()))
}
