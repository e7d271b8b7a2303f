//! The environment of a test: the web apps, the daemon and a browser with the extension.

use super::{
    app::{Apps, HOSTS, STRANGERS},
    firefox::Firefox,
    record::Record,
    shared::{Answer, Caller, Daemon, Stream, daemon::Folder},
    until, until_ok,
};
use serde_json::{Value, json};

/// The environment of one test. Fields are dropped in order.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) firefox: Firefox,
    pub(crate) record: Record,
    pub(crate) daemon: Daemon,
    pub(crate) apps: Apps,
    settings: String,
}

impl Stage {
    /// Starts everything, confirms the daemon without pairing, and waits until the extension is connected. `settings`:
    /// dotted keys of the configuration.
    pub(crate) async fn set(settings: &str) -> Self {
        let stage = Self::unpaired(settings).await;
        stage.firefox.confirm_unpaired().await;
        stage.connected().await;
        stage
    }

    /// Starts everything; the test pairs the extension.
    pub(crate) async fn unpaired(settings: &str) -> Self {
        let record = Record::start().await;
        let (apps, daemon, settings) = Self::without_browser(settings, &record).await;
        let url = format!("ws://{}/ws/firefox", record.address);
        let firefox = Firefox::start(&url, apps.tls_port, &[HOSTS, STRANGERS].concat()).await;
        Stage { firefox, record, daemon, apps, settings }
    }

    async fn without_browser(settings: &str, record: &Record) -> (Apps, Daemon, String) {
        let apps = Apps::start().await;
        let (port, dialled) = (apps.plain_port, record.address);
        // The second one is a user-defined app.
        let settings = format!(
            "server.allowed_hosts = ['{dialled}']\n{settings}\n[platforms.local]\ntitle = 'Local'\n\
             shell_url = 'http://127.0.0.1:{port}/'\nhosts = ['127.0.0.1']\nmodes = ['buffered', 'sse']\n\
             final_message = ''\nprompt = 'template'\n"
        );
        let daemon = Daemon::start(&settings).await;
        record.lead_to(daemon.address);
        (apps, daemon, settings)
    }

    /// Kills the daemon.
    pub(crate) async fn kill_daemon(self) -> (Folder, Away) {
        let Stage { firefox, record, daemon, apps, settings } = self;
        let listen = format!("server.listen = '{}'\n", daemon.address);
        let settings = format!("{listen}{}", settings.replace(&listen, ""));
        (daemon.kill().await, Away { firefox, record, apps, settings })
    }

    /// Restarts the browser on the same profile.
    pub(crate) async fn restart_browser(self) -> Self {
        let Stage { firefox, record, daemon, apps, settings } = self;
        let folder = firefox.quit().await;
        let left = daemon.caller().bearer(&daemon.token());
        until_ok("browser gone", async || {
            let client = left.browser().await["current_client"].take();
            if client.is_null() { Ok(()) } else { Err(client) }
        })
        .await;
        let firefox = Firefox::start_in(folder).await;
        Stage { firefox, record, daemon, apps, settings }
    }

    /// Returns a caller with the token.
    pub(crate) fn caller(&self) -> Caller {
        self.daemon.caller().bearer(&self.daemon.token())
    }

    /// Waits until the client is connected.
    pub(crate) async fn connected(&self) -> Value {
        self.client_where("client", |_| true).await
    }

    /// Waits until the client fits; returns it.
    pub(crate) async fn client_where(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let caller = self.caller();
        until_ok(what, async || {
            let client = caller.browser().await["current_client"].take();
            if !client.is_null() && fits(&client) { Ok(client) } else { Err(client) }
        })
        .await
    }

    /// Waits until the client's entry of a platform in a list fits; returns it.
    pub(crate) async fn entry_where(
        &self,
        list: &str,
        platform: &str,
        what: &str,
        fits: impl Fn(&Value) -> bool,
    ) -> Value {
        let client = self.client_where(what, |client| fits(&entry(client, list, platform))).await;
        entry(&client, list, platform)
    }

