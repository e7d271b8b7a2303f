//! How `baa-conductor open` logs a browser in, and what a page of another site gets that goes to the same address.

use crate::support::{Stage, StatusPage, until};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The file that `open` gives to the program that opens pages.
async fn file(page: &StatusPage) -> PathBuf {
    let folder = page.daemon.folder().path();
    let opener = folder.join("xdg-open");
    fs::write(&opener, "#!/bin/sh\nprintf '%s' \"$1\" > seen.new && mv seen.new seen\n").unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(["open", "--state-dir"]).arg(page.daemon.folder().state()).current_dir(folder);
    command.env_clear().env("HOME", folder).env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let told = actix_rt::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    assert!(told.success());
    fs::read_to_string(folder.join("seen")).unwrap().into()
}

#[actix_rt::test]
async fn the_file_that_open_writes_logs_the_page_in() {
    for settings in ["", "auth.local_trust = 'none'"] {
        let page = StatusPage::prepare(settings).await;
        page.firefox.bidi.listen(&["network.beforeRequestSent"]).await;
        let file = file(&page).await;
        page.firefox.bidi.navigate(&page.tab, &format!("file://{}", file.display())).await;
        page.says("#session-words", |said| said == "Logged in").await;
        page.says("#headline-title", |said| said == "No Firefox is connected.").await;
        page.comes_to("location.pathname + location.hash", json!("/v1/status/ui")).await;

        // It came as a navigation from another site, as the browser says.
        let asked = page.firefox.bidi.told("network.beforeRequestSent");
        let header = |name: &str| {
            let document = asked.iter().find(|told| {
                told["request"]["url"]
                    .as_str()
                    .is_some_and(|url| url.starts_with(&format!("{}/v1/status/ui", page.origin())))
            });
            let headers = document.unwrap()["request"]["headers"].as_array().unwrap();
            let found = headers.iter().find(|header| header["name"].as_str().unwrap().eq_ignore_ascii_case(name));
            found.map(|header| header["value"]["value"].as_str().unwrap().to_owned())
        };
        assert_eq!(header("sec-fetch-site").as_deref(), Some("cross-site"));
        assert_eq!(header("sec-fetch-mode").as_deref(), Some("navigate"));
        assert_eq!(header("sec-fetch-dest").as_deref(), Some("document"));
        assert_eq!((header("origin"), header("cookie")), (None, None));
    }
}

/// What a page of another site does that leads to ours in every way in which one page leads to another.
const LEADS: &str = r#"(async () => {
    const soon = (start) => Promise.race([new Promise(start), new Promise((done) => setTimeout(done, 3000, "nothing"))]);
    const opened = window.open(PAGE);
    const frame = document.createElement("iframe");
    const framed = soon((done) => { frame.onload = () => done("loaded"); frame.onerror = () => done("failed"); });
    frame.src = PAGE;
    document.body.append(frame);
    await framed;
    let inner;
    try { inner = frame.contentDocument?.body?.textContent ?? "closed"; } catch (error) { inner = error.name; }
    const closed = await soon((done) => { const look = () => (opened.closed ? done("severed") : setTimeout(look, 50)); look(); });
    return JSON.stringify({ inner, closed });
})()"#;

#[actix_rt::test]
async fn a_page_of_another_site_leads_to_the_empty_page_and_keeps_no_hold_of_it() {
    let stage = Stage::set("").await;
    let origin = format!("http://{}", stage.daemon.address);
    let place = format!("evil.example:{}/page", stage.apps.plain_port);
    stage.apps.answer(&place, 200, "text/html", "<!doctype html><title>page</title><body></body>");
    let tab = stage.firefox.bidi.new_tab().await;
    stage.firefox.bidi.navigate(&tab, &format!("http://{place}")).await;
    let script = LEADS.replace("PAGE", &json!(format!("{origin}/v1/status/ui#code=0123")).to_string());
    // A window that a script opens by itself is a pop-up, which is let through here.
    stage.firefox.window("Services.prefs.setBoolPref('dom.disable_open_during_load', false)").await;
    let told = stage.firefox.bidi.evaluate(&tab, &script).await;
    let told: serde_json::Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
    assert_eq!(told["closed"], "severed", "its opener keeps no handle: {told}");
    let inner = told["inner"].as_str().unwrap();
    assert!(!inner.contains("baa-conductor"), "it is in no frame: {told}");

    // The window itself shows the page, which asks by itself and tells its user that the code is none.
    let ours = stage.firefox.tab_of(&origin).await;
    until("the page", async || {
        let said =
            stage.firefox.bidi.evaluate(&ours, "document.querySelector('#session-words')?.textContent ?? ''").await;
        (said == "Not logged in").then_some(())
    })
    .await;
    assert_eq!(stage.firefox.bidi.evaluate(&ours, "window.opener === null").await, json!(true));

    // Navigated away to anything else of the daemon, it gets the refusal.
    for path in ["/v1/browser", "/v1/status", "/"] {
        stage
            .firefox
            .bidi
            .evaluate(&tab, &format!("setTimeout(() => location.assign({}), 0); 1", json!(format!("{origin}{path}"))))
            .await;
        until(path, async || {
            let text = stage
                .firefox
                .bidi
                .attempt(
                    "script.evaluate",
                    json!({"expression": "document.body.textContent",
                "target": {"context": &tab}, "awaitPromise": true}),
                )
                .await
                .ok()?;
            text.to_string().contains("origin_not_allowed").then_some(())
        })
        .await;
        stage.firefox.bidi.navigate(&tab, &format!("http://{place}")).await;
    }
}
