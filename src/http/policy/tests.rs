//! The text of each rule, and the precedence of refusals.

use super::*;
use crate::clock::WallMs;
use serde_json::{Value, json, to_value};

fn reason(rule: PolicyRule, delay_ms: Option<u64>, until: Option<WallMs>, position: Option<usize>) -> WaitReason {
    WaitReason { rule, until, delay_ms, position }
}

fn shown(explanation: Option<&PolicyExplanation>, outside_reason: Option<ExplainedReason>) -> Value {
    let (client, platform) = (ClientId::trusted("ff"), PlatformName::trusted("claude"));
    let client = explanation.map(|_| &client);
    to_value(explanation_view(client, &platform, explanation, outside_reason)).unwrap()
}

fn explanation(would: PredictedOutcome, reasons: Vec<WaitReason>) -> PolicyExplanation {
    let (client_id, platform) = (ClientId::trusted("ff"), PlatformName::trusted("claude"));
    PolicyExplanation { client_id, platform, would, reasons }
}

#[test]
fn a_sentence_says_what_is_known_and_no_more() {
    for (reason, said) in [
        (
            reason(PolicyRule::Slot, None, None, Some(3)),
            "All slots of this client and platform are in use, or earlier requests wait for one; position 3 in the queue.",
        ),
        (
            reason(PolicyRule::Backoff, Some(900), Some(5), None),
            "This client and platform are in back-off after a failure, for another 900 ms.",
        ),
        (
            reason(PolicyRule::Jitter, Some(2_000), None, Some(1)),
            "A random pause comes before the dispatch, for about 2000 ms; position 1 in the queue.",
        ),
        (
            reason(PolicyRule::Jitter, Some(20), Some(5), Some(1)),
            "A random pause comes before the dispatch, for another 20 ms; position 1 in the queue.",
        ),
        (reason(PolicyRule::QueueFull, None, None, Some(257)), "The queue of this client and platform is full."),
    ] {
        assert_eq!(reason_message(&reason), said);
    }
}

#[test]
fn a_refusal_outside_the_policy_comes_last_and_decides() {
    let waits = explanation(PredictedOutcome::Wait, vec![reason(PolicyRule::Backoff, Some(900), Some(5), None)]);
    let view = shown(Some(&waits), None);
    assert_eq!((&view["would"], &view["client_id"]), (&json!("wait"), &json!("ff")));
    let backoff = json!({"rule": "backoff", "until": 5, "delay_ms": 900,
        "message": "This client and platform are in back-off after a failure, for another 900 ms."});
    assert_eq!(view["reasons"], json!([backoff]));
    let view = shown(Some(&waits), outside_reason(None, Some(NoClient::NotConnected)));
    let gone = json!({"rule": "client_not_found", "message": "The named client is not connected."});
    assert_eq!((&view["would"], &view["reasons"]), (&json!("refuse"), &json!([backoff, gone])));
}

#[test]
fn without_a_client_and_without_an_obstacle() {
    let view = shown(None, outside_reason(None, Some(NoClient::NoneConnected)));
    let reasons = json!([{"rule": "no_active_client", "message": "No Firefox is connected."}]);
    assert_eq!(view, json!({"platform": "claude", "would": "refuse", "reasons": reasons}));
    let view = shown(Some(&explanation(PredictedOutcome::Admit, Vec::new())), None);
    assert_eq!(view, json!({"client_id": "ff", "platform": "claude", "would": "admit", "reasons": []}));
}

#[test]
fn a_refusal_before_the_policy_comes_first_as_for_a_request() {
    for (refused, rule) in [(RelayRefusal::Draining, "system_draining"), (RelayRefusal::Overloaded, "overloaded")] {
        let view = shown(None, outside_reason(Some(refused), Some(NoClient::NoneConnected)));
        assert_eq!((view["reasons"].as_array().unwrap().len(), &view["reasons"][0]["rule"]), (1, &json!(rule)));
    }
}
