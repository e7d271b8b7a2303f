//! What let a caller in, for as long as that holds: one state of the token, one session, or nothing that ends.
//!
//! Everything that was let in by it and lasts waits for one signal; nothing asks again and again. What lets callers in in
//! another way, such as a token of its own name, gives out authorities in the same way and ends them by cancelling.

use std::{future::pending, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// What let a caller in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct AccessGrant {
    revoked: Option<CancellationToken>,
    expires: Option<Instant>,
}

impl AccessGrant {
    /// One that does not end: trust in local callers, or what anybody may do.
    pub(super) fn permanent() -> Self {
        AccessGrant { revoked: None, expires: None }
    }

    /// One that ends when `revoked` is cancelled, and at its time if it has one.
    pub(super) fn revocable(revoked: CancellationToken, expires: Option<Instant>) -> Self {
        AccessGrant { revoked: Some(revoked), expires }
    }

    /// Whether it can end.
    pub(super) fn is_revocable(&self) -> bool {
        self.revoked.is_some()
    }

    /// Whether it has not ended.
    pub(super) fn is_valid(&self) -> bool {
        !self.revoked.as_ref().is_some_and(CancellationToken::is_cancelled)
            && self.expires.is_none_or(|expires| Instant::now() < expires)
    }

    /// Waits for its end.
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

    /// Does some work; nothing when its end, and `grace` for the work to notice it, came first. The work is dropped then,
    /// as if its caller had gone.
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
    async fn it_ends_when_it_is_revoked_or_by_time_and_otherwise_never() {
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
    async fn work_has_a_grace_to_end_by_itself() {
        let ends = |after: u32| AccessGrant::revocable(CancellationToken::new(), Some(Instant::now() + SECOND * after));
        let work = async |seconds: u32| sleep(SECOND * seconds).await;
        assert_eq!(ends(5).run_while_valid(SECOND, work(4)).await, Some(()));
        assert_eq!(ends(5).run_while_valid(SECOND * 3, work(7)).await, Some(()), "within the grace");
        assert_eq!(ends(5).run_while_valid(SECOND, work(7)).await, None);
        assert_eq!(AccessGrant::permanent().run_while_valid(SECOND, work(1_000)).await, Some(()));
    }
}
