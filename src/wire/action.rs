//! Results of tab and plugin actions, and action requests of the extension.

use super::{
    json_object::{FieldError, JsonObject, read_entry},
    session::NAME_BYTES_MAX,
    shell_runtime::{self, ENTRIES_MAX, ShellRuntime},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most bytes of a reason that are kept.
const REASON_BYTES_MAX: usize = 2 << 10;

/// `action_request`: the extension requests a change of the daemon's mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// `pause`, `resume` or `drain`.
    pub action: String,
    /// Id of the request, chosen by the extension.
    pub request_id: Option<String>,
}

impl ActionRequest {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        let action = message.required_text(&["action"])?.into_owned();
        if !matches!(&*action, "pause" | "resume" | "drain") {
            return Err(FieldError::new("action", "must be pause, resume or drain"));
        }
        Ok(ActionRequest { action, request_id: message.short_text(&["request_id"], NAME_BYTES_MAX)? })
    }
}

/// `action_result`: the result of an action; missing counts are derived from the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionResult {
    /// Id of the action, chosen by the daemon.
    pub request_id: Option<String>,
    /// Name of the action.
    pub action: Option<String>,
    /// Message type that requested the action.
    pub command_type: Option<String>,
    /// Whether the extension accepted the action.
    pub accepted: bool,
    /// Whether the action is complete.
    pub completed: bool,
    /// Whether the action failed.
    pub failed: bool,
    /// Reason of the failure.
    pub reason: Option<String>,
    /// Target of the action.
    pub target: ActionTarget,
    /// Counts over all platforms.
    pub result: ActionCounts,
    /// Results by platform.
    pub results: Vec<PlatformResult>,
    /// Shell tabs after the action.
    pub shell_runtime: Vec<ShellRuntime>,
}

/// Target of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionTarget {
    /// Platform on which it was performed.
    pub platform: Option<String>,
    /// Requested client.
    pub requested_client_id: Option<String>,
    /// Requested platform.
    pub requested_platform: Option<String>,
}

/// Result of an action on one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlatformResult {
    /// Whether it succeeded.
    pub ok: bool,
    /// Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Whether a tab was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<bool>,
    /// Why the platform was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Id of the tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tab_id: Option<i64>,
    /// Shell tab after the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell_runtime: Option<ShellRuntime>,
}

/// Counts over all platforms of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionCounts {
    /// Existing tabs.
    pub actual_count: u64,
    /// Desired tabs.
    pub desired_count: u64,
    /// Tabs that differ from the desired state.
    pub drift_count: u64,
    /// Failed platforms.
    pub failed_count: u64,
    /// Successful platforms.
    pub ok_count: u64,
    /// All platforms.
    pub platform_count: u64,
    /// Restored tabs.
    pub restored_count: u64,
    /// Why platforms were skipped.
    pub skipped_reasons: Vec<String>,
}