    /// Waits until the platform's tab is healthy.
    pub(crate) async fn healthy(&self, platform: &str) -> Value {
        let fits = |tab: &Value| tab["actual"]["healthy"] == true && tab["drift"]["aligned"] == true;
        self.entry_where("shell_runtime", platform, "healthy tab", fits).await
    }

    /// Performs an action that must succeed; returns its data.
    pub(crate) async fn act(&self, action: &str, platform: Option<&str>) -> Value {
        self.act_with(json!({"action": action, "platform": platform, "reason": "test"})).await
    }

    /// Performs an action with these fields.
    pub(crate) async fn act_with(&self, body: Value) -> Value {
        let data = self.caller().post("/v1/browser/actions", &body).await.data();
        assert_eq!((&data["completed"], &data["failed"]), (&json!(true), &json!(false)), "{data:#}");
        data
    }

    /// Opens a platform's tab and waits until it is healthy.
    pub(crate) async fn open(&self, platform: &str) -> Value {
        self.act("tab_open", Some(platform)).await;
        self.healthy(platform).await
    }

    /// Allows access to the user-defined app on the options page, and opens its tab.
    pub(crate) async fn allow_own(&self) {
        let page = self.firefox.own_page("options/index.html").await;
        let button = "[data-platform=local] [data-do=grant]";
        let there = format!("document.querySelector({}) !== null", json!(button));
        until("button", async || (self.firefox.bidi.evaluate(&page, &there).await == true).then_some(())).await;
        self.firefox.bidi.click(&page, button).await;
        self.open_once_permitted("local").await;
        self.firefox.bidi.close(&page).await;
    }

    /// Opens the tab of a platform that was just allowed, which the extension applies after a moment.
    pub(crate) async fn open_once_permitted(&self, platform: &str) -> Value {
        let body = json!({"action": "tab_open", "platform": platform});
        until_ok("permission", async || {
            let data = self.caller().post("/v1/browser/actions", &body).await.data();
            if data["failed"] == false { Ok(()) } else { Err(data) }
        })
        .await;
        self.healthy(platform).await
    }

    /// Sends a `GET` through a platform's tab; returns the whole answer.
    pub(crate) async fn get(&self, platform: &str, path: &str) -> Answer {
        self.caller().request(&json!({"platform": platform, "path": path})).await
    }

    /// Starts a streamed request through a platform's tab.
    pub(crate) async fn stream(&self, platform: &str, id: &str, path: &str) -> Stream {
        let body = json!({"platform": platform, "request_id": id, "path": path, "response_mode": "sse"});
        self.caller().stream(&body).await
    }
}

/// A stage without a daemon.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) firefox: Firefox,
    pub(crate) record: Record,
    pub(crate) apps: Apps,
    settings: String,
}

impl Away {
    /// Adds settings for the next daemon.
    pub(crate) fn with(mut self, settings: &str) -> Self {
        let key = settings.split('=').next().unwrap_or_default();
        let kept: Vec<_> = self.settings.lines().filter(|line| !line.starts_with(key)).collect();
        self.settings = format!("{settings}\n{}", kept.join("\n"));
        self
    }

    /// Starts the daemon again at the same address with the same folder.
    pub(crate) async fn start_daemon(self, folder: Folder) -> Stage {
        let Away { firefox, record, apps, settings } = self;
        let daemon = Daemon::start_in(folder, &settings).await;
        record.lead_to(daemon.address);
        Stage { firefox, record, daemon, apps, settings }
    }
}

/// Returns a client's entry of a platform in a list.
pub(crate) fn entry(client: &Value, list: &str, platform: &str) -> Value {
    let mut entries = client[list].as_array().into_iter().flatten();
    entries.rfind(|entry| entry["platform"] == platform).cloned().unwrap_or_default()
}
