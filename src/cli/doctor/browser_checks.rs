//! The checks of Firefox, its extension and its pairing, from the daemon's responses. Pure.

use super::finding::Finding;
use crate::{
    api::browser::{BrowserState, ClientView},
    bridge::settings::PairingMode,
    clock::WallMs,
    platforms::registry::PlatformRegistry,
};
use serde::Deserialize;

/// The checked fields of `GET /v1/browser/pairings`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PairingList {
    pairings: Vec<PairingEntry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PairingEntry {
    client_id: String,
    status: String,
}

/// Reports the connected clients, and whether their extension has the daemon's version.
pub(super) fn check_firefox(browser: &BrowserState<'_>, now: WallMs) -> Vec<Finding> {
    if browser.bridge.clients.is_empty() {
        return vec![
            Finding::warning("firefox", "no Firefox is connected").advise(
                "start Firefox and load the extension; `baa-conductor extension DIR` writes it and explains how",
            ),
        ];
    }
    let clients = browser.bridge.clients.iter().flat_map(|client| {
        let ago = format!(", last message {} s ago", (now - client.last_message_at).max(0) / 1_000);
        let active =
            if browser.bridge.active_client_id.as_ref() == Some(&client.client_id) { ", the active one" } else { "" };
        let connected = format!("{} is connected{active}{ago}", client.client_id);
        [Finding::ok("firefox", connected), check_extension(client)]
    });
    clients.collect()
}

fn check_extension(client: &ClientView) -> Finding {
    let (name, id) = ("extension", &client.client_id);
    match client.extension_version.as_deref() {
        Some(version) if version == crate::VERSION => {
            Finding::ok(name, format!("{id} has version {version}, like the daemon"))
        }
        Some(version) => {
            Finding::warning(name, format!("{id} has version {version}, the daemon has version {}", crate::VERSION))
                .advise("write the matching one with `baa-conductor extension DIR` and load it again")
        }
        None => Finding::ok(name, format!("{id} does not report its version")),
    }
}

/// Reports whether pairing is required, and which clients wait for it.
pub(super) fn check_pairing(setting: PairingMode, list: Option<&PairingList>, browser: &BrowserState<'_>) -> Finding {
    let name = "pairing";
    let entries = list.map(|list| list.pairings.as_slice()).unwrap_or_default();
    let waiting: Vec<_> =
        entries.iter().filter(|entry| entry.status == "waiting").map(|entry| entry.client_id.as_str()).collect();
    let paired = entries.iter().filter(|entry| entry.status == "paired").count();
    if !waiting.is_empty() {
        return Finding::warning(name, format!("waiting for pairing: {}", waiting.join(", ")))
            .advise("enter the six digits on the extension's page: `baa-conductor pair CODE`");
    }
    match setting {
        PairingMode::Off if browser.bridge.clients.is_empty() => {
            Finding::warning(name, "bridge.pairing is off, which the extension accepts only after its user has confirmed it")
                .advise("press Confirm on the extension's page, or set bridge.pairing to \"required\"")
        }
        PairingMode::Off => {
            Finding::warning(name, "bridge.pairing is off: any program on this machine can pose as a Firefox")
                .advise("set bridge.pairing to \"required\"")
        }
        PairingMode::Required if paired > 0 && browser.bridge.clients.is_empty() => {
            Finding::ok(name, format!("required; paired: {paired}, none connected"))
                .advise("check the extension's page; after an update of the daemon, write the extension again with `baa-conductor extension DIR` and reload it")
        }
        PairingMode::Required if paired > 0 || !browser.bridge.clients.is_empty() => {
            Finding::ok(name, format!("required; paired: {paired}"))
        }
        PairingMode::Required => Finding::warning(name, "required, and no Firefox is paired or waiting")
            .advise("load the extension and enter the six digits on its page: `baa-conductor pair CODE`"),
    }
}

