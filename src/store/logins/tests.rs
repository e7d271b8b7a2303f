//! Login state on a database in memory.

use super::*;
use crate::store::{memory, retention::SweepProgress};
use diesel::RunQueryDsl;

pub(crate) fn key(client_id: &str, account: &str) -> LoginKey {
    let account = Some(account.into()).filter(|_| !account.is_empty());
    LoginKey { client_id: client_id.into(), platform: "claude".into(), account }
}

pub(crate) fn endpoint(path: &str, first_seen_at: WallMs, last_seen_at: WallMs) -> StoredEndpoint {
    StoredEndpoint { method: "GET".into(), path: path.into(), first_seen_at, last_seen_at }
}

/// A login with reported credentials.
pub(crate) fn told(client_id: &str, account: &str, told_at: WallMs) -> LoginRow {
    let credentials = CredentialPart {
        credential_fingerprint: Some(format!("fp{told_at}")),
        freshness: Freshness::Fresh,
        header_count: 3,
        captured_at: told_at - 2,
        last_seen_at: told_at - 1,
    };
    LoginRow { key: key(client_id, account), told_at, credentials: Some(credentials), endpoints: None }
}

/// A login with reported endpoints.
pub(crate) fn seen(client_id: &str, account: &str, told_at: WallMs, endpoints: Vec<StoredEndpoint>) -> LoginRow {
    let endpoints =
        EndpointPart { credential_fingerprint: None, endpoints, updated_at: told_at, prompt_template: true };
    LoginRow { key: key(client_id, account), told_at, credentials: None, endpoints: Some(endpoints) }
}

pub(crate) const LIMITS: LoginLimits = LoginLimits { max_accounts: 256, max_endpoints: 512 };

#[test]
fn a_login_comes_back_as_it_was_told() {
    let conn = &mut memory();
    let seen = seen("a", "", 20, vec![endpoint("/z", 1, 2), endpoint("/a", 3, 4)]);
    write_all(conn, [&told("a", "", 10), &seen], &LIMITS).unwrap();
    let stored = of_clients(conn, &LoginFilter::default(), &["a".into()]).unwrap();
    let expected = StoredLogin {
        client_id: "a".into(),
        platform: "claude".into(),
        account: None,
        credential_fingerprint: Some("fp10".into()),
        freshness: Some(Freshness::Fresh),
        header_count: Some(3),
        captured_at: Some(8),
        last_seen_at: Some(9),
        updated_at: 20,
        prompt_template: true,
        endpoints: vec![endpoint("/z", 1, 2), endpoint("/a", 3, 4)],
        endpoints_omitted: false,
        revision: 2,
    };
    assert_eq!(stored, [expected]);
}

/// With all endpoints.
pub(crate) fn of_clients(
    conn: &mut diesel::SqliteConnection,
    filter: &LoginFilter,
    clients: &[Arc<str>],
) -> Result<Vec<StoredLogin>, crate::store::StoreError> {
    super::of_clients(conn, filter, clients, usize::MAX)
}

