//! Tab and plugin actions, as sent to the extension.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An action on tabs or on the extension itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[derive(strum::IntoStaticStr, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum ActionKind {
    /// Reports the state of the extension.
    PluginStatus,
    /// Searches for logins and reports them.
    RequestCredentials,
    /// Opens the shell tab of a platform.
    TabOpen,
    /// Brings the shell tab to the front.
    TabFocus,
    /// Reloads the shell tab.
    TabReload,
    /// Reopens the shell tab if it is desired and missing; without a platform, every such tab.
    TabRestore,
    /// Reconnects the WebSocket.
    WsReconnect,
    /// Restarts the extension.
    ControllerReload,
}

impl ActionKind {
    /// Returns the name of the action in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the message type of the action.
    pub fn message_type(self) -> &'static str {
        match self {
            ActionKind::TabOpen | ActionKind::TabFocus => "open_tab",
            ActionKind::TabReload => "reload",
            other => other.name(),
        }
    }

    /// Whether the action requires a platform.
    pub fn needs_platform(self) -> bool {
        matches!(self, ActionKind::TabOpen | ActionKind::TabFocus | ActionKind::TabReload)
    }

    /// Returns the message for the action. Messages that open a tab contain no reason.
    pub fn command<'a>(
        self,
        request_id: &'a str,
        platform: Option<&'a str>,
        reason: Option<&'a str>,
    ) -> ActionCommand<'a> {
        let kind = self.message_type();
        let reason = reason.filter(|_| kind != "open_tab");
        ActionCommand { kind, request_id, action: self.name(), platform, reason }
    }
}

/// A message that requests an action.
#[derive(Clone, Debug, Serialize)]
pub struct ActionCommand<'a> {
    /// `open_tab`, `reload`, `plugin_status`, `tab_restore`, `ws_reconnect`, `controller_reload` or
    /// `request_credentials`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Id of the action, chosen by the daemon.
    pub request_id: &'a str,
    /// Name of the action in the API.
    pub action: &'a str,
    /// Platform of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<&'a str>,
    /// Reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name_and_has_its_message_type() {
        let types = [
            ("plugin_status", "plugin_status"),
            ("request_credentials", "request_credentials"),
            ("tab_open", "open_tab"),
            ("tab_focus", "open_tab"),
            ("tab_reload", "reload"),
            ("tab_restore", "tab_restore"),
            ("ws_reconnect", "ws_reconnect"),
            ("controller_reload", "controller_reload"),
        ];
        for (name, message_type) in types {
            let kind: ActionKind = name.parse().unwrap();
            assert_eq!((kind.name(), kind.message_type()), (name, message_type));
            assert!(super::super::SUPPORTS.outbound.contains(&message_type));
        }
        assert!("tab_explode".parse::<ActionKind>().is_err());
        assert_eq!(types.len(), <ActionKind as strum::VariantNames>::VARIANTS.len());
    }

    #[test]
    fn a_tab_that_is_focused_is_told_so_and_opening_gives_no_reason() {
        let focus = ActionKind::TabFocus.command("r", Some("claude"), Some("why"));
        assert_eq!(
            (focus.kind, focus.action, focus.platform, focus.reason),
            ("open_tab", "tab_focus", Some("claude"), None)
        );
        let reload = ActionKind::TabReload.command("r", Some("claude"), Some("why"));
        assert_eq!((reload.kind, reload.action, reload.reason), ("reload", "tab_reload", Some("why")));
    }
}
