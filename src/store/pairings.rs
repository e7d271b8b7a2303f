//! The clients that the operator approved, each with the key of its proof. They leave when they are forgotten, never by
//! age.

use super::{StoreError, schema::pairings};
use crate::{clock::WallMs, ids::ClientId, secret::Secret};
use diesel::prelude::*;
use std::sync::Arc;

/// An approved client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingRow {
    /// Who.
    pub client_id: ClientId,
    /// From which origin alone it may come; `none` for a peer that is no browser.
    pub origin: Arc<str>,
    /// The key of the proof, 64 lower-case hexadecimal digits.
    pub client_secret: Secret,
    /// When it asked, in Unix milliseconds.
    pub requested_at: WallMs,
    /// When it was approved, in Unix milliseconds.
    pub approved_at: WallMs,
}

/// Everybody who was approved.
pub fn all(conn: &mut SqliteConnection) -> Result<Vec<PairingRow>, StoreError> {
    type Columns = (String, String, String, WallMs, WallMs);
    let rows = pairings::table.order(pairings::client_id).load::<Columns>(conn)?;
    let row = |(client_id, origin, client_secret, requested_at, approved_at): Columns| PairingRow {
        client_id: ClientId::trusted(client_id),
        origin: origin.into(),
        client_secret: Secret::new(client_secret),
        requested_at,
        approved_at,
    };
    Ok(rows.into_iter().map(row).collect())
}

/// Writes an approval; it takes the place of an older one of that client.
pub fn write(conn: &mut SqliteConnection, row: &PairingRow) -> Result<(), StoreError> {
    let columns = (
        pairings::client_id.eq(row.client_id.as_str()),
        pairings::origin.eq(&*row.origin),
        pairings::client_secret.eq(row.client_secret.expose()),
        pairings::requested_at.eq(row.requested_at),
        pairings::approved_at.eq(row.approved_at),
    );
    diesel::replace_into(pairings::table).values(columns).execute(conn)?;
    Ok(())
}

/// Forgets a client; answers whether it was known.
pub fn forget(conn: &mut SqliteConnection, client_id: &ClientId) -> Result<bool, StoreError> {
    Ok(diesel::delete(pairings::table.find(client_id.as_str())).execute(conn)? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory;

    fn row(client_id: &str, digit: &str) -> PairingRow {
        PairingRow {
            client_id: ClientId::trusted(client_id),
            origin: "moz-extension://a".into(),
            client_secret: Secret::new(digit.repeat(64)),
            requested_at: 1,
            approved_at: 2,
        }
    }

    #[test]
    fn a_client_is_known_by_its_last_approval_until_it_is_forgotten() {
        let conn = &mut memory();
        for approved in [row("b", "1"), row("a", "2"), row("b", "3")] {
            write(conn, &approved).unwrap();
        }
        assert_eq!(all(conn), Ok(vec![row("a", "2"), row("b", "3")]));
        assert_eq!(forget(conn, &ClientId::trusted("b")), Ok(true));
        assert_eq!(forget(conn, &ClientId::trusted("b")), Ok(false));
        assert_eq!(all(conn), Ok(vec![row("a", "2")]));
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let short = PairingRow { client_secret: Secret::new("ab"), ..row("a", "1") };
        assert!(matches!(write(&mut memory(), &short), Err(StoreError::Database(_))));
    }
}
