//! The audit trail: the lines of `task_logs`, each with the hash of the one before it.
//!
//! ```text
//! anchor ◄── line ◄── line ◄── … ◄── line = head
//! the last line that left by age        the last that was written
//! ```
//!
//! Lines are numbered without a gap, so that none can go or come unnoticed; the ends are kept beside them, so that none
//! can at the ends either. Who may write the file can also write a new chain: this finds what was changed in passing, by
//! mistake or by a fault, not an owner who forges all of it. A head that was noted elsewhere finds that too.

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

/// Most bytes of a line's message; what is longer is cut.
pub const MESSAGE_BYTES_MAX: usize = 4_096;
/// The row of the ends.
const ROW: i32 = 1;

/// A line as its neighbours know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainLink {
    /// Its number.
    pub number: i64,
    /// Its hash.
    pub hash: String,
}

/// Where the chain begins and ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainEnds {
    /// The last line that left by age.
    pub anchor: Option<ChainLink>,
    /// The last line that was written, there or gone.
    pub head: Option<ChainLink>,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its name says")]
pub enum AuditLevel {
    Info,
    Warn,
    Error,
}

impl AuditLevel {
    /// The level as it is written.
    pub fn name(self) -> &'static str {
        match self {
            AuditLevel::Info => "info",
            AuditLevel::Warn => "warn",
            AuditLevel::Error => "error",
        }
    }
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditEntry<'a> {
    /// To which task it happened; of a batch without a task, to which batch.
    pub task_id: &'a str,
    /// In which run of it.
    pub run_id: Option<&'a str>,
    /// When, in Unix milliseconds.
    pub at: WallMs,
    /// How much it matters.
    pub level: AuditLevel,
    /// What happened, as a name: mostly the status that was entered.
    pub event: &'a str,
    /// What happened, for people; cut at [`MESSAGE_BYTES_MAX`].
    pub message: &'a str,
}

/// Where the chain begins and ends.
///
/// # Errors
///
/// `NotFound`: somebody took that away.
pub fn ends(conn: &mut SqliteConnection) -> Result<ChainEnds, StoreError> {
    let columns = (chain::anchor_number, chain::anchor_hash, chain::head_number, chain::head_hash);
    let (anchor, anchor_hash, head, head_hash): (i64, Option<String>, i64, Option<String>) =
        chain::table.find(ROW).select(columns).first(conn)?;
    let link = |number, hash: Option<String>| hash.map(|hash| ChainLink { number, hash });
    Ok(ChainEnds { anchor: link(anchor, anchor_hash), head: link(head, head_hash) })
}

/// Writes a line at the end of the chain. The caller has opened the transaction, and what the line tells stands in it.
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

/// The name of a line, from its number.
fn log_id(number: i64) -> String {
    format!("log_{number:016}")
}

/// The beginning of a text, as much as a line takes.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MESSAGE_BYTES_MAX)]
}
