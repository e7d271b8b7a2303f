//! A client of WebDriver BiDi: JSON commands over a WebSocket, answers matched by id.

use super::within;
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex as Lock},
};
use tokio::{
    net::TcpStream,
    sync::{Mutex, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Attribute that identifies an element of a page.
const ELEMENT: &str = "sharedId";

type Answers = HashMap<u64, oneshot::Sender<Value>>;

/// A session with a browser. Commands may overlap.
#[derive(Debug)]
pub(crate) struct Bidi {
    line: Mutex<Line>,
    waiting: Arc<Mutex<Answers>>,
    /// Events that were subscribed to.
    told: Arc<Lock<Vec<Value>>>,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    last: u64,
}

impl Bidi {
    /// Opens a session with the browser on this local port.
    pub(crate) async fn open(port: u16) -> Self {
        let stream = within("BiDi connection", TcpStream::connect(("127.0.0.1", port))).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://127.0.0.1:{port}/session");
        let (socket, _) = within("BiDi handshake", client_async(url, stream)).await.unwrap();
        let (sink, mut source) = socket.split();
        let waiting = Arc::new(Mutex::new(Answers::new()));
        let answers = waiting.clone();
        let told = Arc::new(Lock::new(Vec::new()));
        let events = told.clone();
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let Message::Text(text) = message else { continue };
                let Ok(answer) = serde_json::from_str::<Value>(&text) else { continue };
                let Some(id) = answer["id"].as_u64() else {
                    events.lock().unwrap().push(answer);
                    continue;
                };
                if let Some(waiting) = answers.lock().await.remove(&id) {
                    // The caller may have given up.
                    let _ = waiting.send(answer);
                }
            }
            // No more answers can come.
            answers.lock().await.clear();
        });
        let bidi = Bidi { line: Mutex::new(Line { sink, last: 0 }), waiting, told, reader };
        let capabilities = json!({"alwaysMatch": {"acceptInsecureCerts": true}});
        bidi.command("session.new", json!({"capabilities": capabilities})).await;
        bidi
    }

    /// Runs a command that must succeed; returns its result.
    pub(crate) async fn command(&self, method: &str, params: Value) -> Value {
        self.attempt(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Runs a command; returns its result or its error.
    pub(crate) async fn attempt(&self, method: &str, params: Value) -> Result<Value, String> {
        let (tell, told) = oneshot::channel();
        {
            let mut line = self.line.lock().await;
            line.last += 1;
            let id = line.last;
            self.waiting.lock().await.insert(id, tell);
            let text = json!({"id": id, "method": method, "params": params}).to_string();
            line.sink.send(Message::text(text)).await.map_err(|error| error.to_string())?;
        }
        let mut answer = within(method, told).await.map_err(|_| "the browser hung up".to_owned())?;
        if answer["type"] == "error" {
            return Err(format!("{}: {}", answer["error"], answer["message"]));
        }
        Ok(answer["result"].take())
    }

    /// Subscribes to these events.
    pub(crate) async fn listen(&self, events: &[&str]) {
        self.command("session.subscribe", json!({ "events": events })).await;
    }

    /// Returns the events of one kind so far.
    pub(crate) fn received(&self, event: &str) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|told| told["method"] == event).map(|told| told["params"].clone()).collect()
    }

    /// Makes every page run a function before its own scripts.
    pub(crate) async fn preload(&self, function: &str) {
        self.command("script.addPreloadScript", json!({ "functionDeclaration": function })).await;
    }

    /// Sets the size of a page's window in CSS pixels.
    pub(crate) async fn resize(&self, tab: &str, width: u32, height: u32) {
        let params = json!({"context": tab, "viewport": {"width": width, "height": height}});
        self.command("browsingContext.setViewport", params).await;
    }

    /// Returns a screenshot of a page as PNG.
    pub(crate) async fn screenshot(&self, tab: &str) -> Vec<u8> {
        let shot = self.command("browsingContext.captureScreenshot", json!({ "context": tab })).await;
        BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// Installs the extension of a folder temporarily; returns its id.
    pub(crate) async fn install(&self, folder: &std::path::Path) -> String {
        let data = json!({"extensionData": {"type": "path", "path": folder}});
        let result = self.command("webExtension.install", data).await;
        result["extension"].as_str().unwrap().to_owned()
    }

    /// Returns id and address of every tab.
    pub(crate) async fn tabs(&self) -> Vec<(String, String)> {
        let tree = self.command("browsingContext.getTree", json!({"maxDepth": 0})).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tabs = tree["contexts"].as_array().unwrap();
        tabs.iter().map(|tab| (text(&tab["context"]), text(&tab["url"]))).collect()
    }

    /// Opens a tab in the background.
    pub(crate) async fn new_tab(&self) -> String {
        let made = self.command("browsingContext.create", json!({"type": "tab", "background": true})).await;
        made["context"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn navigate(&self, tab: &str, url: &str) {
        let params = json!({"context": tab, "url": url, "wait": "complete"});
        self.command("browsingContext.navigate", params).await;
    }

    pub(crate) async fn reload(&self, tab: &str) {
        self.command("browsingContext.reload", json!({"context": tab, "wait": "complete"})).await;
    }

    pub(crate) async fn close(&self, tab: &str) {
        self.command("browsingContext.close", json!({"context": tab})).await;
    }

    /// Evaluates an expression in a page, awaits a promise, and returns the primitive value.
    pub(crate) async fn evaluate(&self, tab: &str, expression: &str) -> Value {
        let params = json!({"expression": expression, "target": {"context": tab}, "awaitPromise": true});
        let mut result = self.command("script.evaluate", params).await;
        assert_eq!(result["type"], "success", "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// Clicks the first element of a page that matches a CSS selector.
    pub(crate) async fn click(&self, tab: &str, selector: &str) {
        self.evaluate(tab, &format!("document.querySelector({}).scrollIntoView()", json!(selector))).await;
        let params = json!({"context": tab, "locator": {"type": "css", "value": selector}, "maxNodeCount": 1});
        let found = self.command("browsingContext.locateNodes", params).await;
        let node = found["nodes"][0][ELEMENT].as_str().unwrap_or_else(|| panic!("no {selector}")).to_owned();
        let origin = json!({"type": "element", "element": {ELEMENT: node}});
        let actions = json!([
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]);
        let mouse =
            json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.command("input.performActions", json!({"context": tab, "actions": [mouse]})).await;
    }

    /// Types into the first field of a page that matches a CSS selector, key by key.
    pub(crate) async fn write(&self, tab: &str, selector: &str, text: &str) {
        self.click(tab, selector).await;
        let key = |kind: &str, key: char| json!({"type": kind, "value": key});
        let strokes: Vec<_> = text.chars().flat_map(|each| [key("keyDown", each), key("keyUp", each)]).collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.command("input.performActions", json!({"context": tab, "actions": [keyboard]})).await;
    }

    /// Quits the browser like a user.
    pub(crate) async fn quit(&self) {
        self.command("browser.close", json!({})).await;
    }
}

impl Drop for Bidi {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
