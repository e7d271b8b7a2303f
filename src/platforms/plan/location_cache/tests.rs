//! What is known of where prompts go: for whom, for how long, and what ends it.

use super::*;

fn id(text: &str) -> AppId {
    AppId::parse(text).unwrap()
}

fn client(name: &str) -> ClientId {
    ClientId::parse(name).unwrap()
}

fn chosen(organization: &str, conversation: &str) -> ResolvedLocation {
    let organization = Organization { organization_id: id(organization), name: None };
    ResolvedLocation { organization, conversation: Conversation::from(id(conversation)) }
}

fn asked(organization: Option<&str>, conversation: Option<&str>) -> RequestedLocation {
    RequestedLocation { organization_id: organization.map(id), conversation_id: conversation.map(id) }
}

/// What is known for a request that names nothing.
fn of(
    choices: &LocationCache,
    name: &str,
    fingerprint: Option<&str>,
    now: Instant,
) -> Option<(String, Option<String>)> {
    let known = choices.known(&client(name), fingerprint, &RequestedLocation::default(), now)?;
    Some((known.organization.organization_id.to_string(), known.conversation.map(|c| c.conversation_id.to_string())))
}

fn pair(organization: &str, conversation: &str) -> Option<(String, Option<String>)> {
    Some((organization.to_owned(), Some(conversation.to_owned())))
}

/// One client with a choice that was made at `now`.
fn one(now: Instant) -> LocationCache {
    let mut choices = LocationCache::new(4);
    choices.keep(&client("ff"), Some("f1"), &RequestedLocation::default(), &chosen("o1", "c1"), now);
    choices
}

#[test]
fn a_choice_counts_for_its_client_and_login_for_a_minute() {
    let now = Instant::now();
    let choices = one(now);
    assert_eq!(of(&choices, "ff", Some("f1"), now), pair("o1", "c1"));
    assert_eq!(of(&choices, "ff", Some("f1"), now + CACHE_TTL - Duration::from_millis(1)), pair("o1", "c1"));
    assert_eq!(of(&choices, "ff", Some("f1"), now + CACHE_TTL), None);
    assert_eq!(of(&choices, "other", Some("f1"), now), None);
    assert_eq!(of(&choices, "ff", Some("f2"), now), None);
    assert_eq!(of(&choices, "ff", None, now), None);
}

#[test]
fn using_a_choice_does_not_prolong_it() {
    let now = Instant::now();
    let mut choices = one(now);
    choices.keep(&client("ff"), Some("f1"), &RequestedLocation::default(), &chosen("o1", "c1"), now + CACHE_TTL / 2);
    assert_eq!(of(&choices, "ff", Some("f1"), now + CACHE_TTL), None);
    choices.keep(&client("ff"), Some("f1"), &RequestedLocation::default(), &chosen("o2", "c2"), now + CACHE_TTL);
    assert_eq!(of(&choices, "ff", Some("f1"), now + CACHE_TTL), pair("o2", "c2"), "what is over makes way");
}

#[test]
fn each_organization_that_is_named_has_a_choice_of_its_own() {
    let now = Instant::now();
    let mut choices = one(now);
    let ff = client("ff");
    choices.keep(&ff, Some("f1"), &asked(Some("o2"), None), &chosen("o2", "c2"), now);
    let known = choices.known(&ff, Some("f1"), &asked(Some("o2"), None), now).unwrap();
    assert_eq!(known.organization.organization_id, id("o2"));
    assert_eq!(of(&choices, "ff", Some("f1"), now), pair("o1", "c1"));
    assert_eq!(
        choices.known(&ff, Some("f1"), &asked(Some("o1"), None), now),
        None,
        "whether it exists was never checked"
    );
}

