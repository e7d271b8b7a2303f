//! The first moments: the extension finds the daemon, and both know each other's state.

use crate::support::{Stage, stage::entry};
use serde_json::json;

#[actix_rt::test]
async fn the_extension_says_hello_and_is_shown() {
    let stage = Stage::set("").await;
    let client = stage.connected().await;
    let kind = ["node_type", "node_category", "node_platform"].map(|field| client[field].clone());
    assert_eq!(kind, [json!("browser"), json!("proxy"), json!("firefox")]);
    let _ = entry(&client, "shell_runtime", "claude");
}
