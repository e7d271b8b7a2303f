//! Results of the extension, combined with the daemon's own knowledge.

use super::*;
use crate::wire::{ActionTarget, InboundFrame};
use bytestring::ByteString;
use serde_json::{Value, json};

fn reported(fields: &Value) -> ActionResult {
    let mut message = json!({"type": "action_result"});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let text = ByteString::from(message.to_string());
    match InboundFrame::parse(&text).unwrap() {
        InboundFrame::ActionResult(result) => *result,
        other => panic!("{other:?}"),
    }
}

fn pending(kind: ActionKind) -> PendingAction {
    PendingAction {
        request_id: RequestId::trusted("act-1"),
        kind,
        platform: None,
        requested_client_id: None,
        reason: None,
    }
}

fn entry(fields: &Value, pending: Option<&PendingAction>) -> ActionReport {
    let (client, connection) = (ClientId::trusted("ff"), ConnectionId::trusted("c-1"));
    ActionReport::new(reported(fields), pending, (&client, &connection), 7)
}

#[test]
fn client_and_connection_of_the_target_are_the_daemons_own() {
    let order = PendingAction {
        platform: Some(PlatformName::trusted("claude")),
        requested_client_id: Some(ClientId::trusted("ff")),
        ..pending(ActionKind::TabOpen)
    };
    let fields = json!({"request_id": "act-1", "action": "tab_reload", "command_type": "reload",
        "target": {"client_id": "other", "platform": "gemini", "requested_client_id": "x", "requested_platform": "y"}});
    let entry = entry(&fields, Some(&order));
    assert_eq!((entry.target.client_id.as_str(), entry.target.connection_id.as_str()), ("ff", "c-1"));
    assert_eq!(entry.target.requested_client_id.as_deref(), Some("ff"));
    assert_eq!(entry.target.requested_platform.as_deref(), Some("claude"));
    assert_eq!(entry.target.platform.as_deref(), Some("gemini"), "the platform is the extension's");
    assert_eq!((entry.action.as_deref(), entry.message_type.as_deref()), (Some("tab_open"), Some("open_tab")));
}

#[test]
fn an_unsolicited_result_keeps_what_the_extension_reports() {
    let bare = entry(&json!({}), None);
    assert_eq!((bare.action, bare.message_type, bare.request_id, bare.received_at), (None, None, None, 7));
    let known = entry(&json!({"id": "x", "action": "tab_focus"}), None);
    assert_eq!((known.message_type.as_deref(), known.request_id.as_deref()), (Some("open_tab"), Some("x")));
    let foreign = entry(&json!({"action": "tab_sing", "command_type": "sing"}), None);
    assert_eq!((foreign.action.as_deref(), foreign.message_type.as_deref()), (Some("tab_sing"), Some("sing")));
}

#[test]
fn a_reconnect_is_never_complete_by_its_result() {
    for completed in [true, false] {
        let fields = json!({"completed": completed});
        assert!(!entry(&fields, Some(&pending(ActionKind::WsReconnect))).completed);
        assert_eq!(entry(&fields, Some(&pending(ActionKind::PluginStatus))).completed, completed);
    }
    assert!(!entry(&json!({"action": "ws_reconnect"}), None).completed);
}

#[test]
fn platform_and_reason_are_those_of_the_command_otherwise_of_the_result() {
    let results = json!({"reason": "theirs", "results": [{"platform": "claude"}, {"platform": "claude"}]});
    let done = ActionOutcome::new(pending(ActionKind::PluginStatus), entry(&results, None), 3);
    assert_eq!((done.platform.as_deref(), done.reason.as_deref()), (Some("claude"), Some("theirs")));
    let order = PendingAction {
        platform: Some(PlatformName::trusted("gemini")),
        reason: Some("mine".into()),
        ..pending(ActionKind::TabReload)
    };
    let done = ActionOutcome::new(order, entry(&results, None), 3);
    assert_eq!((done.platform.as_deref(), done.reason.as_deref()), (Some("gemini"), Some("mine")));
    let mixed = json!({"results": [{"platform": "claude"}, {"platform": "gemini"}]});
    let done = ActionOutcome::new(pending(ActionKind::TabRestore), entry(&mixed, None), 3);
    assert_eq!((done.platform, done.reason), (None, None), "two platforms are not one");
}

#[test]
fn a_reconnect_without_an_answer_has_not_failed() {
    let (client, connection) = (ClientId::trusted("ff"), ConnectionId::trusted("c-1"));
    let entry = ActionReport::unanswered(&pending(ActionKind::WsReconnect), (&client, &connection), 7);
    assert_eq!((entry.accepted, entry.completed, entry.failed), (true, false, false));
    assert_eq!(entry.target.platform, ActionTarget::default().platform);
}
