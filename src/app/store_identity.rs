//! Whether the database is the one that this state folder had, and no older copy of it. Another one does not know what had
//! run: instructions are then off until a person enables them.

use super::StartError;
use crate::{
    state_folder::{StateError, StoreMark, disable_instructions},
    store::{Store, StoreError, audit::ChainLink, identity},
};
use std::path::Path;

/// What was found in the database.
struct FoundStore {
    store_id: String,
    head: Option<ChainLink>,
    /// Whether it has come as far as was remembered.
    has_reached: bool,
}

/// Compares the database with what is remembered of it, and remembers it from now on.
pub(super) async fn verify_store_identity(store: &Store, state_dir: &Path) -> Result<(), StartError> {
    let remembered = StoreMark::read(state_dir);
    let line = remembered.clone().ok().flatten().and_then(|mark| mark.head);
    let found = store.read_now(move |conn| found(conn, line)).await?;
    let why = mismatch(&remembered, &found);
    if let Some(why) = &why {
        // First of all: once it is remembered, nothing tells any more.
        disable_instructions(state_dir).map_err(failed(state_dir))?;
        tracing::error!(why, "it is not known any more which instructions had run");
    }
    if why.is_some() || matches!(remembered, Ok(None)) {
        let mark = StoreMark { store_id: found.store_id, head: found.head.map(|head| (head.number, head.hash)) };
        // Tried again at the next start, and before anything runs.
        if let Err(error) = mark.write(state_dir) {
            tracing::warn!(%error, "what belongs to this state folder cannot be remembered");
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

/// Why it is not what was remembered.
fn mismatch(remembered: &Result<Option<StoreMark>, String>, found: &FoundStore) -> Option<String> {
    match remembered {
        // The first start, or the first of a version that remembers.
        Ok(None) => None,
        Ok(Some(mark)) if mark.store_id != found.store_id => {
            Some("the database is another one than before, or a new one in place of one that is gone".to_owned())
        }
        Ok(Some(_)) if !found.has_reached => Some("the database is an older copy of what it was".to_owned()),
        Ok(Some(_)) => None,
        Err(why) => Some(format!("what is remembered of the database cannot be used: {why}")),
    }
}

fn failed(state_dir: &Path) -> impl FnOnce(std::io::Error) -> StartError {
    move |source| StartError::State(StateError::Io { path: state_dir.to_owned(), what: "written", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_that_was_there_and_came_as_far_passes() {
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
