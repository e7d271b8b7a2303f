//! `baa-conductor doctor`: walks every hop from the configuration to the web app and says of each in one line whether it
//! holds, and what to do where it does not.
//!
//! ```text
//! configuration ─ state folder ─ token ─ port ─ daemon ─ store ─ firefox ─ extension ─ pairing
//!                                                                  └─ each platform: tab ─ login ─ policy ─ fetch
//! ```
//!
//! A failure is what keeps the daemon itself from working. What lies beyond it, in Firefox and the web apps, comes and
//! goes, and is a warning.

mod daemon;
mod fetch;
mod finding;
mod ground;
mod hops;
mod platform;

use super::{
    Common, Context, Refusal,
    table::{Look, Tone},
    text,
};
use crate::{
    config::Config,
    state_folder::{self, Daemon, FindError},
};
use finding::{Finding, Verdict};
use ground::Ground;
use serde_json::json;
use std::process::ExitCode;

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor doctor
  baa-conductor doctor --platform claude
  baa-conductor doctor --no-fetch --json

To try the whole way it has each platform that is logged in fetch its own start page, which counts as one request
under the policy; --no-fetch leaves that out.

Exit codes: 0 nothing worse than a warning; 1 something failed, a wrong configuration too.")]
pub(super) struct Arguments {
    /// Look at this web app alone, also when it is not in use.
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// Send nothing through the web apps.
    #[arg(long)]
    no_fetch: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Prints a line for each hop to stdout.
pub(super) fn run(
    prepared: Result<Context, Refusal>,
    common: &Common,
    arguments: &Arguments,
) -> anyhow::Result<ExitCode> {
    let findings = examine(prepared, common, arguments);
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failure);
    if arguments.json {
        super::say(&as_json(&findings))?
    } else {
        super::tell(&as_lines(&findings, Look::of_stdout()))?
    };
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine(prepared: Result<Context, Refusal>, common: &Common, arguments: &Arguments) -> Vec<Finding> {
    let mut findings = ground::configuration(&prepared);
    findings.extend(ground::environment(std::env::vars_os()));
    // A running daemon may have started before the configuration broke; it is looked at all the same.
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
    let ground = Ground { config: &config, state_dir: &state_dir };
    findings.extend(ground.state_folder());
    let token = ground.token(&mut findings);
    findings.push(ground.local_trust());
    findings.push(ground.instructions());
    match Daemon::find(&state_dir) {
        Ok(found) => {
            findings.push(ground.port_of(&found));
            findings.extend(daemon::examine(&ground, &found, token, arguments));
        }
        Err(FindError::NotRunning(_)) => {
            findings.push(ground.free_port());
            findings.push(
                Finding::warning("daemon", "none is running on this state folder")
                    .advise("start it with `baa-conductor serve`, or at login with `baa-conductor service install`"),
            );
            findings.push(ground.database());
            findings.push(ground.sandbox());
            findings.extend(hops::known_platform(&config.registry(), arguments.platform.as_deref()));
        }
        Err(error) => findings.push(Finding::failure("daemon", error.to_string())),
    }
    findings
}

fn as_json(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let failures = count(Verdict::Failure);
    let report = json!({
        "ok": failures == 0,
        "checks": findings,
        "failures": failures,
        "warnings": count(Verdict::Warning),
    });
    text::json(&report.to_string(), text::Layout::Pretty) + "\n"
}

/// A line for each, the names in one column.
fn as_lines(findings: &[Finding], look: Look) -> String {
    let names: Vec<_> = findings.iter().map(|finding| text::line(&finding.name)).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    findings.iter().zip(names).fold(String::new(), |mut text, (finding, name)| {
        let tone = match finding.verdict {
            Verdict::Ok => Tone::Good,
            Verdict::Warning => Tone::Odd,
            Verdict::Failure => Tone::Bad,
        };
        let verdict = look.toned(tone, &format!("{:<7}", finding.verdict.name()));
        text.push_str(&format!("{verdict}  {name:<name_width$}  {}\n", finding.sentence()));
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
    fn each_finding_is_one_aligned_line_that_steers_no_terminal() {
        let wanted = "\
ok       port          free
warning  claude login  lost\\u{1b}[2J\\nsince 3 min; log in in the tab
failure  daemon        it does not answer
";
        assert_eq!(as_lines(&findings(), Look::PLAIN), wanted);
        let coloured = as_lines(&findings(), Look { colour: true, ..Look::PLAIN });
        assert!(coloured.starts_with("\u{1b}[32mok     \u{1b}[0m  port"), "{coloured:?}");
    }

    #[test]
    fn json_counts_and_says_whether_all_is_well() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&findings())).unwrap();
        assert_eq!((&report["ok"], &report["failures"], &report["warnings"]), (&json!(false), &json!(1), &json!(1)));
        let login = json!({"name": "claude login", "verdict": "warning", "message": "lost\u{1b}[2J\nsince 3 min",
            "advice": "log in in the tab"});
        assert_eq!(report["checks"][1], login);
    }
}
