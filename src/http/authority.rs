//! What let a caller in, for as long as that holds: one state of the token, one session, or nothing that ends.
//!
//! Everything that was let in by it and lasts waits for one signal; nothing asks again and again. What lets callers in in
//! another way, such as a token of its own name, gives out authorities in the same way and ends them by cancelling.

use std::{future::pending, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// What let a caller in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Authority {
    revoked: Option<CancellationToken>,
    expires: Option<Instant>,
}

impl Authority {
    /// One that does not end: trust in local callers, or what anybody may do.
    pub(super) fn lasting() -> Self {
        Authority { revoked: None, expires: None }
    }

    /// One that ends when `revoked` is cancelled, and at its time if it has one.
    pub(super) fn until(revoked: CancellationToken, expires: Option<Instant>) -> Self {
        Authority { revoked: Some(revoked), expires }
    }

    /// Whether it can end.
    pub(super) fn can_end(&self) -> bool {
        self.revoked.is_some()
    }

    /// Whether it has not ended.
    pub(super) fn holds(&self) -> bool {
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
    pub(super) async fn bounds<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        if !self.can_end() {
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
        let (lasting, revoked) = (Authority::lasting(), Authority::until(token.clone(), None));
        let timed = Authority::until(CancellationToken::new(), Some(Instant::now() + SECOND));
        assert!([&lasting, &revoked, &timed].iter().all(|authority| authority.holds()));
        assert!(revoked.ended().now_or_never().is_none());
        token.cancel();
        revoked.ended().await;
        let began = Instant::now();
        timed.ended().await;
        assert_eq!(began.elapsed(), SECOND);
        assert!(!revoked.holds() && !timed.holds() && lasting.holds());
        assert!(tokio::time::timeout(SECOND * 3_600, lasting.ended()).await.is_err());
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn work_has_a_grace_to_end_by_itself() {
        let ends = |after: u32| Authority::until(CancellationToken::new(), Some(Instant::now() + SECOND * after));
        let work = async |seconds: u32| sleep(SECOND * seconds).await;
        assert_eq!(ends(5).bounds(SECOND, work(4)).await, Some(()));
        assert_eq!(ends(5).bounds(SECOND * 3, work(7)).await, Some(()), "within the grace");
        assert_eq!(ends(5).bounds(SECOND, work(7)).await, None);
        assert_eq!(Authority::lasting().bounds(SECOND, work(1_000)).await, Some(()));
    }
}
