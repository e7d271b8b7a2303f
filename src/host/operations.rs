//! The operations on this machine, for whoever asks: routes and instructions call the same three functions and get one
//! complete [`Outcome`] each.

use super::{
    exec::{Environment, Exec, ExecResult, KILL_AFTER, Limits, Runner, Stops, Work, check_user},
    files::{Bounds, Files, FilesRead, FilesWrite, Own, ReadResult, WriteResult},
    outcome::{Outcome, Problem, ProblemCode, Refusal, Stopped, settled},
    roots::Roots,
    sandbox::{Builder, OwnFolder, SYSTEM},
    settings::{HostOps, Sandbox},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// File operations at once; more wait. Each may hold the largest part of a file that can be asked for.
const FILES_AT_ONCE: usize = 8;
/// Set-user-ID and set-group-ID.
const RUNS_AS_OWNER: u32 = 0o6000;
/// How long what was killed at the end may take to be gone, beside the time between SIGTERM and SIGKILL.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The operator: `host_ops.sandbox` holds.
    Operator,
    /// A model's message: `instructions.sandbox` holds.
    Model,
}

/// What a [`Host`] is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its section.
    pub settings: HostOps,
    /// What confines what a model asked for.
    pub model_sandbox: Sandbox,
    /// Folders and files that are the daemon's own: its state folder, its database, its token.
    pub own: Vec<PathBuf>,
    /// Files that are its own with everything beside them whose name begins like theirs.
    pub own_beginnings: Vec<PathBuf>,
}

/// Somebody who waits for an outcome; held until they have it, so that a stop does not come in between.
#[derive(Debug)]
pub struct Presence {
    _token: TaskTrackerToken,
}

/// The operations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: HostOps,
    environment: Environment,
    base: PathBuf,
    operator: Reach,
    model: Reach,
    runner: Runner,
    commands: Semaphore,
    files: Arc<Semaphore>,
    /// What is under way.
    under_way: TaskTracker,
    /// Cancelled: every command is ended.
    ending: CancellationToken,
}

/// What operations of one origin may reach.
#[derive(Debug)]
struct Reach {
    sandbox: Builder,
    files: Files,
}

impl Host {
    /// The operations on the machine that this process runs on.
    pub fn new(setup: Setup) -> Self {
        let Setup { settings, model_sandbox, own, own_beginnings } = setup;
        let environment = Environment::of_process(&settings.env_allow);
        let base = settings.roots.first().cloned().unwrap_or_else(|| environment.home());
        let own = Own::new(own, own_beginnings);
        let roots = Roots::open(&settings.roots);
        let reach = |level| {
            let sandbox = Builder::new(level, roots.clone(), own.paths(), environment.path());
            let (readable, writable) = bounds(level, &settings.roots, &roots);
            Reach { sandbox, files: Files { readable, writable, own: own.clone(), base: base.clone() } }
        };
        Host(Arc::new(Inner {
            operator: reach(settings.sandbox),
            model: reach(model_sandbox),
            runner: Runner::new(),
            commands: Semaphore::new(settings.max_concurrent),
            files: Arc::new(Semaphore::new(FILES_AT_ONCE)),
            under_way: TaskTracker::new(),
            ending: CancellationToken::new(),
            environment,
            base,
            settings,
        }))
    }

    /// What confines the operations of an origin.
    pub fn sandbox(&self, origin: Origin) -> Sandbox {
        self.reach(origin).sandbox.level()
    }

    /// Somebody who waits for an outcome from here on.
    pub fn presence(&self) -> Presence {
        Presence { _token: self.0.under_way.token() }
    }

    /// Whether that can be had here, as far as it can be told without a command.
    ///
    /// # Errors
    ///
    /// Says why not.
    pub fn check_sandbox(&self, origin: Origin) -> Result<(), Refusal> {
        self.reach(origin).sandbox.check()
    }

    /// What a command in its sandbox cannot do here, and why; nothing where it can do what is usual.
    pub fn sandbox_limit(&self, origin: Origin) -> Option<String> {
        self.reach(origin).sandbox.limit()
    }

    /// Whether Bubblewrap is there and can be had, whatever is configured.
    pub fn has_bubblewrap(&self) -> bool {
        self.reach(Origin::Operator).sandbox.has_bubblewrap()
    }

    /// Runs a command, and answers when all that it started is gone. Ended early when `stop` is cancelled; dropping the
    /// future is no way to stop, since nobody would then learn of the outcome.
    ///
    /// # Errors
    ///
    /// The command was not taken up.
    pub async fn exec(
        &self,
        exec: Exec,
        origin: Origin,
        stop: &CancellationToken,
    ) -> Result<Outcome<ExecResult>, Refusal> {
        let _token = self.0.under_way.token();
        check_user(&self.0.settings)?;
        let input = exec.shown();
        let done = settled(self.run(exec, origin, stop).await)?;
        Ok(Outcome::new("exec", &input, done, ExecResult::is_success))
    }

