//! Who a simulated Firefox is, what it does by itself, and how it introduces itself.

use crate::{clock::Clock, simulator::webapp::WebApp};
use serde_json::{Value, json};
use std::time::Duration;

const FINGERPRINT: &str = "fp-simulated";

/// A platform the simulated user is logged in to.
#[derive(Clone, Debug)]
pub struct SimulatedPlatform {
    /// Its name, such as `claude`.
    pub name: String,
    /// The account, if known.
    pub account: Option<String>,
    /// Names of the headers its credentials consist of.
    pub header_names: Vec<String>,
    /// `fresh`, `stale` or `lost`.
    pub freshness: String,
}

impl SimulatedPlatform {
    /// A platform with fresh credentials of two headers.
    pub fn new(name: &str) -> Self {
        let header_names = vec!["cookie".to_owned(), "x-csrf".to_owned()];
        SimulatedPlatform { name: name.to_owned(), account: None, header_names, freshness: "fresh".to_owned() }
    }
}

/// Who answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// The web app, at once, each request a task of its own.
    Automatic,
    /// Whoever holds the handle.
    Manual,
}

/// What the peer does by itself.
#[derive(Clone, Debug)]
pub struct FirefoxBehaviour {
    /// Who answers requests.
    pub answers: AnswerMode,
    /// Says `hello` on each connection.
    pub hello: bool,
    /// Sends `credentials` after each `hello_ack`.
    pub credentials: bool,
    /// Answers a `challenge` that is the daemon's own, once it has a secret.
    pub proves: bool,
    /// Answers actions.
    pub actions: bool,
    /// Aborts and answers what is cancelled; without it, cancels are received and ignored.
    pub obeys_cancel: bool,
    /// Answers pings.
    pub pongs: bool,
    /// How often it says `progress` for each request it performs.
    pub progress: Duration,
    /// Connects again after a lost connection, this much later.
    pub reconnect: Option<Duration>,
    /// The `Origin` of the upgrade.
    pub origin: Option<String>,
    /// How many received messages are kept for [`Firefox::received`](super::Firefox::received).
    pub keep_messages: usize,
}

impl Default for FirefoxBehaviour {
    fn default() -> Self {
        FirefoxBehaviour {
            answers: AnswerMode::Automatic,
            hello: true,
            credentials: true,
            proves: true,
            actions: true,
            obeys_cancel: true,
            pongs: true,
            progress: Duration::from_secs(10),
            reconnect: None,
            origin: None,
            keep_messages: 4_096,
        }
    }
}

/// Who the peer is.
#[derive(Clone, Debug)]
pub struct FirefoxProfile {
    /// How it calls itself.
    pub client_id: String,
    /// The secret of an earlier pairing; without one it is given one when it is approved.
    pub secret: Option<String>,
    /// Where its user is logged in.
    pub platforms: Vec<SimulatedPlatform>,
    /// The web app behind each of them.
    pub app: WebApp,
    /// What it does by itself.
    pub behaviour: FirefoxBehaviour,
    /// The time it reports.
    pub clock: Clock,
}

impl FirefoxProfile {
    /// A well-behaved peer that is logged in to `claude`.
    pub fn new(client_id: &str) -> Self {
        FirefoxProfile {
            client_id: client_id.to_owned(),
            secret: None,
            platforms: vec![SimulatedPlatform::new("claude")],
            app: WebApp::new(),
            behaviour: FirefoxBehaviour::default(),
            clock: Clock::System,
        }
    }

    /// The same, with requests answered by whoever holds the handle.
    pub fn manual(client_id: &str) -> Self {
        let mut profile = FirefoxProfile::new(client_id);
        profile.behaviour.answers = AnswerMode::Manual;
        profile
    }

    pub(super) fn hello(&self, nonce: &str) -> Value {
        json!({"type": "hello", "client_id": self.client_id, "node_type": "browser", "node_category": "proxy",
            "node_platform": "firefox", "protocol": "baa.firefox/1", "extension_version": "simulated",
            "nonce": nonce})
    }

    pub(super) fn credentials(&self) -> Vec<Value> {
        let now = self.clock.now_ms();
        let message = |platform: &SimulatedPlatform| {
            let runtime = shell_runtime(&platform.name, now);
            let mut message = json!({"type": "credentials", "platform": platform.name, "credential_fingerprint": FINGERPRINT,
                "freshness": platform.freshness, "captured_at": now, "last_seen_at": now, "timestamp": now,
                "header_names": platform.header_names, "shell_runtime": runtime});
            if let Some(account) = &platform.account {
                message["account"] = json!(account);
            }
            message
        };
        self.platforms.iter().map(message).collect()
    }

    pub(super) fn shell_runtime(&self, platform: Option<&str>) -> Vec<Value> {
        let now = self.clock.now_ms();
        let wanted = self.platforms.iter().filter(|p| platform.is_none_or(|name| name == p.name));
        wanted.map(|p| shell_runtime(&p.name, now)).collect()
    }
}

/// A shell tab as wanted.
fn shell_runtime(platform: &str, now: i64) -> Value {
    let url = match platform {
        "claude" => "https://claude.ai/".to_owned(),
        "chatgpt" => "https://chatgpt.com/".to_owned(),
        "gemini" => "https://gemini.google.com/".to_owned(),
        other => format!("https://{other}.example/"),
    };
    json!({"platform": platform,
        "desired": {"exists": true, "shell_url": url, "source": "simulator", "reason": "simulated", "updated_at": now},
        "actual": {"exists": true, "tab_id": 1, "url": url, "title": platform, "window_id": 1, "active": false,
            "status": "complete", "discarded": false, "hidden": false, "healthy": true, "last_seen_at": now, "last_ready_at": now},
        "drift": {"aligned": true, "needs_restore": false, "unexpected_actual": false}})
}
