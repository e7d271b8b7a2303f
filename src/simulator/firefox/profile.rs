//! Identity, behaviour and introduction of a simulated Firefox.

use crate::{clock::Clock, simulator::webapp::WebApp};
use serde_json::{Value, json};
use std::time::Duration;

const FINGERPRINT: &str = "fp-simulated";

/// A platform that the simulated user is logged in to.
#[derive(Clone, Debug)]
pub struct SimulatedPlatform {
    /// Name, such as `claude`.
    pub name: String,
    /// Account, if known.
    pub account: Option<String>,
    /// Names of the headers of its credentials.
    pub header_names: Vec<String>,
    /// Freshness: `fresh`, `stale` or `lost`.
    pub freshness: String,
}

impl SimulatedPlatform {
    /// Creates a platform with fresh credentials of two headers.
    pub fn new(name: &str) -> Self {
        let header_names = vec!["cookie".to_owned(), "x-csrf".to_owned()];
        SimulatedPlatform { name: name.to_owned(), account: None, header_names, freshness: "fresh".to_owned() }
    }
}

/// How requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerMode {
    /// By the web app, at once, each request in a task of its own.
    Automatic,
    /// By the holder of the handle.
    Manual,
}

/// What the simulated Firefox does automatically.
#[derive(Clone, Debug)]
pub struct FirefoxBehaviour {
    /// How requests are answered.
    pub answers: AnswerMode,
    /// Sends `hello` on each connection.
    pub hello: bool,
    /// Sends `credentials` after each `hello_ack`.
    pub credentials: bool,
    /// Answers a `challenge` with a valid proof of the daemon, once it has a secret.
    pub proves: bool,
    /// Answers actions.
    pub actions: bool,
    /// Aborts and answers cancelled requests; otherwise cancels are ignored.
    pub obeys_cancel: bool,
    /// Answers pings.
    pub pongs: bool,
    /// Interval of `progress` messages for each request in progress.
    pub progress: Duration,
    /// Delay of the reconnect after a lost connection; `None` for no reconnect.
    pub reconnect: Option<Duration>,
    /// `Origin` of the upgrade.
    pub origin: Option<String>,
    /// Number of received messages that are kept for [`Firefox::received`](super::Firefox::received).
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

/// The identity and behaviour of a simulated Firefox.
#[derive(Clone, Debug)]
pub struct FirefoxProfile {
    /// Client id.
    pub client_id: String,
    /// Secret of an earlier pairing; otherwise it receives one when it is approved.
    pub secret: Option<String>,
    /// Platforms that the user is logged in to.
    pub platforms: Vec<SimulatedPlatform>,
    /// Web app of all platforms.
    pub app: WebApp,
    /// Automatic behaviour.
    pub behaviour: FirefoxBehaviour,
    /// Clock of the times that it reports.
    pub clock: Clock,
}

impl FirefoxProfile {
    /// Creates a well-behaved client that is logged in to `claude`.
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

    /// Creates the same client, whose requests the holder of the handle answers.
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

/// Returns the state of a healthy shell tab.
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
