//! Every edge of the desk, with codes that count up and ways that are numbers.

use super::*;
use std::convert::Infallible;

const LIMITS: Limits = Limits { waiting_max: 4, wrong_max: 3, code_ms: 100 };

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

fn knock(desk: &mut Desk<u8>, name: &str, code: &str, to: u8) -> Knock {
    let drawn = || Ok::<_, Infallible>(Secret::new(code));
    desk.knock((&id(name), &"x".into()), drawn, 1_000, to).unwrap()
}

fn approve(desk: &mut Desk<u8>, name: &str, code: &str) -> Verdict<u8> {
    desk.decide(&id(name), &Decision::Approve { code: code.into() })
}

/// A verdict in few words: what it is, and the ways of those it is about.
fn told(verdict: Verdict<u8>) -> (&'static str, Vec<u8>) {
    let ways = |all: Vec<Waiting<u8>>| all.into_iter().map(|waiting| waiting.to).collect();
    match verdict {
        Verdict::Nobody => ("nobody", Vec::new()),
        Verdict::Approved(one) => ("approved", vec![one.to]),
        Verdict::Wrong(gone) => ("wrong", ways(gone)),
        Verdict::Rejected(gone) => ("rejected", ways(gone)),
    }
}

#[test]
fn a_client_is_known_from_its_own_origin_alone() {
    let mut desk = Desk::new(LIMITS, vec![row("a", "x"), row("b", "y")]);
    assert_eq!(knock(&mut desk, "a", "1", 1), Knock::Known(Secret::new("key")));
    assert_eq!(knock(&mut desk, "b", "1", 1), Knock::Elsewhere);
    assert_eq!(knock(&mut desk, "c", "1", 1), Knock::Waits(1));
    assert!(desk.secret_of(&id("b"), "y").is_some() && desk.secret_of(&id("b"), "x").is_none());
    assert!(desk.has_waiting(&id("c")) && !desk.has_waiting(&id("a")));
}

#[test]
fn only_so_many_wait_and_who_leaves_makes_room() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    for n in 1..=4 {
        assert_eq!(knock(&mut desk, "a", &n.to_string(), n), Knock::Waits(n.into()));
    }
    assert_eq!(knock(&mut desk, "b", "9", 9), Knock::Full);
    assert_eq!(desk.leave(2).map(|waiting| waiting.to), Some(2));
    assert!(desk.leave(2).is_none());
    assert_eq!(knock(&mut desk, "b", "9", 9), Knock::Waits(5), "no place is given twice");
}

#[test]
fn no_two_who_wait_show_the_same_code() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    knock(&mut desk, "a", "1", 1);
    let mut codes = ["1", "1", "2"].into_iter().map(Secret::new);
    let drawn = || Ok::<_, Infallible>(codes.next().unwrap());
    desk.knock((&id("b"), &"x".into()), drawn, 0, 2).unwrap();
    assert_eq!(desk.code_at(2), Some(Secret::new("2")));
    let mut codes = ["2", "1", "3"].into_iter().map(Secret::new);
    desk.renew(1, || Ok::<_, Infallible>(codes.next().unwrap()), 0).unwrap();
    assert_eq!(desk.code_at(1), Some(Secret::new("3")));
}

#[test]
fn the_right_code_means_its_socket_and_the_others_of_that_name_go() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    for (name, code, to) in [("a", "1", 1), ("a", "2", 2), ("b", "3", 3)] {
        knock(&mut desk, name, code, to);
    }
    assert_eq!(told(approve(&mut desk, "a", "2")), ("approved", vec![2]));
    assert!(desk.has_waiting(&id("a")) && desk.paired(&id("a")).is_none(), "not before it is written");
    let (approved, rivals) = desk.pair(2, row("a", "x")).unwrap();
    assert_eq!((approved.to, rivals.iter().map(|waiting| waiting.to).collect::<Vec<_>>()), (2, vec![1]));
    assert!(desk.paired(&id("a")).is_some() && desk.has_waiting(&id("b")));
    assert!(desk.pair(2, row("a", "x")).is_none());
}

#[test]
fn who_left_while_it_was_written_is_not_paired() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    knock(&mut desk, "a", "1", 1);
    desk.leave(1);
    assert!(desk.pair(1, row("a", "x")).is_none());
    assert!(desk.paired(&id("a")).is_none());
}

#[test]
fn the_last_wrong_code_turns_everybody_of_that_name_away() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    for (name, code, to) in [("a", "1", 1), ("a", "2", 2), ("b", "3", 3)] {
        knock(&mut desk, name, code, to);
    }
    for _ in 1..LIMITS.wrong_max {
        assert_eq!(told(approve(&mut desk, "a", "9")), ("wrong", vec![]));
    }
    assert_eq!(told(approve(&mut desk, "a", "9")), ("wrong", vec![1, 2]));
    assert_eq!(told(approve(&mut desk, "a", "1")), ("nobody", vec![]));
    assert_eq!(told(approve(&mut desk, "b", "3")), ("approved", vec![3]));
}

#[test]
fn the_code_of_another_client_counts_against_nobody() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    knock(&mut desk, "a", "1", 1);
    knock(&mut desk, "b", "2", 2);
    for _ in 0..2 * LIMITS.wrong_max {
        assert_eq!(told(approve(&mut desk, "a", "2")), ("wrong", vec![]));
    }
    assert_eq!(told(approve(&mut desk, "a", "1")), ("approved", vec![1]));
}

#[test]
fn a_renewed_code_is_the_only_one_and_begins_anew() {
    let mut desk = Desk::new(LIMITS, Vec::new());
    knock(&mut desk, "a", "1", 1);
    for _ in 1..LIMITS.wrong_max {
        approve(&mut desk, "a", "9");
    }
    let renewed = desk.renew(1, || Ok::<_, Infallible>(Secret::new("2")), 5_000).unwrap().unwrap();
    assert_eq!((renewed.requested_at, renewed.expires_at), (1_000, Some(5_100)));
    assert_eq!(told(approve(&mut desk, "a", "1")), ("wrong", vec![]));
    assert_eq!(told(approve(&mut desk, "a", "2")), ("approved", vec![1]));
    assert_eq!(desk.renew(7, || Ok::<_, Infallible>(Secret::new("3")), 0), Ok(None));
}

#[test]
fn rejecting_needs_no_code_and_forgetting_unpairs() {
    let mut desk = Desk::new(LIMITS, vec![row("p", "x")]);
    knock(&mut desk, "a", "1", 1);
    knock(&mut desk, "a", "2", 2);
    assert_eq!(told(desk.decide(&id("a"), &Decision::Reject)), ("rejected", vec![1, 2]));
    assert_eq!(told(desk.decide(&id("p"), &Decision::Reject)), ("nobody", vec![]));
    assert_eq!(desk.unpair(&id("p")), Some(row("p", "x")));
    assert_eq!((desk.unpair(&id("p")), desk.secret_of(&id("p"), "x")), (None, None));
}

#[test]
fn the_list_shows_who_asked_last_first_and_no_code() {
    let mut desk = Desk::new(LIMITS, vec![row("p", "y")]);
    knock(&mut desk, "a", "271828", 1);
    let list = serde_json::to_value(desk.list()).unwrap();
    let expected = serde_json::json!([
        {"client_id": "a", "status": "waiting", "origin": "x", "requested_at": 1_000, "expires_at": 1_100},
        {"client_id": "p", "status": "paired", "origin": "y", "requested_at": 1, "approved_at": 2},
    ]);
    assert_eq!(list, expected);
    assert!(!format!("{desk:?}").contains("271828"));
}
