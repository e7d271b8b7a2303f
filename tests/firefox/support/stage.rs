//! One test's world: the web apps, the daemon and a browser whose extension has found it.

use super::{
    app::{Apps, HOSTS, STRANGERS},
    firefox::Firefox,
    record::Record,
    shared::{Answer, Caller, Daemon, Stream, daemon::Folder},
    until, until_ok,
};
use serde_json::{Value, json};

/// Everything of one test. What is dropped first stands first.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) firefox: Firefox,
    pub(crate) record: Record,
    pub(crate) daemon: Daemon,
    pub(crate) apps: Apps,
    settings: String,
}

impl Stage {
    /// Starts everything, lets the daemon in without pairing as its user does, and waits until the extension is connected.
    /// `settings`: as for any daemon, dotted keys.
    pub(crate) async fn set(settings: &str) -> Self {
        let stage = Self::unpaired(settings).await;
        stage.firefox.confirm_unpaired().await;
        stage.connected().await;
        stage
    }

    /// Starts everything, and leaves it to the test to let the extension in.
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
        // Second, an app of the user's own, which stands in no table but the configuration.
        let settings = format!(
            "server.allowed_hosts = ['{dialled}']\n{settings}\n[platforms.local]\ntitle = 'Local'\n\
             shell_url = 'http://127.0.0.1:{port}/'\nhosts = ['127.0.0.1']\nmodes = ['buffered', 'sse']\n\
             final_message = ''\nprompt = 'template'\n"
        );
        let daemon = Daemon::start(&settings).await;
        record.lead_to(daemon.address);
        (apps, daemon, settings)
    }

    /// Cuts the daemon's power.
    pub(crate) async fn kill_daemon(self) -> (Folder, Away) {
        let Stage { firefox, record, daemon, apps, settings } = self;
        let listen = format!("server.listen = '{}'\n", daemon.address);
        let settings = format!("{listen}{}", settings.replace(&listen, ""));
        (daemon.kill().await, Away { firefox, record, apps, settings })
    }

    /// Ends the browser as its user does and starts it again on the same profile.
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

    /// One who may see everything.
    pub(crate) fn caller(&self) -> Caller {
        self.daemon.caller().bearer(&self.daemon.token())
    }

    /// The client, once it is there.
    pub(crate) async fn connected(&self) -> Value {
        self.client_where("client", |_| true).await
    }

    /// The client, once it is as wanted.
    pub(crate) async fn client_where(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let caller = self.caller();
        until_ok(what, async || {
            let client = caller.browser().await["current_client"].take();
            if !client.is_null() && fits(&client) { Ok(client) } else { Err(client) }
        })
        .await
    }

    /// What the client tells of a platform in one of its lists, once it is as wanted.
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

    /// The platform's tab, once it is there and well.
    pub(crate) async fn healthy(&self, platform: &str) -> Value {
        let fits = |tab: &Value| tab["actual"]["healthy"] == true && tab["drift"]["aligned"] == true;
        self.entry_where("shell_runtime", platform, "healthy tab", fits).await
    }

    /// Performs an action, which must succeed, and answers its data.
    pub(crate) async fn act(&self, action: &str, platform: Option<&str>) -> Value {
        self.act_with(json!({"action": action, "platform": platform, "reason": "test"})).await
    }

    /// The same with fields of its own.
    pub(crate) async fn act_with(&self, body: Value) -> Value {
        let data = self.caller().post("/v1/browser/actions", &body).await.data();
        assert_eq!((&data["completed"], &data["failed"]), (&json!(true), &json!(false)), "{data:#}");
        data
    }

    /// Opens a platform's tab and waits until requests can go through it.
    pub(crate) async fn open(&self, platform: &str) -> Value {
        self.act("tab_open", Some(platform)).await;
        self.healthy(platform).await
    }

    /// Lets the extension into the app of the user's own, as its user does, and opens its tab.
    pub(crate) async fn allow_own(&self) {
        let page = self.firefox.own_page("options/index.html").await;
        let button = "[data-platform=local] [data-do=grant]";
        let there = format!("document.querySelector({}) !== null", json!(button));
        until("button", async || (self.firefox.bidi.evaluate(&page, &there).await == true).then_some(())).await;
        self.firefox.bidi.click(&page, button).await;
        self.open_once_permitted("local").await;
        self.firefox.bidi.close(&page).await;
    }

    /// The same for a platform that the user has only just allowed, which takes the extension a moment to learn.
    pub(crate) async fn open_once_permitted(&self, platform: &str) -> Value {
        let body = json!({"action": "tab_open", "platform": platform});
        until_ok("permission", async || {
            let data = self.caller().post("/v1/browser/actions", &body).await.data();
            if data["failed"] == false { Ok(()) } else { Err(data) }
        })
        .await;
        self.healthy(platform).await
    }

    /// A whole answer to a `GET` through a platform's tab.
    pub(crate) async fn get(&self, platform: &str, path: &str) -> Answer {
        self.caller().request(&json!({"platform": platform, "path": path})).await
    }

    /// A streamed answer through a platform's tab.
    pub(crate) async fn stream(&self, platform: &str, id: &str, path: &str) -> Stream {
        let body = json!({"platform": platform, "request_id": id, "path": path, "response_mode": "sse"});
        self.caller().stream(&body).await
    }
}

/// A stage whose daemon is not there.
#[derive(Debug)]
pub(crate) struct Away {
    pub(crate) firefox: Firefox,
    pub(crate) record: Record,
    pub(crate) apps: Apps,
    settings: String,
}

impl Away {
    /// The same for a daemon with other settings on top, where it was.
    pub(crate) fn with(mut self, settings: &str) -> Self {
        let key = settings.split('=').next().unwrap_or_default();
        let kept: Vec<_> = self.settings.lines().filter(|line| !line.starts_with(key)).collect();
        self.settings = format!("{settings}\n{}", kept.join("\n"));
        self
    }

    /// Starts the daemon again, where it was and on what it had.
    pub(crate) async fn start_daemon(self, folder: Folder) -> Stage {
        let Away { firefox, record, apps, settings } = self;
        let daemon = Daemon::start_in(folder, &settings).await;
        record.lead_to(daemon.address);
        Stage { firefox, record, daemon, apps, settings }
    }
}

/// What a client tells of one platform in one of its lists.
pub(crate) fn entry(client: &Value, list: &str, platform: &str) -> Value {
    let mut entries = client[list].as_array().into_iter().flatten();
    entries.rfind(|entry| entry["platform"] == platform).cloned().unwrap_or_default()
}
