//! Kinds of pending rows: their keys, weights, merging and writing.

use crate::store::{
    StoreError,
    logins::{self, LoginKey, LoginLimits, LoginRow},
    messages::{self, MessageRow},
    policy::{self, DispatchRow, TargetRow, WindowRow},
    requests::{self, JournalEntry},
    worker,
};
use diesel::SqliteConnection;
use std::sync::Arc;

/// A pending row. Requests are the hot path and stored inline; the rarer kinds are boxed.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every row is a request; a box would cost each of them")]
pub(super) enum PendingRow {
    Request(JournalEntry),
    Login(Box<LoginRow>, LoginOrder),
    Message(Box<MessageRow>),
    PolicyTarget(Box<TargetRow>),
    PolicyWindow(Box<WindowRow>),
}

/// Order of a login row, which keeps its first place in the queue but is written in the order of its last report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoginOrder {
    /// Number of the last report.
    pub(super) at: u64,
    /// Whether it was reported again since it was queued.
    pub(super) again: bool,
}

/// Key of rows that replace or absorb one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RowKey {
    Login(LoginKey),
    Message { platform: String, conversation_id: Option<String>, assistant_message_id: String, digest: [u8; 32] },
    PolicyTarget { client_id: Arc<str>, platform: Arc<str> },
    PolicyWindow { platform: Arc<str> },
}

impl PendingRow {
    /// Returns the key, or `None` for requests: they have few versions, so merging them costs more than writing them.
    pub(super) fn key(&self) -> Option<RowKey> {
        match self {
            PendingRow::Request(_) => None,
            PendingRow::Login(row, _) => Some(RowKey::Login(row.key.clone())),
            PendingRow::Message(row) => Some(RowKey::Message {
                platform: row.platform.clone(),
                conversation_id: row.conversation_id.clone(),
                assistant_message_id: row.assistant_message_id.clone(),
                digest: row.digest,
            }),
            PendingRow::PolicyTarget(row) => Some(RowKey::PolicyTarget {
                client_id: Arc::clone(&row.client_id),
                platform: Arc::clone(&row.platform),
            }),
            PendingRow::PolicyWindow(row) => Some(RowKey::PolicyWindow { platform: Arc::clone(&row.platform) }),
        }
    }

    /// Returns the size in bytes, including texts; shared texts count in full.
    pub(super) fn weight(&self) -> usize {
        size_of::<PendingRow>()
            + match self {
                PendingRow::Request(row) => request(row),
                PendingRow::Login(row, _) => login(row),
                PendingRow::Message(row) => message(row),
                PendingRow::PolicyTarget(row) => target(row),
                PendingRow::PolicyWindow(row) => window(row),
            }
    }

    /// Returns the name of the kind, for the log.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            PendingRow::Request(_) => "request",
            PendingRow::Login(..) => "login",
            PendingRow::Message(_) => "message",
            PendingRow::PolicyTarget(_) => "policy target",
            PendingRow::PolicyWindow(_) => "policy window",
        }
    }

    /// Whether a full queue evicts every other row first. There is one such row per target or platform.
    pub(super) fn is_evicted_last(&self) -> bool {
        matches!(self, PendingRow::PolicyTarget(_) | PendingRow::PolicyWindow(_))
    }

    /// Merges an older row with the same key into this one.
    pub(super) fn absorb(&mut self, older: PendingRow, limits: &LoginLimits) {
        match (self, older) {
            (PendingRow::Login(newer, _), PendingRow::Login(older, _)) => newer.absorb(*older, limits),
            // The newer sighting replaces the older one.
            (PendingRow::Message(_), PendingRow::Message(_)) => {}
            // The newer row contains the whole state.
            (PendingRow::PolicyTarget(_), PendingRow::PolicyTarget(_)) => {}
            (PendingRow::PolicyWindow(newer), PendingRow::PolicyWindow(older)) => newer.absorb(*older),
            (newer, older) => debug_assert!(false, "a key has one kind: {newer:?} {older:?}"),
        }
    }
}

fn request(row: &JournalEntry) -> usize {
    row.request_id.len()
        + row.platform.len()
        + row.client_id.as_ref().map_or(0, |id| id.len())
        + row.method.len()
        + row.path.len()
        + row.error_code.as_ref().map_or(0, |code| code.len())
}

fn login(row: &LoginRow) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let credentials = row.credentials.as_ref().map_or(0, |part| text(&part.credential_fingerprint));
    let endpoints = row.endpoints.as_ref().map_or(0, |part| {
        let each =
            |row: &logins::StoredEndpoint| size_of::<logins::StoredEndpoint>() + row.method.len() + row.path.len();
        text(&part.credential_fingerprint) + part.endpoints.iter().map(each).sum::<usize>()
    });
    let key = row.key.client_id.len() + row.key.platform.len() + row.key.account.as_ref().map_or(0, |a| a.len());
    size_of::<LoginRow>() + size_of::<RowKey>() + key + credentials + endpoints
}