    async fn run(&self, exec: Exec, origin: Origin, stop: &CancellationToken) -> Result<ExecResult, Stopped> {
        let host = &self.0;
        let _permit = self.turn(Duration::from_millis(exec.timeout_ms), stop).await?;
        let builder = host.reach(origin).sandbox.clone();
        let built = tokio::task::spawn_blocking(move || builder.build()).await;
        let (cage, mut own) = built.map_err(|_| Problem::new(ProblemCode::Cancelled, "the service is stopping"))??;
        let home = own.as_ref().map(|own| (own.home(), own.temporary()));
        let mut more = BTreeMap::new();
        if let Some((home, temporary)) = &home {
            more.insert("HOME".to_owned(), home.display().to_string());
            more.insert("TMPDIR".to_owned(), temporary.display().to_string());
        }
        more.extend(exec.env.clone());
        let base = match &home {
            Some((home, _)) if host.settings.roots.is_empty() => home,
            _ => &host.base,
        };
        let cwd = exec.cwd.as_deref().map_or_else(|| base.clone(), |cwd| base.join(cwd));
        let own_folder = own.as_ref().map(|own| own.path().to_owned());
        let limits = Limits::of(&host.settings);
        let work = Work { env: host.environment.with(&more), cwd, cage, limits, own_folder, exec };
        if let Some(own) = &mut own {
            own.hand_over();
        }
        let done = host.runner.run(work, &Stops([stop, &host.ending])).await;
        if own.is_some_and(OwnFolder::release) {
            // Its supervisor was killed, or there is more in it than the caller may wait for.
            tracing::warn!("a command's own folder is not removed yet");
            self.sweep();
        }
        done
    }

    /// Has what commands left behind removed, by another process and behind everybody's back: whatever stayed when a
    /// daemon or the process beside a command was killed.
    pub fn sweep(&self) {
        self.0.runner.sweep(OwnFolder::place());
    }

    /// Waits for a turn, no longer than the command itself might take.
    async fn turn(
        &self,
        patience: Duration,
        stop: &CancellationToken,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        let cancelled = || Problem::new(ProblemCode::Cancelled, "it was called off before it began");
        tokio::select! {
            turn = timeout(patience, self.0.commands.acquire()) => match turn {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) => Err(cancelled()),
                Err(_) => {
                    let most = self.0.settings.max_concurrent;
                    Err(Problem::new(ProblemCode::Busy, format!("{most} commands are under way, as many as may be")))
                }
            },
            () = stop.cancelled() => Err(cancelled()),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The file was not taken up.
    pub async fn read(&self, file: FilesRead, origin: Origin) -> Result<Outcome<ReadResult>, Refusal> {
        let input = file.shown();
        let done = self.on_files(origin, move |files| files.read(&file)).await;
        Ok(Outcome::new("files/read", &input, settled(done)?, |_| true))
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// The file was not taken up.
    pub async fn write(&self, file: FilesWrite, origin: Origin) -> Result<Outcome<WriteResult>, Refusal> {
        let input = file.shown();
        let runs_as_owner = file.mode.is_some_and(|mode| mode & RUNS_AS_OWNER != 0);
        let is_confined = self.sandbox(origin) != Sandbox::Off;
        let done = self.on_files(origin, move |files| {
            if is_confined && runs_as_owner {
                // Another user could start it, and would be outside.
                let why = "a sandbox makes no file that runs as its owner or group";
                return Err(Problem::new(ProblemCode::PermissionDenied, why).into());
            }
            files.write(&file)
        });
        let done = done.await;
        Ok(Outcome::new("files/write", &input, settled(done)?, |_| true))
    }

    /// Does something that blocks, and waits for it no longer than a file operation may take.
    async fn on_files<R: Send + 'static>(
        &self,
        origin: Origin,
        work: impl FnOnce(&Files) -> Result<R, Stopped> + Send + 'static,
    ) -> Result<R, Stopped> {
        let failed = || Problem::new(ProblemCode::Cancelled, "the service is stopping");
        let token = self.0.under_way.token();
        let patience = Duration::from_millis(self.0.settings.file_timeout_ms);
        let turn = timeout(patience, Arc::clone(&self.0.files).acquire_owned()).await;
        let permit: OwnedSemaphorePermit = match turn {
            Ok(permit) => permit.map_err(|_| failed())?,
            Err(_) => {
                let why = format!("{FILES_AT_ONCE} file operations are under way, as many as may be");
                return Err(Problem::new(ProblemCode::Busy, why).into());
            }
        };
        let host = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _held = (token, permit);
            let reach = host.reach(origin);
            reach.sandbox.check()?;
            work(&reach.files)
        });
        match timeout(patience, done).await {
            Ok(done) => done.unwrap_or_else(|_| Err(failed().into())),
            // Nothing ends a thread that the system holds; it keeps its permit until it is let go.
            Err(_) => {
                let why = format!(
                    "the system did not answer within {} ms (host_ops.file_timeout_ms): the file's disk or network may \
                     hang; a write may still be carried out",
                    patience.as_millis()
                );
                Err(Problem::new(ProblemCode::IoError, why).into())
            }
        }
    }

    fn reach(&self, origin: Origin) -> &Reach {
        self.0.reach(origin)
    }

    /// Takes up nothing more, lets what is under way finish until then, and ends what does not.
    pub async fn close(&self, until: Instant) {
        let host = &self.0;
        host.commands.close();
        host.files.close();
        host.under_way.close();
        if timeout_at(until, host.under_way.wait()).await.is_err() {
            host.ending.cancel();
            if timeout(KILL_AFTER + LAST_WORDS, host.under_way.wait()).await.is_err() {
                tracing::warn!(operations = host.under_way.len(), "host operations did not end in time");
            }
        }
    }
}

impl Inner {
    fn reach(&self, origin: Origin) -> &Reach {
        match origin {
            Origin::Operator => &self.operator,
            Origin::Model => &self.model,
        }
    }
}

/// Where files may be read and written at a level: what a command could reach there.
fn bounds(level: Sandbox, named: &[PathBuf], roots: &Roots) -> (Bounds, Bounds) {
    let beneath = || Bounds::Beneath(roots.clone(), Vec::new());
    match level {
        Sandbox::Off if named.is_empty() => (Bounds::Everywhere, Bounds::Everywhere),
        Sandbox::Off => (beneath(), beneath()),
        _ => {
            let system = SYSTEM.iter().map(|folder| Path::new(folder).to_owned());
            (Bounds::Beneath(roots.clone(), system.collect()), beneath())
        }
    }
}
