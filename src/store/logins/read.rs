//! Reads logins: those of connected clients, and those of all others page by page.

use super::StoredEndpoint;
use crate::{
    clock::WallMs,
    store::{
        StoreError,
        query::{BindValue, SqlStatement},
    },
    wire::Freshness,
};
use diesel::{
    prelude::*,
    sql_types::{BigInt, Bool, Nullable, Text},
};
use std::{collections::HashMap, sync::Arc};

/// A stored login. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLogin {
    /// Client.
    pub client_id: String,
    /// Platform.
    pub platform: String,
    /// Account, if the page shows it.
    pub account: Option<String>,
    /// Digest of its credentials, or of those in use when its endpoints were seen.
    pub credential_fingerprint: Option<String>,
    /// Judgement of the extension, if credentials were reported.
    pub freshness: Option<Freshness>,
    /// Number of headers.
    pub header_count: Option<i64>,
    /// Time of capture.
    pub captured_at: Option<WallMs>,
    /// Time of last use.
    pub last_seen_at: Option<WallMs>,
    /// Time of the last report.
    pub updated_at: WallMs,
    /// Whether a prompt template was learned.
    pub prompt_template: bool,
    /// Endpoints in the order of first arrival.
    pub endpoints: Vec<StoredEndpoint>,
    /// Whether endpoints were left out because there were too many in total.
    pub endpoints_omitted: bool,
    /// Revision; the login written last has the highest.
    pub revision: i64,
}

/// Filter for logins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFilter {
    /// Only this platform.
    pub platform: Option<String>,
    /// Only this account; empty: logins without one.
    pub account: Option<String>,
    /// Only this client.
    pub client_id: Option<String>,
}

/// Selects the logins of all clients but some.
#[derive(Clone, Copy, Debug)]
pub struct OtherLogins<'a> {
    /// Filter.
    pub filter: &'a LoginFilter,
    /// Excluded clients.
    pub but: &'a [Arc<str>],
    /// Time before which credentials count as lost; logins without credentials and those reported lost do as well.
    pub lost_before: WallMs,
}

/// Status of a login whose client is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineLoginStatus {
    /// May work again when its client reconnects.
    Stale,
    /// Too old, reported lost, or without credentials.
    Lost,
}

/// Number of logins by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfflineLoginCounts {
    /// Stale logins.
    pub stale: i64,
    /// Lost logins.
    pub lost: i64,
}

const COLUMNS: &str = "id, client_id, platform, account, coalesce(credential_fingerprint, endpoints_fingerprint), \
                       freshness, header_count, captured_at, last_seen_at, told_at, prompt_template, revision";

type Columns = (
    (BigInt, Text, Text, Text, Nullable<Text>, Nullable<Text>),
    (Nullable<BigInt>, Nullable<BigInt>, Nullable<BigInt>, BigInt, Bool, BigInt),
);

type Row = (
    (i64, String, String, String, Option<String>, Option<String>),
    (Option<i64>, Option<WallMs>, Option<WallMs>, WallMs, bool, i64),
);

/// A login whose last credentials count as lost; takes `lost_before`.
const LOST: &str = "(last_seen_at IS NULL OR last_seen_at < ? OR freshness = 'lost')";

/// Returns all matching logins of these clients, sorted by key, with endpoints for as many of the first ones as have at
/// most `endpoints_max` together.
pub fn of_clients(
    conn: &mut SqliteConnection,
    filter: &LoginFilter,
    clients: &[Arc<str>],
    endpoints_max: usize,
) -> Result<Vec<StoredLogin>, StoreError> {
    let clients = json(clients);
    let logins = of_clients_statement(filter, &clients).load(conn)?;
    let fitting = fitting(conn, &logins, endpoints_max)?;
    with_endpoints(conn, logins, fitting)
}

fn of_clients_statement<'a>(filter: &'a LoginFilter, clients: &'a str) -> SqlStatement<'a, Columns> {
    let mut sql = format!("SELECT {COLUMNS} FROM logins WHERE client_id IN (SELECT value FROM json_each(?))");
    let mut binds = vec![BindValue::Text(clients)];
    narrow(filter, &mut sql, &mut binds);
    sql.push_str(" ORDER BY client_id, platform, account");
    SqlStatement::new(sql, binds)
}

/// A page of logins, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginPage {
    /// Logins of the page.
    pub logins: Vec<StoredLogin>,
    /// Value of `before` for the next page, if there is one.
    pub next_before: Option<i64>,
}

/// Limits of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginPageLimits {
    /// Most logins.
    pub logins: usize,
    /// Most endpoints in total; the first login is returned with any number.
    pub endpoints: usize,
}

/// Returns the newest logins of other clients, newest first, within the limits. `status`: only these; `before`: only
/// those with a smaller revision.
pub fn of_others(
    conn: &mut SqliteConnection,
    others: &OtherLogins<'_>,
    status: Option<OfflineLoginStatus>,
    before: Option<i64>,
    room: LoginPageLimits,
) -> Result<LoginPage, StoreError> {
    let but = json(others.but);
    let one_more = i64::try_from(room.logins).unwrap_or(i64::MAX).saturating_add(1);
    let mut rows: Vec<Row> = of_others_statement(others, &but, status, before, one_more).load(conn)?;
    let found = rows.len();
    rows.truncate(room.logins);
    let count = fitting(conn, &rows, room.endpoints)?.max(1);
    rows.truncate(count);
    let count = rows.len();
    let logins = with_endpoints(conn, rows, count)?;
    let next_before = logins.last().filter(|_| found > count).map(|last| last.revision);
    Ok(LoginPage { logins, next_before })
}

