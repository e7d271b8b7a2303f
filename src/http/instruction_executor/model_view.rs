//! The part of `GET /v1/browser` that a model may see: the platform and client of its own message only, without
//! personal data. Pure.
//!
//! A model's text may be an attacker's, and the result may go back into the conversation. So fields are allowed by
//! name: one that is added to the view later stays hidden until it is added here.

use crate::{records::RecordFilter, store::batches::BatchMessage};
use serde_json::{Map, Value};

const CLIENT_FIELDS: &[&str] = &["client_id", "connected_at", "last_message_at", "extension_version", "in_flight"];
const LOGIN_FIELDS: &[&str] = &["platform", "freshness", "captured_at", "last_seen_at"];
const HOOKS_FIELDS: &[&str] = &["platform", "endpoint_count", "last_verified_at", "prompt_template"];
const DESIRED_FIELDS: &[&str] = &["exists"];
const ACTUAL_FIELDS: &[&str] =
    &["exists", "active", "status", "discarded", "hidden", "healthy", "last_seen_at", "last_ready_at"];
const DRIFT_FIELDS: &[&str] = &["aligned", "needs_restore", "unexpected_actual"];
const PLATFORM_FIELDS: &[&str] =
    &["platform", "title", "shell_url", "supported_modes", "ready", "extractor_drift", "answer_drift"];
const RECORD_FIELDS: &[&str] = &["platform", "client_id", "status", "view", "is_active_client"];
const PERSISTED_FIELDS: &[&str] = &["captured_at", "last_seen_at", "updated_at"];
const SUMMARY_FIELDS: &[&str] =
    &["active_records", "matched_records", "persisted_only_records", "runtime_counts", "status_counts"];
const TARGET_FIELDS: &[&str] = &[
    "client_id",
    "platform",
    "circuit_state",
    "in_flight",
    "waiting",
    "consecutive_failures",
    "backoff_until",
    "circuit_retry_at",
    "last_failure_at",
    "last_success_at",
];

/// Narrows a filter to the message's own platform and client. A filter by account is removed, as it would reveal
/// whether the account exists.
pub(super) fn narrow_filter(filter: RecordFilter, message: &BatchMessage) -> RecordFilter {
    let client_id = message.client_id.clone().or(filter.client_id);
    RecordFilter { platform: Some(message.platform.clone()), client_id, account: None, host: None, ..filter }
}

/// Reduces the view to what the model may see.
pub(super) fn redact(state: &Value, message: &BatchMessage) -> Value {
    let scope = MessageScope { platform: &message.platform, client: message.client_id.as_deref() };
    let clients = scope.clients(&state["bridge"]["clients"]);
    let mut bridge = Map::new();
    bridge.insert("client_count".into(), clients.len().into());
    bridge.insert("status".into(), if clients.is_empty() { "disconnected" } else { "connected" }.into());
    bridge.insert("clients".into(), clients.into());
    let mut policy = Map::new();
    policy.insert("defaults".into(), state["policy"]["defaults"].clone());
    policy.insert("platforms".into(), scope.of_platform(&state["policy"]["platforms"]).cloned().collect());
    let targets = scope.of_platform(&state["policy"]["targets"]).filter(|target| scope.is_client(target));
    policy.insert("targets".into(), targets.map(|target| select_fields(target, TARGET_FIELDS)).collect());
    let mut view = Map::new();
    view.insert("bridge".into(), bridge.into());
    view.insert(
        "platforms".into(),
        scope.of_platform(&state["platforms"]).map(|one| select_fields(one, PLATFORM_FIELDS)).collect(),
    );
    view.insert("policy".into(), policy.into());
    view.insert("records".into(), scope.records(&state["records"]));
    view.insert("filters".into(), state["filters"].clone());
    view.insert("summary".into(), select_fields(&state["summary"], SUMMARY_FIELDS));
    view.into()
}

/// The platform and client of a message.
struct MessageScope<'a> {
    platform: &'a str,
    /// `None` if the message was submitted by an operator.
    client: Option<&'a str>,
}

