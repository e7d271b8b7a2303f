//! The operations on this machine, for whoever asks: routes and instructions call the same three functions and get one
//! complete [`OperationOutcome`] each.

use super::{
    exec::{
        CommandEnvironment, CommandJob, CommandLimits, CommandRunner, ExecInput, ExecResult, KILL_AFTER, StopSignals,
        check_user,
    },
    files::{FileAccess, FileReadInput, FileReadResult, FileWriteInput, FileWriteResult, PathBounds, ProtectedFiles},
    outcome::{
        OperationError, OperationErrorCode, OperationFailure, OperationOutcome, OperationRefusal, separate_refusal,
    },
    roots::OpenRoots,
    sandbox::{CommandFolder, SYSTEM_FOLDERS, SandboxBuilder},
    settings::{HostOpsSettings, SandboxLevel},
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
const FILE_OPERATIONS_MAX: usize = 8;
/// Set-user-ID and set-group-ID.
const SET_ID_BITS: u32 = 0o6000;
/// How long what was killed at the end may take to be gone, beside the time between SIGTERM and SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationOrigin {
    /// The operator: `host_ops.sandbox` holds.
    Operator,
    /// A model's message: `instructions.sandbox` holds.
    Model,
}

/// What a [`HostOperations`] is made of.
#[derive(Clone, Debug)]
pub struct HostSetup {
    /// Its section.
    pub settings: HostOpsSettings,
    /// What confines what a model asked for.
    pub model_sandbox: SandboxLevel,
    /// Folders and files that are the daemon's own: its state folder, its database, its token.
    pub protected: Vec<PathBuf>,
    /// Files that are its own with everything beside them whose name begins like theirs.
    pub protected_prefixes: Vec<PathBuf>,
}

/// Somebody who waits for an outcome; held until they have it, so that a stop does not come in between.
#[derive(Debug)]
pub struct ShutdownGuard {
    _token: TaskTrackerToken,
}

/// The operations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostOperations(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: HostOpsSettings,
    environment: CommandEnvironment,
    base: PathBuf,
    operator: OriginAccess,
    model: OriginAccess,
    runner: CommandRunner,
    commands: Semaphore,
    files: Arc<Semaphore>,
    /// What is under way.
    in_progress: TaskTracker,
    /// Cancelled: every command is ended.
    shutdown: CancellationToken,
}

/// What operations of one origin may reach.
#[derive(Debug)]
struct OriginAccess {
    sandbox: SandboxBuilder,
    files: FileAccess,
}

impl HostOperations {
    /// The operations on the machine that this process runs on.
    pub fn new(setup: HostSetup) -> Self {
        let HostSetup { settings, model_sandbox, protected, protected_prefixes } = setup;
        let environment = CommandEnvironment::from_process(&settings.env_allow);
        let base = settings.roots.first().cloned().unwrap_or_else(|| environment.home());
        let protected = ProtectedFiles::new(protected, protected_prefixes);
        let roots = OpenRoots::open(&settings.roots);
        let access = |level| {
            let sandbox = SandboxBuilder::new(level, roots.clone(), protected.paths(), environment.path());
            let (readable, writable) = path_bounds(level, &settings.roots, &roots);
            OriginAccess {
                sandbox,
                files: FileAccess { readable, writable, protected: protected.clone(), base: base.clone() },
            }
        };
        HostOperations(Arc::new(Inner {
            operator: access(settings.sandbox),
            model: access(model_sandbox),
            runner: CommandRunner::new(),
            commands: Semaphore::new(settings.max_concurrent),
            files: Arc::new(Semaphore::new(FILE_OPERATIONS_MAX)),
            in_progress: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            environment,
            base,
            settings,
        }))
    }

    /// What confines the operations of an origin.
    pub fn sandbox(&self, origin: OperationOrigin) -> SandboxLevel {
        self.access(origin).sandbox.level()
    }

    /// Somebody who waits for an outcome from here on.
    pub fn delay_shutdown(&self) -> ShutdownGuard {
        ShutdownGuard { _token: self.0.in_progress.token() }
    }

    /// Whether that can be had here, as far as it can be told without a command.
    ///
    /// # Errors
    ///
    /// Says why not.
    pub fn check_sandbox(&self, origin: OperationOrigin) -> Result<(), OperationRefusal> {
        self.access(origin).sandbox.check()
    }

