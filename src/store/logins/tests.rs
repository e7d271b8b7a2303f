//! Login state on a database in memory.

use super::*;
use crate::store::memory;

pub(crate) fn key(client_id: &str, account: &str) -> LoginKey {
    let account = Some(account.into()).filter(|_| !account.is_empty());
    LoginKey { client_id: client_id.into(), platform: "claude".into(), account }
}

pub(crate) fn endpoint(path: &str, first_seen_at: WallMs, last_seen_at: WallMs) -> EndpointRow {
    EndpointRow { method: "GET".into(), path: path.into(), first_seen_at, last_seen_at }
}

/// A login whose credentials were told.
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

/// A login whose endpoints were told.
pub(crate) fn seen(client_id: &str, account: &str, told_at: WallMs, endpoints: Vec<EndpointRow>) -> LoginRow {
    let endpoints =
        EndpointPart { credential_fingerprint: None, endpoints, updated_at: told_at, prompt_template: true };
    LoginRow { key: key(client_id, account), told_at, credentials: None, endpoints: Some(endpoints) }
}

pub(crate) const LIMITS: Limits = Limits { max_accounts: 256, max_endpoints: 512 };

#[test]
fn a_login_comes_back_as_it_was_told() {
    let conn = &mut memory();
    let seen = seen("a", "", 20, vec![endpoint("/z", 1, 2), endpoint("/a", 3, 4)]);
    write_all(conn, [&told("a", "", 10), &seen], &LIMITS).unwrap();
    let stored = of_clients(conn, &Filter::default(), &["a".into()]).unwrap();
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
        revision: 2,
    };
    assert_eq!(stored, [expected]);
}
