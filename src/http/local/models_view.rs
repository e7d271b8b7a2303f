//! What of `GET /v1/browser` a model is told: of the platform and client of its own message alone, and nothing in which a
//! person's data stands. Pure.
//!
//! A model's words may be an attacker's, and what it is told may go back into the conversation. So fields are let through
//! by name: one that is added to the view later is not told until it is added here.

use crate::{records::RecordFilter, store::batches::BatchMessage};
use serde_json::{Map, Value};

const CLIENT: &[&str] = &["client_id", "connected_at", "last_message_at", "extension_version", "in_flight"];
const LOGIN: &[&str] = &["platform", "freshness", "captured_at", "last_seen_at"];
const HOOKS: &[&str] = &["platform", "endpoint_count", "last_verified_at", "prompt_template"];
const DESIRED: &[&str] = &["exists"];
const ACTUAL: &[&str] =
    &["exists", "active", "status", "discarded", "hidden", "healthy", "last_seen_at", "last_ready_at"];
const DRIFT: &[&str] = &["aligned", "needs_restore", "unexpected_actual"];
const PLATFORM: &[&str] =
    &["platform", "title", "shell_url", "supported_modes", "ready", "extractor_drift", "answer_drift"];
const RECORD: &[&str] = &["platform", "client_id", "status", "view", "is_active_client"];
const PERSISTED: &[&str] = &["captured_at", "last_seen_at", "updated_at"];
const SUMMARY: &[&str] =
    &["active_records", "matched_records", "persisted_only_records", "runtime_counts", "status_counts"];
const TARGET: &[&str] = &[
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

/// The filter of what is asked, narrowed to the message's own platform and client. Asking for an account would tell
/// whether there is one.
pub(super) fn narrowed(filter: RecordFilter, message: &BatchMessage) -> RecordFilter {
    let client_id = message.client_id.clone().or(filter.client_id);
    RecordFilter { platform: Some(message.platform.clone()), client_id, account: None, host: None, ..filter }
}

/// What is told of the view.
pub(super) fn told(state: &Value, message: &BatchMessage) -> Value {
    let own = Own { platform: &message.platform, client: message.client_id.as_deref() };
    let clients = own.clients(&state["bridge"]["clients"]);
    let mut bridge = Map::new();
    bridge.insert("client_count".into(), clients.len().into());
    bridge.insert("status".into(), if clients.is_empty() { "disconnected" } else { "connected" }.into());
    bridge.insert("clients".into(), clients.into());
    let mut policy = Map::new();
    policy.insert("defaults".into(), state["policy"]["defaults"].clone());
    policy.insert("platforms".into(), own.of_platform(&state["policy"]["platforms"]).cloned().collect());
    let targets = own.of_platform(&state["policy"]["targets"]).filter(|target| own.is_client(target));
    policy.insert("targets".into(), targets.map(|target| only(target, TARGET)).collect());
    let mut told = Map::new();
    told.insert("bridge".into(), bridge.into());
    told.insert("platforms".into(), own.of_platform(&state["platforms"]).map(|one| only(one, PLATFORM)).collect());
    told.insert("policy".into(), policy.into());
    told.insert("records".into(), own.records(&state["records"]));
    told.insert("filters".into(), state["filters"].clone());
    told.insert("summary".into(), only(&state["summary"], SUMMARY));
    told.into()
}

/// What a message is about.
struct Own<'a> {
    platform: &'a str,
    /// Nothing where no client observed it.
    client: Option<&'a str>,
}

impl Own<'_> {
    fn is_client(&self, value: &Value) -> bool {
        self.client.is_none_or(|client| value["client_id"] == client)
    }

    fn of_platform<'v>(&self, list: &'v Value) -> impl Iterator<Item = &'v Value> {
        list.as_array().into_iter().flatten().filter(move |value| value["platform"] == self.platform)
    }

    fn clients(&self, list: &Value) -> Vec<Value> {
        let own = list.as_array().into_iter().flatten().filter(|client| self.is_client(client));
        own.map(|client| {
            let mut told = only(client, CLIENT);
            for (part, names) in [("credentials", LOGIN), ("request_hooks", HOOKS)] {
                told[part] = self.of_platform(&client[part]).map(|one| only(one, names)).collect();
            }
            told["shell_runtime"] = self.of_platform(&client["shell_runtime"]).map(tab).collect();
            told
        })
        .collect()
    }

    fn records(&self, list: &Value) -> Value {
        let own = self.of_platform(list).filter(|record| self.is_client(record));
        own.map(|record| {
            let mut told = only(record, RECORD);
            told["persisted"] = only(&record["persisted"], PERSISTED);
            told
        })
        .collect()
    }
}

fn tab(tab: &Value) -> Value {
    let mut told = only(tab, &["platform"]);
    for (part, names) in [("desired", DESIRED), ("actual", ACTUAL), ("drift", DRIFT)] {
        told[part] = only(&tab[part], names);
    }
    told
}

/// An object with these fields alone, as far as it has them; `null` for what is none.
fn only(value: &Value, names: &[&str]) -> Value {
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
        let own = RecordFilter {
            platform: Some("claude".into()),
            client_id: Some("ff".into()),
            limit: 7,
            ..RecordFilter::default()
        };
        assert_eq!(narrowed(asked.clone(), &message(Some("ff"))), own);
        assert_eq!(narrowed(asked, &message(None)).client_id.as_deref(), Some("other"));
    }

    #[test]
    fn a_field_that_is_not_known_here_is_not_told() {
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
        let told = told(&state, &message(Some("ff")));
        assert!(!told.to_string().contains("secret"), "{told:#}");
        assert_eq!(told["bridge"]["clients"][0]["credentials"][0]["freshness"], "fresh");
        assert_eq!(told["bridge"]["clients"][0]["shell_runtime"][0]["actual"], json!({"exists": true}));
        assert_eq!(
            (&told["records"][0]["status"], &told["platforms"][0]["platform"]),
            (&json!("fresh"), &json!("claude"))
        );
    }
}
