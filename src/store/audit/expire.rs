//! Deletes the oldest lines. The hash of the last deleted one is kept as the anchor of the remaining chain.

use super::{ChainVerifier, ROW, chain, ends, logs};
use crate::{
    clock::WallMs,
    store::{StoreError, Unavailable, retention::SweepProgress, tasks::logs::LogRow},
};
use diesel::prelude::*;

/// Deletes lines from before `cutoff`, the oldest first and `rows` at most, and keeps the hash of the last of them.
///
/// A line from after `now` says nothing about its age (the clock was wrong when it came, or is now): it leaves with an
/// older one behind it. A line that breaks the chain stays, and all behind it: what shows a break is not let go.
///
/// # Errors
///
/// The chain breaks among them.
pub(in crate::store) fn expire(
    conn: &mut SqliteConnection,
    cutoff: WallMs,
    now: WallMs,
    rows: i64,
) -> Result<SweepProgress, StoreError> {
    let window: Vec<LogRow> = logs::table.order(logs::id).limit(rows).load(conn)?;
    let aged = window.iter().take_while(|row| !(cutoff..=now).contains(&row.at));
    let leaving = aged.enumerate().filter(|(_, row)| row.at < cutoff).last().map_or(0, |(at, _)| at + 1);
    let mut verifier = ChainVerifier::new(ends(conn)?);
    let broken = window[..leaving].iter().find_map(|row| verifier.take(row).err());
    let deleted = usize::try_from(verifier.lines()).unwrap_or(leaving);
    if let Some(last) = verifier.last().filter(|_| deleted > 0) {
        diesel::delete(logs::table.filter(logs::id.le(last.number))).execute(conn)?;
        let anchor = (chain::anchor_number.eq(last.number), chain::anchor_hash.eq(&last.hash));
        diesel::update(chain::table.find(ROW)).set(anchor).execute(conn)?;
    }
    match broken {
        // Intact lines before the break are deleted first.
        Some(broken) if deleted == 0 => Err(Unavailable::Damaged(broken.to_string()).into()),
        _ => Ok(SweepProgress { deleted, next: (deleted > 0).then_some(0) }),
    }
}
