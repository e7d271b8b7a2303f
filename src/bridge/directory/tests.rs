//! Active client, selection and replacement, with numbers as addresses.

use super::*;

fn reported(freshness: Freshness) -> ReportedLogin<'static> {
    ReportedLogin { account: None, fingerprint: Some("f1"), last_seen_at: 1_000, freshness }
}

struct Fixture(ClientDirectory<u32>);

impl Fixture {
    fn new() -> Self {
        Fixture(ClientDirectory::new(10))
    }

    /// Registers connection `n` of `client`. Returns the connection that it replaced.
    fn hello(&mut self, client: &str, n: u32) -> Option<u32> {
        self.0.register(link(client, n)).unwrap().map(|old| old.to)
    }

    fn login(&mut self, client: &str, platform: &str, freshness: Freshness) {
        let client = ClientId::trusted(client);
        let connection = self.0.connection_of(&client).unwrap();
        self.0.record_login((&client, &connection), &PlatformName::trusted(platform), reported(freshness));
    }

    fn chosen(&self, platform: &str) -> String {
        self.0.select(platform, None).unwrap().client_id.to_string()
    }
}

fn link(client: &str, n: u32) -> ClientLink<u32> {
    ClientLink { client_id: ClientId::trusted(client), connection_id: ConnectionId::trusted(n.to_string()), to: n }
}

#[test]
fn the_active_client_with_a_login_comes_first() {
    let mut fixture = Fixture::new();
    for (n, client) in ["a", "b", "c"].into_iter().enumerate() {
        fixture.hello(client, u32::try_from(n).unwrap());
        fixture.login(client, "claude", Freshness::Fresh);
    }
    fixture.login("a", "claude", Freshness::Fresh);
    assert_eq!(fixture.chosen("claude"), "c");
}

#[test]
fn without_such_a_login_the_client_that_reported_one_last_is_selected_otherwise_the_active_one() {
    let mut fixture = Fixture::new();
    fixture.hello("a", 1);
    fixture.hello("b", 2);
    fixture.hello("c", 3);
    fixture.login("b", "claude", Freshness::Fresh);
    fixture.login("a", "claude", Freshness::Stale);
    assert_eq!(fixture.chosen("claude"), "a");
    fixture.login("a", "claude", Freshness::Lost);
    assert_eq!(fixture.chosen("claude"), "b", "a lost login does not count");
    assert_eq!(fixture.chosen("gemini"), "c");
}

#[test]
fn a_named_client_is_taken_as_it_is_or_not_at_all() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.0.select("claude", None), Err(NoClient::NoneConnected));
    fixture.hello("a", 1);
    let named = |fixture: &Fixture, who: &str| fixture.0.select("claude", Some(&ClientId::trusted(who))).map(|l| l.to);
    assert_eq!(named(&fixture, "a"), Ok(1));
    assert_eq!(named(&fixture, "b"), Err(NoClient::NotConnected));
}

#[test]
fn a_newer_connection_replaces_the_older_and_the_olders_end_changes_nothing() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.hello("a", 1), None);
    fixture.login("a", "claude", Freshness::Fresh);
    assert_eq!(fixture.hello("a", 2), Some(1));
    fixture.0.unregister(&ClientId::trusted("a"), &ConnectionId::trusted("1"));
    assert_eq!(fixture.0.select("claude", None).unwrap().to, 2);
    assert!(fixture.0.logged_in("claude", 0).is_empty(), "the new connection has not reported any login");
}

#[test]
fn when_the_active_client_leaves_the_one_with_the_latest_hello_becomes_active() {
    let mut fixture = Fixture::new();
    fixture.hello("a", 1);
    fixture.hello("b", 2);
    fixture.hello("c", 3);
    let a = ClientId::trusted("a");
    let connection = fixture.0.connection_of(&a).unwrap();
    fixture.0.repeat_hello(&a, &connection);
    assert_eq!(fixture.0.active().unwrap().to, 1);
    fixture.0.unregister(&ClientId::trusted("a"), &ConnectionId::trusted("1"));
    assert_eq!(fixture.0.active().unwrap().to, 3);
}

#[test]
fn beyond_the_limit_a_new_client_is_refused_but_a_known_one_may_reconnect() {
    let mut directory = ClientDirectory::new(1);
    directory.register(link("a", 1)).unwrap();
    assert_eq!(directory.register(link("b", 2)).err(), Some(TooManyClients));
    assert_eq!(directory.register(link("a", 3)).unwrap().unwrap().to, 1);
}

#[test]
fn a_login_that_was_seen_too_long_ago_does_not_count() {
    let mut fixture = Fixture::new();
    fixture.hello("b", 1);
    fixture.hello("a", 2);
    fixture.login("a", "claude", Freshness::Fresh);
    fixture.login("b", "claude", Freshness::Stale);
    let ids = |since| fixture.0.logged_in("claude", since).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(1_000), ["a", "b"]);
    assert!(ids(1_001).is_empty());
}

#[test]
fn reports_of_a_replaced_connection_are_ignored() {
    let mut fixture = Fixture::new();
    fixture.hello("a", 1);
    fixture.hello("b", 2);
    fixture.hello("a", 3);
    fixture.hello("b", 4);
    let (a, old) = (ClientId::trusted("a"), ConnectionId::trusted("1"));
    fixture.0.record_login((&a, &old), &PlatformName::trusted("claude"), reported(Freshness::Fresh));
    assert!(fixture.0.logged_in("claude", 0).is_empty());
    fixture.0.repeat_hello(&a, &old);
    assert_eq!(fixture.chosen("claude"), "b", "the active client stays the same");
}

#[test]
fn a_login_whose_account_becomes_known_is_the_same_login() {
    let mut fixture = Fixture::new();
    fixture.hello("a", 1);
    fixture.login("a", "claude", Freshness::Fresh);
    let (a, connection) = (ClientId::trusted("a"), ConnectionId::trusted("1"));
    let platform = PlatformName::trusted("claude");
    let lost = ReportedLogin { account: Some("x@example.org"), fingerprint: Some("f2"), ..reported(Freshness::Lost) };
    fixture.0.record_login((&a, &connection), &platform, lost);
    assert_eq!((fixture.0.fingerprint(&a, "claude"), fixture.0.logged_in("claude", 0).is_empty()), (None, true));
}
