//! Keys of all instructions ever accepted: stored before the first instruction of a batch runs, and never deleted.

use super::{StoreError, schema::dedupe_keys as keys, worker::savepoint};
use crate::clock::WallMs;
use diesel::prelude::*;

/// New and known keys of a batch, as indexes into the given list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyReservation {
    /// Keys reserved for this batch.
    pub new: Vec<usize>,
    /// Keys reserved before, or repeated in the list.
    pub duplicates: Vec<usize>,
}

/// Reserves the keys that are not taken.
///
/// The reservation holds once the surrounding transaction is committed; nothing of the batch may run before.
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

/// Returns which keys would be new, without reserving any.
pub fn peek(conn: &mut SqliteConnection, wanted: &[&str]) -> Result<KeyReservation, StoreError> {
    let mut seen = KeyReservation::default();
    for (place, key) in wanted.iter().enumerate() {
        let taken = wanted[..place].contains(key) || owner(conn, key)?.is_some();
        if taken { seen.duplicates.push(place) } else { seen.new.push(place) }
    }
    Ok(seen)
}

/// Returns the batch that holds a key.
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
