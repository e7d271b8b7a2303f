//! A soak test: clients and callers connect, disconnect and misbehave for hours, then leftovers are measured.
//!
//! ```text
//! cargo bench --bench soak -- [--minutes N] [--seed N] [--callers N]
//! ```
//!
//! The default is an hour; `--minutes 480` is a night. A run without cargo's `--bench` is a smoke run of seconds.
//! `BAA_BIN` names another daemon binary. Every half minute a line shows the daemon's memory, descriptors and threads and
//! the latency of a probe. The end shows the slope of the memory, from the tenth minute on, and compares the journal with
//! the callers' outcomes: each accepted request has exactly one finished row with the outcome that its caller observed.
//! The run fails if they differ or if anything is left over.

#![expect(clippy::print_stdout, reason = "the table is the product")]
#![expect(clippy::unwrap_used, reason = "an error ends the run")]
#![expect(clippy::disallowed_types, reason = "the run measures real time with `std::time::Instant`")]

mod books;
mod callers;
mod clients;
mod samples;

#[expect(dead_code, unused_imports, reason = "the tests use the rest of it")]
#[path = "../../tests/it"]
mod it {
    pub(crate) mod support;
}

use it::support::{self, Daemon, Dice, Folder, settled, until};
use samples::Samples;
use std::{cell::Cell, process::ExitCode, rc::Rc, time::Duration};
use tokio::task::spawn_local;

/// Low limits and short times, so that they are reached often; defaults otherwise.
const SETTINGS: &str = "
log.filter = \"error\"
[server]
sse_stall_timeout_ms = 2000
head_timeout_ms = 1000
body_timeout_ms = 1000
[bridge]
cancel_grace_ms = 100
request_timeout_ms = 1000
hello_timeout_ms = 1000
[policy.concurrency]
max_in_flight_per_client_platform = 8
[policy.waiter]
timeout_ms = 500
[policy.stream]
open_timeout_ms = 500
idle_timeout_ms = 500
";

/// Interval between samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(30);
/// Pause between the last disconnect and the final measurement.
const REST: Duration = Duration::from_secs(5);

struct Options {
    time: Duration,
    sample_every: Duration,
    seed: u64,
    callers: usize,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut options =
            Options { time: Duration::from_secs(3_600), sample_every: SAMPLE_EVERY, seed: 1, callers: 24 };
        let mut smoke = true;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().unwrap_or_default();
                text.parse::<u64>().map_err(|_| format!("{argument} needs a number, not {text:?}"))
            };
            match argument.as_str() {
                "--bench" => smoke = false,
                "--minutes" => options.time = Duration::from_secs(number()? * 60),
                "--seed" => options.seed = number()?,
                "--callers" => options.callers = usize::try_from(number()?).unwrap_or(usize::MAX).clamp(1, 500),
                other => return Err(format!("no such option: {other}")),
            }
        }
        if smoke {
            (options.time, options.sample_every) = (Duration::from_secs(6), Duration::from_secs(1));
        }
        Ok(options)
    }
}

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("soak: {fault}");
            return ExitCode::from(2);
        }
    };
    actix_rt::System::new().block_on(soak(options))
}

async fn soak(options: Options) -> ExitCode {
    let folder = Folder::new();
    let mut command = folder.command(SETTINGS);
    if let Some(binary) = std::env::var_os("BAA_BIN") {
        command = folder.command_of(binary.as_ref(), SETTINGS);
    }
    let mut daemon = Daemon::spawn(folder, command).await;
    let mut dice = Dice::new(options.seed);
    let over = Rc::new(Cell::new(false));
    let ledger = books::Ledger::default();
    println!("seed {}, {} callers, {:?}", options.seed, options.callers, options.time);

    // After its first response the daemon's worker and its descriptors exist.
    until("readiness", async || (daemon.caller().get("/readyz").await.status == 200).then_some(())).await;
    let mut samples = Samples::new(&daemon);
    let clients = clients::come_and_go(&daemon, &mut dice, &over).await;
    let mut tasks: Vec<_> = (0..options.callers)
        .map(|n| {
            let (caller, dice) = (daemon.caller(), Dice::new(dice.next()));
            spawn_local(callers::send_requests(caller, n, dice, Rc::clone(&over), ledger.clone()))
        })
        .collect();
    tasks.extend(callers::misbehave(&daemon, &mut dice, &over));
    tasks.extend(clients);

    samples.take(options.time, options.sample_every).await;
    over.set(true);
    for task in tasks {
        task.await.unwrap();
    }
    settled(&daemon.caller()).await;
    until("end of all clients", async || support::client_ids(&daemon.caller()).await.is_empty().then_some(())).await;
    tokio::time::sleep(REST).await;
    let left = samples.left().await;
    let balanced = books::balance(&daemon, &ledger).await;
    let verdict = samples.verdict();
    let stopped = daemon.stop().await;
    println!("{verdict}");
    println!("left over: {left}");
    println!("{balanced}");
    println!("exit code {stopped:?}");
    let fine = left.is_nothing() && balanced.is_even() && stopped == Some(0) && !daemon.stderr().contains("panicked");
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
