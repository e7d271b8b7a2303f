//! Instructions of the daemon per buffered request, per event of a stream and per stored row, counted by callgrind.
//!
//! Each is the difference of two runs that differ in their length alone, divided by how much longer the second one is:
//! what starting, warming up and stopping cost is in both. Only the daemon runs under callgrind. One caller and one peer
//! do one thing at a time, and each thread is counted by itself, so that the machine's speed changes little of it.
//!
//! | what | load | counted |
//! | --- | --- | --- |
//! | request | 1 KB buffered requests one by one, without the journal | the HTTP worker |
//! | event | events of 200 bytes of one stream, each made when the one before was read | the HTTP worker |
//! | row | requests in groups that are answered, and so stored, together, with the journal | what writes the journal's rows |

use crate::{
    body::Body,
    budget::{Budget, Counts},
    callers::{self, Caller},
    cases::SMALL_BYTES,
    daemon::{Folder, Service},
    measure::median,
    peers::{PeerLog, Peers},
    streams::{ExpectedStream, streamed},
};
use anyhow::{Context, ensure};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

const REQUESTS: usize = 400;
const EVENTS: usize = 1_000;
const ROWS: usize = 320;
const EVENT_BYTES: usize = 200;
/// Rows of one transaction.
const GROUP: usize = 32;
/// Longer than `store.write_behind_ms`, so that the rows of a group are stored before the next ones come.
const GROUP_PAUSE: Duration = Duration::from_millis(250);
/// A name that occurs only in the HTTP worker's thread.
const WORKER: &str = "HttpService";
/// The function that writes rows of the journal within a transaction.
const WRITES: &str = "store::requests::write::write_all";

/// Work of a run.
#[derive(Clone, Copy, Debug)]
enum Load {
    Requests,
    Events,
    Rows,
}

impl Load {
    fn name(self) -> &'static str {
        match self {
            Load::Requests => "requests",
            Load::Events => "events",
            Load::Rows => "rows",
        }
    }

    /// Units of work in the short run; the long one has twice as many.
    fn length(self) -> usize {
        match self {
            Load::Requests => REQUESTS,
            Load::Events => EVENTS,
            Load::Rows => ROWS,
        }
    }
}

/// Counts some rounds, prints them, and compares their medians with the budget or writes them to it; returns whether they
/// are within it.
pub(crate) async fn count(rounds: usize, renew: bool) -> anyhow::Result<bool> {
    let binary = std::env::var_os("BAA_BIN").map(PathBuf::from).context(
        "BAA_BIN must name the daemon to count, built in the profile of benches/budget.toml: \
         cargo build --profile budget; BAA_BIN=target/budget/baa-conductor",
    )?;
    let budget = Budget::read()?;
    let mut counted = Vec::with_capacity(rounds);
    for round in 1..=rounds {
        let counts = round_of(&binary).await?;
        if rounds > 1 {
            println!("round {round}: {counts}");
        }
        counted.push(counts);
    }
    if rounds > 1 {
        println!("spread: {}", Counts::spread(&counted));
    }
    let counts = Counts::each(|what| median(&counted.iter().map(|counts| counts.of(what)).collect::<Vec<_>>()));
    println!("{}", budget.table(&counts));
    if renew {
        budget.renewed(&counts).write()?;
        println!("benches/budget.toml is renewed: say in the commit what needs the difference, and why it is worth it");
        return Ok(true);
    }
    let over = budget.over(&counts);
    if let Some(message) = &over {
        println!("{message}");
    }
    Ok(over.is_none())
}

async fn round_of(binary: &Path) -> anyhow::Result<Counts> {
    let request = each(binary, Load::Requests).await?;
    let event = each(binary, Load::Events).await?;
    let row = each(binary, Load::Rows).await?;
    Ok(Counts { request, event, row })
}

