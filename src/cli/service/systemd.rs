//! The systemd user unit: its file, its commands, and the parser of `systemctl show`. Pure.

use super::{FILE_MARK, ServiceDefinition, ServiceStatus};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

pub(super) const UNIT: &str = "baa-conductor.service";

/// Watchdog timeout in seconds.
const WATCHDOG_S: u64 = 60;
const RESTART_S: u64 = 5;

/// The path of the unit's file: in `$XDG_CONFIG_HOME/systemd/user`, or in `~/.config/systemd/user`.
pub(super) fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("systemd/user").join(UNIT))
}

/// Renders the unit's file. Exit code 2 (invalid configuration) does not cause a restart.
pub(super) fn text(service: &ServiceDefinition) -> String {
    let line: Vec<_> = service.command_line.iter().map(|part| quoted(part)).collect();
    format!(
        "# {FILE_MARK}; `baa-conductor service uninstall` removes it.\n\
         [Unit]\n\
         Description=baa-conductor, a local service between programs and the web apps open in Firefox\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={}\n\
         Restart=on-failure\n\
         RestartSec={RESTART_S}\n\
         RestartPreventExitStatus=2\n\
         WatchdogSec={WATCHDOG_S}\n\
         TimeoutStopSec={}\n\
         \n\
         [Install]\n\
         WantedBy=default.target\n",
        line.join(" "),
        service.stop_timeout.as_secs(),
    )
}

/// Quotes an argument for systemd and escapes specifiers and variables.
fn quoted(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// The commands that enable and start an installed unit, or restart a running one.
pub(super) const START_COMMANDS: &[&[&str]] = &[
    &["systemctl", "--user", "daemon-reload"],
    &["systemctl", "--user", "enable", UNIT],
    &["systemctl", "--user", "restart", UNIT],
];

/// The commands that stop the unit before its file is removed.
pub(super) const STOP_COMMANDS: &[&[&str]] = &[&["systemctl", "--user", "disable", "--now", UNIT]];

/// The commands that reload systemd after a file was removed.
pub(super) const RELOAD_COMMANDS: &[&[&str]] = &[&["systemctl", "--user", "daemon-reload"]];

/// The command that prints the unit's state.
pub(super) const SHOW_COMMAND: &[&str] =
    &["systemctl", "--user", "show", UNIT, "--property=UnitFileState,ActiveState,SubState,MainPID"];

/// Parses the output of [`SHOW_COMMAND`].
pub(super) fn status(path: &Path, installed: bool, shown: &str) -> ServiceStatus {
    let value = |name: &str| {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        shown.lines().find_map(of).unwrap_or_default()
    };
    let (active, sub) = (value("ActiveState"), value("SubState"));
    ServiceStatus {
        path: path.to_owned(),
        installed,
        enabled: value("UnitFileState") == "enabled",
        running: active == "active",
        state: format!("{active} ({sub})"),
        pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_unit_waits_for_readiness_and_restarts_except_after_a_bad_configuration() {
        let line = ["/opt/baa conductor", "serve", "--log", "a%b$c\"d\\e"].map(str::to_owned);
        let unit = text(&ServiceDefinition { command_line: line.to_vec(), stop_timeout: Duration::from_secs(20) });
        for wanted in [
            "Type=notify",
            r#"ExecStart="/opt/baa conductor" "serve" "--log" "a%%b$$c\"d\\e""#,
            "Restart=on-failure",
            "RestartPreventExitStatus=2",
            "WatchdogSec=60",
            "TimeoutStopSec=20",
            "WantedBy=default.target",
        ] {
            assert!(unit.lines().any(|line| line == wanted), "{wanted}: {unit}");
        }
        assert!(unit.starts_with(&format!("# {FILE_MARK}")), "{unit}");
    }

    #[test]
    fn the_unit_is_in_the_folder_of_user_units() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            path(|name| if name == "HOME" { home } else { xdg }.map(OsString::from))
        };
        assert_eq!(at(Some("/c"), Some("/h")), Some("/c/systemd/user/baa-conductor.service".into()));
        assert_eq!(at(None, Some("/h")), Some("/h/.config/systemd/user/baa-conductor.service".into()));
        assert_eq!(at(Some("relative"), None), None);
    }

    #[test]
    fn the_output_of_systemctl_is_parsed() {
        let shown = "MainPID=4321\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
        let wanted = ServiceStatus {
            path: "/u".into(),
            installed: true,
            enabled: true,
            running: true,
            state: "active (running)".into(),
            pid: Some(4321),
        };
        assert_eq!(status(Path::new("/u"), true, shown), wanted);
        let unknown =
            status(Path::new("/u"), false, "MainPID=0\nActiveState=inactive\nSubState=dead\nUnitFileState=\n");
        assert!(!unknown.enabled && !unknown.running && unknown.pid.is_none(), "{unknown:?}");
    }
}
