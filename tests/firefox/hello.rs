//! The first connection: the extension connects to the daemon and reports its state.

use crate::support::Stage;
use serde_json::{Value, json};

#[actix_rt::test]
async fn the_extension_says_hello_and_is_listed() {
    let stage = Stage::set("").await;
    let client = stage.connected().await;
    let kind = ["node_type", "node_category", "node_platform"].map(|field| client[field].clone());
    assert_eq!(kind, [json!("browser"), json!("proxy"), json!("firefox")]);
    let hello = &stage.record.frames()[0];
    assert_eq!((&hello["type"], &hello["client_id"]), (&json!("hello"), &client["client_id"]));
    assert_eq!(
        (&hello["protocol"], &hello["extension_version"]),
        (&json!("baa.firefox/1"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(stage.caller().browser().await["bridge"]["client_count"], 1);
}

#[actix_rt::test]
async fn the_extension_reports_a_tab_per_platform_and_opens_none_by_itself() {
    let stage = Stage::set("").await;
    let told = stage.act("plugin_status", None).await;
    let tabs = told["shell_runtime"].as_array().unwrap();
    let platforms: Vec<_> = tabs.iter().map(|tab| tab["platform"].as_str().unwrap()).collect();
    assert_eq!(platforms, ["chatgpt", "claude", "gemini", "local"]);
    let idle = |tab: &Value| tab["desired"]["exists"] == false && tab["actual"]["exists"] == false;
    assert!(tabs.iter().all(idle), "{tabs:#?}");
    assert_eq!(stage.firefox.tabs_of("http").await, [""; 0]);
}
