//! `baa-conductor doctor`: checks every step from the configuration to the web app and reports each in one line, with
//! advice if it has a problem.
//!
//! ```text
//! configuration ─ state folder ─ token ─ port ─ daemon ─ store ─ firefox ─ extension ─ pairing
//!                                                                  └─ each platform: tab ─ login ─ policy ─ fetch
//! ```
//!
//! A failure keeps the daemon itself from working. Problems beyond the daemon, in Firefox and the web apps, are temporary
//! by nature and are warnings.

mod browser_checks;
mod daemon_checks;
mod fetch_check;
mod finding;
mod local_checks;
mod platform_checks;

use super::{
    CommandContext, CommandError, CommonOptions,
    table::{OutputStyle, TextTone},
    text,
};
use crate::{
    config::Config,
    state_folder::{self, DaemonInfo, FindDaemonError},
};
use finding::{Finding, FindingVerdict};
use local_checks::LocalChecks;
use serde_json::json;
use std::process::ExitCode;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor doctor
  baa-conductor doctor --platform claude
  baa-conductor doctor --no-fetch --json

To test the whole path, each platform with a login fetches its own start page, which counts as one request under the
policy; --no-fetch skips this.

Exit codes: 0 no failures, warnings at most; 1 at least one failure, including an invalid configuration.")]
pub(super) struct DoctorArguments {
    /// Check only this web app, even if it is not in use.
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// Send no requests to the web apps.
    #[arg(long)]
    no_fetch: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    prepared: Result<CommandContext, CommandError>,
    common: &CommonOptions,
    arguments: &DoctorArguments,
) -> anyhow::Result<ExitCode> {
    let findings = run_checks(prepared, common, arguments);
    let failed = findings.iter().any(|finding| finding.verdict == FindingVerdict::Failure);
    let text = if arguments.json { as_json(&findings) } else { as_lines(&findings, OutputStyle::of_stdout()) };
    super::print_text(&text, arguments.json)?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run_checks(
    prepared: Result<CommandContext, CommandError>,
    common: &CommonOptions,
    arguments: &DoctorArguments,
) -> Vec<Finding> {
    let mut findings = local_checks::configuration(&prepared);
    findings.extend(local_checks::environment(std::env::vars_os()));
    // A running daemon may have started before the configuration became invalid, so it is checked anyway.
    let (config, state_dir) = match prepared {
        Ok(context) => ((*context.config).clone(), Ok(context.state_dir)),
        Err(_) => (Config::default(), state_folder::locate(common.state_dir.as_deref())),
    };
    let state_dir = match state_dir {
        Ok(state_dir) => state_dir,
        Err(error) => {
            findings.push(Finding::failure("state folder", error.to_string()));
            return findings;
        }
    };
    let checks = LocalChecks { config: &config, state_dir: &state_dir };
    findings.extend(checks.state_folder());
    let token = checks.token(&mut findings);
    findings.push(checks.local_trust());
    findings.push(checks.instructions());
    match DaemonInfo::find(&state_dir) {
        Ok(found) => {
            findings.push(checks.daemon_port(&found));
            findings.extend(daemon_checks::run_checks(&checks, &found, token, arguments));
        }
        Err(FindDaemonError::NotRunning(_)) => {
            findings.push(checks.free_port());
            findings.push(
                Finding::warning("daemon", "no daemon is running on this state folder")
                    .advise("start it with `baa-conductor serve`, or at login with `baa-conductor service install`"),
            );
            findings.push(checks.database());
            findings.push(checks.sandbox());
            findings.extend(browser_checks::check_platform_name(&config.registry(), arguments.platform.as_deref()));
        }
        Err(error) => findings.push(Finding::failure("daemon", error.to_string())),
    }
    findings
}

fn as_json(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let failures = count(FindingVerdict::Failure);
    let warnings = count(FindingVerdict::Warning);
    super::pretty_json(&json!({"ok": failures == 0, "checks": findings, "failures": failures, "warnings": warnings}))
}

/// Renders a line per finding, with aligned names.
fn as_lines(findings: &[Finding], style: OutputStyle) -> String {
    let names: Vec<_> = findings.iter().map(|finding| text::line(&finding.name)).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    findings.iter().zip(names).fold(String::new(), |mut text, (finding, name)| {
        let tone = match finding.verdict {
            FindingVerdict::Ok => TextTone::Good,
            FindingVerdict::Warning => TextTone::Warning,
            FindingVerdict::Failure => TextTone::Bad,
        };
        let verdict = style.paint(tone, &format!("{:<7}", finding.verdict.name()));
        text.push_str(&format!("{verdict}  {name:<name_width$}  {}\n", finding.to_line()));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("port", "free"),
            Finding::warning("claude login", "lost\u{1b}[2J\nsince 3 min").advise("log in in the tab"),
            Finding::failure("daemon", "it does not answer"),
        ]
    }

    #[test]
    fn each_finding_is_one_aligned_line_without_control_characters() {
        let wanted = "\
ok       port          free
warning  claude login  lost\\u{1b}[2J\\nsince 3 min; log in in the tab
failure  daemon        it does not answer
";
        assert_eq!(as_lines(&findings(), OutputStyle::PLAIN), wanted);
        let coloured = as_lines(&findings(), OutputStyle { colour: true, ..OutputStyle::PLAIN });
        assert!(coloured.starts_with("\u{1b}[32mok     \u{1b}[0m  port"), "{coloured:?}");
    }

    #[test]
    fn json_counts_failures_and_warnings() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&findings())).unwrap();
        assert_eq!((&report["ok"], &report["failures"], &report["warnings"]), (&json!(false), &json!(1), &json!(1)));
        let login = json!({"name": "claude login", "verdict": "warning", "message": "lost\u{1b}[2J\nsince 3 min",
            "advice": "log in in the tab"});
        assert_eq!(report["checks"][1], login);
    }
}
