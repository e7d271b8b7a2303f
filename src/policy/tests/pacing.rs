//! The platform's line.

use super::*;

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn delays_are_told_apart_and_add_up() {
    let paced = PolicySettings {
        jitter: Jitter { min_ms: 300, max_ms: 300, mu_ms: 300, sigma_ms: 0 },
        rate_limit: RateLimit { requests_per_minute_per_platform: 2, window_ms: 60_000 },
        ..limits()
    };
    let mut fixture = Fixture::new(paced);
    let (mut a, mut b, mut c) = (fixture.ask(), fixture.ask(), fixture.ask());
    let first = a.lease().await;
    tokio::time::sleep(seconds(2)).await;
    first.settle(failure());
    b.lease().await.settle(LeaseOutcome::Success);
    let lease = c.lease().await;
    let Admission {
        requested_at,
        admitted_at,
        queue_delay_ms,
        backoff_delay_ms,
        rate_limit_delay_ms,
        jitter_delay_ms,
        ..
    } = **lease.admission();
    // The first went at 0.3 s, failed at 2.3 s and rests until 3.3 s; the second went at 3.6 s; the first leaves at 60.3 s.
    assert_eq!((requested_at, admitted_at), (1_000_000, 1_060_600));
    assert_eq!((queue_delay_ms, backoff_delay_ms, rate_limit_delay_ms, jitter_delay_ms), (3_600, 0, 56_700, 300));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_waits_for_pacing_is_refused_in_time_and_says_where_it_waited() {
    let paced = RateLimit { requests_per_minute_per_platform: 1, window_ms: 600_000 };
    let mut fixture = Fixture::new(PolicySettings { rate_limit: paced, ..limits() });
    fixture.ask().lease().await.settle(LeaseOutcome::Success);
    let mut second = fixture.ask();
    let reason = second.waiting.reason().await.unwrap();
    assert_eq!((reason.rule, reason.position, reason.until), (PolicyRule::RateLimit, Some(1), Some(1_600_000)));
    let expected = PolicyRefusal::WaiterTimeout {
        stage: WaitStage::PlatformAdmission,
        rule: PolicyRule::RateLimit,
        wait_timeout_ms: 120_000,
    };
    assert_eq!(second.refusal().await, expected);
    let platform = platform();
    let view = fixture.hub.platforms(std::iter::once(&platform)).await.remove(0);
    assert_eq!((view.waiting, view.recent_dispatch_count, view.last_dispatched_at), (0, 1, Some(1_000_000)));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_leaves_the_platforms_line_lets_the_next_through() {
    let paced = RateLimit { requests_per_minute_per_platform: 1, window_ms: 60_000 };
    let mut fixture = Fixture::new(PolicySettings { rate_limit: paced, ..limits() });
    fixture.ask().lease().await.settle(LeaseOutcome::Success);
    let (first, mut second) = (fixture.ask_of("gg"), fixture.ask_of("hh"));
    assert_eq!(second.waiting.reason().await.and_then(|reason| reason.position), Some(2));
    drop(first);
    tokio::task::yield_now().await;
    assert_eq!(second.waiting.reason().await.and_then(|reason| reason.position), Some(1));
    assert_eq!(second.lease().await.admission().rate_limit_delay_ms, 60_000);
}
