//! `cargo xtask bench`: the gateway beside the yardstick, in turn, on the same core.
//!
//! The yardstick is a proxy that parses everything and does nothing else. Gateway and yardstick have one core; the upstream
//! and the load generator have another. A run of the gateway ends when its last record can be read. Before that, how many
//! bytes a second the codecs take by themselves, and how long policies take to decide.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::contender::{Contender, Ports};
use crate::places::Places;
use crate::table::{columns, median};
use crate::{Failure, command, say};

mod codecs;
mod contender;
mod policies;
mod record;
mod web;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often each measurement is taken.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Divides the number of requests, for a quick look.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    fraction: u32,
    /// Only how fast the codecs are, without gateway and yardstick.
    #[arg(long, conflicts_with = "policies")]
    codecs: bool,
    /// Only how long policies take to decide.
    #[arg(long)]
    policies: bool,
    /// Only how much the record stores in a second, on SQLite and on PostgreSQL.
    #[arg(long, conflicts_with_all = ["codecs", "policies", "history"])]
    record: bool,
    /// Only how long lists and searches take in a large record, on SQLite and on PostgreSQL.
    #[arg(long, conflicts_with_all = ["codecs", "policies"])]
    history: bool,
    /// The turns of that record.
    #[arg(long, default_value_t = 1_000_000, requires = "history", value_parser = clap::value_parser!(u32).range(1000..))]
    turns: u32,
}

/// Transactions that are stored in one round.
const STORED: u32 = 5_000;

/// A kind of call, and what part of the yardstick's requests per second the gateway has to reach.
struct Call {
    name: &'static str,
    shown: &'static str,
    requests: u32,
    connections: u32,
    target: f64,
}

const CALLS: &[Call] = &[
    Call { name: "small", shown: "small call", requests: 40_000, connections: 32, target: 0.3 },
    Call { name: "large", shown: "64 KB call", requests: 12_000, connections: 32, target: 0.4 },
    Call { name: "stream", shown: "52-event stream", requests: 5_000, connections: 32, target: 0.8 },
];

/// Events in a stream of the upstream, as it is started here.
const EVENTS: u64 = 52;

const GATEWAY_CORE: &str = "0";
const LOAD_CORE: &str = "1";

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let places = Places::find()?;
    let built =
        |package: &str| command::run(command::cargo(&places.root).args(["build", "--profile", "dist", "-p", package]));
    if args.record || args.history {
        built("luthien-bench-record")?;
        let program = places.target.join("dist/bench-record");
        return if args.history {
            record::history(&program, args.turns, args.rounds)
        } else {
            record::write(&program, (STORED / args.fraction).max(1), args.rounds)
        };
    }
    if !args.policies {
        built("luthien-codecs")?;
        codecs::run(&places.target.join("dist/codecs"), args.rounds)?;
    }
    if !args.codecs {
        built("luthien-policies")?;
        policies::run(&places.target.join("dist/policies"), args.rounds)?;
    }
    if args.codecs || args.policies {
        return Ok(());
    }
    let programs = build(&places)?;
    let ports = Ports::take()?;
    let _upstream = contender::upstream(&programs, &ports)?;
    let contenders = [
        contender::yardstick(&programs, &ports)?,
        contender::gateway(&programs, &ports, "gateway, no policy", None)?,
        contender::gateway(&programs, &ports, "gateway, two policies", Some(contender::TWO_CHEAP_POLICIES))?,
    ];

    let mut speeds: BTreeMap<(&str, &str), Vec<Speed>> = BTreeMap::new();
    for call in CALLS {
        // Warms caches, connections and the allocator; not counted.
        for contender in &contenders {
            measure(&programs, contender, call, (call.requests / args.fraction / 10).max(1))?;
        }
        for round in 1..=args.rounds {
            for contender in &contenders {
                let speed = measure(&programs, contender, call, (call.requests / args.fraction).max(1))?;
                let Speed { answered, recorded } = speed;
                let run = format!("round {round}: {}, {}", call.shown, contender.name);
                say(format_args!("{run}: {answered:.0} requests/s until the last answer"));
                say(format_args!("{run}: {recorded:.0} requests/s until the last record"));
                speeds.entry((call.name, contender.name)).or_default().push(speed);
            }
        }
    }
    report(&speeds, &contenders);
    Ok(())
}

