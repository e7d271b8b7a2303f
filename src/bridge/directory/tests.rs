//! Who is active, who is asked, and who makes way, on clients that are plain text.

use super::*;

fn told(freshness: Freshness) -> LoginTold<'static> {
    LoginTold { account: None, fingerprint: Some("f1"), last_seen_at: 1_000, freshness }
}

struct Scene(Directory<u32>);

impl Scene {
    fn new() -> Self {
        Scene(Directory::new(10))
    }

    /// Connection `n` of `client` says hello; answers the connection that it replaced.
    fn hello(&mut self, client: &str, n: u32) -> Option<u32> {
        self.0.arrive(link(client, n)).unwrap().map(|old| old.to)
    }

    fn login(&mut self, client: &str, platform: &str, freshness: Freshness) {
        let client = ClientId::trusted(client);
        let connection = self.0.connection_of(&client).unwrap();
        self.0.login((&client, &connection), &PlatformName::trusted(platform), told(freshness));
    }

    fn chosen(&self, platform: &str) -> String {
        self.0.select(platform, None).unwrap().client_id.to_string()
    }
}

fn link(client: &str, n: u32) -> Link<u32> {
    Link { client_id: ClientId::trusted(client), connection_id: ConnectionId::trusted(n.to_string()), to: n }
}

#[test]
fn the_active_client_with_a_login_comes_first() {
    let mut scene = Scene::new();
    for (n, client) in ["a", "b", "c"].into_iter().enumerate() {
        scene.hello(client, u32::try_from(n).unwrap());
        scene.login(client, "claude", Freshness::Fresh);
    }
    scene.login("a", "claude", Freshness::Fresh);
    assert_eq!(scene.chosen("claude"), "c");
}

#[test]
fn else_the_client_whose_login_was_told_last_else_the_active_one() {
    let mut scene = Scene::new();
    scene.hello("a", 1);
    scene.hello("b", 2);
    scene.hello("c", 3);
    scene.login("b", "claude", Freshness::Fresh);
    scene.login("a", "claude", Freshness::Stale);
    assert_eq!(scene.chosen("claude"), "a");
    scene.login("a", "claude", Freshness::Lost);
    assert_eq!(scene.chosen("claude"), "b", "a lost login does not count");
    assert_eq!(scene.chosen("gemini"), "c");
}

#[test]
fn a_named_client_is_taken_as_it_is_or_not_at_all() {
    let mut scene = Scene::new();
    assert_eq!(scene.0.select("claude", None), Err(NoClient::NoneConnected));
    scene.hello("a", 1);
    let named = |scene: &Scene, who: &str| scene.0.select("claude", Some(&ClientId::trusted(who))).map(|l| l.to);
    assert_eq!(named(&scene, "a"), Ok(1));
    assert_eq!(named(&scene, "b"), Err(NoClient::NotConnected));
}

#[test]
fn a_newer_connection_replaces_the_older_and_the_olders_end_changes_nothing() {
    let mut scene = Scene::new();
    assert_eq!(scene.hello("a", 1), None);
    scene.login("a", "claude", Freshness::Fresh);
    assert_eq!(scene.hello("a", 2), Some(1));
    scene.0.leave(&ClientId::trusted("a"), &ConnectionId::trusted("1"));
    assert_eq!(scene.0.select("claude", None).unwrap().to, 2);
    assert!(scene.0.logged_in("claude", 0).is_empty(), "the newcomer has told nothing yet");
}

#[test]
fn when_the_active_client_leaves_the_one_greeted_last_before_it_takes_its_place() {
    let mut scene = Scene::new();
    scene.hello("a", 1);
    scene.hello("b", 2);
    scene.hello("c", 3);
    let a = ClientId::trusted("a");
    let connection = scene.0.connection_of(&a).unwrap();
    scene.0.greet_again(&a, &connection);
    assert_eq!(scene.0.active().unwrap().to, 1);
    scene.0.leave(&ClientId::trusted("a"), &ConnectionId::trusted("1"));
    assert_eq!(scene.0.active().unwrap().to, 3);
}

#[test]
fn one_more_than_the_daemon_takes_is_turned_away_but_may_come_again() {
    let mut directory = Directory::new(1);
    directory.arrive(link("a", 1)).unwrap();
    assert_eq!(directory.arrive(link("b", 2)).err(), Some(Crowded));
    assert_eq!(directory.arrive(link("a", 3)).unwrap().unwrap().to, 1);
}

#[test]
fn a_login_seen_too_long_ago_makes_no_platform_ready() {
    let mut scene = Scene::new();
    scene.hello("b", 1);
    scene.hello("a", 2);
    scene.login("a", "claude", Freshness::Fresh);
    scene.login("b", "claude", Freshness::Stale);
    let ids = |since| scene.0.logged_in("claude", since).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(ids(1_000), ["a", "b"]);
    assert!(ids(1_001).is_empty());
}

#[test]
fn a_connection_that_was_replaced_has_nothing_to_say() {
    let mut scene = Scene::new();
    scene.hello("a", 1);
    scene.hello("b", 2);
    scene.hello("a", 3);
    scene.hello("b", 4);
    let (a, old) = (ClientId::trusted("a"), ConnectionId::trusted("1"));
    scene.0.login((&a, &old), &PlatformName::trusted("claude"), told(Freshness::Fresh));
    assert!(scene.0.logged_in("claude", 0).is_empty());
    scene.0.greet_again(&a, &old);
    assert_eq!(scene.chosen("claude"), "b", "the active one stays");
}

#[test]
fn a_login_whose_account_becomes_known_is_the_same_login() {
    let mut scene = Scene::new();
    scene.hello("a", 1);
    scene.login("a", "claude", Freshness::Fresh);
    let (a, connection) = (ClientId::trusted("a"), ConnectionId::trusted("1"));
    let platform = PlatformName::trusted("claude");
    let lost = LoginTold { account: Some("x@example.org"), fingerprint: Some("f2"), ..told(Freshness::Lost) };
    scene.0.login((&a, &connection), &platform, lost);
    assert_eq!((scene.0.fingerprint(&a, "claude"), scene.0.logged_in("claude", 0).is_empty()), (None, true));
}
