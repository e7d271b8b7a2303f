//! The extension's options page and toolbar button.

use crate::support::{Stage, firefox::Firefox, until_ok};
use serde_json::{Value, json};

/// Waits until the text of an element fits; returns it.
pub(crate) async fn says(firefox: &Firefox, page: &str, selector: &str, fits: impl Fn(&str) -> bool) -> String {
    let text = format!("document.querySelector({})?.textContent ?? ''", json!(selector));
    until_ok(selector, async || {
        let said = firefox.bidi.evaluate(page, &text).await.as_str().unwrap().to_owned();
        if fits(&said) { Ok(said) } else { Err(said) }
    })
    .await
}

/// Waits until the toolbar button has this badge and label.
async fn button_says(firefox: &Firefox, badge: &str, label: &str) {
    // Firefox shows it in the extensions panel until the user moves it here.
    const BUTTON: &str = "(() => { const id = 'baa-conductor_localhost-browser-action'; \
        CustomizableUI.addWidgetToArea(id, 'nav-bar'); \
        const button = document.getElementById(id)?.querySelector('toolbarbutton'); \
        return `${button?.getAttribute('badge')} ${button?.getAttribute('label')}` })()";
    let wanted = format!("{badge} baa-conductor: {label}");
    until_ok("button", async || {
        let said = firefox.window(BUTTON).await.as_str().unwrap().to_owned();
        if said == wanted { Ok(()) } else { Err(said) }
    })
    .await;
}

#[actix_rt::test]
async fn the_page_and_the_button_show_the_connection() {
    let stage = Stage::set("").await;
    let page = stage.firefox.own_page("options/index.html").await;
    let client = stage.connected().await["client_id"].clone();
    assert_eq!(says(&stage.firefox, &page, "#client-id", |id| !id.is_empty()).await, client);
    says(&stage.firefox, &page, "#state", |state| state == "Connected").await;
    button_says(&stage.firefox, "on", "connected").await;
    let (folder, away) = stage.kill_daemon().await;
    says(&away.firefox, &page, "#state", |state| state.starts_with("Disconnected")).await;
    button_says(&away.firefox, "off", "disconnected").await;
    let stage = away.start_daemon(folder).await;
    says(&stage.firefox, &page, "#state", |state| state == "Connected").await;
    button_says(&stage.firefox, "on", "connected").await;
}

#[actix_rt::test]
async fn the_buttons_of_the_page_perform_actions() {
    let stage = Stage::set("").await;
    let page = stage.firefox.own_page("options/index.html").await;
    let tab = "[data-platform=claude] [data-of=tab]";
    let before = says(&stage.firefox, &page, tab, |said| !said.is_empty()).await;
    stage.firefox.bidi.click(&page, "[data-platform=claude] [data-do=tab_open]").await;
    stage.healthy("claude").await;
    says(&stage.firefox, &page, tab, |said| said != before).await;

    let old = stage.connected().await["connection_id"].clone();
    stage.firefox.bidi.click(&page, "#reconnect").await;
    stage.client_where("new connection", |client: &Value| client["connection_id"] != old).await;
}

#[actix_rt::test]
async fn the_daemons_mode_is_shown_and_changed_on_the_page() {
    let stage = Stage::set("").await;
    let page = stage.firefox.own_page("options/index.html").await;
    stage.connected().await;
    says(&stage.firefox, &page, "#mode", |mode| mode.starts_with("Running")).await;
    for (button, shown, mode) in
        [("pause", "Paused", "paused"), ("drain", "Draining", "draining"), ("resume", "Running", "running")]
    {
        stage.firefox.bidi.click(&page, &format!("[data-mode={button}]")).await;
        says(&stage.firefox, &page, "#mode", |mode| mode.starts_with(shown)).await;
        assert_eq!(stage.caller().get("/v1/system/state").await.data()["mode"], mode);
    }
}
