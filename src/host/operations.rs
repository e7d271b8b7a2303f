//! The host operations: routes and instructions call the same three functions, and each returns one complete
//! [`OperationOutcome`].

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

/// Concurrent file operations; more wait. Each may hold up to `READ_BYTES_MAX` bytes in memory.
const FILE_OPERATIONS_MAX: usize = 8;
/// The set-user-ID and set-group-ID bits of a file mode.
const SET_ID_BITS: u32 = 0o6000;
/// Time that killed processes get to disappear at shutdown, added to the time between SIGTERM and SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// On whose behalf an operation runs; selects the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationOrigin {
    /// The operator's own call: `host_ops.sandbox` applies.
    Operator,
    /// An instruction in a model's message: `instructions.sandbox` applies.
    Model,
}

/// The configuration of [`HostOperations`].
#[derive(Clone, Debug)]
pub struct HostSetup {
    /// Section `host_ops` of the configuration.
    pub settings: HostOpsSettings,
    /// The sandbox of operations with [`OperationOrigin::Model`].
    pub model_sandbox: SandboxLevel,
    /// Folders and files that no operation may reach: the state folder, the database, the token file, the configuration.
    pub protected: Vec<PathBuf>,
    /// Path prefixes of further protected files: every file in the same folder whose name begins like this is protected.
    pub protected_prefixes: Vec<PathBuf>,
}

/// Delays shutdown while it is held, so that a caller still receives the outcome of its operation.
#[derive(Debug)]
pub struct ShutdownGuard {
    _token: TaskTrackerToken,
}

/// The host operations. Cheap to clone.
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
    /// Operations in progress, and held [`ShutdownGuard`]s.
    in_progress: TaskTracker,
    /// Cancelled at shutdown to end all commands.
    shutdown: CancellationToken,
}

/// What operations of one origin may access.
#[derive(Debug)]
struct OriginAccess {
    sandbox: SandboxBuilder,
    files: FileAccess,
}

impl HostOperations {
    /// Creates the operations, and opens the configured roots.
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

    /// Returns the configured sandbox of an origin.
    pub fn sandbox(&self, origin: OperationOrigin) -> SandboxLevel {
        self.access(origin).sandbox.level()
    }

    /// Returns a guard that delays shutdown until it is dropped.
    pub fn delay_shutdown(&self) -> ShutdownGuard {
        ShutdownGuard { _token: self.0.in_progress.token() }
    }

    /// Checks whether the sandbox of an origin is available, as far as that is known without running a command.
    ///
    /// # Errors
    ///
    /// The sandbox is unavailable, with the reason.
    pub fn check_sandbox(&self, origin: OperationOrigin) -> Result<(), OperationRefusal> {
        self.access(origin).sandbox.check()
    }

    /// Returns what commands in this sandbox cannot do on this machine, with the reason; `None` without such a restriction.
    pub fn sandbox_limit(&self, origin: OperationOrigin) -> Option<String> {
        self.access(origin).sandbox.limit()
    }

    /// Returns whether Bubblewrap is usable here, whatever is configured.
    pub fn has_bubblewrap(&self) -> bool {
        self.access(OperationOrigin::Operator).sandbox.has_bubblewrap()
    }

    /// Runs a command, and returns after every process that it started has ended. Cancelling `stop` ends it early. Do not
    /// drop the future to stop it: the outcome would be lost.
    ///
    /// # Errors
    ///
    /// The command was refused.
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
            // The supervisor was killed, or removal takes longer than the caller waits.
            tracing::warn!("a command's private folder is not removed yet");
            self.sweep();
        }
        done
    }

    /// Starts a background process that removes folders of commands whose daemon or supervisor was killed.
    pub fn sweep(&self) {
        self.0.runner.sweep(CommandFolder::parent());
    }

    /// Waits for one of the `host_ops.max_concurrent` slots, at most for the command's own timeout.
    async fn acquire_command_slot(
        &self,
        max_wait: Duration,
        stop: &CancellationToken,
    ) -> Result<tokio::sync::SemaphorePermit<'_>, OperationError> {
        let cancelled =
            || OperationError::new(OperationErrorCode::Cancelled, "the command was cancelled before it started");
        tokio::select! {
            permit = timeout(max_wait, self.0.commands.acquire()) => match permit {
                Ok(Ok(permit)) => Ok(permit),
                Ok(Err(_)) => Err(cancelled()),
                Err(_) => {
                    let most = self.0.settings.max_concurrent;
                    Err(OperationError::new(OperationErrorCode::Busy, format!("all {most} command slots (host_ops.max_concurrent) are in use: try again later")))
                }
            },
            () = stop.cancelled() => Err(cancelled()),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// The operation was refused.
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
    /// The operation was refused.
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
                // Another user could run the file and would be outside of the sandbox.
                let why = "a sandbox cannot create files with set-user-ID or set-group-ID bits";
                return Err(OperationError::new(OperationErrorCode::PermissionDenied, why).into());
            }
            files.write(&file)
        });
        let done = done.await;
        Ok(OperationOutcome::new("files/write", &input, separate_refusal(done)?, |_| true))
    }

    /// Runs blocking file work on another thread, and waits for a slot and for the result at most
    /// `host_ops.file_timeout_ms` each.
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
                let why = format!("all {FILE_OPERATIONS_MAX} file operation slots are in use: try again later");
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
            // A thread that is blocked in the kernel cannot be ended; it keeps its permit until the call returns.
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

    /// Accepts no more operations, waits until `until` for those in progress, and ends the rest.
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

/// Returns where files may be read and where they may be written: the same places that a command reaches in this sandbox.
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
