//! Instructions of a model, from whatever source: their sandbox, what an approval covers, and what of the browser
//! status they see.

use crate::{
    instructions::{batch, block, id_of, live, submit, submit_with},
    support::{Caller, Daemon, connect, until},
};
use baa_conductor::simulator::FirefoxProfile;
use serde_json::{Value, json};

/// Commands run as root here: the operator's without a sandbox, a model's in the usual one.
const CONFINED: &str = "host_ops.allow_root = true\n";

async fn start(settings: &str) -> (Daemon, Caller) {
    let daemon = Daemon::start(&format!("{CONFINED}{settings}")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    (daemon, caller)
}

/// Returns whether this system supports the default sandbox of a model's commands.
async fn has_landlock(caller: &Caller) -> bool {
    let host = caller.get("/describe/control").await.data()["host_operations"].clone();
    if host["instructions_sandbox_available"] != true {
        crate::support::skipped("this system has no landlock");
    }
    host["instructions_sandbox_available"] == true
}

async fn approve(caller: &Caller, batch_id: &str) -> crate::support::Answer {
    caller.post(&format!("/v1/instructions/{batch_id}/approve"), &json!({})).await
}

async fn executed(caller: &Caller, batch_id: &str) -> Value {
    until("its end", async || {
        let shown = batch(caller, batch_id).await;
        (shown["status"] == "executed").then_some(shown)
    })
    .await
}

#[actix_rt::test]
async fn what_is_handed_in_for_approval_runs_in_the_models_sandbox() {
    let (daemon, caller) = start("").await;
    if !has_landlock(&caller).await {
        return;
    }
    let (made, secret) = (daemon.folder().path().join("made"), daemon.folder().path().join("secret"));
    std::fs::write(&secret, "never-to-be-read").unwrap();
    let text = [
        block(&format!("@conductor::exec::touch {}", made.display())),
        block(&format!("@conductor::exec::cat {}", secret.display())),
        block(&format!("@conductor::files/read::{}", secret.display())),
        block(&format!("@conductor::files/write::{}", json!({"path": made, "content": "x"}))),
        block("@conductor::exec::echo runs"),
    ]
    .concat();
    let waits = submit_with(&caller, "m", &text, "require_approval", true).await.data();
    for one in waits["instructions"].as_array().unwrap() {
        assert_eq!((&one["authority"], &one["sandbox"]), (&json!("model"), &json!("landlock")), "what is approved");
    }
    let batch_id = id_of(&waits);
    assert_eq!(approve(&caller, &batch_id).await.status, 200);
    let done = executed(&caller, &batch_id).await;
    let ok: Vec<_> = done["executions"].as_array().unwrap().iter().map(|one| one["ok"].clone()).collect();
    assert_eq!(ok, [false, false, false, false, true], "{done}");
    assert!(!made.exists() && !done["executions"].to_string().contains("never-to-be-read"), "{done}");

    // An operator's own message runs like the operator's own calls.
    let own = submit(&caller, "own", &block(&format!("@conductor::exec::touch {}", made.display()))).await.data();
    assert_eq!(
        (&own["instructions"][0]["authority"], &own["instructions"][0]["sandbox"]),
        (&json!("operator"), &json!("off"))
    );
    assert!(own["executions"][0]["ok"] == true && made.exists(), "{own}");
}

#[actix_rt::test]
async fn where_a_models_sandbox_is_off_the_operators_still_holds_for_what_is_handed_in() {
    let (daemon, caller) = start("instructions.sandbox = \"off\"\nhost_ops.sandbox = \"landlock\"").await;
    if !has_landlock(&caller).await {
        return;
    }
    let made = daemon.folder().path().join("made");
    let text = block(&format!("@conductor::exec::touch {}", made.display()));
    let waits = submit_with(&caller, "m", &text, "require_approval", true).await.data();
    assert_eq!(waits["instructions"][0]["sandbox"], "landlock");
    assert_eq!(approve(&caller, &id_of(&waits)).await.status, 200);
    let done = executed(&caller, &id_of(&waits)).await;
    assert!(done["executions"][0]["ok"] == false && !made.exists(), "{done}");
}

#[actix_rt::test]
async fn an_approval_does_not_outlive_the_sandbox_that_it_was_given_for() {
    let (mut daemon, caller) = start("").await;
    let made = daemon.folder().path().join("made");
    let text = block(&format!("@conductor::exec::touch {}", made.display()));
    let waits = submit_with(&caller, "m", &text, "require_approval", true).await.data();
    let (batch_id, digest) = (id_of(&waits), batch(&caller, &id_of(&waits)).await["digest"].clone());
    assert_eq!(daemon.stop().await, Some(0));
    let settings = format!("{CONFINED}instructions.sandbox = \"off\"");
    let daemon = Daemon::start_in(daemon.into_folder(), &settings).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let path = format!("/v1/instructions/{batch_id}/approve");
    for body in [json!({}), json!({ "digest": digest })] {
        assert_eq!(caller.post(&path, &body).await.error(), (409, "approval_stale".into()));
    }
    let shown = batch(&caller, &batch_id).await;
    assert_eq!(
        (&shown["status"], shown["instructions"][0]["sandbox"].as_str()),
        (&json!("pending_approval"), Some("landlock"))
    );
    let rejected = caller.post(&format!("/v1/instructions/{batch_id}/reject"), &json!({})).await;
    assert_eq!(rejected.data()["status"], "rejected", "it can still be put away");
    assert!(!made.exists());
}

#[actix_rt::test]
async fn the_browser_status_shows_a_model_nothing_private_and_no_other_client() {
    let settings = "instructions.live = true\ninstructions.allow = [{ platform = \"claude\" }]\n";
    let (daemon, caller) = start(settings).await;
    let firefox = connect(&daemon, FirefoxProfile::manual("ff")).await;
    let other = connect(&daemon, FirefoxProfile::manual("other-profile")).await;
    let tab = |platform: &str, title: &str| {
        json!({"platform": platform, "desired": {"exists": true}, "actual": {"exists": true, "tab_id": 7,
            "url": format!("https://{platform}.example/c/hushed-path"), "title": title, "status": "complete"},
            "drift": {"aligned": true}})
    };
    let login = |platform: &str, account: &str, title: &str| {
        json!({"type": "credentials", "platform": platform, "account": account, "fingerprint": "hushed-digest",
            "headers": {"a": "b"}, "shell_runtime": tab(platform, title)})
    };
    let endpoints = json!({"type": "api_endpoints", "platform": "chatgpt", "account": "hushed@chatgpt",
        "endpoints": ["GET /hushed-path/of/a/conversation"]});
    for told in [
        login("claude", "hushed@claude", "hushed title of claude"),
        login("chatgpt", "hushed@chatgpt", "hushed: divorce lawyer questions"),
        login("gemini", "hushed@gemini", "hushed title of gemini"),
        endpoints,
    ] {
        firefox.send_json(&told).await.unwrap();
    }
    other.send_json(&login("claude", "hushed@other", "hushed title of another profile")).await.unwrap();
    crate::support::handled(&firefox).await;
    crate::support::handled(&other).await;
    for (number, asks) in [
        "@system::browser/status".to_owned(),
        "@system::browser/status::{\"platform\":\"chatgpt\"}".to_owned(),
        "@system::browser/status::{\"client_id\":\"other-profile\"}".to_owned(),
        "@system::browser/status::{\"account\":\"hushed@chatgpt\"}".to_owned(),
        "@system::status".to_owned(),
        "@system::describe/control".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        let id = format!("m{number}");
        live::say(&firefox, &id, &block(asks)).await;
        let done = live::becomes(&caller, &id, "executed").await;
        let data = done["executions"][0]["data"].clone();
        assert_eq!(done["executions"][0]["ok"], true, "{asks}: {done}");
        let mut told = data.clone();
        // The model's own text comes back.
        told.as_object_mut().unwrap().remove("filters");
        let others = if asks.contains("browser") { "other-profile" } else { "lawyer" };
        for word in ["hushed", "lawyer", others] {
            assert!(!told.to_string().contains(word), "{asks}: {word}: {data:#}");
        }
        if asks == "@system::browser/status" {
            assert!(
                data["bridge"]["clients"][0]["client_id"] == "ff" && data["platforms"][0]["platform"] == "claude",
                "{data:#}"
            );
            assert_eq!(
                (data["bridge"]["client_count"].as_u64(), data["records"][0]["status"].as_str()),
                (Some(1), Some("fresh"))
            );
        }
    }
    // A message submitted for approval counts as a model's too; the operator's own message sees what the operator sees.
    let asks = block("@system::browser/status");
    let models = submit_with(&caller, "handed-in", &asks, "require_approval", true).await.data();
    assert!(models["status"] == "executed" && !models["executions"].to_string().contains("hushed@"), "{models}");
    let own = submit(&caller, "own", &asks).await.data();
    assert!(own["executions"].to_string().contains("hushed@chatgpt"), "{own}");
}
