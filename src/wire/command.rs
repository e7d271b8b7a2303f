//! Tab and plugin actions, as the extension is asked for them.

use serde::Serialize;
use std::str::FromStr;

/// Something to do with tabs or with the extension itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// Says what it knows about itself.
    PluginStatus,
    /// Looks for logins and tells them.
    RequestCredentials,
    /// Opens the shell tab of a platform.
    TabOpen,
    /// Brings it to the front.
    TabFocus,
    /// Loads it again.
    TabReload,
    /// Opens it again where it is wanted and missing; without a platform, every such tab.
    TabRestore,
    /// Connects anew.
    WsReconnect,
    /// Starts the extension anew.
    ControllerReload,
}

impl ActionKind {
    /// Every action there is.
    pub const ALL: [ActionKind; 8] = [
        ActionKind::PluginStatus,
        ActionKind::RequestCredentials,
        ActionKind::TabOpen,
        ActionKind::TabFocus,
        ActionKind::TabReload,
        ActionKind::TabRestore,
        ActionKind::WsReconnect,
        ActionKind::ControllerReload,
    ];

    /// Its name, as callers use it.
    pub fn name(self) -> &'static str {
        match self {
            ActionKind::PluginStatus => "plugin_status",
            ActionKind::RequestCredentials => "request_credentials",
            ActionKind::TabOpen => "tab_open",
            ActionKind::TabFocus => "tab_focus",
            ActionKind::TabReload => "tab_reload",
            ActionKind::TabRestore => "tab_restore",
            ActionKind::WsReconnect => "ws_reconnect",
            ActionKind::ControllerReload => "controller_reload",
        }
    }

    /// The type of the message that asks for it.
    pub fn message_type(self) -> &'static str {
        match self {
            ActionKind::TabOpen | ActionKind::TabFocus => "open_tab",
            ActionKind::TabReload => "reload",
            other => other.name(),
        }
    }

    /// Whether it cannot be done without knowing where.
    pub fn needs_platform(self) -> bool {
        matches!(self, ActionKind::TabOpen | ActionKind::TabFocus | ActionKind::TabReload)
    }

    /// The message that asks for it. One that opens a tab gives no reason.
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

/// No action has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one of the eight actions")]
pub struct UnknownAction;

impl FromStr for ActionKind {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        ActionKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownAction)
    }
}

/// A message that asks for an action.
#[derive(Clone, Debug, Serialize)]
pub struct ActionCommand<'a> {
    /// `open_tab`, `reload`, `plugin_status`, `tab_restore`, `ws_reconnect`, `controller_reload` or
    /// `request_credentials`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The daemon's id of the action.
    pub request_id: &'a str,
    /// The action as the caller named it.
    pub action: &'a str,
    /// In which app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<&'a str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_found_by_its_name_and_has_the_contracts_message_type() {
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
        assert_eq!("tab_explode".parse::<ActionKind>(), Err(UnknownAction));
        assert_eq!(types.len(), ActionKind::ALL.len());
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
