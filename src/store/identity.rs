//! The identity of the database and its progress, which distinguish it from other databases and from older copies.

use super::{
    StoreError,
    audit::{self, ChainLink},
    schema::{store_identity as identity, task_logs as logs},
};
use diesel::prelude::*;

/// The one row.
const ROW: i32 = 1;

/// Returns the random id of the database: 32 hex digits, drawn at its creation.
pub fn store_id(conn: &mut SqliteConnection) -> Result<String, StoreError> {
    Ok(identity::table.find(ROW).select(identity::store_id).first(conn)?)
}

/// Returns the last line of the audit trail, which grows with every executed instruction.
pub fn head(conn: &mut SqliteConnection) -> Result<Option<ChainLink>, StoreError> {
    Ok(audit::ends(conn)?.head)
}

/// Returns whether the trail has reached this line, and contains it unless it was deleted by age.
pub fn has_reached(conn: &mut SqliteConnection, line: &ChainLink) -> Result<bool, StoreError> {
    let ends = audit::ends(conn)?;
    let number = |link: Option<ChainLink>| link.map_or(0, |link| link.number);
    if number(ends.head) < line.number {
        return Ok(false);
    }
    if number(ends.anchor) >= line.number {
        return Ok(true);
    }
    let hash: Option<String> = logs::table.find(line.number).select(logs::hash).first(conn).optional()?;
    Ok(hash.as_ref() == Some(&line.hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        audit::{AuditEntry, AuditLevel, append},
        memory,
    };

    fn add(conn: &mut SqliteConnection, message: &str) -> ChainLink {
        let entry =
            AuditEntry { task_id: "task_1", run_id: None, at: 1, level: AuditLevel::Info, event: "queued", message };
        append(conn, &entry).unwrap();
        head(conn).unwrap().unwrap()
    }

    #[test]
    fn every_database_has_a_name_of_its_own() {
        let ids = [store_id(&mut memory()).unwrap(), store_id(&mut memory()).unwrap()];
        assert!(ids[0] != ids[1] && ids[0].len() == 32, "{ids:?}");
    }

    #[test]
    fn an_older_copy_and_one_that_went_another_way_have_not_reached_what_was_remembered() {
        let (conn, copy, other) = (&mut memory(), &mut memory(), &mut memory());
        assert_eq!(head(conn), Ok(None));
        for conn in [&mut *conn, &mut *copy, &mut *other] {
            add(conn, "one");
        }
        let line = add(conn, "two");
        assert_eq!(has_reached(conn, &line), Ok(true));
        assert_eq!(has_reached(copy, &line), Ok(false));
        add(other, "another");
        add(other, "three");
        assert_eq!(has_reached(other, &line), Ok(false));
        add(conn, "three");
        assert_eq!(has_reached(conn, &line), Ok(true));
    }
}
