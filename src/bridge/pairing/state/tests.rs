//! Every transition of the pairing state, with fixed codes and numbers as addresses.

use super::*;
use std::convert::Infallible;

const LIMITS: PairingLimits = PairingLimits { waiting_max: 4, wrong_max: 3, code_ms: 100 };

fn id(name: &str) -> ClientId {
    ClientId::trusted(name)
}

fn row(name: &str, origin: &str) -> PairingRow {
    PairingRow {
        client_id: id(name),
        origin: origin.into(),
        client_secret: Secret::new("key"),
        requested_at: 1,
        approved_at: 2,
    }
}

fn hello(state: &mut PairingState<u8>, name: &str, code: &str, to: u8) -> HelloOutcome {
    let drawn = || Ok::<_, Infallible>(Secret::new(code));
    state.on_hello((&id(name), &"x".into()), drawn, 1_000, to).unwrap()
}

fn approve(state: &mut PairingState<u8>, name: &str, code: &str) -> DecisionOutcome<u8> {
    state.decide(&id(name), &PairingDecision::Approve { code: code.into() })
}

/// The name of an outcome and the addresses of the clients in it.
fn summary(outcome: DecisionOutcome<u8>) -> (&'static str, Vec<u8>) {
    let addresses = |all: Vec<WaitingClient<u8>>| all.into_iter().map(|waiting| waiting.to).collect();
    match outcome {
        DecisionOutcome::NotWaiting => ("not waiting", Vec::new()),
        DecisionOutcome::Approved(one) => ("approved", vec![one.to]),
        DecisionOutcome::WrongCode(removed) => ("wrong", addresses(removed)),
        DecisionOutcome::Rejected(removed) => ("rejected", addresses(removed)),
    }
}

#[test]
fn a_client_is_paired_with_one_origin() {
    let mut state = PairingState::new(LIMITS, vec![row("a", "x"), row("b", "y")]);
    assert_eq!(hello(&mut state, "a", "1", 1), HelloOutcome::Paired(Secret::new("key")));
    assert_eq!(hello(&mut state, "b", "1", 1), HelloOutcome::OtherOrigin);
    assert_eq!(hello(&mut state, "c", "1", 1), HelloOutcome::Waiting(1));
    assert!(state.secret_of(&id("b"), "y").is_some() && state.secret_of(&id("b"), "x").is_none());
    assert!(state.has_waiting(&id("c")) && !state.has_waiting(&id("a")));
}

#[test]
fn the_number_of_waiting_clients_is_limited() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    for n in 1..=4 {
        assert_eq!(hello(&mut state, "a", &n.to_string(), n), HelloOutcome::Waiting(n.into()));
    }
    assert_eq!(hello(&mut state, "b", "9", 9), HelloOutcome::TooManyWaiting);
    assert_eq!(state.leave(2).map(|waiting| waiting.to), Some(2));
    assert!(state.leave(2).is_none());
    assert_eq!(hello(&mut state, "b", "9", 9), HelloOutcome::Waiting(5), "no place is given twice");
}

#[test]
fn no_two_waiting_clients_have_the_same_code() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    hello(&mut state, "a", "1", 1);
    let mut codes = ["1", "1", "2"].into_iter().map(Secret::new);
    let drawn = || Ok::<_, Infallible>(codes.next().unwrap());
    state.on_hello((&id("b"), &"x".into()), drawn, 0, 2).unwrap();
    assert_eq!(state.code_at(2), Some(Secret::new("2")));
    let mut codes = ["2", "1", "3"].into_iter().map(Secret::new);
    state.renew(1, || Ok::<_, Infallible>(codes.next().unwrap()), 0).unwrap();
    assert_eq!(state.code_at(1), Some(Secret::new("3")));
}

