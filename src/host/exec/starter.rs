//! Starts supervisors and reads what they send.

use super::OrphanReaper;
use rustix::process::Pid;
use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdStream},
    path::PathBuf,
    process::Stdio,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{UnixStream, unix::OwnedWriteHalf},
    process::{Child, Command},
};

/// Starts supervisors.
#[derive(Debug)]
pub(super) struct SupervisorStarter {
    program: PathBuf,
    orphans: OrphanReaper,
}

impl SupervisorStarter {
    pub(super) fn new(program: PathBuf) -> Self {
        SupervisorStarter { program, orphans: OrphanReaper::default() }
    }

    /// Starts a supervisor, which waits for its order.
    pub(super) fn start(&self) -> io::Result<RunningSupervisor> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(&self.program);
        command.arg0("baa-conductor").arg(super::supervisor::COMMAND).env_clear().current_dir("/");
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (mut child, pid) = self.orphans.spawn(&mut command)?;
        let (from, to) = UnixStream::from_std(ours)?.into_split();
        Ok(RunningSupervisor { stdout: child.stdout.take(), stderr: child.stderr.take(), child, pid, from, to })
    }

    /// Notes that a supervisor has ended.
    pub(super) fn forget(&self, supervisor: Option<Pid>) {
        self.orphans.forget(supervisor);
    }

    /// Ends what supervisors left behind. Blocks.
    pub(super) fn end_orphans(&self) {
        self.orphans.end_all();
    }
}

/// A running supervisor.
pub(super) struct RunningSupervisor {
    pub(super) child: Child,
    pub(super) pid: Option<Pid>,
    pub(super) stdout: Option<tokio::process::ChildStdout>,
    pub(super) stderr: Option<tokio::process::ChildStderr>,
    pub(super) from: tokio::net::unix::OwnedReadHalf,
    /// Closing it means: stop.
    pub(super) to: OwnedWriteHalf,
}

/// Reads until the end, at most `cap` bytes: a supervisor sends no more.
pub(super) async fn read_capped(from: Option<impl AsyncRead + Unpin>, cap: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // After an error, the bytes read so far count.
        let _ = from.take(cap).read_to_end(&mut bytes).await;
    }
    bytes
}
