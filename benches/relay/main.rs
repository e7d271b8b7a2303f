//! Measures the daemon's cost of requests, events, streams and clients over loopback, beside a floor in the same run.
//!
//! ```text
//! cargo bench --bench relay -- [case…] [--rounds N] [--quick] [--json FILE] [--no-floor] [--strict | --gate]
//! cargo bench --bench relay -- --count [--rounds N] [--renew]
//! ```
//!
//! This process plays the browsers ([`peers`]) and the callers ([`callers`]) on one thread and checks every response;
//! the daemon and the floor ([`floor`], this same executable) are child processes, one at a time. Each case runs
//! alternately for both, and the table shows medians over the rounds. `--quick` is a smoke run of all cases with tiny
//! counts whose figures mean nothing; so is a run without cargo's `--bench`. `--strict` fails when a bound is missed,
//! `--gate` when a ratio to the floor misses its bound by more than noise explains ([`report`]). `--count` counts
//! instructions instead ([`count`]). `--help` says all of this for each option.
//!
//! `BAA_BIN` names another daemon binary, or `floor` for the floor on both sides. The case `policy` ([`admission`]) needs
//! no daemon: it drives the library's policy in a child process of this executable.

#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::disallowed_types, reason = "the run measures real time with `std::time::Instant`")]

mod admission;
mod body;
mod budget;
mod callers;
mod cases;
mod clockwork;
mod count;
mod daemon;
mod floor;
mod frames;
mod measure;
mod peers;
mod report;
mod streams;

use anyhow::{Context, bail, ensure};
use cases::{CASES, Case, Env};
use daemon::Side;
use report::Report;
use std::{path::PathBuf, process::ExitCode};

const HELP: &str = "\
Measures the daemon beside a floor over loopback, or counts its instructions.

    cargo bench --bench relay -- [CASE…] [OPTION…]

Without a case all of them run, alternately for the floor and the daemon; the table shows medians over the rounds.

  --rounds N   Rounds of each case (3; with --gate 5) or of --count (1), 1 to 99.
  --quick      A smoke run of one round with tiny counts: checks every answer, and its figures mean nothing.
  --no-floor   The daemon alone.
  --json FILE  Writes all figures of all rounds to a file.
  --strict     Fails when the median over the rounds misses a bound.
  --gate       Runs the cases that have a floor and fails when a ratio misses its bound by more than 10 per cent in every
               single round. Absolute bounds are shown and not judged: they depend on the machine.
  --count      Counts instructions per buffered request, per event and per stored row under callgrind, and fails when
               one exceeds benches/budget.toml by more than the room that is named there. Needs valgrind.
  --renew      With --count: writes the counts, medians over the rounds, into benches/budget.toml.

BAA_BIN names the daemon's binary, `floor` stands for the floor itself. Figures to keep come from the profile `dist`, the
budget from the profile `budget`:

    cargo build --profile dist; BAA_BIN=target/dist/baa-conductor cargo bench --bench relay -- --gate
    bash -c '. tests/run; budget [--rounds N] [--renew]'
";

/// Rounds of a gate unless told otherwise: a bound is missed in all of them.
const GATE_ROUNDS: usize = 5;

/// The options of the command line.
struct Options {
    cases: Vec<String>,
    rounds: Option<usize>,
    quick: bool,
    json: Option<PathBuf>,
    floor: bool,
    strict: bool,
    gate: bool,
    count: bool,
    renew: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Options {
            cases: Vec::new(),
            rounds: None,
            quick: true,
            json: None,
            floor: true,
            strict: false,
            gate: false,
            count: false,
            renew: false,
        };
        let mut asked_quick = false;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => options.quick = false,
                "--quick" => asked_quick = true,
                "--no-floor" => options.floor = false,
                "--strict" => options.strict = true,
                "--gate" => options.gate = true,
                "--count" => options.count = true,
                "--renew" => options.renew = true,
                "--rounds" => {
                    let rounds = arguments.next().context("--rounds needs a number")?;
                    let rounds = rounds.parse().ok().filter(|n| (1..=99).contains(n)).context("--rounds is 1 to 99")?;
                    options.rounds = Some(rounds);
                }
                "--json" => options.json = Some(arguments.next().context("--json needs a file")?.into()),
                case if CASES.iter().any(|known| known.name == case) => options.cases.push(argument),
                other => {
                    let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
                    bail!("neither an option nor a case: {other} (cases: {})", known.join(", "));
                }
            }
        }
        options.quick |= asked_quick;
        ensure!(
            !options.gate || (options.floor && !options.quick),
            "--gate needs the floor and a run that is not quick"
        );
        Ok(options)
    }

    fn rounds(&self) -> usize {
        match (self.quick, self.gate) {
            (true, _) => 1,
            (_, true) => self.rounds.unwrap_or(GATE_ROUNDS),
            _ => self.rounds.unwrap_or(3),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let done = match arguments.peek().map(String::as_str) {
        _ if std::env::args().any(|argument| argument == "--help") => {
            print!("{HELP}");
            Ok(true)
        }
        Some("--floor") => floor::run().map(|()| true),
        Some("--policy") => admission::run(arguments).map(|()| true),
        _ => Options::parse(arguments).and_then(|options| bench(&options)),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("relay bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases; `false` when `--strict` or `--gate` and a bound was missed, or when a count exceeds its budget.
fn bench(options: &Options) -> anyhow::Result<bool> {
    measure::raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    if options.count {
        return local.block_on(&runtime, count::count(options.rounds.unwrap_or(1), options.renew));
    }
    let env = Env::new(options.quick)?;
    let mut report = Report::new(!options.quick);
    println!("{}", report::HEAD);
    let wanted = |case: &&Case| {
        let named = options.cases.is_empty() || options.cases.iter().any(|name| name == case.name);
        named && (case.has_floor || !options.gate)
    };
    for case in CASES.iter().filter(wanted) {
        for round in 0..options.rounds() {
            let order = if round % 2 == 0 { [Side::Floor, Side::Daemon] } else { [Side::Daemon, Side::Floor] };
            for side in order.into_iter().filter(|side| *side == Side::Daemon || (options.floor && case.has_floor)) {
                let samples = local
                    .block_on(&runtime, (case.run)(&env, side))
                    .with_context(|| format!("case {}, {side:?}, round {}", case.name, round + 1))?;
                report.add(case.name, side, samples);
            }
        }
        report.print(case.name);
    }
    if let Some(file) = &options.json {
        std::fs::write(file, report.json().to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let over = report.over(options.gate);
    if options.quick {
        println!("\nquick run: every answer was right; the figures mean nothing");
        return Ok(true);
    }
    println!("\n{over} bounds missed{}", if options.gate { " in every round" } else { "" });
    Ok(over == 0 || !(options.strict || options.gate))
}
