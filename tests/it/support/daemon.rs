//! The daemon as a process: started on a folder of its own, observed, stopped or killed.

use super::{Caller, until};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use tokio::sync::oneshot;

/// The default settings: policy and limits that are not a test's subject are wide open, and timeouts are short.
const BASE: &str = r#"
[server]
listen = "127.0.0.1:0"

[bridge]
pairing = "off"
cancel_grace_ms = 200

[policy.jitter]
min_ms = 0
max_ms = 0
mu_ms = 0
sigma_ms = 0

[policy.rate_limit]
requests_per_minute_per_platform = 1000000

[policy.backoff]
base_ms = 1
max_ms = 1

[policy.circuit_breaker]
failure_threshold = 1000000

[policy.concurrency]
max_in_flight_per_client_platform = 64
"#;

/// A folder that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("it-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Wraps an existing folder.
    pub(crate) fn of(path: PathBuf) -> Self {
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Prepares a `serve` on this folder with `settings` over the defaults.
    pub(crate) fn command(&self, settings: &str) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_baa-conductor")), settings)
    }

    /// The same with another binary.
    pub(crate) fn command_of(&self, binary: &Path, settings: &str) -> Command {
        let mut table: toml::Table = BASE.parse().unwrap();
        merge(&mut table, settings.parse().unwrap());
        let config = self.0.join("conductor.toml");
        fs::write(&config, table.to_string()).unwrap();
        // Some settings contain a token.
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(config).arg("--state-dir").arg(self.state());
        command.env_clear().env("HOME", &self.0).env("RUST_BACKTRACE", "1").stdin(Stdio::null());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that cannot be removed stays in the build folder.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => merge(inner, value),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    /// Its listen address.
    pub(crate) address: SocketAddr,
    /// Its ready line.
    pub(crate) ready: String,
    folder: Option<Folder>,
}

impl Daemon {
    /// Starts a daemon on a fresh folder. `settings` is TOML that overrides the defaults, such as `server.max_requests
    /// = 2`.
    pub(crate) async fn start(settings: &str) -> Self {
        Self::start_in(Folder::new(), settings).await
    }

    /// Starts a daemon on the folder of an earlier one.
    pub(crate) async fn start_in(folder: Folder, settings: &str) -> Self {
        let command = folder.command(settings);
        Self::spawn(folder, command).await
    }

    /// Starts a prepared command.
    pub(crate) async fn spawn(folder: Folder, command: Command) -> Self {
        let log = fs::File::create(folder.0.join("stderr")).unwrap();
        Self::spawn_logging(folder, command, log).await
    }

    /// The same with another file for its log.
    pub(crate) async fn spawn_logging(folder: Folder, mut command: Command, log: fs::File) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line).map(|_| line);
            // A test that has failed already no longer receives.
            let _ = tell.send(read);
        });
        let mut daemon =
            Daemon { child, address: ([0, 0, 0, 0], 0).into(), ready: String::new(), folder: Some(folder) };
        daemon.ready = super::within("ready line", told).await.unwrap().unwrap().trim_end().to_owned();
        let address = daemon.ready.strip_prefix("ready http://").and_then(|rest| rest.split(' ').next());
        let Some(address) = address.and_then(|address| address.parse().ok()) else {
            panic!("no ready line but {:?}: {}", daemon.ready, daemon.stderr());
        };
        daemon.address = address;
        daemon
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}/ws/firefox", self.address)
    }

    /// Returns a caller without a token.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.address)
    }

    /// Returns the token that the daemon generated.
    pub(crate) fn token(&self) -> String {
        fs::read_to_string(self.folder().state().join("token")).unwrap().trim().to_owned()
    }

    pub(crate) fn folder(&self) -> &Folder {
        self.folder.as_ref().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns its log so far.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder().0.join("stderr")).unwrap_or_default()
    }

    /// Returns its resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Waits until the daemon's end of a connection is no longer established.
    pub(crate) async fn connection_ended(&self, caller: SocketAddr) {
        const ESTABLISHED: &str = "01";
        let hex = |port: u16| format!("0100007F:{port:04X}");
        let (own, other) = (hex(self.address.port()), hex(caller.port()));
        until("end of the daemon's side", async || {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            let open = table.lines().any(|line| {
                let mut fields = line.split_whitespace().skip(1);
                (fields.next(), fields.next(), fields.next()) == (Some(&own), Some(&other), Some(ESTABLISHED))
            });
            (!open).then_some(())
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; `None` if a signal ended it.
    pub(crate) async fn exit_code(&mut self) -> Option<i32> {
        exit_code(&mut self.child).await
    }

    /// Ends it as a service manager would and returns its exit code.
    pub(crate) async fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exit_code().await
    }

    /// Kills it, as a power failure would; returns its folder for another one.
    pub(crate) async fn kill(mut self) -> Folder {
        self.signal(Signal::KILL);
        assert_eq!(self.exit_code().await, None, "killed");
        self.folder.take().unwrap()
    }

    /// Returns the folder of a daemon that has ended.
    pub(crate) fn into_folder(mut self) -> Folder {
        assert!(self.child.try_wait().unwrap().is_some(), "still running");
        self.folder.take().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended already cannot be killed.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
        if std::thread::panicking() && self.folder.is_some() {
            eprintln!("--- the daemon's log ---\n{}", self.stderr());
        }
    }
}

/// Waits for a process to end; `None` if a signal ended it.
pub(crate) async fn exit_code(child: &mut Child) -> Option<i32> {
    until("end of the process", async || child.try_wait().unwrap()).await.code()
}
