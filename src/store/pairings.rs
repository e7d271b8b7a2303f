//! Approved clients with their proof keys. Rows are deleted on request only, never by age.

use super::{StoreError, schema::pairings};
use crate::{clock::WallMs, ids::ClientId, secret::Secret};
use diesel::prelude::*;
use std::sync::Arc;

/// An approved client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairingRow {
    /// Id of the client.
    pub client_id: ClientId,
    /// The only origin it may connect from; `none` for a peer that is not a browser.
    pub origin: Arc<str>,
    /// Proof key, 64 lower-case hexadecimal digits.
    pub client_secret: Secret,
    /// Time of the pairing request, in Unix milliseconds.
    pub requested_at: WallMs,
    /// Time of approval, in Unix milliseconds.
    pub approved_at: WallMs,
}

/// Returns all approved clients.
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

/// Stores an approval; it replaces an earlier one of the same client.
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

/// Deletes a client; returns whether it was known.
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
