//! The extension's shell tab of a platform: desired and actual state and their difference.

use super::{
    json_object::{FieldError, JsonObject, read_entry},
    session::NAME_BYTES_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most platforms that one message may report.
pub(super) const ENTRIES_MAX: usize = 64;
/// Most bytes of a title, an address or a reason that are kept.
const WORDS_BYTES_MAX: usize = 2 << 10;

/// Shell tab of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShellRuntime {
    /// The platform.
    pub platform: String,
    /// Desired state.
    pub desired: DesiredTab,
    /// Actual state.
    pub actual: ActualTab,
    /// Difference of the two.
    pub drift: TabDrift,
}

/// Desired state of the tab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DesiredTab {
    /// Whether the tab should exist.
    pub exists: bool,
    /// Desired address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell_url: Option<String>,
    /// Origin of the desired state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Reason of the desired state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Time of the last change, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    /// Last action performed on the tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_action: Option<String>,
    /// Time of that action, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_action_at: Option<i64>,
}

/// Actual state of the tab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActualTab {
    /// Whether the tab exists.
    pub exists: bool,
    /// Tab id in Firefox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tab_id: Option<i64>,
    /// Current address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Title of the tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Window id in Firefox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_id: Option<i64>,
    /// Whether the tab is active in its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Loading status in Firefox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Whether Firefox unloaded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<bool>,
    /// Whether it is hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Whether requests can be made in the tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Problem of the tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// Last sight, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<i64>,
    /// Time at which it was last ready for requests, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ready_at: Option<i64>,
    /// Id of a tab that could be adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_tab_id: Option<i64>,
    /// Address of that tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_url: Option<String>,
}

/// Difference between desired and actual state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TabDrift {
    /// Whether they agree.
    pub aligned: bool,
    /// Whether a desired tab is missing.
    pub needs_restore: bool,
    /// Whether a tab exists that is not desired.
    pub unexpected_actual: bool,
    /// Reason of the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ShellRuntime {
    /// Returns what is wrong with the tab.
    pub fn problem(&self) -> Option<&str> {
        self.actual.issue.as_deref().or(self.drift.reason.as_deref())
    }

    /// Whether two states are equal except for times of sight.
    pub fn is_same_but_for_times(&self, other: &ShellRuntime) -> bool {
        let timeless = |tab: &ShellRuntime| {
            let mut tab = tab.clone();
            (tab.actual.last_seen_at, tab.actual.last_ready_at) = (None, None);
            tab
        };
        timeless(self) == timeless(other)
    }
}

impl Default for TabDrift {
    fn default() -> Self {
        TabDrift { aligned: true, needs_restore: false, unexpected_actual: false, reason: None }
    }
}

/// Reads the field `shell_runtime` of a message: one object or an array of them; none when it is absent.
pub(super) fn read(message: &JsonObject<'_>) -> Result<Vec<ShellRuntime>, FieldError> {
    const FIELD: &[&str] = &["shell_runtime"];
    let Some(raw) = message.get(FIELD) else { return Ok(Vec::new()) };
    let entries =
        if raw.get().starts_with('[') { message.array(FIELD, ENTRIES_MAX)?.unwrap_or_default() } else { vec![raw] };
    entries.into_iter().map(|raw| read_entry("shell_runtime", raw, tab)).collect()
}

fn tab(entry: &JsonObject<'_>) -> Result<ShellRuntime, FieldError> {
    let part = |name: &'static str| entry.object(&[name]).map(Option::unwrap_or_default);
    Ok(ShellRuntime {
        platform: entry.required_name(&["platform"], NAME_BYTES_MAX)?,
        desired: desired(&part("desired")?)?,
        actual: actual(&part("actual")?)?,
        drift: drift(&part("drift")?)?,
    })
}

fn text(part: &JsonObject<'_>, name: &'static str) -> Result<Option<String>, FieldError> {
    part.words(&[name], WORDS_BYTES_MAX)
}

fn desired(part: &JsonObject<'_>) -> Result<DesiredTab, FieldError> {
    Ok(DesiredTab {
        exists: part.boolean(&["exists"])?.unwrap_or(false),
        shell_url: text(part, "shell_url")?,
        source: text(part, "source")?,
        reason: text(part, "reason")?,
        updated_at: part.integer(&["updated_at"])?,
        last_action: text(part, "last_action")?,
        last_action_at: part.integer(&["last_action_at"])?,
    })
}

fn actual(part: &JsonObject<'_>) -> Result<ActualTab, FieldError> {
    Ok(ActualTab {
        exists: part.boolean(&["exists"])?.unwrap_or(false),
        tab_id: part.integer(&["tab_id"])?,
        url: text(part, "url")?,
        title: text(part, "title")?,
        window_id: part.integer(&["window_id"])?,
        active: part.boolean(&["active"])?,
        status: text(part, "status")?,
        discarded: part.boolean(&["discarded"])?,
        hidden: part.boolean(&["hidden"])?,
        healthy: part.boolean(&["healthy"])?,
        issue: text(part, "issue")?,
        last_seen_at: part.integer(&["last_seen_at"])?,
        last_ready_at: part.integer(&["last_ready_at"])?,
        candidate_tab_id: part.integer(&["candidate_tab_id"])?,
        candidate_url: text(part, "candidate_url")?,
    })
}

fn drift(part: &JsonObject<'_>) -> Result<TabDrift, FieldError> {
    Ok(TabDrift {
        aligned: part.boolean(&["aligned"])?.unwrap_or(true),
        needs_restore: part.boolean(&["needs_restore"])?.unwrap_or(false),
        unexpected_actual: part.boolean(&["unexpected_actual"])?.unwrap_or(false),
        reason: text(part, "reason")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Vec<ShellRuntime>, FieldError> {
        read(&JsonObject::parse(json).unwrap())
    }

    #[test]
    fn one_object_or_an_array_is_accepted_and_missing_parts_have_their_defaults() {
        let one = of(r#"{"shell_runtime":{"platform":"claude"}}"#).unwrap();
        let many = of(r#"{"shellRuntime":[{"platform":"claude"}]}"#).unwrap();
        assert_eq!(one, many);
        assert!(!one[0].desired.exists && !one[0].actual.exists);
        assert!(one[0].drift.aligned && !one[0].drift.needs_restore && !one[0].drift.unexpected_actual);
        assert!(of("{}").unwrap().is_empty());
    }

    #[test]
    fn a_bad_entry_is_refused_by_name() {
        let fault = of(r#"{"shell_runtime":{"platform":"claude","actual":{"tab_id":"x"}}}"#).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "field \"shell_runtime\" holds an entry whose field \"tab_id\" must be an integer"
        );
        assert!(of(r#"{"shell_runtime":[{}]}"#).is_err());
        assert!(of(r#"{"shell_runtime":[1]}"#).is_err());
    }
}
