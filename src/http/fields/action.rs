//! The body of `POST /v1/browser/actions`, and of the older routes that are one of its actions.

use super::{client_id, platform, preset_platform, reason, timeout};
use crate::{
    api::actions::ActionRequest,
    bridge::ActionCommand,
    http::{body, error::ApiError},
    platforms::registry::PlatformRegistry,
    wire::{ActionKind, FieldError},
};
use std::time::Duration;
use strum::VariantNames;

/// Reads an action. `preset`: what the route itself says. `usual`: the timeout of an action that names none.
pub(in crate::http) fn action(
    text: &str,
    preset: Option<(ActionKind, &'static str)>,
    registry: &PlatformRegistry,
    usual: Duration,
) -> Result<ActionCommand, ApiError> {
    let fields = body::parse_object(text)?;
    let kind = match preset {
        Some((kind, _)) => kind,
        None => {
            fields.required_text(ActionRequest::action())?.parse().map_err(|_| FieldError::new("action", one_of()))?
        }
    };
    let platform = match preset {
        Some((_, name)) => Some(preset_platform(&fields, name, registry)?),
        None if kind.needs_platform() || fields.text(ActionRequest::platform())?.is_some() => {
            Some(platform(&fields, registry)?)
        }
        None => None,
    };
    let wait = fields.boolean(ActionRequest::wait())?.unwrap_or(false);
    if wait && kind != ActionKind::WsReconnect {
        return Err(FieldError::new("wait", "is for ws_reconnect alone").into());
    }
    Ok(ActionCommand {
        kind,
        platform: platform.map(|platform| platform.name.clone()),
        client_id: client_id(&fields, ActionRequest::client_id())?,
        reason: reason(&fields, ActionRequest::reason())?,
        timeout: timeout(&fields, ActionRequest::timeout_ms(), None)?.unwrap_or(usual),
        wait,
    })
}

fn one_of() -> String {
    format!("must be one of {}", ActionKind::VARIANTS.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platforms::registry::PlatformsSettings;
    use serde_json::{Value, json};

    const USUAL: Duration = Duration::from_secs(10);

    fn read(body: &Value, preset: Option<(ActionKind, &'static str)>) -> Result<ActionCommand, ApiError> {
        action(&body.to_string(), preset, &PlatformRegistry::new(&PlatformsSettings::default()), USUAL)
    }

    fn fault(body: &Value) -> (&'static str, String) {
        let error = read(body, None).expect_err(&body.to_string());
        (error.code().name(), error.details().get("field").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    #[test]
    fn every_field_is_read_in_both_spellings() {
        let body = json!({"action": " tab_open ", "platform": "claude", "clientId": "f-1", "reason": "why",
            "timeoutMs": 500});
        let order = read(&body, None).unwrap();
        assert_eq!((order.kind, order.platform.unwrap().as_str()), (ActionKind::TabOpen, "claude"));
        assert_eq!((order.client_id.unwrap().as_str(), order.reason.as_deref()), ("f-1", Some("why")));
        assert_eq!((order.timeout, order.wait), (Duration::from_millis(500), false));
        let bare = read(&json!({"action": "plugin_status"}), None).unwrap();
        assert_eq!((bare.platform, bare.client_id, bare.timeout), (None, None, USUAL));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, field) in [
            (json!({}), "action"),
            (json!({"action": "tab_explode"}), "action"),
            (json!({"action": 7}), "action"),
            (json!({"action": "tab_open"}), "platform"),
            (json!({"action": "tab_focus"}), "platform"),
            (json!({"action": "tab_reload"}), "platform"),
            (json!({"action": "plugin_status", "client_id": "a b"}), "client_id"),
            (json!({"action": "plugin_status", "timeout_ms": 0}), "timeout_ms"),
            (json!({"action": "plugin_status", "timeout_ms": 3_600_001}), "timeout_ms"),
            (json!({"action": "ws_reconnect", "wait": "yes"}), "wait"),
            (json!({"action": "plugin_status", "wait": true}), "wait"),
        ] {
            assert_eq!(fault(&body), ("invalid_request", field.to_owned()), "{body}");
        }
        assert_eq!(fault(&json!({"action": "tab_open", "platform": "nope"})).0, "platform_not_supported");
        assert_eq!(fault(&json!({"action": "plugin_status", "platform": "nope"})).0, "platform_not_supported");
        assert!(read(&json!({"action": "plugin_status", "wait": false}), None).is_ok());
        assert!(read(&json!({"action": "ws_reconnect", "wait": true}), None).unwrap().wait);
    }

    #[test]
    fn a_route_that_names_the_action_needs_neither_it_nor_the_platform() {
        let preset = Some((ActionKind::TabReload, "claude"));
        let order = read(&json!({"action": "ignored"}), preset).unwrap();
        assert_eq!((order.kind, order.platform.unwrap().as_str()), (ActionKind::TabReload, "claude"));
        let error = read(&json!({"platform": "chatgpt"}), preset).unwrap_err();
        assert_eq!(error.details()["field"], "platform");
    }
}
