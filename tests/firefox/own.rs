//! A user-defined platform: configuration and one click.

use crate::support::Stage;
use serde_json::json;

#[actix_rt::test]
async fn a_user_defined_platform_is_allowed_by_a_click_and_used() {
    let stage = Stage::set("").await;
    let origin = format!("http://127.0.0.1:{}", stage.apps.plain_port);
    let host = origin.trim_start_matches("http://").to_owned();
    stage.apps.login(&host, "of-my-own");
    // Access is not allowed yet.
    let refused = stage.get("local", "/api/x").await;
    assert_eq!((refused.error().0, refused.error_code()), (502, "tab_unavailable".into()));
    assert_eq!(stage.apps.received(&format!("{host}/api/x")).len(), 0);

    stage.allow_own().await;
    let body = json!({"platform": "local", "method": "POST", "path": "/api/x", "body": {"a": 1}});
    let data = stage.caller().request(&body).await.data();
    assert_eq!((&data["proxy"]["status"], &data["response"]["logged_in"]), (&json!(200), &json!(true)));
    let received = stage.apps.received(&format!("{host}/api/x"));
    assert_eq!(received[0].header("origin"), Some(&*origin));
    // Another port of the same machine is another app.
    let other = json!({"platform": "local", "path": format!("http://127.0.0.1:{}/x", stage.daemon.address.port())});
    assert_eq!(stage.caller().request(&other).await.status, 400);
}
