//! Retries changes that have to be committed because they record something that already happened.

use crate::store::{SqliteConnection, Store, StoreError};
use std::time::Duration;

/// Runs a transaction until it is committed; `failed` is called after each failed attempt.
///
/// # Errors
///
/// The store is closed, or the row to be changed does not exist.
pub async fn retry_until_committed<T, F>(
    store: &Store,
    retry: Duration,
    mut failed: impl FnMut(&StoreError),
    change: F,
) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: Fn(&mut SqliteConnection) -> Result<T, StoreError> + Clone + Send + 'static,
{
    loop {
        match store.transact(change.clone()).await {
            Err(error @ (StoreError::Gone | StoreError::NotFound)) => return Err(error),
            Err(error) => failed(&error),
            made => return made,
        }
        tokio::time::sleep(retry).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::{StoreSettings, Unavailable},
        testing::frozen,
    };
    use std::{
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::Relaxed},
        },
    };

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn a_change_is_tried_until_it_is_made_and_each_failure_is_told() {
        let store = Store::open(Path::new(":memory:"), &StoreSettings::default()).unwrap();
        let tries = Arc::new(AtomicUsize::new(0));
        let change = {
            let tries = Arc::clone(&tries);
            move |_: &mut SqliteConnection| match tries.fetch_add(1, Relaxed) {
                0 => Err(Unavailable::Full.into()),
                1 => Err(StoreError::Database("odd".into())),
                n => Ok(n),
            }
        };
        let mut told = Vec::new();
        // Only the pauses advance the test's clock; it stands still during store operations.
        let made =
            retry_until_committed(&store, Duration::from_millis(1), |error| told.push(error.to_string()), change);
        assert_eq!(made.await, Ok(2));
        assert_eq!(told, ["store is unavailable: disk is full", "database error: odd"]);
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn what_is_not_there_or_closed_ends_it() {
        let store = Store::open(Path::new(":memory:"), &StoreSettings::default()).unwrap();
        let never = |error: &StoreError| panic!("{error}");
        let missing = |_: &mut SqliteConnection| Err::<(), _>(StoreError::NotFound);
        let retry = Duration::from_millis(1);
        assert_eq!(frozen(retry_until_committed(&store, retry, never, missing)).await, Err(StoreError::NotFound));
        frozen(store.close()).await.unwrap();
        assert_eq!(retry_until_committed(&store, retry, never, |_| Ok(())).await, Err(StoreError::Gone));
    }
}
