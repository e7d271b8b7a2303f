//! Writes logins, and deletes those beyond the limits or too old.

use super::{LoginLimits, LoginRow, StoredEndpoint};
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        query::{BindValue, SqlStatement},
        retention::SweepProgress,
    },
};
use diesel::{prelude::*, sql_types::BigInt};
use std::collections::BTreeSet;

const UPSERT: &str = "\
    INSERT INTO logins (client_id, platform, account, credential_fingerprint, freshness, header_count, captured_at, \
    last_seen_at, endpoints_fingerprint, endpoints_updated_at, prompt_template, told_at, revision) \
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,(SELECT coalesce(max(revision), 0) + 1 FROM logins)) \
    ON CONFLICT (client_id, platform, account) DO UPDATE SET \
    credential_fingerprint = iif(excluded.freshness IS NULL, credential_fingerprint, excluded.credential_fingerprint), \
    freshness = coalesce(excluded.freshness, freshness), \
    header_count = coalesce(excluded.header_count, header_count), \
    captured_at = coalesce(excluded.captured_at, captured_at), \
    last_seen_at = coalesce(excluded.last_seen_at, last_seen_at), \
    endpoints_fingerprint = \
        iif(excluded.endpoints_updated_at IS NULL, endpoints_fingerprint, excluded.endpoints_fingerprint), \
    endpoints_updated_at = coalesce(excluded.endpoints_updated_at, endpoints_updated_at), \
    prompt_template = iif(excluded.endpoints_updated_at IS NULL, prompt_template, excluded.prompt_template), \
    told_at = excluded.told_at, revision = excluded.revision \
    RETURNING id";

/// An endpoint that was not seen again is left alone, so that its page stays clean.
const UPSERT_ENDPOINT: &str = "\
    INSERT INTO login_endpoints (login_id, method, path, first_seen_at, last_seen_at) VALUES (?,?,?,?,?) \
    ON CONFLICT (login_id, method, path) DO UPDATE SET \
    first_seen_at = min(first_seen_at, excluded.first_seen_at), \
    last_seen_at = max(last_seen_at, excluded.last_seen_at) \
    WHERE excluded.first_seen_at < first_seen_at OR excluded.last_seen_at > last_seen_at";

const BOUND_ENDPOINTS: &str = "\
    DELETE FROM login_endpoints WHERE id IN (SELECT id FROM login_endpoints WHERE login_id = ? \
    ORDER BY last_seen_at DESC, id DESC LIMIT -1 OFFSET ?)";

/// Ordered by revision, because the wall clock may have been set.
const BOUND_LOGINS: &str = "\
    DELETE FROM logins WHERE id IN (SELECT id FROM logins WHERE client_id = ? \
    ORDER BY revision DESC LIMIT -1 OFFSET ?)";

/// Writes rows in order within the open transaction, each part over the one reported before.
///
/// Deletes what exceeds the limits of the written logins and clients: the endpoints unseen for the longest time, and the
/// logins unreported for the longest time.
pub fn write_all<'a>(
    conn: &mut SqliteConnection,
    rows: impl IntoIterator<Item = &'a LoginRow>,
    limits: &LoginLimits,
) -> Result<(), StoreError> {
    let most = |limit: usize| BindValue::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut clients = BTreeSet::new();
    for row in rows {
        let login = upsert(conn, row)?;
        clients.insert(&*row.key.client_id);
        let endpoints = row.endpoints.as_ref().map_or(&[][..], |part| &part.endpoints);
        for endpoint in endpoints {
            upsert_endpoint(conn, login, endpoint)?;
        }
        if !endpoints.is_empty() {
            SqlStatement::<()>::new(BOUND_ENDPOINTS, [BindValue::Int(login), most(limits.max_endpoints)])
                .execute(conn)?;
        }
    }
    for client_id in clients {
        SqlStatement::<()>::new(BOUND_LOGINS, [BindValue::Text(client_id), most(limits.max_accounts)]).execute(conn)?;
    }
    Ok(())
}

