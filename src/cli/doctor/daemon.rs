//! The hops behind a daemon that runs: asks it what it knows, and has what it says judged.

use super::{
    Arguments, fetch,
    finding::Finding,
    ground::{Ground, Level, sandboxes},
    hops::{self, Browser, Pairings},
    platform::{self, Explained, Prospect},
};
use crate::{
    bridge::settings::Pairing,
    cli::client::{CallError, Client},
    clock::Clock,
    secret::Secret,
    state_folder::Daemon,
};
use futures_util::future::join_all;
use serde::{Deserialize, de::DeserializeOwned};

/// Everything from the daemon on.
pub(super) fn examine(
    ground: &Ground<'_>,
    daemon: &Daemon,
    token: Option<Secret>,
    arguments: &Arguments,
) -> Vec<Finding> {
    actix::System::new().block_on(async {
        match Client::of(daemon.clone(), ground.state_dir, token) {
            Ok(client) => Asked { client, pairing: ground.config.bridge.pairing }.all(daemon, arguments).await,
            Err(error) => vec![Finding::failure("daemon", error.to_string())],
        }
    })
}

/// A daemon that is asked.
pub(super) struct Asked {
    pub(super) client: Client,
    /// As the configuration has it here, where the daemon does not tell.
    pub(super) pairing: Pairing,
}

impl Asked {
    pub(super) async fn all(&self, daemon: &Daemon, arguments: &Arguments) -> Vec<Finding> {
        let mut findings = match self.serves(daemon).await {
            Ok(finding) => vec![finding],
            Err(failure) => return vec![failure],
        };
        findings.push(self.store().await);
        findings.extend(self.sandbox().await);
        findings.extend(self.mode().await);
        let browser: Browser = match self.get("/v1/browser").await {
            Ok(browser) => browser,
            Err(error) => {
                findings.push(Finding::failure("firefox", format!("the daemon does not tell: {error}")));
                return findings;
            }
        };
        let now = Clock::System.now_ms();
        findings.extend(hops::firefox(&browser, now));
        findings.push(self.pairings(&browser).await);
        findings.extend(self.platforms(&browser, arguments, now).await);
        findings
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.client.read(&self.client.get(path).await?)
    }

    /// Whether it answers, and is of this version.
    async fn serves(&self, daemon: &Daemon) -> Result<Finding, Finding> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let (name, pid) = ("daemon", daemon.pid);
        let Version { version } = self.get("/version").await.map_err(|error| {
            Finding::failure(name, format!("pid {pid} holds the state folder, but {error}"))
                .advise("look at its log; if it hangs, end it and start it again")
        })?;
        if version == crate::VERSION {
            return Ok(Finding::ok(name, format!("version {version} (pid {pid}) answers")));
        }
        let said = format!("it is version {version} (pid {pid}), this command is version {}", crate::VERSION);
        Ok(Finding::warning(name, said).advise("restart the daemon, so that both are one version"))
    }

    async fn store(&self) -> Finding {
        match self.client.get("/readyz").await {
            Ok(_) => Finding::ok("store", "it is read and written"),
            Err(CallError::Refused(refused)) => {
                let reasons =
                    refused.details.get("reasons").and_then(|reasons| reasons.as_array()).into_iter().flatten();
                let reasons: Vec<_> = reasons.filter_map(|reason| reason.as_str()).collect();
                Finding::failure("store", format!("{}: {}", refused.message, reasons.join(", ")))
                    .advise("look for a full or read-only disk; requests go on, instructions do not")
            }
            Err(error) => Finding::failure("store", error.to_string()),
        }
    }

    /// What the daemon's own environment gives, which is what counts.
    async fn sandbox(&self) -> Option<Finding> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Described {
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
        let host = self.get::<Described>("/describe/control").await.ok()?.host_operations;
        let operator = Level { name: host.sandbox?, there: host.sandbox_available?, limit: host.sandbox_limit };
        let model = Level {
            name: host.instructions_sandbox?,
            there: host.instructions_sandbox_available?,
            limit: host.instructions_sandbox_limit,
        };
        Some(sandboxes(&operator, &model, host.bubblewrap_available))
    }

    async fn mode(&self) -> Option<Finding> {
        #[derive(Deserialize)]
        struct State {
            mode: String,
            reason: Option<String>,
        }
        let State { mode, reason } = self.get("/v1/system/state").await.ok()?;
        let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let what = match mode.as_str() {
            "draining" => "no new request is taken",
            "paused" => "requests are taken, instructions wait",
            _ => return Some(Finding::ok("mode", format!("{mode}{why}"))),
        };
        Some(Finding::warning("mode", format!("{mode}{why}: {what}")).advise("POST /v1/system/resume ends it"))
    }

    async fn pairings(&self, browser: &Browser) -> Finding {
        match self.get::<Pairings>("/v1/browser/pairings").await {
            Ok(pairings) => hops::pairing(self.pairing, Some(&pairings), browser),
            Err(CallError::Refused(refused)) if refused.status == 404 => hops::pairing(self.pairing, None, browser),
            Err(error) => Finding::warning("pairing", format!("the daemon does not tell: {error}"))
                .advise("`baa-conductor token` says whose token is shown"),
        }
    }

    /// Every platform, or the one that was named; the fetches all at once.
    async fn platforms(&self, browser: &Browser, arguments: &Arguments, now: crate::clock::WallMs) -> Vec<Finding> {
        let named = arguments.platform.as_deref();
        if let Some(unknown) = named.filter(|name| !browser.knows(name)) {
            return vec![hops::unknown_platform(unknown, &browser.platform_names())];
        }
        let chosen = browser.platforms.iter().filter(|platform| named.is_none_or(|name| platform.platform == name));
        let looks = chosen.map(|state| async move {
            let path = format!("/v1/browser/policy/explain?platform={}", state.platform);
            let explained: Option<Explained> = self.get(&path).await.ok();
            let (mut findings, prospect) = platform::judge(browser, state, explained.as_ref(), named.is_some(), now);
            if prospect == Prospect::Open && !arguments.no_fetch {
                findings.push(fetch::through(&self.client, state).await);
            }
            findings
        });
        join_all(looks).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
