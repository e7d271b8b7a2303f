//! The stored mode of the system: one row.

use super::{StoreError, schema::system};
use crate::{
    clock::WallMs,
    mode::{Mode, SystemView},
};
use diesel::prelude::*;

/// Id of the only row.
const ROW: i32 = 1;

/// Returns the stored mode; `None` before the first write.
pub fn read(conn: &mut SqliteConnection) -> Result<Option<SystemView>, StoreError> {
    let columns = (system::mode, system::changed_at, system::reason);
    let row = system::table.find(ROW).select(columns).first::<(String, WallMs, Option<String>)>(conn).optional()?;
    row.map(|(name, changed_at, reason)| {
        let mode = name.parse::<Mode>().map_err(|_| StoreError::Database(format!("{name:?} is no mode")))?;
        Ok(SystemView { mode, changed_at, reason: reason.map(Into::into) })
    })
    .transpose()
}

/// Stores the mode.
pub fn write(conn: &mut SqliteConnection, view: &SystemView) -> Result<(), StoreError> {
    let row = (
        system::id.eq(ROW),
        system::mode.eq(view.mode.name()),
        system::changed_at.eq(view.changed_at),
        system::reason.eq(view.reason.as_deref()),
    );
    diesel::replace_into(system::table).values(row).execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory;

    #[test]
    fn the_mode_that_was_written_last_is_the_one_that_is_read() {
        let conn = &mut memory();
        assert_eq!(read(conn), Ok(None));
        let paused = SystemView { mode: Mode::Paused, changed_at: 7, reason: Some("lunch".into()) };
        let draining = SystemView { mode: Mode::Draining, changed_at: 8, reason: None };
        for view in [paused, draining] {
            write(conn, &view).unwrap();
            assert_eq!(read(conn), Ok(Some(view)));
        }
    }

    #[test]
    fn a_mode_that_nobody_knows_is_an_error_and_not_a_guess() {
        let conn = &mut memory();
        let row = (system::id.eq(ROW), system::mode.eq("asleep"), system::changed_at.eq(1));
        diesel::insert_into(system::table).values(row).execute(conn).unwrap();
        assert_eq!(read(conn), Err(StoreError::Database("\"asleep\" is no mode".into())));
    }
}
