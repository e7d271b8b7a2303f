//! The checks of a running daemon and of everything beyond it, based on the daemon's responses.

use super::{
    DoctorArguments,
    browser_checks::{self, PairingList},
    fetch_check,
    finding::Finding,
    local_checks::{LocalChecks, SandboxState, sandbox_finding},
    platform_checks::{self, FetchDecision},
};
use crate::{
    api::{browser::BrowserState, policy::ExplainedRequest, service::ProgramVersion},
    bridge::settings::PairingMode,
    cli::client::{CallError, DaemonClient},
    clock::Clock,
    secret::Secret,
    state_folder::DaemonInfo,
};
use futures_util::future::join_all;
use serde::Deserialize;

/// Runs all checks from the daemon on.
pub(super) fn run_checks(
    checks: &LocalChecks<'_>,
    daemon: &DaemonInfo,
    token: Option<Secret>,
    arguments: &DoctorArguments,
) -> Vec<Finding> {
    actix::System::new().block_on(async {
        match DaemonClient::for_daemon(daemon.clone(), checks.state_dir, token) {
            Ok(client) => {
                DaemonChecks { client, pairing: checks.config.bridge.pairing }.run_all(daemon, arguments).await
            }
            Err(error) => vec![Finding::failure("daemon", error.to_string())],
        }
    })
}

pub(super) struct DaemonChecks {
    pub(super) client: DaemonClient,
    /// The pairing setting of the local configuration, since the daemon does not report it.
    pub(super) pairing: PairingMode,
}

impl DaemonChecks {
    pub(super) async fn run_all(&self, daemon: &DaemonInfo, arguments: &DoctorArguments) -> Vec<Finding> {
        let mut findings = match self.check_version(daemon).await {
            Ok(finding) => vec![finding],
            Err(failure) => return vec![failure],
        };
        findings.push(self.check_store().await);
        findings.extend(self.check_sandbox().await);
        findings.extend(self.check_mode().await);
        let browser: BrowserState<'_> = match self.client.fetch("/v1/browser").await {
            Ok(browser) => browser,
            Err(error) => {
                findings.push(Finding::failure("firefox", format!("the daemon does not report its clients: {error}")));
                return findings;
            }
        };
        let now = Clock::System.now_ms();
        findings.extend(browser_checks::check_firefox(&browser, now));
        findings.push(self.check_pairings(&browser).await);
        findings.extend(self.check_platforms(&browser, arguments, now).await);
        findings
    }

    /// Checks that the daemon responds and has this version.
    async fn check_version(&self, daemon: &DaemonInfo) -> Result<Finding, Finding> {
        let (name, pid) = ("daemon", daemon.pid);
        let ProgramVersion { version, .. } = self.client.fetch("/version").await.map_err(|error| {
            Finding::failure(name, format!("pid {pid} holds the state folder, but {error}"))
                .advise("check its log; if it hangs, stop it and start it again")
        })?;
        if version == crate::VERSION {
            return Ok(Finding::ok(name, format!("version {version} (pid {pid}) responds")));
        }
        let message =
            format!("the daemon (pid {pid}) has version {version}, this command has version {}", crate::VERSION);
        Ok(Finding::warning(name, message).advise("restart the daemon with this version"))
    }

    async fn check_store(&self) -> Finding {
        match self.client.get("/readyz").await {
            Ok(_) => Finding::ok("store", "the database can be read and written"),
            Err(CallError::Refused(refused)) => {
                let reasons =
                    refused.details.get("reasons").and_then(|reasons| reasons.as_array()).into_iter().flatten();
                let reasons: Vec<_> = reasons.filter_map(|reason| reason.as_str()).collect();
                Finding::failure("store", format!("{}: {}", refused.message, reasons.join(", ")))
                    .advise("check for a full or read-only disk; requests still work, instructions do not")
            }
            Err(error) => Finding::failure("store", error.to_string()),
        }
    }

    /// Reports the sandboxes in the daemon's own environment, where commands run.
    async fn check_sandbox(&self) -> Option<Finding> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct ControlDescription {
            host_operations: HostOperations,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct HostOperations {
            sandbox: Option<String>,
            sandbox_available: Option<bool>,
            instructions_sandbox: Option<String>,
            instructions_sandbox_available: Option<bool>,
            sandbox_limit: Option<String>,
            instructions_sandbox_limit: Option<String>,
            bubblewrap_available: bool,
        }
        let host = self.client.fetch::<ControlDescription>("/describe/control").await.ok()?.host_operations;
        let operator =
            SandboxState { name: host.sandbox?, available: host.sandbox_available?, limit: host.sandbox_limit };
        let model = SandboxState {
            name: host.instructions_sandbox?,
            available: host.instructions_sandbox_available?,
            limit: host.instructions_sandbox_limit,
        };
        Some(sandbox_finding(&operator, &model, host.bubblewrap_available))
    }

    async fn check_mode(&self) -> Option<Finding> {
        #[derive(Deserialize)]
        struct SystemState {
            mode: String,
            reason: Option<String>,
        }
        let SystemState { mode, reason } = self.client.fetch("/v1/system/state").await.ok()?;
        let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let what = match mode.as_str() {
            "draining" => "new requests are refused",
            "paused" => "requests are accepted, instructions wait",
            _ => return Some(Finding::ok("mode", format!("{mode}{why}"))),
        };
        Some(Finding::warning("mode", format!("{mode}{why}: {what}")).advise("resume with POST /v1/system/resume"))
    }

    async fn check_pairings(&self, browser: &BrowserState<'_>) -> Finding {
        match self.client.fetch::<PairingList>("/v1/browser/pairings").await {
            Ok(pairings) => browser_checks::check_pairing(self.pairing, Some(&pairings), browser),
            Err(CallError::Refused(refused)) if refused.status == 404 => {
                browser_checks::check_pairing(self.pairing, None, browser)
            }
            Err(error) => Finding::warning("pairing", format!("the daemon does not report its pairings: {error}"))
                .advise("check the token that this command uses with `baa-conductor token`"),
        }
    }

    /// Checks every platform, or the named one. The fetches run concurrently.
    async fn check_platforms(
        &self,
        browser: &BrowserState<'_>,
        arguments: &DoctorArguments,
        now: crate::clock::WallMs,
    ) -> Vec<Finding> {
        let named = arguments.platform.as_deref();
        let known: Vec<_> = browser.platforms.iter().map(|state| state.platform.as_str()).collect();
        if let Some(unknown) = named.filter(|name| !known.contains(name)) {
            return vec![browser_checks::unknown_platform(unknown, &known)];
        }
        let chosen = browser.platforms.iter().filter(|state| named.is_none_or(|name| state.platform.as_str() == name));
        let looks = chosen.map(|state| async move {
            let path = format!("/v1/browser/policy/explain?platform={}", state.platform);
            let explained: Option<ExplainedRequest> = self.client.fetch(&path).await.ok();
            let (mut findings, decision) =
                platform_checks::check_platform(browser, state, explained.as_ref(), named.is_some(), now);
            if decision == FetchDecision::Send && !arguments.no_fetch {
                findings.push(fetch_check::check_fetch(&self.client, state).await);
            }
            findings
        });
        join_all(looks).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
