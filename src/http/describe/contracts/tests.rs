//! Contracts say what the readers of bodies do.

use super::*;
use crate::{
    api::{
        actions::ActionRequest,
        browser_request::{BrowserRequest, CancelRequest},
        fields::{RequestFields, camel_case},
        instructions::{InstructionDecisionRequest, InstructionMessageRequest},
        pairings::PairingDecisionRequest,
        policy::PolicyResetRequest,
    },
    bridge::BridgeSettings,
    config::Config,
    http::{
        body, describe::tests::Daemon, error::ApiError, fields, instructions, pairings, routes::ROUTES,
        settings::LocalTrust,
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

/// Fields whose reader takes any JSON, or is not the one that is asked here.
const NOT_ASKED: [&str; 3] = ["request_body", "organization_id", "conversation_id"];

/// Every spelling of a field's names.
fn spellings(names: &[&'static str]) -> BTreeSet<String> {
    names.iter().flat_map(|name| [(*name).to_owned(), camel_case(name)]).collect()
}

fn with_context<T>(bridge: BridgeSettings, work: impl FnOnce(&Context<'_>) -> T) -> T {
    let daemon = Daemon::new(Config { bridge, ..Config::default() });
    work(&daemon.context(ROUTES, LocalTrust::SameUser))
}

/// The field that a body is refused for.
fn refused_for(read: impl Fn(&str) -> Option<ApiError>, body: &Value) -> Option<String> {
    Some(read(&body.to_string())?.details()["field"].as_str().unwrap().to_owned())
}

#[test]
fn every_spelling_of_every_field_is_read() {
    let registry = with_context(BridgeSettings::default(), |context| context.registry.clone());
    let request = |body: &str| fields::request(&body.to_owned().into(), None, None, &registry).err();
    let cancel = |body: &str| fields::cancel(body).err();
    let action = |body: &str| fields::action(body, None, &registry, Duration::from_secs(1)).err();
    let reset = |body: &str| fields::reset(body, &registry).err();
    let message = |text: &str| instructions::submission(&body::parse_object(text).unwrap()).err();
    let decision = |text: &str| instructions::decision(&body::parse_object(text).unwrap()).err();
    let pairing = |text: &str| pairings::decision(text).err();
    let whole = json!({"platform": "x", "conversation_id": "c", "assistant_message_id": "m", "text": "t"});
    type Reader<'a> = &'a dyn Fn(&str) -> Option<ApiError>;
    let readers: [(&[&[&str]], Value, Reader<'_>); 7] = [
        (BrowserRequest::FIELDS, json!({"platform": "claude", "path": "/x"}), &request),
        (CancelRequest::FIELDS, json!({"platform": "claude", "request_id": "r"}), &cancel),
        (ActionRequest::FIELDS, json!({"platform": "claude", "action": "ws_reconnect"}), &action),
        (PolicyResetRequest::FIELDS, json!({}), &reset),
        (InstructionMessageRequest::FIELDS, whole, &message),
        (InstructionDecisionRequest::FIELDS, json!({}), &decision),
        (PairingDecisionRequest::FIELDS, json!({"decision": "approve", "code": "1"}), &pairing),
    ];
    let mut asked = 0;
    for (names, good, read) in readers {
        for names in names.iter().filter(|names| !NOT_ASKED.contains(&names[0])) {
            for spelling in spellings(names) {
                let mut body = good.clone();
                body.as_object_mut().unwrap().remove(names[0]);
                body[&spelling] = json!([]);
                assert_eq!(refused_for(read, &body).as_deref(), Some(names[0]), "{spelling}");
                asked += 1;
            }
        }
    }
    for spelling in spellings(BrowserRequest::request_body()) {
        let body = json!({"platform": "claude", "path": "/x", &spelling: {"a": 1}}).to_string();
        let read = fields::request(&body.into(), None, None, &registry).unwrap();
        assert!(read.call.body.is_some(), "{spelling}");
    }
    assert!(asked > 30, "{asked}");
}

/// A reader that asks for a name of its own would read a field that no description has.
#[test]
fn the_readers_of_bodies_ask_for_no_names_of_their_own() {
    for (file, source) in [
        ("fields.rs", include_str!("../../fields.rs")),
        ("fields/action.rs", include_str!("../../fields/action.rs")),
        ("fields/headers.rs", include_str!("../../fields/headers.rs")),
        ("fields/prompt.rs", include_str!("../../fields/prompt.rs")),
        ("instructions.rs", include_str!("../../instructions.rs")),
        ("pairings.rs", include_str!("../../pairings.rs")),
        ("session.rs", include_str!("../../session.rs")),
        ("system.rs", include_str!("../../system.rs")),
    ] {
        let code = source.split("#[cfg(test)]").next().unwrap();
        assert!(!code.contains("(&[\""), "{file}");
    }
}

#[test]
fn limits_and_defaults_are_those_in_force() {
    let bridge = BridgeSettings {
        request_timeout_ms: 4_321,
        action_timeout_ms: 5_432,
        cancel_grace_ms: 6_543,
        ..BridgeSettings::default()
    };
    let all = with_context(bridge, |context| {
        serde_json::to_value([super::request(context), super::cancel(context), super::action(context)]).unwrap()
    });
    let says = |contract: usize, part: &str, field: &str, what: &str| {
        let sentence = all[contract][part][field].as_str().unwrap();
        assert!(sentence.contains(what), "{field}: {sentence}");
    };
    says(0, "request_body", "timeout_ms", "Default 4321 ");
    says(0, "request_body", "timeout_ms", &format!("1 to {},", fields::TIMEOUT_MS_MAX));
    says(0, "request_body", "request_id", &format!("1 to {} ", crate::ids::NAME_CHARS_MAX));
    says(0, "request_body", "request_id", "Also: requestId, id.");
    says(0, "request_body", "request_body", "Also: requestBody, body, payload.");
    assert!(!all[0]["response_body"].to_string().contains("Also:"), "answers have one spelling");
    says(1, "response_body", "status", "after 6543 ms");
    says(2, "request_body", "timeout_ms", "Default 5432.");
}

#[test]
fn a_contract_names_each_code_once_and_ends_its_sentences() {
    let all = with_context(BridgeSettings::default(), |context| {
        serde_json::to_value([super::request(context), super::cancel(context), super::action(context)]).unwrap()
    });
    for contract in all.as_array().unwrap() {
        let cases = contract["error_semantics"].as_array().unwrap();
        let mut seen = HashSet::new();
        assert!(cases.iter().all(|case| seen.insert(&case["code"])), "{cases:?}");
        let bodies = ["request_body", "response_body"].into_iter().flat_map(|part| contract[part].as_object().unwrap());
        let sentences = bodies.map(|(_, text)| text).chain(cases.iter().map(|case| &case["when"]));
        for sentence in sentences {
            assert!(sentence.as_str().unwrap().ends_with('.'), "{sentence}");
        }
    }
}

#[test]
fn camel_case_is_what_the_readers_take() {
    for (name, camel) in [("request_id", "requestId"), ("id", "id"), ("a_b_c", "aBC")] {
        assert_eq!(camel_case(name), camel);
    }
}
