//! Reading login state: of the clients that are there, and of all others, page by page.

use super::{EndpointRow, freshness_named};
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

/// A login as the store keeps it. Times in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLogin {
    /// Of which client.
    pub client_id: String,
    /// On which platform.
    pub platform: String,
    /// Of which account, where the page shows it.
    pub account: Option<String>,
    /// Digest of its credentials; when they have none, of those in use when its endpoints were seen.
    pub credential_fingerprint: Option<String>,
    /// The extension's own judgement, once credentials were told.
    pub freshness: Option<Freshness>,
    /// How many headers the credentials consist of.
    pub header_count: Option<i64>,
    /// When the credentials were captured.
    pub captured_at: Option<WallMs>,
    /// When the credentials were last seen.
    pub last_seen_at: Option<WallMs>,
    /// When the daemon was last told anything of this login.
    pub updated_at: WallMs,
    /// Whether a prompt template was learned.
    pub prompt_template: bool,
    /// Its endpoints in the order of first arrival.
    pub endpoints: Vec<EndpointRow>,
    /// Whether it has endpoints that were not read, because there were too many in all.
    pub endpoints_omitted: bool,
    /// Its place among all logins: the one written last has the highest.
    pub revision: i64,
}

/// Which logins are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginFilter {
    /// Only this platform.
    pub platform: Option<String>,
    /// Only this account; empty: those without one.
    pub account: Option<String>,
    /// Only this client.
    pub client_id: Option<String>,
}

/// The logins of everybody but some clients.
#[derive(Clone, Copy, Debug)]
pub struct OtherLogins<'a> {
    /// Which of them.
    pub filter: &'a LoginFilter,
    /// The clients that are left out.
    pub but: &'a [Arc<str>],
    /// Credentials last seen before this are lost, as are those reported lost or never told.
    pub lost_before: WallMs,
}

/// What a login is whose client is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfflineLoginStatus {
    /// It may work again when its client comes back.
    Stale,
    /// Too old, reported lost, or without credentials.
    Lost,
}

/// How many logins there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfflineLoginCounts {
    /// Those that are [`OfflineLoginStatus::Stale`].
    pub stale: i64,
    /// Those that are [`OfflineLoginStatus::Lost`].
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

/// All logins of these clients that pass the filter, in the order of their keys, the first of them with their endpoints:
/// those of as many as have `endpoints_max` together.
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

/// A part of the logins, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginPage {
    /// The logins.
    pub logins: Vec<StoredLogin>,
    /// Where the next older part begins, when there is one.
    pub next_before: Option<i64>,
}

/// How long a page may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginPageLimits {
    /// Logins.
    pub logins: usize,
    /// Endpoints of all of them together; the first login is there with however many it has.
    pub endpoints: usize,
}

/// The newest logins of others, newest first, as many as there is room for. `status`: only those; `before`: only those
/// with a smaller revision.
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
    // A client has few logins; among those of all, the walk ends with the limit.
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

/// How many logins of others there are.
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

/// Many values as one.
fn json<T: serde::Serialize>(values: &[T]) -> String {
    serde_json::to_string(values).expect("texts and numbers have a JSON form")
}

fn endpoints_statement(logins: &str) -> SqlStatement<'_, (BigInt, Text, Text, BigInt, BigInt)> {
    let sql = "SELECT login_id, method, path, first_seen_at, last_seen_at FROM login_endpoints \
               WHERE login_id IN (SELECT value FROM json_each(?)) ORDER BY id";
    SqlStatement::new(sql, [BindValue::Text(logins)])
}

/// How many of the first logins have at most so many endpoints together. Counts no further than that.
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

/// `count`: of how many of the first logins.
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
            logins[place].endpoints.push(EndpointRow { method, path, first_seen_at, last_seen_at });
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
        freshness: freshness.as_deref().and_then(freshness_named),
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
