//! Verifies the chain line by line, keeping only the last link.

use super::{ChainEnds, ChainLink, ends, hash, log_id};
use crate::store::{StoreError, schema::task_logs as logs, tasks::logs::LogRow};
use diesel::prelude::*;
use serde::Serialize;

/// Lines read at once.
const PAGE_ROWS: i64 = 1_000;

/// A fault of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum ChainFault {
    /// Lines are missing before it, or it is surplus.
    #[error("line {expected} should stand there, but line {found} does")]
    Number {
        /// The expected number.
        expected: i64,
        /// The number found.
        found: i64,
    },
    /// Its name does not match its number.
    #[error("it should be called {expected}, but is called {found:?}")]
    Name {
        /// The expected name.
        expected: String,
        /// The name found.
        found: String,
    },
    /// It does not continue the line before it.
    #[error("its previous_hash should be {}, but is {}", shown_hash(.expected), shown_hash(.found))]
    Previous {
        /// The hash of the line before it.
        expected: Option<String>,
        /// The hash it refers to.
        found: Option<String>,
    },
    /// Its content does not match its hash.
    #[error("its fields have the hash {expected}, but its hash says {found:?}")]
    Hash {
        /// The computed hash.
        expected: String,
        /// The stored hash.
        found: String,
    },
    /// The chain ends at another line than recorded, or its last line was replaced.
    #[error("the trail should end with {}, but ends with {}", shown_link(.expected), shown_link(.found))]
    End {
        /// The last line written.
        expected: Option<ChainLink>,
        /// The last line present.
        found: Option<ChainLink>,
    },
    /// The row with the ends of the chain is missing.
    #[error("the row that says where the trail begins and ends is gone")]
    NoEnds,
}

fn shown_hash(hash: &Option<String>) -> String {
    hash.as_ref().map_or_else(|| "absent".to_owned(), |hash| format!("{hash:?}"))
}

fn shown_link(link: &Option<ChainLink>) -> String {
    link.as_ref().map_or_else(|| "nothing".to_owned(), |link| format!("line {} ({:?})", link.number, link.hash))
}

/// The first break of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("the audit trail breaks at line {line}: {fault}")]
pub struct ChainBreak {
    /// The line present, or the one that is missing.
    pub line: i64,
    /// The fault.
    #[serde(flatten)]
    pub fault: ChainFault,
}

/// Result of a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditVerdict {
    /// Number of intact lines, from the first present one.
    pub lines: u64,
    /// The last line deleted by age.
    pub anchor: Option<ChainLink>,
    /// The last line written.
    pub head: Option<ChainLink>,
    /// The first break; `None` if the chain is intact.
    #[serde(rename = "break")]
    pub broken: Option<ChainBreak>,
}

/// Verifies lines in order.
#[derive(Clone, Debug)]
pub struct ChainVerifier {
    last: Option<ChainLink>,
    head: Option<ChainLink>,
    lines: u64,
}

impl ChainVerifier {
    /// Starts at the anchor.
    pub fn new(ends: ChainEnds) -> Self {
        ChainVerifier { last: ends.anchor, head: ends.head, lines: 0 }
    }

    /// Returns the number of lines verified so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Returns the last verified line.
    pub fn last(&self) -> Option<&ChainLink> {
        self.last.as_ref()
    }

    /// Verifies the next line.
    ///
    /// # Errors
    ///
    /// The line does not continue the chain; it is not counted.
    pub fn take(&mut self, row: &LogRow) -> Result<(), ChainBreak> {
        let fault = self.fault(row);
        if let Some(fault) = fault {
            return Err(ChainBreak { line: row.id, fault });
        }
        self.last = Some(ChainLink { number: row.id, hash: row.hash.clone() });
        self.lines += 1;
        Ok(())
    }

    fn fault(&self, row: &LogRow) -> Option<ChainFault> {
        let expected = self.next();
        if row.id != expected {
            return Some(ChainFault::Number { expected, found: row.id });
        }
        let name = log_id(row.id);
        if row.log_id != name {
            return Some(ChainFault::Name { expected: name, found: row.log_id.clone() });
        }
        let previous = self.last.as_ref().map(|last| &last.hash);
        if row.previous_hash.as_ref() != previous {
            return Some(ChainFault::Previous { expected: previous.cloned(), found: row.previous_hash.clone() });
        }
        let expected = hash(row);
        (row.hash != expected).then(|| ChainFault::Hash { expected, found: row.hash.clone() })
    }

    fn next(&self) -> i64 {
        self.last.as_ref().map_or(1, |last| last.number.saturating_add(1))
    }

    /// There are no more lines.
    ///
    /// # Errors
    ///
    /// There should be more, or fewer, or another last one.
    pub fn finish(&self) -> Result<(), ChainBreak> {
        if self.last == self.head {
            return Ok(());
        }
        // Lines are missing after the last present one; otherwise the last present one is wrong.
        let ends_early = self.head.as_ref().map(|head| head.number) > self.last.as_ref().map(|last| last.number);
        let line = if ends_early { self.next() } else { self.next() - 1 };
        Err(ChainBreak { line, fault: ChainFault::End { expected: self.head.clone(), found: self.last.clone() } })
    }
}

/// Checks the whole chain; it is read on, a page at a time. The caller gives one snapshot, as
/// [`Store::read`](crate::store::Store::read) does.
pub fn verify(conn: &mut SqliteConnection) -> Result<AuditVerdict, StoreError> {
    let ends = match ends(conn) {
        Ok(ends) => ends,
        Err(StoreError::NotFound) => {
            let broken = Some(ChainBreak { line: 0, fault: ChainFault::NoEnds });
            return Ok(AuditVerdict { lines: 0, anchor: None, head: None, broken });
        }
        Err(error) => return Err(error),
    };
    let mut verifier = ChainVerifier::new(ends.clone());
    let broken = walk(conn, &mut verifier)?;
    Ok(AuditVerdict { lines: verifier.lines, anchor: ends.anchor, head: ends.head, broken })
}

fn walk(conn: &mut SqliteConnection, verifier: &mut ChainVerifier) -> Result<Option<ChainBreak>, StoreError> {
    let mut after = None;
    loop {
        let mut page = logs::table.order(logs::id).limit(PAGE_ROWS).into_boxed();
        if let Some(after) = after {
            page = page.filter(logs::id.gt(after));
        }
        let page: Vec<LogRow> = page.load(conn)?;
        let Some(last) = page.last() else { return Ok(verifier.finish().err()) };
        after = Some(last.id);
        if let Some(broken) = page.iter().find_map(|row| verifier.take(row).err()) {
            return Ok(Some(broken));
        }
    }
}
