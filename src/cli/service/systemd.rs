//! The systemd user unit: its text, the commands around it, and what `systemctl show` says. Pure.

use super::{FILE_MARK, ServiceDefinition, ServiceStatus};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The unit's name.
pub(super) const UNIT: &str = "baa-conductor.service";

/// Seconds without a sign of life after which the daemon counts as dead.
const WATCHDOG_S: u64 = 60;
/// Seconds between its end and the next start.
const RESTART_S: u64 = 5;

/// Where the unit lies: `$XDG_CONFIG_HOME/systemd/user`, or that below `~/.config`.
pub(super) fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let absolute = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("systemd/user").join(UNIT))
}

/// The unit. A configuration that is wrong does not get better by another start, so exit code 2 is final.
pub(super) fn text(service: &ServiceDefinition) -> String {
    let line: Vec<_> = service.command_line.iter().map(|part| quoted(part)).collect();
    format!(
        "# {FILE_MARK}; `baa-conductor service uninstall` removes it.\n\
         [Unit]\n\
         Description=baa-conductor, between the web apps open in Firefox and the programs on this machine\n\
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

/// An argument as systemd reads it back: in quotes, without its specifiers and variables.
fn quoted(part: &str) -> String {
    let escaped = part.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// What starts a written unit, now and at login; also one that runs already, in its new form.
pub(super) const START_COMMANDS: &[&[&str]] = &[
    &["systemctl", "--user", "daemon-reload"],
    &["systemctl", "--user", "enable", UNIT],
    &["systemctl", "--user", "restart", UNIT],
];

/// What ends it, before its file goes.
pub(super) const STOP_COMMANDS: &[&[&str]] = &[&["systemctl", "--user", "disable", "--now", UNIT]];

/// What makes its going known.
pub(super) const RELOAD_COMMANDS: &[&[&str]] = &[&["systemctl", "--user", "daemon-reload"]];

/// What asks how it is.
pub(super) const SHOW_COMMAND: &[&str] =
    &["systemctl", "--user", "show", UNIT, "--property=UnitFileState,ActiveState,SubState,MainPID"];

/// What [`SHOW_COMMAND`] answered.
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
    fn the_unit_waits_for_readiness_and_comes_back_but_not_with_a_bad_configuration() {
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
    fn the_unit_lies_where_systemd_looks_for_a_users_units() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            path(|name| if name == "HOME" { home } else { xdg }.map(OsString::from))
        };
        assert_eq!(at(Some("/c"), Some("/h")), Some("/c/systemd/user/baa-conductor.service".into()));
        assert_eq!(at(None, Some("/h")), Some("/h/.config/systemd/user/baa-conductor.service".into()));
        assert_eq!(at(Some("relative"), None), None);
    }

    #[test]
    fn what_systemctl_shows_is_read() {
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
