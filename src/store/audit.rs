//! The audit trail: the lines of `task_logs`, each with the hash of the one before it.
//!
//! ```text
//! anchor ◄── line ◄── line ◄── … ◄── line = head
//! the last line that left by age        the last that was written
//! ```
//!
//! Lines are numbered without gaps, and both ends are stored separately, so that a missing or added line is found anywhere.
//! A writer of the file can also write a new chain: this detects accidental and partial changes, not a complete forgery by
//! the owner. A head that was noted elsewhere detects that too.

mod canonical;
mod expire;
mod trail;
mod verify;

#[cfg(test)]
mod tests;

use super::{
    StoreError,
    schema::{audit_chain as chain, task_logs as logs},
    tasks::logs::LogRow,
};
use crate::clock::WallMs;
use diesel::prelude::*;
use serde::Serialize;

pub(super) use canonical::digest;
pub use canonical::hash;
pub(super) use expire::expire;
pub use trail::{AuditSubject, AuditTrail};
pub use verify::{AuditVerdict, ChainBreak, ChainFault, ChainVerifier, verify};

/// Most bytes of a line's message; longer ones are truncated.
pub const MESSAGE_BYTES_MAX: usize = 4_096;
/// Id of the only row of `audit_chain`.
const ROW: i32 = 1;

/// Number and hash of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainLink {
    /// Number of the line.
    pub number: i64,
    /// Hash of the line.
    pub hash: String,
}

/// Both ends of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainEnds {
    /// The last line deleted by age.
    pub anchor: Option<ChainLink>,
    /// The last line written, deleted or not.
    pub head: Option<ChainLink>,
}

/// Severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[expect(missing_docs, reason = "each is what its name says")]
#[strum(serialize_all = "snake_case")]
pub enum AuditLevel {
    Info,
    Warn,
    Error,
}

impl AuditLevel {
    /// Returns the name of the level.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A line to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEntry<'a> {
    /// Task that the line is about; the batch for a batch without a task.
    pub task_id: &'a str,
    /// Run that the line is about.
    pub run_id: Option<&'a str>,
    /// Time, in Unix milliseconds.
    pub at: WallMs,
    /// Severity.
    pub level: AuditLevel,
    /// Name of the event, usually the status that was entered.
    pub event: &'a str,
    /// Description for people, truncated to [`MESSAGE_BYTES_MAX`].
    pub message: &'a str,
}

/// Reads both ends of the chain.
///
/// # Errors
///
/// `NotFound`: the row was deleted.
pub fn ends(conn: &mut SqliteConnection) -> Result<ChainEnds, StoreError> {
    let columns = (chain::anchor_number, chain::anchor_hash, chain::head_number, chain::head_hash);
    let (anchor, anchor_hash, head, head_hash): (i64, Option<String>, i64, Option<String>) =
        chain::table.find(ROW).select(columns).first(conn)?;
    let link = |number, hash: Option<String>| hash.map(|hash| ChainLink { number, hash });
    Ok(ChainEnds { anchor: link(anchor, anchor_hash), head: link(head, head_hash) })
}

/// Appends a line within the open transaction that also makes the described change.
pub(super) fn append(conn: &mut SqliteConnection, entry: &AuditEntry<'_>) -> Result<LogRow, StoreError> {
    let head = ends(conn)?.head;
    let id = head.as_ref().map_or(1, |head| head.number.saturating_add(1));
    let mut row = LogRow {
        id,
        log_id: log_id(id),
        task_id: entry.task_id.to_owned(),
        run_id: entry.run_id.map(str::to_owned),
        at: entry.at,
        level: entry.level.name().to_owned(),
        event: entry.event.to_owned(),
        message: cut(entry.message).to_owned(),
        hash: String::new(),
        previous_hash: head.map(|head| head.hash),
    };
    row.hash = hash(&row);
    diesel::insert_into(logs::table).values(&row).execute(conn)?;
    let head = (chain::head_number.eq(row.id), chain::head_hash.eq(&row.hash));
    diesel::update(chain::table.find(ROW)).set(head).execute(conn)?;
    Ok(row)
}

/// Returns the name of a line from its number.
fn log_id(number: i64) -> String {
    format!("log_{number:016}")
}

/// Returns the beginning of a text, up to the limit of a line.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}
