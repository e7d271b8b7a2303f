//! The keys of the instructions that were ever taken on: written before the first of a batch runs, and there for good.

use super::{StoreError, schema::dedupe_keys as keys, worker::savepoint};
use crate::clock::WallMs;
use diesel::prelude::*;

/// Which keys of a batch are new. Each is a place in the list that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyReservation {
    /// Those that are the batch's from now on.
    pub new: Vec<usize>,
    /// Those that were taken before, or stand in the list twice.
    pub duplicates: Vec<usize>,
}

/// Takes the keys of a batch that nobody has taken yet.
///
/// It holds when the transaction that it stands in is committed: nothing of the batch may run before.
pub fn reserve(
    conn: &mut SqliteConnection,
    batch_id: &str,
    wanted: &[&str],
    now: WallMs,
) -> Result<KeyReservation, StoreError> {
    savepoint(conn, |conn| {
        let mut reserved = KeyReservation::default();
        for (place, key) in wanted.iter().enumerate() {
            let row = (keys::dedupe_key.eq(key), keys::batch_id.eq(batch_id), keys::reserved_at.eq(now));
            let written = diesel::insert_into(keys::table).values(row).on_conflict_do_nothing().execute(conn)?;
            if written == 1 { reserved.new.push(place) } else { reserved.duplicates.push(place) }
        }
        Ok(reserved)
    })
}

/// Which of the keys would be new, for a plan that takes none.
pub fn peek(conn: &mut SqliteConnection, wanted: &[&str]) -> Result<KeyReservation, StoreError> {
    let mut seen = KeyReservation::default();
    for (place, key) in wanted.iter().enumerate() {
        let taken = wanted[..place].contains(key) || owner(conn, key)?.is_some();
        if taken { seen.duplicates.push(place) } else { seen.new.push(place) }
    }
    Ok(seen)
}

/// The batch that has a key.
pub fn owner(conn: &mut SqliteConnection, key: &str) -> Result<Option<String>, StoreError> {
    Ok(keys::table.find(key).select(keys::batch_id).first(conn).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{memory, worker::immediate};

    fn reserved(new: &[usize], duplicates: &[usize]) -> Result<KeyReservation, StoreError> {
        Ok(KeyReservation { new: new.to_vec(), duplicates: duplicates.to_vec() })
    }

    #[test]
    fn a_key_is_new_once() {
        let conn = &mut memory();
        assert_eq!(peek(conn, &["a", "b", "a"]), reserved(&[0, 1], &[2]));
        assert_eq!(reserve(conn, "batch_1", &["a", "b"], 1), reserved(&[0, 1], &[]));
        assert_eq!(peek(conn, &["b", "c"]), reserved(&[1], &[0]));
        assert_eq!(reserve(conn, "batch_2", &["b", "c", "c"], 2), reserved(&[1], &[0, 2]));
        let owners: Vec<_> = ["a", "b", "c", "d"].map(|key| owner(conn, key).unwrap()).into();
        assert_eq!(
            owners,
            ["batch_1", "batch_1", "batch_2"]
                .map(|id| Some(id.to_owned()))
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn keys_of_a_batch_that_could_not_be_written_are_free_again() {
        let conn = &mut memory();
        let failed = immediate(conn, |conn| {
            reserve(conn, "batch_1", &["a"], 1)?;
            Err::<(), _>(StoreError::NotFound)
        });
        assert_eq!(failed, Err(StoreError::NotFound));
        assert_eq!(reserve(conn, "batch_2", &["a"], 2), reserved(&[0], &[]));
    }

    #[test]
    fn no_statement_deletes_or_changes_a_key() {
        let conn = &mut memory();
        reserve(conn, "batch_1", &["a"], 1).unwrap();
        for refused in [
            diesel::delete(keys::table).execute(conn),
            diesel::update(keys::table).set(keys::dedupe_key.eq("b")).execute(conn),
        ] {
            assert!(refused.unwrap_err().to_string().starts_with("a dedupe key never"));
        }
        assert_eq!(owner(conn, "a"), Ok(Some("batch_1".to_owned())));
    }

    #[test]
    fn the_migrations_can_be_taken_back_and_made_again_with_keys_in_it() {
        use diesel_migrations::MigrationHarness;
        let conn = &mut memory();
        reserve(conn, "batch_1", &["a"], 1).unwrap();
        conn.revert_all_migrations(crate::store::open::MIGRATIONS).unwrap();
        conn.run_pending_migrations(crate::store::open::MIGRATIONS).unwrap();
        assert_eq!(owner(conn, "a"), Ok(None));
    }
}
