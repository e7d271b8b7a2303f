//! `bridge.pairing = "off"`: instructions are accepted from clients of the daemon's user, and never from a process of
//! another user.

use crate::{
    instructions::{SETTINGS, block},
    support::{
        Peer, text_frame, until,
        users::{Home, OWNER, STRANGER, User, has_other_users},
    },
};
use serde_json::{Value, json};

const LIVE: &str = r#"
bridge.pairing = "off"
instructions.live = true
instructions.allow = [{ platform = "claude" }]
instructions.auto_approve = ["read", "exec"]
instructions.exec_allow = [["touch"]]
"#;

#[actix_rt::test]
async fn only_a_client_of_the_users_own_has_a_message_run() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon(&format!("{SETTINGS}{LIVE}")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let file = |of: &str| daemon.folder().path().join(of);
    let report = |of: &str| {
        let text = block(&format!("@conductor::exec::touch {}", file(of).display()));
        json!({"type": "browser.final_message", "platform": "claude", "conversation_id": "c",
            "assistant_message_id": of, "raw_text": text})
    };
    let becomes = async |of: &str| -> Value {
        until("a decision", async || {
            let list = caller.get("/v1/browser/messages?limit=100").await.data();
            let message = list["messages"].as_array()?.iter().find(|one| one["assistant_message_id"] == of)?.clone();
            let ended = ["executed", "not_allowed", "pending_approval"];
            ended.iter().any(|status| message["batch_status"] == *status).then_some(message)
        })
        .await
    };
    let says = async |user: User, of: &str| {
        let mut peer = Peer::over(user.opens(daemon.address), daemon.address).await;
        peer.connection.write(&text_frame(&json!({"type": "hello", "client_id": of}).to_string())).await;
        peer.message("request_credentials").await;
        peer.connection.write(&text_frame(&report(of).to_string())).await;
        (becomes(of).await["batch_status"].as_str().unwrap().to_owned(), peer)
    };
    let (own, _peer) = says(OWNER, "own").await;
    assert!(own == "executed" && file("own").exists(), "{own}");
    let (strangers, _peer) = says(STRANGER, "strangers").await;
    assert_eq!(strangers, "not_allowed");
    // The owner's next message is executed after all earlier ones.
    let (later, _peer) = says(OWNER, "later").await;
    assert!(later == "executed" && file("later").exists(), "{later}");
    assert!(!file("strangers").exists());
    assert!(daemon.stderr().contains("bridge.pairing is off"), "{}", daemon.stderr());
}