impl MessageScope<'_> {
    fn is_client(&self, value: &Value) -> bool {
        self.client.is_none_or(|client| value["client_id"] == client)
    }

    fn of_platform<'v>(&self, list: &'v Value) -> impl Iterator<Item = &'v Value> {
        list.as_array().into_iter().flatten().filter(move |value| value["platform"] == self.platform)
    }

    fn clients(&self, list: &Value) -> Vec<Value> {
        let scope = list.as_array().into_iter().flatten().filter(|client| self.is_client(client));
        scope
            .map(|client| {
                let mut view = select_fields(client, CLIENT_FIELDS);
                for (part, names) in [("credentials", LOGIN_FIELDS), ("request_hooks", HOOKS_FIELDS)] {
                    view[part] = self.of_platform(&client[part]).map(|one| select_fields(one, names)).collect();
                }
                view["shell_runtime"] = self.of_platform(&client["shell_runtime"]).map(tab_view).collect();
                view
            })
            .collect()
    }

    fn records(&self, list: &Value) -> Value {
        let scope = self.of_platform(list).filter(|record| self.is_client(record));
        scope
            .map(|record| {
                let mut view = select_fields(record, RECORD_FIELDS);
                view["persisted"] = select_fields(&record["persisted"], PERSISTED_FIELDS);
                view
            })
            .collect()
    }
}

fn tab_view(tab: &Value) -> Value {
    let mut view = select_fields(tab, &["platform"]);
    for (part, names) in [("desired", DESIRED_FIELDS), ("actual", ACTUAL_FIELDS), ("drift", DRIFT_FIELDS)] {
        view[part] = select_fields(&tab[part], names);
    }
    view
}

/// Returns an object with only these fields, as far as they exist; `null` if `value` is no object.
fn select_fields(value: &Value, names: &[&str]) -> Value {
    let Some(object) = value.as_object() else { return Value::Null };
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), object.get(*name)?.clone())));
    Value::Object(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(client_id: Option<&str>) -> BatchMessage {
        BatchMessage { platform: "claude".into(), client_id: client_id.map(str::to_owned), ..BatchMessage::default() }
    }

    #[test]
    fn a_filter_is_narrowed_to_the_message() {
        let asked = RecordFilter {
            platform: Some("chatgpt".into()),
            client_id: Some("other".into()),
            account: Some("me@example".into()),
            limit: 7,
            ..RecordFilter::default()
        };
        let scope = RecordFilter {
            platform: Some("claude".into()),
            client_id: Some("ff".into()),
            limit: 7,
            ..RecordFilter::default()
        };
        assert_eq!(narrow_filter(asked.clone(), &message(Some("ff"))), scope);
        assert_eq!(narrow_filter(asked, &message(None)).client_id.as_deref(), Some("other"));
    }

    #[test]
    fn a_field_that_is_not_listed_is_hidden() {
        let login = json!({"platform": "claude", "freshness": "fresh", "account": "secret", "new_field": "secret"});
        let tab = json!({"platform": "claude", "actual": {"exists": true, "title": "secret", "url": "secret"}, "new": "secret"});
        let client = json!({"client_id": "ff", "credentials": [login], "shell_runtime": [tab], "new": "secret",
            "final_messages": [{"raw_text": "secret"}], "last_action_result": {"url": "secret"}});
        let other = json!({"client_id": "secret", "credentials": []});
        let record = json!({"platform": "claude", "client_id": "ff", "account": "secret", "host": "secret", "status": "fresh",
            "live": {"credentials": "secret"}, "persisted": {"updated_at": 1, "endpoints": ["secret"]}});
        let state = json!({"bridge": {"clients": [client, other], "ws_url": "secret"}, "records": [record],
            "platforms": [{"platform": "claude", "client_ids": ["secret"]}, {"platform": "chatgpt", "title": "secret"}],
            "policy": {"targets": [{"platform": "claude", "client_id": "ff", "last_error": "secret"}]}, "filters": {},
            "current_client": {"client_id": "secret"}, "claude": {"x": "secret"}, "summary": {"persisted_error": "secret"}});
        let view = redact(&state, &message(Some("ff")));
        assert!(!view.to_string().contains("secret"), "{view:#}");
        assert_eq!(view["bridge"]["clients"][0]["credentials"][0]["freshness"], "fresh");
        assert_eq!(view["bridge"]["clients"][0]["shell_runtime"][0]["actual"], json!({"exists": true}));
        assert_eq!(
            (&view["records"][0]["status"], &view["platforms"][0]["platform"]),
            (&json!("fresh"), &json!("claude"))
        );
    }
}