#[test]
fn the_right_code_pairs_its_socket_and_removes_the_others_with_that_id() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    for (name, code, to) in [("a", "1", 1), ("a", "2", 2), ("b", "3", 3)] {
        hello(&mut state, name, code, to);
    }
    assert_eq!(summary(approve(&mut state, "a", "2")), ("approved", vec![2]));
    assert!(state.has_waiting(&id("a")) && state.paired(&id("a")).is_none(), "not paired before it is written");
    let (approved, rivals) = state.pair(2, row("a", "x")).unwrap();
    assert_eq!((approved.to, rivals.iter().map(|waiting| waiting.to).collect::<Vec<_>>()), (2, vec![1]));
    assert!(state.paired(&id("a")).is_some() && state.has_waiting(&id("b")));
    assert!(state.pair(2, row("a", "x")).is_none());
}

#[test]
fn a_client_that_disconnected_during_the_write_is_not_paired() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    hello(&mut state, "a", "1", 1);
    state.leave(1);
    assert!(state.pair(1, row("a", "x")).is_none());
    assert!(state.paired(&id("a")).is_none());
}

#[test]
fn the_last_wrong_code_removes_all_clients_with_that_id() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    for (name, code, to) in [("a", "1", 1), ("a", "2", 2), ("b", "3", 3)] {
        hello(&mut state, name, code, to);
    }
    for _ in 1..LIMITS.wrong_max {
        assert_eq!(summary(approve(&mut state, "a", "9")), ("wrong", vec![]));
    }
    assert_eq!(summary(approve(&mut state, "a", "9")), ("wrong", vec![1, 2]));
    assert_eq!(summary(approve(&mut state, "a", "1")), ("not waiting", vec![]));
    assert_eq!(summary(approve(&mut state, "b", "3")), ("approved", vec![3]));
}

#[test]
fn the_code_of_another_client_is_not_counted() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    hello(&mut state, "a", "1", 1);
    hello(&mut state, "b", "2", 2);
    for _ in 0..2 * LIMITS.wrong_max {
        assert_eq!(summary(approve(&mut state, "a", "2")), ("wrong", vec![]));
    }
    assert_eq!(summary(approve(&mut state, "a", "1")), ("approved", vec![1]));
}

#[test]
fn a_renewed_code_replaces_the_old_one_and_resets_the_wrong_codes() {
    let mut state = PairingState::new(LIMITS, Vec::new());
    hello(&mut state, "a", "1", 1);
    for _ in 1..LIMITS.wrong_max {
        approve(&mut state, "a", "9");
    }
    let renewed = state.renew(1, || Ok::<_, Infallible>(Secret::new("2")), 5_000).unwrap().unwrap();
    assert_eq!((renewed.requested_at, renewed.expires_at), (1_000, Some(5_100)));
    assert_eq!(summary(approve(&mut state, "a", "1")), ("wrong", vec![]));
    assert_eq!(summary(approve(&mut state, "a", "2")), ("approved", vec![1]));
    assert_eq!(state.renew(7, || Ok::<_, Infallible>(Secret::new("3")), 0), Ok(None));
}

#[test]
fn rejecting_needs_no_code_and_forgetting_unpairs() {
    let mut state = PairingState::new(LIMITS, vec![row("p", "x")]);
    hello(&mut state, "a", "1", 1);
    hello(&mut state, "a", "2", 2);
    assert_eq!(summary(state.decide(&id("a"), &PairingDecision::Reject)), ("rejected", vec![1, 2]));
    assert_eq!(summary(state.decide(&id("p"), &PairingDecision::Reject)), ("not waiting", vec![]));
    assert_eq!(state.unpair(&id("p")), Some(row("p", "x")));
    assert_eq!((state.unpair(&id("p")), state.secret_of(&id("p"), "x")), (None, None));
}

#[test]
fn the_list_has_the_latest_request_first_and_no_code() {
    let mut state = PairingState::new(LIMITS, vec![row("p", "y")]);
    hello(&mut state, "a", "271828", 1);
    let list = serde_json::to_value(state.list()).unwrap();
    let expected = serde_json::json!([
        {"client_id": "a", "status": "waiting", "origin": "x", "requested_at": 1_000, "expires_at": 1_100},
        {"client_id": "p", "status": "paired", "origin": "y", "requested_at": 1, "approved_at": 2},
    ]);
    assert_eq!(list, expected);
    assert!(!format!("{state:?}").contains("271828"));
}