/// At most `limit`, with all endpoints.
fn of_others(
    conn: &mut diesel::SqliteConnection,
    others: &OtherLogins<'_>,
    status: Option<OfflineLoginStatus>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<StoredLogin>, crate::store::StoreError> {
    let room = LoginPageLimits { logins: limit, endpoints: usize::MAX };
    Ok(super::of_others(conn, others, status, before, room)?.logins)
}

/// The clients and accounts of some logins, in short.
fn names(logins: &[StoredLogin]) -> Vec<String> {
    logins.iter().map(|login| format!("{}/{}", login.client_id, login.account.as_deref().unwrap_or("-"))).collect()
}

fn clients(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

fn paths(login: &StoredLogin) -> Vec<&str> {
    login.endpoints.iter().map(|endpoint| &*endpoint.path).collect()
}

fn only(conn: &mut diesel::SqliteConnection) -> StoredLogin {
    let mut all = of_clients(conn, &LoginFilter::default(), &clients(&["a"])).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn parts_are_told_apart_and_an_absent_one_stays_as_it_was() {
    let conn = &mut memory();
    write_all(conn, [&seen("a", "", 10, vec![endpoint("/one", 1, 2)])], &LIMITS).unwrap();
    let stored = only(conn);
    assert_eq!((stored.freshness, stored.last_seen_at, stored.header_count), (None, None, None));
    assert_eq!((stored.credential_fingerprint, stored.prompt_template), (None, true));

    let mut fingerprinted = seen("a", "", 11, Vec::new());
    fingerprinted.endpoints.as_mut().unwrap().credential_fingerprint = Some("of endpoints".into());
    write_all(conn, [&fingerprinted], &LIMITS).unwrap();
    assert_eq!(only(conn).credential_fingerprint.as_deref(), Some("of endpoints"));
    assert_eq!(paths(&only(conn)), ["/one"], "endpoints add up");

    let mut lost = told("a", "", 12);
    lost.credentials.as_mut().unwrap().freshness = Freshness::Lost;
    write_all(conn, [&lost], &LIMITS).unwrap();
    let stored = only(conn);
    assert_eq!((stored.freshness, stored.prompt_template), (Some(Freshness::Lost), true));
    assert_eq!(stored.credential_fingerprint.as_deref(), Some("fp12"));

    let mut template_gone = seen("a", "", 13, Vec::new());
    template_gone.endpoints.as_mut().unwrap().prompt_template = false;
    let mut nameless = told("a", "", 14);
    nameless.credentials.as_mut().unwrap().credential_fingerprint = None;
    write_all(conn, [&template_gone, &nameless], &LIMITS).unwrap();
    let stored = only(conn);
    assert_eq!((stored.freshness, stored.prompt_template), (Some(Freshness::Fresh), false));
    assert_eq!((stored.updated_at, stored.revision, stored.last_seen_at), (14, 5, Some(13)));
}

#[test]
fn an_endpoint_keeps_its_first_and_its_last_sighting_and_its_place() {
    let conn = &mut memory();
    write_all(conn, [&seen("a", "", 1, vec![endpoint("/z", 10, 20), endpoint("/m", 10, 20)])], &LIMITS).unwrap();
    write_all(conn, [&seen("a", "", 2, vec![endpoint("/a", 1, 1), endpoint("/z", 15, 30)])], &LIMITS).unwrap();
    write_all(conn, [&seen("a", "", 3, vec![endpoint("/z", 5, 6)])], &LIMITS).unwrap();
    assert_eq!(only(conn).endpoints, [endpoint("/z", 5, 30), endpoint("/m", 10, 20), endpoint("/a", 1, 1)]);
}

#[test]
fn of_too_many_endpoints_those_longest_unseen_leave() {
    let conn = &mut memory();
    let limits = LoginLimits { max_endpoints: 3, ..LIMITS };
    let many = (1..=5).map(|at| endpoint(&format!("/{at}"), 1, 10 - at)).collect();
    write_all(conn, [&seen("a", "", 1, many), &seen("a", "other", 1, vec![endpoint("/x", 0, 0)])], &limits).unwrap();
    let of_a = |conn: &mut _| of_clients(conn, &LoginFilter::default(), &clients(&["a"])).unwrap();
    assert_eq!(paths(&of_a(conn)[0]), ["/1", "/2", "/3"]);
    write_all(conn, [&seen("a", "", 2, vec![endpoint("/6", 8, 8), endpoint("/3", 1, 99)])], &limits).unwrap();
    assert_eq!(paths(&of_a(conn)[0]), ["/1", "/3", "/6"]);
    assert_eq!(paths(&of_a(conn)[1]), ["/x"], "another login's are its own");
}

#[test]
fn of_too_many_logins_of_a_client_those_longest_untold_leave_with_their_endpoints() {
    let conn = &mut memory();
    let limits = LoginLimits { max_accounts: 3, ..LIMITS };
    let some = || vec![endpoint("/x", 1, 1)];
    // The clock is being set back meanwhile: the order of telling alone counts.
    let rows: Vec<_> = (1..=5).rev().map(|at| seen("a", &at.to_string(), at, some())).collect();
    write_all(conn, rows.iter().chain([&seen("b", "1", 0, some())]), &limits).unwrap();
    let of_both = |conn: &mut _| names(&of_clients(conn, &LoginFilter::default(), &clients(&["a", "b"])).unwrap());
    assert_eq!(of_both(conn), ["a/1", "a/2", "a/3", "b/1"]);
    write_all(conn, [&told("a", "6", 1), &told("a", "3", 0)], &limits).unwrap();
    assert_eq!(of_both(conn), ["a/1", "a/3", "a/6", "b/1"]);
    let endpoints: Vec<i64> =
        crate::store::query::SqlStatement::<diesel::sql_types::BigInt>::new("SELECT login_id FROM login_endpoints", [])
            .load(conn)
            .unwrap();
    assert_eq!(endpoints.len(), 3, "those of the logins that left went along");
}

#[test]
fn a_bound_row_keeps_what_the_table_would_keep() {
    let limits = LoginLimits { max_endpoints: 3, ..LIMITS };
    let many: Vec<_> =
        [3, 1, 2, 2, 2].into_iter().enumerate().map(|(at, seen)| endpoint(&format!("/{at}"), 0, seen)).collect();
    let conn = &mut memory();
    write_all(conn, [&seen("a", "", 1, many.clone())], &limits).unwrap();
    let mut row = seen("a", "", 1, many);
    row.bound(&limits);
    assert_eq!(row.endpoints.unwrap().endpoints, only(conn).endpoints);
}

#[test]
fn logins_of_clients_come_by_key_and_filters_narrow_them() {
    let conn = &mut memory();
    let elsewhere = |row: LoginRow| LoginRow { key: LoginKey { platform: "kimi".into(), ..row.key }, ..row };
    let rows =
        [told("b", "x", 1), told("a", "y", 2), told("a", "", 3), elsewhere(told("a", "x", 4)), told("c", "x", 5)];
    write_all(conn, &rows, &LIMITS).unwrap();
    let mut find = |filter: LoginFilter, of: &[&str]| names(&of_clients(conn, &filter, &clients(of)).unwrap());
    assert_eq!(find(LoginFilter::default(), &["b", "a", "unknown"]), ["a/-", "a/y", "a/x", "b/x"]);
    assert_eq!(find(LoginFilter { platform: Some("kimi".into()), ..LoginFilter::default() }, &["a", "b"]), ["a/x"]);
    assert_eq!(find(LoginFilter { account: Some("x".into()), ..LoginFilter::default() }, &["a", "b"]), ["a/x", "b/x"]);
    assert_eq!(find(LoginFilter { account: Some("".into()), ..LoginFilter::default() }, &["a", "b"]), ["a/-"]);
    assert_eq!(find(LoginFilter { client_id: Some("b".into()), ..LoginFilter::default() }, &["a", "b"]), ["b/x"]);
    assert_eq!(
        find(LoginFilter { client_id: Some("c".into()), ..LoginFilter::default() }, &["a", "b"]),
        Vec::<String>::new()
    );
    assert_eq!(find(LoginFilter::default(), &[]), Vec::<String>::new());
    assert_eq!(find(LoginFilter::default(), &["\",\"a", "'"]), Vec::<String>::new());
}

#[test]
fn logins_of_others_come_newest_first_page_by_page() {
    let conn = &mut memory();
    for at in 1..=6 {
        write_all(conn, [&seen(&format!("c{at}"), "x", at, vec![endpoint("/x", at, at)])], &LIMITS).unwrap();
    }
    write_all(conn, [&told("c2", "x", 7)], &LIMITS).unwrap();
    let filter = LoginFilter::default();
    let but = clients(&["c5", "unknown"]);
    let others = OtherLogins { filter: &filter, but: &but, lost_before: 0 };
    let mut page = |before, limit| of_others(conn, &others, None, before, limit).unwrap();
    let first = page(None, 3);
    assert_eq!(names(&first), ["c2/x", "c6/x", "c4/x"]);
    assert_eq!(first[0].endpoints, [endpoint("/x", 2, 2)]);
    assert_eq!(names(&page(Some(first[2].revision), 3)), ["c3/x", "c1/x"]);
    assert_eq!(names(&page(Some(1), 3)), Vec::<String>::new());
    assert_eq!(names(&page(None, 0)), Vec::<String>::new());
    let filter = LoginFilter { client_id: Some("c5".into()), ..LoginFilter::default() };
    let others = OtherLogins { filter: &filter, ..others };
    assert_eq!(of_others(conn, &others, None, None, 9).unwrap(), [], "left out even when asked for");
}

#[test]
fn a_page_ends_with_its_endpoints_but_has_at_least_one_login() {
    let conn = &mut memory();
    let some = |count: i64| (0..count).map(|at| endpoint(&format!("/{at}"), at, at)).collect::<Vec<_>>();
    for (client, count) in [("c1", 0), ("c2", 3), ("c3", 9), ("c4", 2), ("c5", 3)] {
        write_all(conn, [&seen(client, "", 1, some(count))], &LIMITS).unwrap();
    }
    let filter = LoginFilter::default();
    let others = OtherLogins { filter: &filter, but: &[], lost_before: 0 };
    let mut page = |before, logins, endpoints| {
        let page = super::of_others(conn, &others, None, before, LoginPageLimits { logins, endpoints }).unwrap();
        assert!(page.logins.iter().all(|login| !login.endpoints_omitted));
        let shown: Vec<_> = page.logins.iter().map(|login| (login.client_id.clone(), login.endpoints.len())).collect();
        (shown, page.next_before)
    };
    let named =
        |shown: &[(&str, usize)]| shown.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect::<Vec<_>>();
    assert_eq!(page(None, 9, 5), (named(&[("c5", 3), ("c4", 2)]), Some(4)));
    assert_eq!(page(Some(4), 9, 5), (named(&[("c3", 9)]), Some(3)), "the first one is there whatever it has");
    assert_eq!(page(Some(3), 9, 5), (named(&[("c2", 3), ("c1", 0)]), None));
    assert_eq!(page(None, 1, 99), (named(&[("c5", 3)]), Some(5)));
    assert_eq!(page(None, 5, 99).1, None);
    let connected = super::of_clients(conn, &LoginFilter::default(), &clients(&["c2", "c3", "c4"]), 5).unwrap();
    let shown: Vec<_> = connected.iter().map(|login| (login.endpoints.len(), login.endpoints_omitted)).collect();
    assert_eq!(shown, [(3, false), (0, true), (0, true)], "no login is missing, and what is left out is said");
}

#[test]
fn a_login_is_lost_when_reported_so_never_told_or_seen_too_long_ago() {
    let conn = &mut memory();
    let mut reported = told("reported", "", 500);
    reported.credentials.as_mut().unwrap().freshness = Freshness::Lost;
    let mut stale = told("stale", "", 500);
    stale.credentials.as_mut().unwrap().freshness = Freshness::Stale;
    let rows = [
        reported,
        seen("never", "", 500, vec![]),
        told("old", "", 100),
        told("edge", "", 101),
        stale,
        told("here", "", 1),
    ];
    write_all(conn, &rows, &LIMITS).unwrap();
    let (filter, but) = (LoginFilter::default(), clients(&["here"]));
    let others = OtherLogins { filter: &filter, but: &but, lost_before: 100 };
    let mut of = |status| names(&of_others(conn, &others, Some(status), None, 9).unwrap());
    assert_eq!(of(OfflineLoginStatus::Lost), ["old/-", "never/-", "reported/-"]);
    assert_eq!(of(OfflineLoginStatus::Stale), ["stale/-", "edge/-"]);
    assert_eq!(count_others(conn, &others).unwrap(), OfflineLoginCounts { stale: 2, lost: 3 });
    for (filter, counts) in [
        (LoginFilter { client_id: Some("old".into()), ..LoginFilter::default() }, (0, 1)),
        (LoginFilter { client_id: Some("here".into()), ..LoginFilter::default() }, (0, 0)),
        (LoginFilter { platform: Some("claude".into()), ..LoginFilter::default() }, (2, 3)),
        (LoginFilter { platform: Some("kimi".into()), ..LoginFilter::default() }, (0, 0)),
        (LoginFilter { account: Some("".into()), ..LoginFilter::default() }, (2, 3)),
    ] {
        let counted = count_others(conn, &OtherLogins { filter: &filter, ..others }).unwrap();
        assert_eq!((counted.stale, counted.lost), counts, "{filter:?}");
    }
}

#[test]
fn the_revision_goes_on_after_the_newest_login_left() {
    let conn = &mut memory();
    write_all(conn, [&told("a", "1", 10), &told("a", "2", 20), &told("a", "1", 30)], &LIMITS).unwrap();
    expire(conn, 25, 0, 99).unwrap();
    assert_eq!((names(&[only(conn)]), only(conn).revision), (vec!["a/1".to_owned()], 3));
    write_all(conn, [&told("a", "1", 40)], &LIMITS).unwrap();
    assert_eq!(only(conn).revision, 4);
}

#[test]
fn logins_expire_by_when_they_were_told_endpoints_also_by_when_they_were_seen() {
    let conn = &mut memory();
    let two = || vec![endpoint("/old", 1, 99), endpoint("/young", 1, 900)];
    let rows: Vec<_> =
        [50, 500, 99, 100].iter().zip(["a", "b", "c", "d"]).map(|(at, of)| seen(of, "", *at, two())).collect();
    write_all(conn, &rows, &LIMITS).unwrap();
    let (mut after, mut deleted) = (0, Vec::new());
    while let SweepProgress { deleted: some, next: Some(next) } = expire_endpoints(conn, 100, after, 3).unwrap() {
        (after, _) = (next, deleted.push(some));
    }
    assert_eq!(deleted, [3, 2, 1], "in windows of three of the eight");
    let all = of_clients(conn, &LoginFilter::default(), &clients(&["a", "b", "c", "d"])).unwrap();
    assert_eq!(all.iter().map(paths).collect::<Vec<_>>(), [vec![], vec!["/young"], vec![], vec!["/young"]]);
    assert_eq!(expire(conn, 100, 0, 2).unwrap(), SweepProgress { deleted: 1, next: Some(2) });
    assert_eq!(expire(conn, 100, 2, 2).unwrap(), SweepProgress { deleted: 1, next: Some(4) });
    assert_eq!(expire(conn, 100, 4, 2).unwrap(), SweepProgress::default());
    let all = of_clients(conn, &LoginFilter::default(), &clients(&["a", "b", "c", "d"])).unwrap();
    assert_eq!(names(&all), ["b/-", "d/-"]);
}
