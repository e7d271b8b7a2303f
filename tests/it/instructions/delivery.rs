//! Delivery of results back into the conversation.

use super::{
    batch, block,
    live::{becomes, say, start},
};
use crate::support::{Caller, until};
use serde_json::{Value, json};

const DELIVER: &str = "instructions.deliver = \"conversation\"\ninstructions.auto_approve = [\"read\", \"exec\"]\n";

async fn delivered(caller: &Caller, ended: &Value, delivery: &str) {
    let id = ended["batch_id"].as_str().unwrap();
    let told = until("delivery", async || {
        let shown = batch(caller, id).await;
        (shown["delivery"] != "off").then_some(shown)
    })
    .await;
    let logs = caller.get(&format!("/v1/tasks/{}/logs?limit=1", told["task_id"].as_str().unwrap())).await.data();
    assert_eq!(told["delivery"], delivery, "{logs}");
}

/// Returns the prompts that the client received.
fn prompts(firefox: &baa_conductor::simulator::Firefox) -> Vec<String> {
    let requests = firefox.received_of("api_request");
    requests.iter().filter_map(|request| request["body"]["prompt"].as_str().map(str::to_owned)).collect()
}

#[actix_rt::test]
async fn results_are_the_next_prompt_of_the_same_conversation() {
    let (_daemon, caller, firefox) = start(DELIVER).await;
    say(&firefox, "m", &format!("{}{}", block("@system::exec::printf '```\\nhi'"), block("@system::exec::exit 3")))
        .await;
    let ended = becomes(&caller, "m", "executed").await;
    delivered(&caller, &ended, "delivered").await;
    let said = prompts(&firefox).remove(0);
    let (first, second) = (&ended["executions"][0]["instruction_id"], &ended["executions"][1]["instruction_id"]);
    let expected = format!(
        "````baa-result\nid: {}\nok: true\nstatus: 200\n\nexit code 0\nstdout:\n```\nhi\n````\n\n\
         ````baa-result\nid: {}\nok: false\nstatus: 200\n\nexit code 3\n````\n",
        first.as_str().unwrap(),
        second.as_str().unwrap()
    );
    assert_eq!(said, expected);
    let sent = firefox.received_of("api_request");
    let path = sent.last().unwrap()["path"].as_str().unwrap().to_owned();
    assert!(path.ends_with("/chat_conversations/conv-1/completion"), "{path}");
}

#[actix_rt::test]
async fn nothing_is_sent_back_unless_it_is_wished() {
    let (_daemon, caller, firefox) = start("").await;
    say(&firefox, "m", &block("@system::status")).await;
    let ended = becomes(&caller, "m", "executed").await;
    assert_eq!(ended["delivery"], "off");
    assert!(firefox.received_of("api_request").is_empty());
}

#[actix_rt::test]
async fn rounds_of_a_conversation_are_bounded() {
    let settings = format!("{DELIVER}instructions.deliver_max_rounds_per_hour = 1");
    let (_daemon, caller, firefox) = start(&settings).await;
    say(&firefox, "m1", &block("@system::status")).await;
    let first = becomes(&caller, "m1", "executed").await;
    delivered(&caller, &first, "delivered").await;
    say(&firefox, "m2", &block("@system::status")).await;
    let second = becomes(&caller, "m2", "executed").await;
    delivered(&caller, &second, "failed").await;
    assert_eq!(prompts(&firefox).len(), 1);
}

#[actix_rt::test]
async fn a_platform_whose_prompts_name_no_conversation_is_not_supported() {
    let settings = format!("{DELIVER}[[instructions.allow]]\nplatform = \"chatgpt\"");
    let daemon =
        crate::support::Daemon::start(&format!("{}instructions.live = true\n{settings}", super::SETTINGS)).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let firefox = crate::support::automatic(&daemon, "ff").await;
    let told = json!({"type": "browser.final_message", "platform": "chatgpt", "conversation_id": "conv-1",
        "assistant_message_id": "m", "raw_text": block("@system::status")});
    firefox.send_json(&told).await.unwrap();
    let ended = becomes(&caller, "m", "executed").await;
    delivered(&caller, &ended, "not_supported").await;
}

#[actix_rt::test]
async fn a_client_that_goes_away_meanwhile_is_a_failed_delivery() {
    let settings = "instructions.live = true\ninstructions.allow = [{ platform = \"claude\" }]\n";
    let daemon = crate::support::Daemon::start(&format!("{}{settings}{DELIVER}", super::SETTINGS)).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let firefox = crate::support::manual(&daemon, "ff").await;
    say(&firefox, "m", &block("@system::status")).await;
    let ended = becomes(&caller, "m", "executed").await;
    let request = firefox.next_request().await.unwrap();
    assert_eq!(request.path(), "/api/organizations");
    firefox.drop_connection().await.unwrap();
    delivered(&caller, &ended, "failed").await;
}