fn upsert(conn: &mut SqliteConnection, row: &LoginRow) -> Result<i64, StoreError> {
    let (credentials, endpoints) = (row.credentials.as_ref(), row.endpoints.as_ref());
    let values = [
        BindValue::Text(&row.key.client_id),
        BindValue::Text(&row.key.platform),
        BindValue::Text(row.key.account.as_deref().unwrap_or("")),
        BindValue::MaybeText(credentials.and_then(|part| part.credential_fingerprint.as_deref())),
        BindValue::MaybeText(credentials.map(|part| part.freshness.into())),
        BindValue::MaybeInt(credentials.map(|part| part.header_count)),
        BindValue::MaybeInt(credentials.map(|part| part.captured_at)),
        BindValue::MaybeInt(credentials.map(|part| part.last_seen_at)),
        BindValue::MaybeText(endpoints.and_then(|part| part.credential_fingerprint.as_deref())),
        BindValue::MaybeInt(endpoints.map(|part| part.updated_at)),
        BindValue::Int(endpoints.is_some_and(|part| part.prompt_template).into()),
        BindValue::Int(row.told_at),
    ];
    Ok(SqlStatement::<BigInt>::new(UPSERT, values).get_result(conn)?)
}

fn upsert_endpoint(conn: &mut SqliteConnection, login: i64, endpoint: &StoredEndpoint) -> Result<(), StoreError> {
    let values = [
        BindValue::Int(login),
        BindValue::Text(&endpoint.method),
        BindValue::Text(&endpoint.path),
        BindValue::Int(endpoint.first_seen_at),
        BindValue::Int(endpoint.last_seen_at),
    ];
    SqlStatement::<()>::new(UPSERT_ENDPOINT, values).execute(conn)?;
    Ok(())
}

/// Deletes, among the next `rows` endpoints after `after`, those last seen before `cutoff` and those of logins last
/// reported before it, so that deleting a login later cascades to few rows.
pub(in crate::store) fn expire_endpoints(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    after: i64,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    let window = "SELECT id FROM login_endpoints WHERE id > ? ORDER BY id LIMIT ?";
    let Some(last) = last_of_window(conn, window, after, rows)? else { return Ok(SweepProgress::default()) };
    let delete = "DELETE FROM login_endpoints WHERE id > ? AND id <= ? AND (last_seen_at < ? \
                  OR (SELECT told_at FROM logins WHERE logins.id = login_id) < ?)";
    let values = [BindValue::Int(after), BindValue::Int(last), BindValue::Int(cutoff), BindValue::Int(cutoff)];
    let deleted = SqlStatement::<()>::new(delete, values).execute(conn)?;
    Ok(SweepProgress { deleted, next: Some(last) })
}

/// Deletes, among the next `rows` logins after `after`, those last reported before `cutoff`.
pub(in crate::store) fn expire(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    after: i64,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    let window = "SELECT id FROM logins WHERE id > ? ORDER BY id LIMIT ?";
    let Some(last) = last_of_window(conn, window, after, rows)? else { return Ok(SweepProgress::default()) };
    let delete = "DELETE FROM logins WHERE id > ? AND id <= ? AND told_at < ?";
    let deleted =
        SqlStatement::<()>::new(delete, [BindValue::Int(after), BindValue::Int(last), BindValue::Int(cutoff)])
            .execute(conn)?;
    Ok(SweepProgress { deleted, next: Some(last) })
}

/// Returns the last of the next `rows` ids after `after`.
fn last_of_window(
    conn: &mut SqliteConnection,
    window: &'static str,
    after: i64,
    rows: i64,
) -> Result<Option<i64>, StoreError> {
    let ids = SqlStatement::<BigInt>::new(window, [BindValue::Int(after), BindValue::Int(rows)]).load::<i64>(conn)?;
    Ok(ids.last().copied())
}