impl ActionResult {
    pub(super) fn read(message: &JsonObject<'_>) -> Result<Self, FieldError> {
        let name = |names: &[&'static str]| message.short_text(names, NAME_BYTES_MAX);
        let results = results(message)?;
        let mut shell_runtime = shell_runtime::read(message)?;
        let given = message.object(&["result"])?.unwrap_or_default();
        shell_runtime.extend(shell_runtime::read(&given)?);
        shell_runtime.extend(results.iter().filter_map(|r| r.shell_runtime.clone()));
        // A platform's first report, which is the message's own, takes precedence.
        let mut seen = std::collections::HashSet::new();
        shell_runtime.retain(|entry| seen.insert(entry.platform.clone()));
        let any_failed = results.iter().any(|r| !r.ok);
        Ok(ActionResult {
            request_id: name(&["request_id", "id"])?,
            action: name(&["action"])?,
            command_type: name(&["command_type"])?,
            accepted: message.boolean(&["accepted"])?.unwrap_or(true),
            completed: message.boolean(&["completed"])?.unwrap_or(true),
            failed: message.boolean(&["failed"])?.unwrap_or(any_failed),
            reason: message.words(&["reason", "message", "error"], REASON_BYTES_MAX)?,
            target: target(&message.object(&["target"])?.unwrap_or_default())?,
            result: counts(&given, &results, &shell_runtime)?,
            results,
            shell_runtime,
        })
    }
}

fn target(part: &JsonObject<'_>) -> Result<ActionTarget, FieldError> {
    let name = |name: &'static str| part.short_text(&[name], NAME_BYTES_MAX);
    Ok(ActionTarget {
        platform: name("platform")?,
        requested_client_id: name("requested_client_id")?,
        requested_platform: name("requested_platform")?,
    })
}

fn results(message: &JsonObject<'_>) -> Result<Vec<PlatformResult>, FieldError> {
    let list = message.array(&["results"], ENTRIES_MAX)?.unwrap_or_default();
    list.into_iter().map(|raw| read_entry("results", raw, one_result)).collect()
}

fn one_result(entry: &JsonObject<'_>) -> Result<PlatformResult, FieldError> {
    let skipped = match entry.get(&["skipped"]) {
        // `skipped` is the reason; a bare `true` gives none.
        Some(raw) if matches!(raw.get(), "true" | "false") => (raw.get() == "true").then(|| "skipped".to_owned()),
        _ => entry.words(&["skipped"], REASON_BYTES_MAX)?,
    };
    Ok(PlatformResult {
        ok: entry.boolean(&["ok"])?.unwrap_or(true),
        platform: entry.short_text(&["platform"], NAME_BYTES_MAX)?,
        restored: entry.boolean(&["restored"])?,
        skipped,
        tab_id: entry.integer(&["tab_id"])?,
        shell_runtime: shell_runtime::read(entry)?.into_iter().next(),
    })
}

/// Returns each count as given, else derived from the entries.
fn counts(
    given: &JsonObject<'_>,
    results: &[PlatformResult],
    tabs: &[ShellRuntime],
) -> Result<ActionCounts, FieldError> {
    let count = |name: &'static str, computed: usize| {
        Ok::<_, FieldError>(given.count(&[name])?.unwrap_or(u64::try_from(computed).unwrap_or(u64::MAX)))
    };
    let mut skipped_reasons = given.texts(&["skipped_reasons"], ENTRIES_MAX)?.unwrap_or_default();
    for reason in &mut skipped_reasons {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    }
    for reason in results.iter().filter_map(|r| r.skipped.as_ref()) {
        if !skipped_reasons.contains(reason) {
            skipped_reasons.push(reason.clone());
        }
    }
    let platforms = if results.is_empty() { tabs.len() } else { results.len() };
    Ok(ActionCounts {
        actual_count: count("actual_count", tabs.iter().filter(|t| t.actual.exists).count())?,
        desired_count: count("desired_count", tabs.iter().filter(|t| t.desired.exists).count())?,
        drift_count: count("drift_count", tabs.iter().filter(|t| !t.drift.aligned).count())?,
        failed_count: count("failed_count", results.iter().filter(|r| !r.ok).count())?,
        ok_count: count("ok_count", results.iter().filter(|r| r.ok).count())?,
        platform_count: count("platform_count", platforms)?,
        restored_count: count("restored_count", results.iter().filter(|r| r.restored == Some(true)).count())?,
        skipped_reasons,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ActionResult {
        ActionResult::read(&JsonObject::parse(json).unwrap()).unwrap()
    }

    #[test]
    fn counts_are_taken_when_given_and_computed_otherwise() {
        let result = read(
            r#"{"action":"tab_restore","result":{"ok_count":7},"results":[
                {"ok":true,"platform":"claude","restored":true,"shell_runtime":{"platform":"claude",
                  "desired":{"exists":true},"actual":{"exists":true}}},
                {"ok":false,"platform":"gemini","skipped":"no permission","shell_runtime":{"platform":"gemini",
                  "desired":{"exists":true},"drift":{"aligned":false}}}]}"#,
        );
        let c = &result.result;
        assert_eq!((c.ok_count, c.failed_count, c.platform_count, c.restored_count), (7, 1, 2, 1));
        assert_eq!((c.desired_count, c.actual_count, c.drift_count), (2, 1, 1));
        assert_eq!(c.skipped_reasons, ["no permission"]);
        assert!(result.failed && result.accepted && result.completed);
        assert_eq!(result.shell_runtime.len(), 2);
    }

    #[test]
    fn a_tab_reported_in_several_places_is_shown_once() {
        let result = read(
            r#"{"shell_runtime":{"platform":"claude","actual":{"exists":true}},
                "result":{"shell_runtime":[{"platform":"claude"}]},"error":"why","failed":true}"#,
        );
        assert_eq!(result.shell_runtime.len(), 1);
        assert!(result.shell_runtime[0].actual.exists);
        assert_eq!(result.reason.as_deref(), Some("why"));
    }

    #[test]
    fn only_the_three_modes_may_be_asked_for() {
        let read = |json| ActionRequest::read(&JsonObject::parse(json).unwrap());
        assert!(read(r#"{"action":"pause","requestId":"r"}"#).unwrap().request_id.is_some());
        assert!(read(r#"{"action":"reboot"}"#).is_err());
    }
}