    /// What a command in its sandbox cannot do here, and why; nothing where it can do what is usual.
    pub fn sandbox_limit(&self, origin: OperationOrigin) -> Option<String> {
        self.access(origin).sandbox.limit()
    }

    /// Whether Bubblewrap is there and can be had, whatever is configured.
    pub fn has_bubblewrap(&self) -> bool {
        self.access(OperationOrigin::Operator).sandbox.has_bubblewrap()
    }

    /// Runs a command, and answers when all that it started is gone. Ended early when `stop` is cancelled; dropping the
    /// future is no way to stop, since nobody would then learn of the outcome.
    ///
    /// # Errors
    ///
    /// The command was not taken up.
    pub async fn exec(
        &self,
        exec: ExecInput,
        origin: OperationOrigin,
        stop: &CancellationToken,
    ) -> Result<OperationOutcome<ExecResult>, OperationRefusal> {
        let _token = self.0.in_progress.token();
        check_user(&self.0.settings)?;
        let input = exec.echo();
        let done = separate_refusal(self.run(exec, origin, stop).await)?;
        Ok(OperationOutcome::new("exec", &input, done, ExecResult::is_success))
    }

    async fn run(
        &self,
        exec: ExecInput,
        origin: OperationOrigin,
        stop: &CancellationToken,
    ) -> Result<ExecResult, OperationFailure> {
        let host = &self.0;
        let _permit = self.acquire_command_slot(Duration::from_millis(exec.timeout_ms), stop).await?;
        let builder = host.access(origin).sandbox.clone();
        let built = tokio::task::spawn_blocking(move || builder.build()).await;
        let (confinement, mut folder) =
            built.map_err(|_| OperationError::new(OperationErrorCode::Cancelled, "the service is stopping"))??;
        let home = folder.as_ref().map(|folder| (folder.home(), folder.temporary()));
        let mut variables = BTreeMap::new();
        if let Some((home, temporary)) = &home {
            variables.insert("HOME".to_owned(), home.display().to_string());
            variables.insert("TMPDIR".to_owned(), temporary.display().to_string());
        }
        variables.extend(exec.env.clone());
        let base = match &home {
            Some((home, _)) if host.settings.roots.is_empty() => home,
            _ => &host.base,
        };
        let cwd = exec.cwd.as_deref().map_or_else(|| base.clone(), |cwd| base.join(cwd));
        let command_folder = folder.as_ref().map(|folder| folder.path().to_owned());
        let limits = CommandLimits::from_settings(&host.settings);
        let work =
            CommandJob { env: host.environment.with(&variables), cwd, confinement, limits, command_folder, exec };
        if let Some(folder) = &mut folder {
            folder.hand_over();
        }
        let done = host.runner.run(work, &StopSignals([stop, &host.shutdown])).await;
        if folder.is_some_and(CommandFolder::release) {
            // Its supervisor was killed, or there is more in it than the caller may wait for.
            tracing::warn!("a command's own folder is not removed yet");
            self.sweep();
        }
        done
    }

    /// Has what commands left behind removed, by another process and behind everybody's back: whatever stayed when a
    /// daemon or the process beside a command was killed.
    pub fn sweep(&self) {
        self.0.runner.sweep(CommandFolder::parent());
    }

