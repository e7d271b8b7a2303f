//! Verifies that the database belongs to this state folder and is not an older copy. Any other database does not know which
//! instructions were executed, so they are turned off until the operator enables them.

use super::StartError;
use crate::{
    state_folder::{StateError, StoreMark, disable_instructions},
    store::{Store, StoreError, audit::ChainLink, identity},
};
use std::path::Path;

/// Identity and progress of the database.
struct FoundStore {
    store_id: String,
    head: Option<ChainLink>,
    /// Whether its audit trail has reached the remembered line.
    has_reached: bool,
}

/// Compares the database with the mark in the state folder, and writes the mark of a new one.
pub(super) async fn verify_store_identity(store: &Store, state_dir: &Path) -> Result<(), StartError> {
    let remembered = StoreMark::read(state_dir);
    let line = remembered.clone().ok().flatten().and_then(|mark| mark.head);
    let found = store.read_now(move |conn| found(conn, line)).await?;
    let why = mismatch(&remembered, &found);
    if let Some(why) = &why {
        // Before the mark is written: afterwards the mismatch cannot be detected.
        disable_instructions(state_dir).map_err(failed(state_dir))?;
        tracing::error!(why, "turned instructions off: it is unknown which ones were executed");
    }
    if why.is_some() || matches!(remembered, Ok(None)) {
        let mark = StoreMark { store_id: found.store_id, head: found.head.map(|head| (head.number, head.hash)) };
        // Tried again at the next start, and before an instruction is executed.
        if let Err(error) = mark.write(state_dir) {
            tracing::warn!(%error, "cannot write which database belongs to this state folder");
        }
    }
    Ok(())
}

fn found(conn: &mut crate::store::SqliteConnection, line: Option<(i64, String)>) -> Result<FoundStore, StoreError> {
    let has_reached = match line {
        Some((number, hash)) => identity::has_reached(conn, &ChainLink { number, hash })?,
        None => true,
    };
    Ok(FoundStore { store_id: identity::store_id(conn)?, head: identity::head(conn)?, has_reached })
}

/// Returns why the database is not the remembered one.
fn mismatch(remembered: &Result<Option<StoreMark>, String>, found: &FoundStore) -> Option<String> {
    match remembered {
        // The first start, or the first one of a version that writes the mark.
        Ok(None) => None,
        Ok(Some(mark)) if mark.store_id != found.store_id => Some(
            "the database is not the one that belongs to this state folder, or replaces one that is missing".to_owned(),
        ),
        Ok(Some(_)) if !found.has_reached => Some("the database is an older copy".to_owned()),
        Ok(Some(_)) => None,
        Err(why) => Some(format!("the mark of the database cannot be read: {why}")),
    }
}

fn failed(state_dir: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    move |source| StartError::State(StateError::Io { path: state_dir.to_owned(), what: "written", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_remembered_database_that_is_not_older_matches() {
        let mark = |id: &str| Ok(Some(StoreMark { store_id: id.into(), head: None }));
        let found = |has_reached| FoundStore { store_id: "a".into(), head: None, has_reached };
        for (remembered, has_reached, passes) in [
            (Ok(None), true, true),
            (mark("a"), true, true),
            (mark("a"), false, false),
            (mark("b"), true, false),
            (Err("odd".to_owned()), true, false),
        ] {
            assert_eq!(mismatch(&remembered, &found(has_reached)).is_none(), passes, "{remembered:?}");
        }
    }
}
