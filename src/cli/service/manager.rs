//! The service manager of this system: writes the service's file and runs the manager's commands.

use super::{FILE_MARK, ServiceDefinition, ServiceStatus, launchd, systemd};
use crate::cli::terminal;
use anyhow::{Context as _, bail};
use rustix::process::geteuid;
use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ManagerKind {
    Systemd,
    Launchd,
}

/// The service manager and the path of the service's file.
#[derive(Debug)]
pub(super) struct ServiceManager {
    kind: ManagerKind,
    path: PathBuf,
}

impl ServiceManager {
    /// Returns the manager of this system.
    pub(super) fn of_system() -> anyhow::Result<Self> {
        let kind = if cfg!(target_os = "macos") { ManagerKind::Launchd } else { ManagerKind::Systemd };
        let variable = |name: &str| env::var_os(name);
        let path = if kind == ManagerKind::Launchd { launchd::path(variable) } else { systemd::path(variable) };
        Ok(ServiceManager { kind, path: path.context("cannot find the folder for services; set HOME")? })
    }

    pub(super) fn file_text(&self, service: &ServiceDefinition) -> String {
        match self.kind {
            ManagerKind::Systemd => systemd::text(service),
            ManagerKind::Launchd => launchd::text(service),
        }
    }

    /// Writes the file and starts the service; returns the file's path.
    pub(super) fn install(&self, text: &str) -> anyhow::Result<&Path> {
        self.refuse_foreign_file()?;
        if self.kind == ManagerKind::Systemd {
            // Checks that systemd responds before the file is written.
            run_command(&to_commands(systemd::RELOAD_COMMANDS)[0])?;
        }
        let written =
            (self.path.parent().map_or(Ok(()), fs::create_dir_all)).and_then(|()| fs::write(&self.path, text));
        written.with_context(|| format!("{} cannot be written", self.path.display()))?;
        let commands = match self.kind {
            ManagerKind::Systemd => to_commands(systemd::START_COMMANDS),
            ManagerKind::Launchd => {
                // A loaded agent must be unloaded first; an error means that none was loaded.
                for command in launchd::stop_commands(geteuid().as_raw()) {
                    run_command(&command).map(drop).unwrap_or_default();
                }
                launchd::start_commands(geteuid().as_raw(), &self.path.to_string_lossy())
            }
        };
        for command in commands {
            run_command(&command)?;
        }
        Ok(&self.path)
    }

    /// Stops the service and removes its file; returns the file's path.
    pub(super) fn uninstall(&self) -> anyhow::Result<&Path> {
        if !self.path.exists() {
            bail!("{} does not exist: nothing to uninstall", self.path.display());
        }
        self.refuse_foreign_file()?;
        let (end, forget) = match self.kind {
            ManagerKind::Systemd => (to_commands(systemd::STOP_COMMANDS), to_commands(systemd::RELOAD_COMMANDS)),
            ManagerKind::Launchd => (launchd::stop_commands(geteuid().as_raw()), Vec::new()),
        };
        for command in end {
            if let Err(error) = run_command(&command) {
                // An agent that is not loaded cannot be stopped; its file is removed anyway.
                terminal::print_error(&format!("baa-conductor: {error:#}"));
            }
        }
        fs::remove_file(&self.path).with_context(|| format!("{} cannot be removed", self.path.display()))?;
        for command in forget {
            run_command(&command)?;
        }
        Ok(&self.path)
    }

    pub(super) fn status(&self) -> anyhow::Result<ServiceStatus> {
        let installed = self.path.exists();
        match self.kind {
            ManagerKind::Systemd if !installed => Ok(ServiceStatus {
                path: self.path.clone(),
                state: "not installed".to_owned(),
                ..ServiceStatus::default()
            }),
            ManagerKind::Systemd => {
                let show: Vec<_> = systemd::SHOW_COMMAND.iter().map(|word| (*word).to_owned()).collect();
                Ok(systemd::status(&self.path, installed, &run_command(&show)?))
            }
            ManagerKind::Launchd => {
                let shown = run_command(&launchd::show_command(geteuid().as_raw())).ok();
                Ok(launchd::status(&self.path, installed, shown.as_deref()))
            }
        }
    }

    /// A hint to print after the installation.
    pub(super) fn hint(&self) -> &'static str {
        match self.kind {
            ManagerKind::Systemd => {
                "log: journalctl --user -u baa-conductor; to keep it running without a login: loginctl enable-linger"
            }
            ManagerKind::Launchd => "log: the folder logs in the state folder",
        }
    }

    /// Refuses to touch a file that this program did not write.
    fn refuse_foreign_file(&self) -> anyhow::Result<()> {
        match fs::read_to_string(&self.path) {
            Ok(text) if text.contains(FILE_MARK) => Ok(()),
            Ok(_) => bail!("{} was not written by this program; move it elsewhere first", self.path.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", self.path.display())),
        }
    }
}

fn to_commands(commands: &[&[&str]]) -> Vec<Vec<String>> {
    commands.iter().map(|words| words.iter().map(|word| (*word).to_owned()).collect()).collect()
}

/// Runs a command of the service manager and returns its output.
fn run_command(words: &[String]) -> anyhow::Result<String> {
    let done = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    let done = match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "{} was not found, so services cannot be installed this way on this system; run `baa-conductor serve` with \
             the program that starts your services",
            words[0]
        ),
        done => done.with_context(|| format!("{} cannot be run", words[0]))?,
    };
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&done.stderr);
    let stderr = stderr.trim();
    // The errors without a login session, as in a container or after `su`.
    let hint = if stderr.contains("connect to bus") || stderr.contains("not been booted with systemd") {
        "; there is no systemd user session: log in, or start `baa-conductor serve` in another way"
    } else {
        ""
    };
    bail!("`{}` failed: {stderr}{hint}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RequestId;

    #[test]
    fn a_missing_program_and_a_failing_one_have_different_errors() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let missing = run_command(&words("no-such-systemctl --user")).unwrap_err().to_string();
        assert!(missing.starts_with("no-such-systemctl was not found"), "{missing}");
        let refused = run_command(&words("false now")).unwrap_err().to_string();
        assert!(refused.starts_with("`false now` failed"), "{refused}");
        assert_eq!(run_command(&words("echo fine")).unwrap(), "fine\n");
    }

    #[test]
    fn a_foreign_file_is_not_touched() {
        let path = env::temp_dir().join(format!("baa-service-{}", RequestId::generate()));
        fs::write(&path, "[Service]\nExecStart=/mine\n").unwrap();
        let manager = ServiceManager { kind: ManagerKind::Systemd, path: path.clone() };
        for refused in [manager.install("x").map(drop), manager.uninstall().map(drop)] {
            assert!(refused.unwrap_err().to_string().contains("was not written by this program"));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "[Service]\nExecStart=/mine\n");
        fs::remove_file(&path).unwrap();
        assert!(manager.uninstall().unwrap_err().to_string().contains("nothing to uninstall"));
        assert!(!manager.status().unwrap().installed);
    }
}
