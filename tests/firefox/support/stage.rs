//! One test's world: the web apps, the daemon and a browser whose extension has found it.

use super::{
    app::{Apps, HOSTS},
    firefox::Firefox,
    shared::{Answer, Caller, Daemon, Stream},
    until_ok,
};
use serde_json::{Value, json};

/// Everything of one test. What is dropped first stands first.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) firefox: Firefox,
    pub(crate) daemon: Daemon,
    pub(crate) apps: Apps,
}

impl Stage {
    /// Starts everything and waits until the extension has said hello. `settings`: as for any daemon.
    pub(crate) async fn set(settings: &str) -> Self {
        let apps = Apps::start().await;
        let port = apps.plain_port;
        // An app of the user's own, which stands in no table but the configuration.
        let local = format!(
            "[platforms.local]\ntitle = 'Local'\nshell_url = 'http://127.0.0.1:{port}/'\nhosts = ['127.0.0.1']\n\
             modes = ['buffered', 'sse']\nfinal_message = ''\nprompt = ''\n"
        );
        let daemon = Daemon::start(&format!("{settings}\n{local}")).await;
        let firefox = Firefox::start(&daemon.ws_url(), apps.tls_port, HOSTS).await;
        let stage = Stage { firefox, daemon, apps };
        stage.connected().await;
        stage
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

    /// The tab of a platform as the client reports it, once it is as wanted.
    pub(crate) async fn tab_where(&self, platform: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let of = |client: &Value| entry(client, "shell_runtime", platform);
        of(&self.client_where(what, |client| fits(&of(client))).await)
    }

    /// Performs an action, which must succeed, and answers its data.
    pub(crate) async fn act(&self, action: &str, platform: &str) -> Value {
        let mut body = json!({"action": action, "reason": "test"});
        if !platform.is_empty() {
            body["platform"] = json!(platform);
        }
        let data = self.caller().post("/v1/browser/actions", &body).await.data();
        assert_eq!((&data["completed"], &data["failed"]), (&json!(true), &json!(false)), "{data:#}");
        data
    }

    /// Opens a platform's tab and waits until requests can go through it.
    pub(crate) async fn open(&self, platform: &str) -> Value {
        self.act("tab_open", platform).await;
        self.healthy(platform).await
    }

    /// The platform's tab, once it is there and well.
    pub(crate) async fn healthy(&self, platform: &str) -> Value {
        self.tab_where(platform, "healthy tab", |tab| {
            tab["actual"]["healthy"] == true && tab["drift"]["aligned"] == true
        })
        .await
    }

    /// A whole answer to a `GET` through a platform's tab.
    pub(crate) async fn get(&self, platform: &str, path: &str) -> Answer {
        self.caller().request(&json!({"platform": platform, "path": path})).await
    }

    /// A streamed answer through a platform's tab.
    pub(crate) async fn stream(&self, platform: &str, id: &str, path: &str) -> Stream {
        self.caller()
            .stream(&json!({"platform": platform, "request_id": id, "path": path, "response_mode": "sse"}))
            .await
    }
}

/// What a client tells of one platform in one of its lists.
pub(crate) fn entry(client: &Value, list: &str, platform: &str) -> Value {
    let entries = client[list].as_array().into_iter().flatten();
    entries.filter(|entry| entry["platform"] == platform).next_back().cloned().unwrap_or_default()
}