#[test]
fn a_conversation_that_the_caller_named_is_no_choice() {
    let now = Instant::now();
    let mut choices = LocationCache::new(4);
    let ff = client("ff");
    choices.keep(&ff, None, &asked(None, Some("named")), &chosen("o1", "named"), now);
    assert_eq!(of(&choices, "ff", None, now), Some(("o1".to_owned(), None)));
    choices.keep(&ff, None, &RequestedLocation::default(), &chosen("o1", "c1"), now + CACHE_TTL / 2);
    assert_eq!(of(&choices, "ff", None, now + CACHE_TTL / 2), pair("o1", "c1"), "chosen later, it is added");
    choices.keep(&ff, None, &asked(None, Some("named")), &chosen("o1", "named"), now + CACHE_TTL / 2);
    assert_eq!(of(&choices, "ff", None, now + CACHE_TTL / 2), pair("o1", "c1"));
    assert_eq!(of(&choices, "ff", None, now + CACHE_TTL), None, "it ends with its organization");
}

#[test]
fn a_choice_of_another_organization_does_not_mix_with_the_one_that_is_known() {
    let now = Instant::now();
    let mut choices = LocationCache::new(4);
    choices.keep(&client("ff"), None, &asked(None, Some("named")), &chosen("o1", "named"), now);
    choices.keep(&client("ff"), None, &RequestedLocation::default(), &chosen("o2", "c2"), now);
    assert_eq!(of(&choices, "ff", None, now), Some(("o1".to_owned(), None)));
}

#[test]
fn another_login_and_a_refused_step_drop_what_is_known() {
    let now = Instant::now();
    for (status, dropped) in
        [(200, false), (400, false), (401, true), (403, true), (404, true), (409, false), (429, false), (500, false)]
    {
        let mut choices = one(now);
        choices.answered(&client("other"), status);
        choices.answered(&client("ff"), status);
        assert_eq!(of(&choices, "ff", Some("f1"), now).is_none(), dropped, "{status}");
    }
    let mut choices = one(now);
    choices.set_fingerprint(&client("ff"), Some("f1"));
    choices.set_fingerprint(&client("other"), Some("f2"));
    assert!(of(&choices, "ff", Some("f1"), now).is_some());
    choices.set_fingerprint(&client("ff"), Some("f2"));
    choices.set_fingerprint(&client("ff"), Some("f1"));
    assert_eq!(of(&choices, "ff", Some("f1"), now), None, "dropped, not hidden");
    let mut choices = one(now);
    choices.keep(&client("ff"), Some("f2"), &RequestedLocation::default(), &chosen("o2", "c2"), now);
    assert_eq!(of(&choices, "ff", Some("f2"), now), pair("o2", "c2"));
    assert_eq!(of(&choices, "ff", Some("f1"), now), None);
    let mut choices = one(now);
    choices.forget(&client("ff"));
    assert_eq!(of(&choices, "ff", Some("f1"), now), None);
}

#[test]
fn clients_are_bounded_and_the_one_that_ends_first_makes_way() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut choices = LocationCache::new(2);
    for (name, seconds) in [("b", 1), ("a", 2), ("c", 3)] {
        choices.keep(&client(name), None, &RequestedLocation::default(), &chosen("o", name), at(seconds));
        assert!(choices.clients.len() <= 2);
    }
    assert_eq!(of(&choices, "b", None, at(3)), None);
    assert_eq!((of(&choices, "a", None, at(3)), of(&choices, "c", None, at(3))), (pair("o", "a"), pair("o", "c")));
    choices.keep(&client("d"), None, &RequestedLocation::default(), &chosen("o", "d"), at(100));
    assert_eq!(choices.clients.len(), 1, "what is over goes first");
}

#[test]
fn a_client_whose_callers_name_many_organizations_keeps_the_newest() {
    let now = Instant::now();
    let mut choices = LocationCache::new(1);
    let name = |number: usize| format!("o{number}");
    for number in 0..100 {
        let asked = asked(Some(&name(number)), None);
        choices.keep(&client("ff"), None, &asked, &chosen(&name(number), "c"), now);
    }
    let is_known = |number| choices.known(&client("ff"), None, &asked(Some(&name(number)), None), now).is_some();
    assert_eq!((0..100).filter(|number| is_known(*number)).collect::<Vec<_>>(), Vec::from_iter(84..100));
}