/// The programs that are measured or do the measuring.
struct Programs {
    yardstick: PathBuf,
    gateway: PathBuf,
}

fn build(places: &Places) -> Result<Programs, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        return Err("the comparison needs two cores: one for the gateway, one for the rest".into());
    }
    let yardstick = places.target.join("yardstick");
    let mut build = command::cargo(&places.root.join("bench/yardstick"));
    command::run(build.args(["build", "--release", "--locked", "--target-dir"]).arg(&yardstick))?;
    command::run(command::cargo(&places.root).args(["build", "--profile", "dist", "--bin", "luthien"]))?;
    Ok(Programs { yardstick: yardstick.join("release"), gateway: places.target.join("dist/luthien") })
}

/// Requests per second of one run.
#[derive(Clone, Copy)]
struct Speed {
    /// Until the last answer was there.
    answered: f64,
    /// Until the last record could be read, where there is a record.
    recorded: f64,
}

fn measure(programs: &Programs, contender: &Contender, call: &Call, requests: u32) -> Result<Speed, Failure> {
    let before = contender.recorded()?.unwrap_or_default();
    let started = Instant::now();
    let mut load = Command::new("taskset");
    load.args(["-c", LOAD_CORE]).arg(programs.yardstick.join("load"));
    load.env("URL", contender.url()).env("CALL", call.name);
    load.env("REQUESTS", requests.to_string()).env("CONNECTIONS", call.connections.to_string());
    let printed = command::output(&mut load)?;
    let result: Value =
        serde_json::from_str(&printed).map_err(|error| format!("the load generator printed no JSON: {error}"))?;
    if call.name == "stream" && result["events"] != EVENTS {
        return Err(format!("a stream through {} had {} events, not {EVENTS}", contender.name, result["events"]));
    }
    let answered = f64::from(requests) / started.elapsed().as_secs_f64();
    while contender.recorded()?.is_some_and(|now| now < before + u64::from(requests)) {
        if started.elapsed() > Duration::from_mins(5) {
            return Err(format!("{}: not all records could be read after 300 s", contender.name));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Speed { answered, recorded: f64::from(requests) / started.elapsed().as_secs_f64() })
}

/// Prints the medians. Each ratio is taken within a round, where both had the same machine; then their median counts.
fn report(speeds: &BTreeMap<(&str, &str), Vec<Speed>>, contenders: &[Contender]) {
    let head = ["call", "through", "until answered/s", "requests/s", "of the yardstick", "target", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for call in CALLS {
        let rounds = |contender: &Contender| speeds.get(&(call.name, contender.name)).map_or(&[][..], Vec::as_slice);
        let yardstick = rounds(&contenders[0]);
        for (place, contender) in contenders.iter().enumerate() {
            let own = rounds(contender);
            let ratios = own.iter().zip(yardstick).map(|(own, yardstick)| own.recorded / yardstick.recorded);
            let ratio = median(&ratios.collect::<Vec<_>>()).unwrap_or_default();
            let middle = |of: fn(&Speed) -> f64| {
                let speed = median(&own.iter().map(of).collect::<Vec<_>>()).unwrap_or_default();
                format!("{speed:.0}")
            };
            let (answered, recorded) = (middle(|speed| speed.answered), middle(|speed| speed.recorded));
            let mut row =
                vec![call.shown.to_owned(), contender.name.to_owned(), answered, recorded, format!("{ratio:.2}")];
            if place > 0 {
                row.push(format!("{:.1}", call.target));
                row.push(if ratio >= call.target { "met" } else { "MISSED" }.to_owned());
            }
            rows.push(row);
        }
    }
    say(format_args!("\n{}", columns(&rows)));
}