fn message(row: &MessageRow) -> usize {
    let conversation = row.conversation_id.as_ref().map_or(0, String::len);
    // Counted twice, because the key has its own copy.
    let identity = 2 * (row.platform.len() + conversation + row.assistant_message_id.len());
    size_of::<MessageRow>() + size_of::<RowKey>() + row.client_id.len() + row.raw_text.len() + identity
}

fn target(row: &TargetRow) -> usize {
    let text = |text: Option<&str>| text.map_or(0, str::len);
    let sweep = row.last_sweep.as_ref().map_or(0, |sweep| sweep.request_id.len() + sweep.reason.len());
    // Shared with the key.
    let key = row.client_id.len() + row.platform.len();
    let texts = text(row.boot_id.as_deref()) + text(row.last_error.as_deref()) + sweep;
    size_of::<TargetRow>() + size_of::<RowKey>() + key + texts
}

fn window(row: &WindowRow) -> usize {
    let boot = |row: &DispatchRow| row.boot_id.as_ref().map_or(0, |id| id.len());
    let dispatches = row.dispatches.iter().map(|row| size_of::<DispatchRow>() + boot(row)).sum::<usize>();
    size_of::<WindowRow>() + size_of::<RowKey>() + row.platform.len() + dispatches
}

/// Writes a chunk within an open transaction: each kind in order of arrival, logins in the order of their last report.
pub(super) fn write_all(
    conn: &mut SqliteConnection,
    rows: &[PendingRow],
    limits: &LoginLimits,
) -> Result<(), StoreError> {
    let requests = rows.iter().filter_map(|row| if let PendingRow::Request(row) = row { Some(row) } else { None });
    requests::write_all(conn, requests)?;
    let mut logins: Vec<_> = rows
        .iter()
        .filter_map(|row| if let PendingRow::Login(row, told) = row { Some((told.at, &**row)) } else { None })
        .collect();
    logins.sort_by_key(|(at, _)| *at);
    logins::write_all(conn, logins.into_iter().map(|(_, row)| row), limits)?;
    let messages = rows.iter().filter_map(|row| if let PendingRow::Message(row) = row { Some(&**row) } else { None });
    messages::write_all(conn, messages)?;
    rows.iter().try_for_each(|row| match row {
        PendingRow::PolicyTarget(row) => policy::write_target(conn, row),
        PendingRow::PolicyWindow(row) => policy::write_window(conn, row),
        PendingRow::Request(_) | PendingRow::Login(..) | PendingRow::Message(_) => Ok(()),
    })
}

/// Rows that the database rejected, with kind and reason of the first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RejectedRows {
    pub(super) rows: usize,
    pub(super) first: Option<(&'static str, String)>,
}

/// Writes a chunk in one transaction. If the database rejects it, the rows are written one by one and rejected ones are
/// skipped, because they would be rejected again.
pub(super) fn write_or_skip_rejected(
    conn: &mut SqliteConnection,
    rows: &[PendingRow],
    limits: &LoginLimits,
) -> Result<RejectedRows, StoreError> {
    match worker::immediate(conn, |conn| write_all(conn, rows, limits)) {
        Ok(()) => Ok(RejectedRows::default()),
        Err(StoreError::Database(_)) => worker::immediate(conn, |conn| write_one_by_one(conn, rows, limits)),
        Err(error) => Err(error),
    }
}

fn write_one_by_one(
    conn: &mut SqliteConnection,
    rows: &[PendingRow],
    limits: &LoginLimits,
) -> Result<RejectedRows, StoreError> {
    let mut refused = RejectedRows::default();
    let mut order: Vec<_> = rows.iter().collect();
    order.sort_by_key(|row| if let PendingRow::Login(_, told) = row { told.at } else { 0 });
    for row in order {
        match worker::savepoint(conn, |conn| write_all(conn, std::slice::from_ref(row), limits)) {
            Ok(()) => {}
            Err(StoreError::Database(reason)) => {
                refused.rows += 1;
                refused.first.get_or_insert((row.kind(), reason));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

impl From<JournalEntry> for PendingRow {
    fn from(row: JournalEntry) -> Self {
        PendingRow::Request(row)
    }
}

impl From<LoginRow> for PendingRow {
    fn from(mut row: LoginRow) -> Self {
        // An empty account means none; both must have the same key.
        row.key.account = row.key.account.filter(|account: &Arc<str>| !account.is_empty());
        PendingRow::Login(Box::new(row), LoginOrder::default())
    }
}

impl From<MessageRow> for PendingRow {
    fn from(mut row: MessageRow) -> Self {
        row.conversation_id = row.conversation_id.filter(|id| !id.is_empty());
        PendingRow::Message(Box::new(row))
    }
}

impl From<TargetRow> for PendingRow {
    fn from(row: TargetRow) -> Self {
        PendingRow::PolicyTarget(Box::new(row))
    }
}

impl From<WindowRow> for PendingRow {
    fn from(row: WindowRow) -> Self {
        PendingRow::PolicyWindow(Box::new(row))
    }
}