/// Returns the instructions of one more unit: the difference between two daemons, which run side by side.
async fn each(binary: &Path, load: Load) -> anyhow::Result<f64> {
    let (short, long) = (load.length(), 2 * load.length());
    let (less, more) = tokio::try_join!(instructions(binary, load, short), instructions(binary, load, long))?;
    Ok((more - less) / (long - short) as f64)
}

/// Returns the instructions of a daemon from start to end, with a load of this length in between.
async fn instructions(binary: &Path, load: Load, length: usize) -> anyhow::Result<f64> {
    let (folder, writes) = (Folder::new()?, matches!(load, Load::Rows).then_some(WRITES));
    let counts = CountsFolder::new(load, length)?;
    let start = {
        let (binary, counts, folder) = (binary.to_owned(), counts.prefix(), folder.path());
        move || Service::start_counted(&binary, &folder, writes, &counts)
    };
    let service = tokio::task::spawn_blocking(start).await??;
    let body = Body::new(SMALL_BYTES);
    let book = PeerLog::new(vec![body.clone()]);
    let peers = Peers::connect(service.address, 1, &book).await?;
    let mut caller = Caller::connect(service.address).await?;
    match load {
        Load::Requests => requests(&mut caller, length, &body).await?,
        Load::Events => events(&mut caller, length, &book).await?,
        Load::Rows => {
            // A group that is stored in two parts needs the statement of single rows, which is made once.
            requests(&mut caller, 1, &body).await?;
            groups(service.address, length, &body).await?;
        }
    }
    drop((caller, peers));
    tokio::task::spawn_blocking(move || service.stop()).await??;
    counts.read(if matches!(load, Load::Rows) { "" } else { WORKER })
}

async fn requests(caller: &mut Caller, count: usize, body: &Body) -> anyhow::Result<()> {
    let path = format!("/b/{}", body.bytes());
    for number in 0..count {
        callers::buffered(caller, &format!("run-{number:06}"), 0, &path, body).await?;
    }
    Ok(())
}

/// Sends requests in groups whose rows are stored together.
async fn groups(address: SocketAddr, count: usize, body: &Body) -> anyhow::Result<()> {
    let path = format!("/g/{}/{GROUP}", body.bytes());
    let mut group = Vec::with_capacity(GROUP);
    for _ in 0..GROUP {
        group.push(Caller::connect(address).await?);
    }
    for first in (0..count).step_by(GROUP) {
        tokio::time::sleep(GROUP_PAUSE).await;
        let each = group.iter_mut().enumerate().map(|(place, caller)| {
            let (path, id) = (&path, format!("row-{:06}", first + place));
            async move { callers::buffered(caller, &id, 0, path, body).await }
        });
        futures_util::future::try_join_all(each).await?;
    }
    Ok(())
}

async fn events(caller: &mut Caller, count: usize, book: &PeerLog) -> anyhow::Result<()> {
    let path = format!("/t/{count}/{EVENT_BYTES}/0");
    let (events, epoch) = (count as u64, book.epoch());
    let wanted = ExpectedStream {
        id: "run-stream",
        client: 0,
        path: &path,
        events,
        bytes: EVENT_BYTES,
        epoch,
        in_step: Some(book),
    };
    streamed(caller, &wanted).await.map(drop)
}

/// The folder of a run's counts, a file for each thread. It is kept for `callgrind_annotate`.
struct CountsFolder(PathBuf);

impl CountsFolder {
    fn new(load: Load, length: usize) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind/{}-{length}", load.name()));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(CountsFolder(folder))
    }

    fn prefix(&self) -> PathBuf {
        self.0.join("out")
    }

    /// Returns the sum over the threads that run this function.
    fn read(&self, function: &str) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if text.contains(function) {
                let total =
                    text.lines().rev().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<f64>().ok());
                sum += total.unwrap_or(0.0);
            }
        }
        ensure!(sum > 0.0, "nothing was counted in {}: was a function renamed?", self.0.display());
        Ok(sum)
    }
}
