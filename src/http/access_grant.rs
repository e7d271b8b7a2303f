//! The access that a credential grants, for as long as the credential is valid: a generation of the token, a session,
//! or no end at all.
//!
//! Streams and running requests await one signal, [`AccessGrant::ended`]; nothing polls. Other kinds of credentials,
//! such as named tokens, can issue grants the same way and end them by cancelling.

use std::{future::pending, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The access that a credential grants. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct AccessGrant {
    revoked: Option<CancellationToken>,
    expires: Option<Instant>,
}

impl AccessGrant {
    /// Creates a grant without an end, for trusted local callers and open routes.
    pub(super) fn permanent() -> Self {
        AccessGrant { revoked: None, expires: None }
    }

    /// Creates a grant that ends when `revoked` is cancelled, or at `expires`.
    pub(super) fn revocable(revoked: CancellationToken, expires: Option<Instant>) -> Self {
        AccessGrant { revoked: Some(revoked), expires }
    }

    /// Returns whether the grant can end.
    pub(super) fn is_revocable(&self) -> bool {
        self.revoked.is_some()
    }

    pub(super) fn is_valid(&self) -> bool {
        !self.revoked.as_ref().is_some_and(CancellationToken::is_cancelled)
            && self.expires.is_none_or(|expires| Instant::now() < expires)
    }

    /// Waits for the end of the grant; for a permanent one, forever.
    pub(super) async fn ended(&self) {
        let Some(revoked) = &self.revoked else { return pending().await };
        match self.expires {
            Some(expires) => {
                futures_util::future::select(std::pin::pin!(revoked.cancelled()), std::pin::pin!(sleep_until(expires)))
                    .await;
            }
            None => revoked.cancelled().await,
        }
    }

    /// Runs `work`. Returns `None`, and drops the work, if the grant ends and `grace` passes before the work is
    /// complete.
    pub(super) async fn run_while_valid<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        if !self.is_revocable() {
            return Some(work.await);
        }
        let end = async {
            self.ended().await;
            sleep(grace).await;
        };
        match futures_util::future::select(std::pin::pin!(work), std::pin::pin!(end)).await {
            futures_util::future::Either::Left((done, _)) => Some(done),
            futures_util::future::Either::Right(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn a_grant_ends_when_revoked_or_expired_and_a_permanent_one_never() {
        let token = CancellationToken::new();
        let (permanent, revoked) = (AccessGrant::permanent(), AccessGrant::revocable(token.clone(), None));
        let timed = AccessGrant::revocable(CancellationToken::new(), Some(Instant::now() + SECOND));
        assert!([&permanent, &revoked, &timed].iter().all(|grant| grant.is_valid()));
        assert!(revoked.ended().now_or_never().is_none());
        token.cancel();
        revoked.ended().await;
        let began = Instant::now();
        timed.ended().await;
        assert_eq!(began.elapsed(), SECOND);
        assert!(!revoked.is_valid() && !timed.is_valid() && permanent.is_valid());
        assert!(tokio::time::timeout(SECOND * 3_600, permanent.ended()).await.is_err());
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn work_may_complete_within_the_grace() {
        let ends = |after: u32| AccessGrant::revocable(CancellationToken::new(), Some(Instant::now() + SECOND * after));
        let work = async |seconds: u32| sleep(SECOND * seconds).await;
        assert_eq!(ends(5).run_while_valid(SECOND, work(4)).await, Some(()));
        assert_eq!(ends(5).run_while_valid(SECOND * 3, work(7)).await, Some(()), "within the grace");
        assert_eq!(ends(5).run_while_valid(SECOND, work(7)).await, None);
        assert_eq!(AccessGrant::permanent().run_while_valid(SECOND, work(1_000)).await, Some(()));
    }
}
