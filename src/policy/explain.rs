//! Explains what a request made now would have to wait for. Pure.

use super::{
    admission::{PolicyRefusal, PolicyRule, WaitReason},
    dispatch_window::ms_until,
    pacing_queue::PacingForecast,
    target_queue::AdmissionForecast,
};
use crate::{
    clock::{Moment, WallMs},
    ids::{ClientId, PlatformName},
};

pub use crate::api::policy::PredictedOutcome;

/// Prediction for a request made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyExplanation {
    /// Client that would perform it.
    pub client_id: ClientId,
    /// Platform of the request.
    pub platform: PlatformName,
    /// Predicted outcome.
    pub would: PredictedOutcome,
    /// The rules that apply, in the order in which they are checked; a refusal comes last.
    pub reasons: Vec<WaitReason>,
}

/// Returns what a request waits for in the platform's pacing queue.
pub(super) fn of_platform(pacing_forecast: &PacingForecast, now: Moment) -> Vec<WaitReason> {
    let mut reasons = Vec::new();
    let position = pacing_forecast.ahead + 1;
    if let Some(room_at) = pacing_forecast.room_at {
        reasons.push(WaitReason::lasting(PolicyRule::RateLimit, ms_until(now.instant, room_at), now.wall).at(position));
    } else if pacing_forecast.ahead > 0 {
        reasons.push(WaitReason::of(PolicyRule::RateLimit).at(position));
    }
    if pacing_forecast.jitter_ms > 0 {
        let reason = match pacing_forecast.jitter_until {
            // The pause has been drawn already.
            Some(until) => WaitReason::lasting(PolicyRule::Jitter, ms_until(now.instant, until), now.wall),
            None => WaitReason { delay_ms: Some(pacing_forecast.jitter_ms), ..WaitReason::of(PolicyRule::Jitter) },
        };
        reasons.push(reason.at(position));
    }
    reasons
}

fn refused(refusal: &PolicyRefusal) -> WaitReason {
    let (until, delay_ms) = (refusal.until(), refusal.retry_after_ms());
    let position = if let PolicyRefusal::QueueFull { waiting } = refusal { Some(waiting + 1) } else { None };
    WaitReason { rule: refusal.rule(), until, delay_ms, position }
}

/// Returns the milliseconds until all reasons are over, as far as that is known.
fn foretold_ms(reasons: &[WaitReason], now: WallMs) -> u64 {
    let last = reasons.iter().filter_map(|reason| reason.until).max().map_or(0, |until| until.saturating_sub(now));
    let after = reasons.iter().filter(|reason| reason.until.is_none()).filter_map(|reason| reason.delay_ms);
    after.fold(u64::try_from(last).unwrap_or(0), u64::saturating_add)
}

/// Combines the forecasts of target and pacing for a request that may wait at most `wait_ms` milliseconds.
pub(super) fn explain(
    forecast: AdmissionForecast,
    pacing_forecast: Option<&PacingForecast>,
    wait_ms: u64,
    now: Moment,
) -> (PredictedOutcome, Vec<WaitReason>) {
    match forecast {
        AdmissionForecast::Refused(refusal) => (PredictedOutcome::Refuse, vec![refused(&refusal)]),
        AdmissionForecast::Passes(mut reasons) => {
            reasons.extend(pacing_forecast.map_or_else(Vec::new, |pacing_forecast| of_platform(pacing_forecast, now)));
            if foretold_ms(&reasons, now.wall) > wait_ms {
                reasons.push(WaitReason::lasting(PolicyRule::WaiterTimeout, wait_ms, now.wall));
                return (PredictedOutcome::Refuse, reasons);
            }
            (if reasons.is_empty() { PredictedOutcome::Admit } else { PredictedOutcome::Wait }, reasons)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_rules_stand_in_the_order_in_which_they_are_met() {
        let now = Moment { instant: Instant::now(), wall: 1_000_000 };
        let later = |ms| Some(now.instant + Duration::from_millis(ms));
        let pacing_forecast =
            |ahead, room_at, jitter_ms, jitter_until| PacingForecast { ahead, room_at, jitter_ms, jitter_until };
        let rest_of = |ms| WaitReason::lasting(PolicyRule::Backoff, ms, now.wall);
        for (forecast, pacing_forecast, would, shown) in [
            (vec![], pacing_forecast(0, None, 0, None), PredictedOutcome::Admit, ""),
            (vec![rest_of(500)], pacing_forecast(0, None, 0, None), PredictedOutcome::Wait, "backoff 500 @500;"),
            (
                vec![],
                pacing_forecast(0, later(70), 30, None),
                PredictedOutcome::Wait,
                "rate_limit 70 @70 #1;jitter 30 #1;",
            ),
            (vec![], pacing_forecast(2, None, 90, None), PredictedOutcome::Wait, "rate_limit #3;jitter 90 #3;"),
            (vec![], pacing_forecast(0, None, 20, later(20)), PredictedOutcome::Wait, "jitter 20 @20 #1;"),
            // The back-off passes while the window does.
            (
                vec![rest_of(800)],
                pacing_forecast(0, later(900), 100, None),
                PredictedOutcome::Wait,
                "backoff 800 @800;rate_limit 900 @900 #1;jitter 100 #1;",
            ),
            (
                vec![],
                pacing_forecast(0, later(901), 100, None),
                PredictedOutcome::Refuse,
                "rate_limit 901 @901 #1;jitter 100 #1;waiter_timeout 1000 @1000;",
            ),
        ] {
            let (found, reasons) = explain(AdmissionForecast::Passes(forecast), Some(&pacing_forecast), 1_000, now);
            let text: String = reasons.iter().map(|reason| line(reason, now)).collect();
            assert_eq!((found, text.as_str()), (would, shown));
        }
    }

    fn line(reason: &WaitReason, now: Moment) -> String {
        let mut text = reason.rule.name().to_owned();
        text.extend(reason.delay_ms.map(|ms| format!(" {ms}")));
        text.extend(reason.until.map(|until| format!(" @{}", until - now.wall)));
        text.extend(reason.position.map(|position| format!(" #{position}")));
        text + ";"
    }

    #[test]
    fn a_refusal_is_the_only_reason() {
        let now = Moment { instant: Instant::now(), wall: 1_000_000 };
        let refusal = PolicyRefusal::QueueFull { waiting: 2 };
        let (would, reasons) = explain(AdmissionForecast::Refused(refusal), None, 1_000, now);
        assert_eq!((would, line(&reasons[0], now).as_str()), (PredictedOutcome::Refuse, "queue_full #3;"));
        assert_eq!(reasons.len(), 1);
    }
}
