//! The launchd agent: its file, its commands, and the parser of `launchctl print`. Pure.

use super::{FILE_MARK, ServiceDefinition, ServiceStatus};
use std::{
    ffi::OsString,
    fmt::Write,
    path::{Path, PathBuf},
};

pub(super) const LABEL: &str = "baa-conductor";

const RESTART_S: u64 = 5;

/// The path of the agent's file.
pub(super) fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute())?;
    Some(home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}

/// Renders the agent's file. launchd keeps no logs, so the daemon writes log files.
pub(super) fn text(service: &ServiceDefinition) -> String {
    let line = service.command_line.iter().fold(String::new(), |mut line, part| {
        writeln!(line, "    <string>{}</string>", escaped(part)).expect("writing to a String cannot fail");
        line
    });
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- {FILE_MARK}; `baa-conductor service uninstall` removes it. -->\n\
         <plist version=\"1.0\">\n\
         <dict>\n\
         \x20 <key>Label</key>\n\
         \x20 <string>{LABEL}</string>\n\
         \x20 <key>ProgramArguments</key>\n\
         \x20 <array>\n\
         {line}\
         \x20 </array>\n\
         \x20 <key>EnvironmentVariables</key>\n\
         \x20 <dict>\n\
         \x20   <key>BAA_LOG__FILE</key>\n\
         \x20   <string>true</string>\n\
         \x20 </dict>\n\
         \x20 <key>RunAtLoad</key>\n\
         \x20 <true/>\n\
         \x20 <key>KeepAlive</key>\n\
         \x20 <dict>\n\
         \x20   <key>SuccessfulExit</key>\n\
         \x20   <false/>\n\
         \x20 </dict>\n\
         \x20 <key>ThrottleInterval</key>\n\
         \x20 <integer>{RESTART_S}</integer>\n\
         \x20 <key>ExitTimeOut</key>\n\
         \x20 <integer>{}</integer>\n\
         </dict>\n\
         </plist>\n",
        service.stop_timeout.as_secs(),
    )
}

fn escaped(part: &str) -> String {
    part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The commands that start an installed agent, now and at login.
pub(super) fn start_commands(user: u32, path: &str) -> Vec<Vec<String>> {
    vec![to_command(&["launchctl", "bootstrap", &format!("gui/{user}"), path])]
}

/// The commands that stop the agent.
pub(super) fn stop_commands(user: u32) -> Vec<Vec<String>> {
    vec![to_command(&["launchctl", "bootout", &format!("gui/{user}/{LABEL}")])]
}

/// The command that prints the agent's state; fails if launchd does not know the agent.
pub(super) fn show_command(user: u32) -> Vec<String> {
    to_command(&["launchctl", "print", &format!("gui/{user}/{LABEL}")])
}

fn to_command(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Parses the output of [`show_command`]; `None` if launchd does not know the agent.
pub(super) fn status(path: &Path, installed: bool, shown: Option<&str>) -> ServiceStatus {
    let value = |name: &str| {
        // Only one level deep: deeper values belong to other objects.
        let of = |line: &str| Some(line.strip_prefix('\t')?.strip_prefix(name)?.strip_prefix(" = ")?.to_owned());
        shown.unwrap_or_default().lines().find_map(of)
    };
    let state = value("state").unwrap_or_else(|| "not loaded".to_owned());
    ServiceStatus {
        path: path.to_owned(),
        installed,
        enabled: installed && shown.is_some(),
        running: state == "running",
        state,
        pid: value("pid").and_then(|pid| pid.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_agent_runs_at_login_restarts_and_logs_to_files() {
        let line = ["/opt/a&b", "serve", "--log", "<x>"].map(str::to_owned);
        let agent = text(&ServiceDefinition { command_line: line.to_vec(), stop_timeout: Duration::from_secs(20) });
        let flat: String = agent.lines().map(str::trim).collect();
        for wanted in [
            "<key>Label</key><string>baa-conductor</string>",
            "<array><string>/opt/a&amp;b</string><string>serve</string><string>--log</string><string>&lt;x&gt;</string></array>",
            "<key>BAA_LOG__FILE</key><string>true</string>",
            "<key>RunAtLoad</key><true/>",
            "<key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>",
            "<key>ExitTimeOut</key><integer>20</integer>",
        ] {
            assert!(flat.contains(wanted), "{wanted}: {agent}");
        }
        assert!(agent.contains(FILE_MARK));
    }

    #[test]
    fn the_agent_is_in_the_launch_agents_folder() {
        let home = |_: &str| Some(OsString::from("/Users/me"));
        assert_eq!(path(home), Some("/Users/me/Library/LaunchAgents/baa-conductor.plist".into()));
        assert_eq!(path(|_| None), None);
    }

    #[test]
    fn the_commands_name_the_users_own_domain() {
        assert_eq!(start_commands(501, "/a.plist"), [["launchctl", "bootstrap", "gui/501", "/a.plist"]]);
        assert_eq!(stop_commands(501), [["launchctl", "bootout", "gui/501/baa-conductor"]]);
        assert_eq!(show_command(501), ["launchctl", "print", "gui/501/baa-conductor"]);
    }

    #[test]
    fn the_output_of_launchctl_is_parsed_one_level_deep() {
        let shown = "gui/501/baa-conductor = {\n\tactive count = 1\n\tstate = running\n\n\tspawn = {\n\t\tpid = 1\n\t}\n\
                     \tpid = 4321\n}\n";
        let running = status(Path::new("/a"), true, Some(shown));
        assert!(running.running && running.enabled && running.pid == Some(4321), "{running:?}");
        let unknown = status(Path::new("/a"), true, None);
        assert!(!unknown.running && !unknown.enabled && unknown.state == "not loaded", "{unknown:?}");
    }
}