    /// Waits for a turn, no longer than the command itself might take.
    async fn acquire_command_slot(
        &self,
        max_wait: Duration,
        stop: &CancellationToken,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, OperationError> {
        let cancelled = || OperationError::new(OperationErrorCode::Cancelled, "it was called off before it began");
        tokio::select! {
            permit = timeout(max_wait, self.0.commands.acquire()) => match permit {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) => Err(cancelled()),
                Err(_) => {
                    let most = self.0.settings.max_concurrent;
                    Err(OperationError::new(OperationErrorCode::Busy, format!("{most} commands are under way, as many as may be")))
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
    pub async fn read(
        &self,
        file: FileReadInput,
        origin: OperationOrigin,
    ) -> Result<OperationOutcome<FileReadResult>, OperationRefusal> {
        let input = file.echo();
        let done = self.run_file_operation(origin, move |files| files.read(&file)).await;
        Ok(OperationOutcome::new("files/read", &input, separate_refusal(done)?, |_| true))
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// The file was not taken up.
    pub async fn write(
        &self,
        file: FileWriteInput,
        origin: OperationOrigin,
    ) -> Result<OperationOutcome<FileWriteResult>, OperationRefusal> {
        let input = file.echo();
        let sets_id_bits = file.mode.is_some_and(|mode| mode & SET_ID_BITS != 0);
        let is_confined = self.sandbox(origin) != SandboxLevel::Off;
        let done = self.run_file_operation(origin, move |files| {
            if is_confined && sets_id_bits {
                // Another user could start it, and would be outside.
                let why = "a sandbox makes no file that runs as its owner or group";
                return Err(OperationError::new(OperationErrorCode::PermissionDenied, why).into());
            }
            files.write(&file)
        });
        let done = done.await;
        Ok(OperationOutcome::new("files/write", &input, separate_refusal(done)?, |_| true))
    }

    /// Does something that blocks, and waits for it no longer than a file operation may take.
    async fn run_file_operation<R: Send + 'static>(
        &self,
        origin: OperationOrigin,
        work: impl FnOnce(&FileAccess) -> Result<R, OperationFailure> + Send + 'static,
    ) -> Result<R, OperationFailure> {
        let failed = || OperationError::new(OperationErrorCode::Cancelled, "the service is stopping");
        let token = self.0.in_progress.token();
        let max_wait = Duration::from_millis(self.0.settings.file_timeout_ms);
        let permit = timeout(max_wait, Arc::clone(&self.0.files).acquire_owned()).await;
        let permit: OwnedSemaphorePermit = match permit {
            Ok(permit) => permit.map_err(|_| failed())?,
            Err(_) => {
                let why = format!("{FILE_OPERATIONS_MAX} file operations are under way, as many as may be");
                return Err(OperationError::new(OperationErrorCode::Busy, why).into());
            }
        };
        let host = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _held = (token, permit);
            let access = host.access(origin);
            access.sandbox.check()?;
            work(&access.files)
        });
        match timeout(max_wait, done).await {
            Ok(done) => done.unwrap_or_else(|_| Err(failed().into())),
            // Nothing ends a thread that the system holds; it keeps its permit until it is let go.
            Err(_) => {
                let why = format!(
                    "the system did not answer within {} ms (host_ops.file_timeout_ms): the file's disk or network may \
                     hang; a write may still be carried out",
                    max_wait.as_millis()
                );
                Err(OperationError::new(OperationErrorCode::IoError, why).into())
            }
        }
    }

    fn access(&self, origin: OperationOrigin) -> &OriginAccess {
        self.0.access(origin)
    }

    /// Takes up nothing more, lets what is under way finish until then, and ends what does not.
    pub async fn close(&self, until: Instant) {
        let host = &self.0;
        host.commands.close();
        host.files.close();
        host.in_progress.close();
        if timeout_at(until, host.in_progress.wait()).await.is_err() {
            host.shutdown.cancel();
            if timeout(KILL_AFTER + KILL_GRACE, host.in_progress.wait()).await.is_err() {
                tracing::warn!(operations = host.in_progress.len(), "host operations did not end in time");
            }
        }
    }
}

impl Inner {
    fn access(&self, origin: OperationOrigin) -> &OriginAccess {
        match origin {
            OperationOrigin::Operator => &self.operator,
            OperationOrigin::Model => &self.model,
        }
    }
}

/// Where files may be read and written at a level: what a command could reach there.
fn path_bounds(level: SandboxLevel, named: &[PathBuf], roots: &OpenRoots) -> (PathBounds, PathBounds) {
    let beneath = || PathBounds::Beneath(roots.clone(), Vec::new());
    match level {
        SandboxLevel::Off if named.is_empty() => (PathBounds::Everywhere, PathBounds::Everywhere),
        SandboxLevel::Off => (beneath(), beneath()),
        _ => {
            let system = SYSTEM_FOLDERS.iter().map(|folder| Path::new(folder).to_owned());
            (PathBounds::Beneath(roots.clone(), system.collect()), beneath())
        }
    }
}
