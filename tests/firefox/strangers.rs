//! Programs at the daemon's address that the user did not accept: none of their requests is performed, and they are sent
//! only `hello`.

use crate::{
    page::says,
    support::{
        app::{Apps, HOSTS},
        firefox::Firefox,
        until,
    },
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// The frames of the extension, by connection.
type Heard = Arc<Mutex<Vec<Vec<Value>>>>;

/// Such a program; it answers `hello` with the same frames on every connection.
struct Stranger {
    address: SocketAddr,
    heard: Heard,
    /// Number of connections that ended.
    ended: Arc<Mutex<usize>>,
    listener: JoinHandle<()>,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Stranger {
    async fn saying(frames: Vec<Value>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, heard, ended) = (socket.local_addr().unwrap(), Heard::default(), Arc::new(Mutex::new(0)));
        let (hears, ends) = (Arc::clone(&heard), Arc::clone(&ended));
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let (frames, hears, ends) = (frames.clone(), hears.clone(), ends.clone());
                tokio::spawn(async move {
                    // A probe is not a handshake.
                    let Ok(mut line) = accept_async(stream).await else { return };
                    let at = {
                        let mut heard = hears.lock().unwrap();
                        heard.push(Vec::new());
                        heard.len() - 1
                    };
                    while let Some(Ok(message)) = line.next().await {
                        let Message::Text(text) = message else { continue };
                        let said: Value = serde_json::from_str(&text).unwrap();
                        let is_first = said["type"] == "hello";
                        hears.lock().unwrap()[at].push(said);
                        for frame in frames.iter().filter(|_| is_first) {
                            // It may be closed by now.
                            line.send(Message::text(frame.to_string())).await.unwrap_or_default();
                        }
                    }
                    *ends.lock().unwrap() += 1;
                });
            }
        });
        Stranger { address, heard, ended, listener }
    }

    fn ws_url(&self) -> String {
        format!("ws://{}/ws/firefox", self.address)
    }

    fn heard(&self) -> Vec<Vec<Value>> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until this many connections have ended.
    async fn ended(&self, count: usize) {
        until("end of the connection", async || (*self.ended.lock().unwrap() >= count).then_some(())).await;
    }

    /// Returns the types of the frames of all connections.
    fn kinds(&self) -> Vec<String> {
        let heard = self.heard();
        heard.iter().flatten().map(|said| said["type"].as_str().unwrap().to_owned()).collect()
    }
}

/// Returns a `hello_ack` with further fields.
fn hello_ack(more: Value) -> Value {
    let mut ack = json!({"type": "hello_ack", "client_id": "c", "connection_id": "x", "protocol": "baa.firefox/1",
        "version": "0.1.0", "heartbeat_ms": 15_000, "supports": {"inbound": [], "outbound": []},
        "platforms": [{"platform": "claude", "title": "Claude", "shell_url": "https://claude.ai/",
            "hosts": ["claude.ai", "*.claude.ai"], "modes": ["buffered", "sse"], "final_message": "claude", "prompt": "claude"}]});
    ack.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ack
}

/// Returns every frame by which a daemon requests something.
fn daemon_requests() -> Vec<Value> {
    let action =
        |kind: &str, action: &str| json!({"type": kind, "request_id": action, "action": action, "platform": "claude"});
    vec![
        json!({"type": "api_request", "id": "r", "platform": "claude", "method": "GET", "path": "/api/stolen", "headers": {}, "response_mode": "buffered"}),
        action("open_tab", "tab_open"),
        action("tab_restore", "tab_restore"),
        action("reload", "tab_reload"),
        action("plugin_status", "plugin_status"),
        json!({"type": "request_credentials", "request_id": "q", "action": "request_credentials", "reason": "hello"}),
        json!({"type": "state_snapshot", "reason": "hello", "snapshot": {}}),
    ]
}

/// Starts a Firefox whose extension connects to the program, with a logged-in page of Claude.
async fn firefox(stranger: &Stranger) -> (Firefox, Apps) {
    let apps = Apps::start().await;
    apps.login("claude.ai", "of-the-user");
    let firefox = Firefox::start(&stranger.ws_url(), apps.tls_port, HOSTS).await;
    let tab = firefox.bidi.new_tab().await;
    firefox.bidi.navigate(&tab, "https://claude.ai/").await;
    (firefox, apps)
}

#[actix_rt::test]
async fn a_program_without_pairing_is_served_only_while_the_user_confirms_it() {
    let mut frames = daemon_requests();
    frames.push(hello_ack(json!({"pairing": "off"})));
    frames.extend(daemon_requests());
    let stranger = Stranger::saying(frames).await;
    let (firefox, apps) = firefox(&stranger).await;
    let page = firefox.own_page("options/index.html").await;
    let address = stranger.ws_url();
    says(&firefox, &page, "#unpaired-address", |said| said == address).await;
    says(&firefox, &page, "#state", |said| said == "Disconnected").await;
    says(&firefox, &page, "#note", |said| said.contains("does not use pairing")).await;
    says(&firefox, &page, "#unpaired-waiting", |said| said.contains("requests of programs")).await;
    stranger.ended(1).await;
    firefox.bidi.click(&page, "#reconnect").await;
    stranger.ended(2).await;
    assert_eq!(stranger.kinds(), ["hello", "hello"]);
    assert_eq!(apps.received("claude.ai/api/stolen").len(), 0);
    assert_eq!(firefox.tabs_of("https://claude.ai/").await.len(), 1);

    // Once the user confirms, its requests are performed.
    until("question", async || {
        let asked = firefox.bidi.evaluate(&page, "!document.querySelector('#unpaired').hidden").await;
        (asked == true).then_some(())
    })
    .await;
    firefox.bidi.click(&page, "#confirm-unpaired").await;
    until("request at the app", async || (apps.received("claude.ai/api/stolen").len() == 1).then_some(())).await;
    says(&firefox, &page, "#paired", |said| said.contains("as you confirmed")).await;
    until("answer", async || stranger.kinds().contains(&"api_response".to_owned()).then_some(())).await;

    firefox.bidi.click(&page, "#withdraw-unpaired").await;
    until("question", async || {
        let asked = firefox.bidi.evaluate(&page, "!document.querySelector('#unpaired').hidden").await;
        (asked == true).then_some(())
    })
    .await;
    says(&firefox, &page, "#state", |said| said == "Disconnected").await;
    assert_eq!(stranger.heard().last().unwrap().len(), 1, "nothing but hello again");
    assert_eq!(apps.received("claude.ai/api/stolen").len(), 1);
}

#[actix_rt::test]
async fn a_program_that_approves_by_itself_is_rejected() {
    let mut frames = vec![json!({"type": "pairing_required", "code": "123456"})];
    frames.push(hello_ack(json!({"pairing": "required", "client_secret": "e".repeat(64)})));
    frames.extend(daemon_requests());
    let stranger = Stranger::saying(frames).await;
    let (firefox, apps) = firefox(&stranger).await;
    stranger.ended(1).await;
    let page = firefox.own_page("options/index.html").await;
    says(&firefox, &page, "#note", |said| said.contains("no code was shown")).await;
    says(&firefox, &page, "#paired", |said| said.starts_with("Not paired")).await;
    assert_eq!(stranger.kinds(), ["hello"]);
    assert_eq!(apps.received("claude.ai/api/stolen").len(), 0);
    assert_eq!(firefox.tabs_of("https://claude.ai/").await.len(), 1);
}
