//! The status page in a browser: a daemon, a Firefox without the extension, and the page in its one tab.

use super::{
    firefox::Firefox,
    shared::{Caller, Daemon},
    until_ok,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Path of the accessibility checker among the page's own dependencies.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web/status-page/node_modules/axe-core/axe.min.js");

/// The page and its environment. Fields are dropped in order.
#[derive(Debug)]
pub(crate) struct StatusPage {
    pub(crate) firefox: Firefox,
    pub(crate) daemon: Daemon,
    pub(crate) tab: String,
}

impl StatusPage {
    /// Starts a daemon with these settings, and a browser that has not opened the page yet.
    pub(crate) async fn prepare(settings: &str) -> Self {
        let daemon = Daemon::start(settings).await;
        // The page requests no web app.
        let firefox = Firefox::start_bare(1, &[]).await;
        let tab = firefox.bidi.tabs().await.remove(0).0;
        StatusPage { firefox, daemon, tab }
    }

    /// Starts both and logs the page in.
    pub(crate) async fn open(settings: &str) -> Self {
        let page = Self::prepare(settings).await;
        page.log_in().await;
        page
    }

    /// Returns a caller with the token.
    pub(crate) fn caller(&self) -> Caller {
        self.daemon.caller().bearer(&self.daemon.token())
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.daemon.address)
    }

    /// Opens the page as `baa-conductor open` does.
    pub(crate) async fn log_in(&self) {
        let code = self.caller().post("/v1/session/codes", &json!({})).await.data();
        self.visit(&format!("#code={}", code["code"].as_str().unwrap())).await;
        self.says("#session-words", |said| said == "Logged in").await;
    }

    /// Opens the page with this suffix of its address.
    pub(crate) async fn visit(&self, rest: &str) {
        self.firefox.bidi.navigate(&self.tab, &format!("{}/v1/status/ui{rest}", self.origin())).await;
    }

    /// Waits until the text of the first element that matches a CSS selector fits; returns it.
    pub(crate) async fn says(&self, selector: &str, fits: impl Fn(&str) -> bool) -> String {
        crate::page::says(&self.firefox, &self.tab, selector, fits).await
    }

    /// Waits until a visible element matches a CSS selector.
    pub(crate) async fn shows(&self, selector: &str) {
        self.comes_to(&format!("document.querySelector({})?.checkVisibility() ?? false", json!(selector)), json!(true))
            .await;
    }

    /// Waits until an expression has this value.
    pub(crate) async fn comes_to(&self, expression: &str, wanted: Value) {
        until_ok(expression, async || {
            let is = self.firefox.bidi.evaluate(&self.tab, expression).await;
            if is == wanted { Ok(()) } else { Err(is) }
        })
        .await;
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.firefox.bidi.click(&self.tab, selector).await;
    }

    /// Returns the serious accessibility problems of the page.
    pub(crate) async fn barriers(&self) -> Vec<String> {
        let axe =
            fs::read_to_string(Path::new(AXE)).unwrap_or_else(|error| panic!("{AXE}: {error}; tests/run gets it"));
        self.firefox.bidi.evaluate(&self.tab, &format!("{axe}; true")).await;
        let run = "axe.run(document, {resultTypes: ['violations']}).then(({violations}) => JSON.stringify(violations\
             .filter(({impact}) => impact === 'serious' || impact === 'critical')\
             .flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) => `${id} ${target} ${failureSummary}`))))";
        let found = self.firefox.bidi.evaluate(&self.tab, run).await;
        serde_json::from_str(found.as_str().unwrap()).unwrap()
    }
}
