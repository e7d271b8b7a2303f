//! The process under test: the daemon's release binary or the floor, with its own state folder.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

const READY_WITHIN: Duration = Duration::from_secs(20);
const GONE_WITHIN: Duration = Duration::from_secs(10);
/// How much longer than by itself a service takes under callgrind, at most.
const SLOWER: u32 = 6;

/// The policy is on without effective limits, and so are all limits that the cases do not measure.
const CONFIG: &str = r#"
[server]
max_connections = 8192
max_requests = 16384

[auth]
local_trust = "loopback"

[bridge]
pairing = "off"
max_messages_per_second = 100000000
message_burst = 100000000

[policy.jitter]
min_ms = 0
max_ms = 0
mu_ms = 0
sigma_ms = 0

[policy.rate_limit]
requests_per_minute_per_platform = 100000000

[policy.concurrency]
max_in_flight_per_client_platform = 4096

[log]
filter = "warn"
"#;

/// Settings of a daemon whose instructions are counted. What it does by the clock is out of the way, since how much of it
/// falls into a run depends on the machine, and it starts no processes.
const COUNTED: [(&str, &str); 10] = [
    ("BAA_BRIDGE__HEARTBEAT_MS", "3600000"),
    ("BAA_BRIDGE__REQUEST_TIMEOUT_MS", "60000"),
    ("BAA_HOST_OPS__ENABLED", "false"),
    ("BAA_LOG__FILTER", "error"),
    ("BAA_POLICY__RATE_LIMIT__WINDOW_MS", "100"),
    ("BAA_POLICY__STALE_LEASE__SWEEP_INTERVAL_MS", "3600000"),
    ("BAA_SERVER__MEMORY_LOOK_MS", "3600000"),
    ("BAA_SERVER__SHUTDOWN_TIMEOUT_MS", "60000"),
    ("BAA_SERVER__WATCHDOG_TIMEOUT_MS", "3600000"),
    ("BAA_STORE__WRITE_BEHIND_MS", "150"),
];

/// The measured program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Floor,
    Daemon,
}

/// A folder that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("relay-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Folder(path))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.clone()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("relay bench: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// A running service, stopped when dropped.
#[derive(Debug)]
pub(crate) struct Service {
    child: Child,
    gone_within: Duration,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Time from spawn to the ready line.
    pub(crate) ready_after: Duration,
}

impl Service {
    /// Starts a program on a state folder and waits for its ready line.
    pub(crate) fn start(side: Side, folder: &Folder, journal: bool) -> anyhow::Result<Self> {
        let mut command = command(side, folder)?;
        if !journal {
            command.env("BAA_BENCH_NO_JOURNAL", "1");
        }
        Service::spawn(command, 1)
    }

    /// Starts a daemon under callgrind, which at the end writes what each thread needed to a file that begins like
    /// `counts`; without the journal all of it, with the journal what a function needs that writes its rows.
    pub(crate) fn start_counted(
        binary: &Path,
        folder: &Path,
        writes: Option<&str>,
        counts: &Path,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--quiet", "--separate-threads=yes"]).args([
            format!("--callgrind-out-file={}", counts.display()),
            // It warns of each system call that it does not know.
            format!("--log-file={}.log", counts.display()),
        ]);
        command.args(writes.map(|function| format!("--toggle-collect=*{function}*")));
        command.arg(binary);
        serve(&mut command, folder)?;
        command.envs(COUNTED);
        if writes.is_none() {
            command.env("BAA_BENCH_NO_JOURNAL", "1");
        }
        Service::spawn(command, SLOWER)
    }

    fn spawn(mut command: Command, slower: u32) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().context("cannot start the service")?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // The receiver is gone after a timeout.
            sender.send((read.map(|_| line), started.elapsed())).unwrap_or_default();
        });
        let ready = receiver.recv_timeout(READY_WITHIN * slower);
        let mut service = Service {
            child,
            gone_within: GONE_WITHIN * slower,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ready_after: Duration::ZERO,
        };
        let (line, after) = ready.context("no ready line in time")?;
        let line = line.context("the service's output ended")?;
        let address = line.trim().strip_prefix("ready http://").and_then(|rest| rest.split(' ').next());
        service.address =
            address.and_then(|a| a.parse().ok()).with_context(|| format!("not a ready line: {line:?}"))?;
        service.ready_after = after;
        Ok(service)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it like a service manager.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(self.raw_pid(), Signal::TERM)?;
        let until = Instant::now() + self.gone_within;
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("still running {:?} after SIGTERM", self.gone_within)
    }

    fn raw_pid(&self) -> Pid {
        let raw = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        raw.expect("a child has a pid that fits")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn command(side: Side, folder: &Folder) -> anyhow::Result<Command> {
    let binary = std::env::var_os("BAA_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_baa-conductor").into());
    if side == Side::Floor || binary == "floor" {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--floor");
        return Ok(command);
    }
    let mut command = Command::new(binary);
    serve(&mut command, &folder.0)?;
    Ok(command)
}

/// Has a command serve from a folder, with nothing of the environment.
fn serve(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
    let config = folder.join("bench.toml");
    fs::write(&config, CONFIG)?;
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(config);
    command.arg("--state-dir").arg(folder.join("state"));
    command.env_clear().env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    Ok(())
}