fn of_others_statement<'a>(
    others: &OtherLogins<'a>,
    but: &'a str,
    status: Option<OfflineLoginStatus>,
    before: Option<i64>,
    limit: i64,
) -> SqlStatement<'a, Columns> {
    // A client has few logins; a walk over all logins ends at the limit.
    let index = if others.filter.client_id.is_some() { "logins_by_key" } else { "logins_by_revision" };
    let mut sql = format!(
        "SELECT {COLUMNS} FROM logins INDEXED BY {index} WHERE client_id NOT IN (SELECT value FROM json_each(?))"
    );
    let mut binds = vec![BindValue::Text(but)];
    narrow(others.filter, &mut sql, &mut binds);
    if let Some(status) = status {
        sql.push_str(if status == OfflineLoginStatus::Lost { " AND " } else { " AND NOT " });
        sql.push_str(LOST);
        binds.push(BindValue::Int(others.lost_before));
    }
    if let Some(before) = before {
        sql.push_str(" AND revision < ?");
        binds.push(BindValue::Int(before));
    }
    sql.push_str(" ORDER BY revision DESC LIMIT ?");
    binds.push(BindValue::Int(limit));
    SqlStatement::new(sql, binds)
}

/// Counts the logins of other clients.
pub fn count_others(conn: &mut SqliteConnection, others: &OtherLogins<'_>) -> Result<OfflineLoginCounts, StoreError> {
    let but = json(others.but);
    let (all, lost): (i64, i64) = count_others_statement(others, &but).get_result(conn)?;
    Ok(OfflineLoginCounts { stale: all - lost, lost })
}

fn count_others_statement<'a>(others: &OtherLogins<'a>, but: &'a str) -> SqlStatement<'a, (BigInt, BigInt)> {
    let index = if others.filter.client_id.is_some() { "logins_by_key" } else { "logins_by_state" };
    let mut sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE {LOST}) FROM logins INDEXED BY {index} \
         WHERE client_id NOT IN (SELECT value FROM json_each(?))"
    );
    let mut binds = vec![BindValue::Int(others.lost_before), BindValue::Text(but)];
    narrow(others.filter, &mut sql, &mut binds);
    SqlStatement::new(sql, binds)
}

fn narrow<'a>(filter: &'a LoginFilter, sql: &mut String, binds: &mut Vec<BindValue<'a>>) {
    let columns = [("client_id", &filter.client_id), ("platform", &filter.platform), ("account", &filter.account)];
    for (column, value) in columns {
        if let Some(value) = value {
            sql.push_str(" AND ");
            sql.push_str(column);
            sql.push_str(" = ?");
            binds.push(BindValue::Text(value));
        }
    }
}

/// Encodes several values as one JSON parameter.
fn json<T: serde::Serialize>(values: &[T]) -> String {
    serde_json::to_string(values).expect("texts and numbers have a JSON form")
}

fn endpoints_statement(logins: &str) -> SqlStatement<'_, (BigInt, Text, Text, BigInt, BigInt)> {
    let sql = "SELECT login_id, method, path, first_seen_at, last_seen_at FROM login_endpoints \
               WHERE login_id IN (SELECT value FROM json_each(?)) ORDER BY id";
    SqlStatement::new(sql, [BindValue::Text(logins)])
}

/// Returns how many of the first logins have at most `endpoints_max` endpoints together.
fn fitting(conn: &mut SqliteConnection, rows: &[Row], endpoints_max: usize) -> Result<usize, StoreError> {
    let mut left = i64::try_from(endpoints_max).unwrap_or(i64::MAX);
    for (at, ((id, ..), _)) in rows.iter().enumerate() {
        let count: i64 = endpoint_count_statement(*id, left.saturating_add(1)).get_result(conn)?;
        if count > left {
            return Ok(at);
        }
        left -= count;
    }
    Ok(rows.len())
}

fn endpoint_count_statement(login: i64, most: i64) -> SqlStatement<'static, BigInt> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM login_endpoints WHERE login_id = ? LIMIT ?)";
    SqlStatement::new(sql, [BindValue::Int(login), BindValue::Int(most)])
}

/// `count`: number of logins to load endpoints for.
fn with_endpoints(conn: &mut SqliteConnection, rows: Vec<Row>, count: usize) -> Result<Vec<StoredLogin>, StoreError> {
    let ids: Vec<_> = rows.iter().take(count).map(|((id, ..), _)| *id).collect();
    let mut logins: Vec<_> = rows.into_iter().map(stored).collect();
    logins.iter_mut().skip(count).for_each(|login| login.endpoints_omitted = true);
    if ids.is_empty() {
        return Ok(logins);
    }
    let json = json(&ids);
    let places: HashMap<_, _> = ids.into_iter().zip(0..).collect::<HashMap<i64, usize>>();
    let endpoints: Vec<(i64, String, String, WallMs, WallMs)> = endpoints_statement(&json).load(conn)?;
    for (login, method, path, first_seen_at, last_seen_at) in endpoints {
        if let Some(&place) = places.get(&login) {
            logins[place].endpoints.push(StoredEndpoint { method, path, first_seen_at, last_seen_at });
        }
    }
    Ok(logins)
}

fn stored(row: Row) -> StoredLogin {
    let (
        (_, client_id, platform, account, credential_fingerprint, freshness),
        (header_count, captured_at, last_seen_at, updated_at, prompt_template, revision),
    ) = row;
    StoredLogin {
        client_id,
        platform,
        account: Some(account).filter(|account| !account.is_empty()),
        credential_fingerprint,
        freshness: freshness.as_deref().and_then(|name| name.parse().ok()),
        header_count,
        captured_at,
        last_seen_at,
        updated_at,
        prompt_template,
        endpoints: Vec::new(),
        endpoints_omitted: false,
        revision,
    }
}

#[cfg(test)]
mod tests;
