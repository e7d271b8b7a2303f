//! `baa-conductor open` logs a browser in; a page of another site at the same address gets nothing.

use crate::support::{Stage, StatusPage, until};
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

/// Returns the file that `open` passes to the browser.
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
async fn the_file_of_open_logs_the_page_in() {
    for settings in ["", "auth.local_trust = 'none'"] {
        let page = StatusPage::prepare(settings).await;
        page.firefox.bidi.listen(&["network.beforeRequestSent"]).await;
        let file = file(&page).await;
        page.firefox.bidi.navigate(&page.tab, &format!("file://{}", file.display())).await;
        page.says("#session-words", |said| said == "Logged in").await;
        page.says("#headline-title", |said| said == "No Firefox is connected.").await;
        page.comes_to("location.pathname + location.hash", json!("/v1/status/ui")).await;

        // The browser reports it as a cross-site navigation.
        let asked = page.firefox.bidi.received("network.beforeRequestSent");
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

/// A script of another site that opens the status page in every way in which a page can open another.
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
async fn a_page_of_another_site_cannot_log_in_or_control_the_page() {
    let stage = Stage::set("").await;
    let origin = format!("http://{}", stage.daemon.address);
    let place = format!("evil.example:{}/page", stage.apps.plain_port);
    stage.apps.answer(&place, 200, "text/html", "<!doctype html><title>page</title><body></body>");
    let tab = stage.firefox.bidi.new_tab().await;
    stage.firefox.bidi.navigate(&tab, &format!("http://{place}")).await;
    let script = LEADS.replace("PAGE", &json!(format!("{origin}/v1/status/ui#code=0123")).to_string());
    // The profile allows pop-ups.
    stage.firefox.window("Services.prefs.setBoolPref('dom.disable_open_during_load', false)").await;
    let told = stage.firefox.bidi.evaluate(&tab, &script).await;
    let told: serde_json::Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
    assert_eq!(told["closed"], "severed", "its opener keeps no handle: {told}");
    let inner = told["inner"].as_str().unwrap();
    assert!(!inner.contains("baa-conductor"), "it is in no frame: {told}");

    // The window shows the page, which tries the code and reports that it is invalid.
    let ours = stage.firefox.tab_of(&origin).await;
    until("the page", async || {
        let said =
            stage.firefox.bidi.evaluate(&ours, "document.querySelector('#session-words')?.textContent ?? ''").await;
        (said == "Not logged in").then_some(())
    })
    .await;
    assert_eq!(stage.firefox.bidi.evaluate(&ours, "window.opener === null").await, json!(true));

    // Navigations to other routes of the daemon are refused.
    for path in ["/v1/browser", "/v1/status", "/"] {
        // A new tab each time: the browser's JSON viewer does not allow further navigation.
        let tab = stage.firefox.bidi.new_tab().await;
        stage.firefox.bidi.navigate(&tab, &format!("http://{place}")).await;
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
    }
}

/// Listens on another port of 127.0.0.1; yields the headers of one request.
fn listens() -> (u16, std::thread::JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi").unwrap();
        let head = String::from_utf8(head).unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
    });
    (port, taken)
}

#[actix_rt::test]
async fn another_port_of_the_host_receives_no_session() {
    let page = StatusPage::open("auth.local_trust = 'none'").await;
    page.says("#headline-title", |said| said == "No Firefox is connected.").await;
    let (port, taken) = listens();
    let tab = page.firefox.bidi.new_tab().await;
    page.firefox.bidi.navigate(&tab, &format!("http://127.0.0.1:{port}/")).await;
    let headers = taken.join().unwrap();
    let cookie = &headers.iter().find(|(name, _)| name == "cookie").expect("cookies have no port").1;
    assert!(cookie.contains(&format!("baa_session_{}=", page.daemon.address.port())), "{cookie}");
    assert!(!headers.iter().any(|(name, _)| name == "x-baa-session-key"), "{headers:?}");
    let origin = page.origin();
    let thief = page.daemon.caller().with("cookie", cookie).with("origin", &origin);
    let thief = thief.with("sec-fetch-site", "same-origin").with("sec-fetch-mode", "cors");
    let thief = thief.with("referer", &format!("{origin}/v1/status/ui"));
    assert_eq!(thief.post("/v1/exec", &json!({"command": "id"})).await.error(), (401, "unauthorized".into()));
    assert_eq!(thief.get("/v1/status").await.error(), (401, "unauthorized".into()));

    // The session stays valid after a reload and in another tab, with live events.
    page.visit("").await;
    page.says("#session-words", |said| said == "Logged in").await;
    page.says("#link-words", |said| said == "Live").await;
    page.firefox.bidi.navigate(&tab, &format!("{origin}/v1/status/ui")).await;
    until("the other tab", async || {
        let said = "document.querySelector('#session-words')?.textContent ?? ''";
        (page.firefox.bidi.evaluate(&tab, said).await == "Logged in").then_some(())
    })
    .await;
}