/// Returns a finding if the named platform is not configured.
pub(super) fn check_platform_name(registry: &PlatformRegistry, named: Option<&str>) -> Option<Finding> {
    let named = named.filter(|named| registry.get(named).is_none())?;
    let known: Vec<_> = registry.all().iter().map(|platform| platform.name.as_str()).collect();
    Some(unknown_platform(named, &known))
}

pub(super) fn unknown_platform(named: &str, known: &[&str]) -> Finding {
    Finding::failure("platform", format!("{named:?} is unknown; the known platforms are {}", known.join(", ")))
        .advise("to add a platform, add a section [platforms.NAME] to the configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{doctor::finding::FindingVerdict, testing::whole};
    use serde_json::{Value, from_value, json};

    fn browser(clients: Value) -> BrowserState<'static> {
        whole("browser", json!({"bridge": {"clients": clients, "active_client_id": "ff"}}))
    }

    #[test]
    fn without_a_firefox_the_advice_names_the_extension_command() {
        let findings = check_firefox(&browser(json!([])), 0);
        assert!(findings.len() == 1 && findings[0].verdict == FindingVerdict::Warning, "{findings:?}");
        assert!(findings[0].to_line().contains("baa-conductor extension DIR"), "{findings:?}");
    }

    #[test]
    fn an_extension_of_another_version_is_a_warning() {
        for (version, verdict) in [
            (json!(crate::VERSION), FindingVerdict::Ok),
            (json!("0.0.1"), FindingVerdict::Warning),
            (Value::Null, FindingVerdict::Ok),
        ] {
            let client = json!([{"client_id": "ff", "extension_version": version, "last_message_at": 4_000}]);
            let findings = check_firefox(&browser(client), 9_500);
            assert_eq!(findings[0].message, "ff is connected, the active one, last message 5 s ago");
            assert_eq!(findings[1].verdict, verdict, "{findings:?}");
        }
    }

    #[test]
    fn clients_that_wait_for_pairing_are_reported_first() {
        let entry = |status: &str| json!({"client_id": "ff", "status": status});
        let list = |entries: Value| -> PairingList { from_value(json!({ "pairings": entries })).unwrap() };
        let (none, one) = (browser(json!([])), browser(json!([{"client_id": "ff"}])));
        for (setting, entries, browser, verdict, text) in [
            (
                PairingMode::Required,
                Some(list(json!([entry("waiting")]))),
                &none,
                FindingVerdict::Warning,
                "waiting for pairing: ff",
            ),
            (PairingMode::Required, Some(list(json!([entry("paired")]))), &one, FindingVerdict::Ok, "paired: 1"),
            (PairingMode::Required, Some(list(json!([]))), &none, FindingVerdict::Warning, "no Firefox is paired"),
            (PairingMode::Required, None, &none, FindingVerdict::Warning, "no Firefox is paired"),
            (PairingMode::Required, Some(list(json!([entry("paired")]))), &none, FindingVerdict::Ok, "none connected"),
            (PairingMode::Off, None, &one, FindingVerdict::Warning, "bridge.pairing is off: any program"),
            (PairingMode::Off, None, &none, FindingVerdict::Warning, "after its user has confirmed it"),
        ] {
            let finding = check_pairing(setting, entries.as_ref(), browser);
            assert!(finding.verdict == verdict && finding.message.contains(text), "{finding:?}");
        }
    }

    #[test]
    fn an_unknown_platform_is_a_failure_that_lists_the_known_ones() {
        let registry = PlatformRegistry::new(&crate::config::Config::default().platforms);
        assert_eq!(check_platform_name(&registry, Some("claude")), None);
        assert_eq!(check_platform_name(&registry, None), None);
        let finding = check_platform_name(&registry, Some("clod")).unwrap();
        assert!(finding.verdict == FindingVerdict::Failure && finding.message.contains("chatgpt"), "{finding:?}");
    }
}
