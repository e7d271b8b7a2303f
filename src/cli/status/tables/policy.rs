//! The tables of policy targets and of platform pacing.

use super::{format_remaining, number_or_dash, or_dash};
use crate::{
    cli::table::{OutputStyle, id_column, render_table, state_column, text_column},
    clock::WallMs,
};
use serde::Deserialize;

/// The fields of the policy that are shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PolicyStatus {
    defaults: PacingLimits,
    platforms: Vec<PlatformPacing>,
    targets: Vec<TargetStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PacingLimits {
    rate_limit: RateLimitSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RateLimitSettings {
    requests_per_minute_per_platform: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PlatformPacing {
    platform: Option<String>,
    recent_dispatch_count: Option<u64>,
    waiting: Option<u64>,
    next_slot_at: Option<WallMs>,
    limits: Option<PacingLimits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TargetStatus {
    client_id: Option<String>,
    platform: Option<String>,
    circuit_state: Option<String>,
    in_flight: Option<u64>,
    waiting: Option<u64>,
    consecutive_failures: Option<u64>,
    backoff_until: Option<WallMs>,
    circuit_retry_at: Option<WallMs>,
    last_error: Option<String>,
}

/// Renders a row per target, then a row per platform.
pub(super) fn policy_tables(policy: &PolicyStatus, now: WallMs, style: OutputStyle) -> String {
    let targets = policy.targets.iter().map(|target| {
        [or_dash(&target.client_id), or_dash(&target.platform), number_or_dash(target.in_flight), target.state(now)]
    });
    let targets = render_table(
        style,
        "no targets yet",
        [id_column("TARGET"), id_column("PLATFORM"), text_column("IN FLIGHT"), state_column("CIRCUIT AND QUEUE")],
        targets.collect(),
    );
    let platforms = policy.platforms.iter().map(|platform| {
        let limits = platform.limits.as_ref().unwrap_or(&policy.defaults);
        [or_dash(&platform.platform), platform.describe(limits, now)]
    });
    let platforms = render_table(
        style,
        "pacing: not reported by the daemon",
        [id_column("PLATFORM"), text_column("PACING")],
        platforms.collect(),
    );
    format!("{targets}\n{platforms}")
}

impl TargetStatus {
    fn state(&self, now: WallMs) -> String {
        let backoff = self.backoff_until.filter(|until| *until > now);
        let circuit = match (self.circuit_state.as_deref(), self.circuit_retry_at, backoff) {
            (Some("open"), Some(at), _) if at > now => {
                format!("open, next try in {}{}", format_remaining(at - now), self.failure_suffix())
            }
            (Some("open"), Some(_), _) => format!("open, next try now{}", self.failure_suffix()),
            (Some("half_open"), ..) => "half open, probe in progress".to_owned(),
            (Some("closed"), _, Some(until)) => {
                format!("closed, backing off for {}{}", format_remaining(until - now), self.failure_suffix())
            }
            (Some("closed"), _, None) if self.consecutive_failures.is_some_and(|count| count > 0) => {
                format!("closed{}", self.failure_suffix())
            }
            _ => or_dash(&self.circuit_state),
        };
        circuit + &waiting_suffix(self.waiting)
    }

    /// The failures before the current state; empty if there were none.
    fn failure_suffix(&self) -> String {
        let Some(count) = self.consecutive_failures.filter(|count| *count > 0) else { return String::new() };
        let plural = if count == 1 { "" } else { "s" };
        // HTTP statuses are shown as numbers.
        let error = self.last_error.as_deref().map(|error| error.strip_prefix("http_").unwrap_or(error));
        error.map_or_else(
            || format!(" after {count} failure{plural}"),
            |error| format!(" after {count} failure{plural}: {error}"),
        )
    }
}

impl PlatformPacing {
    fn describe(&self, limits: &PacingLimits, now: WallMs) -> String {
        let recent = number_or_dash(self.recent_dispatch_count);
        let window = match limits.rate_limit.requests_per_minute_per_platform {
            Some(most) => format!("{recent} of {most} in the window"),
            None => format!("{recent} in the window"),
        };
        let next = self.next_slot_at.filter(|at| *at > now);
        let next = next.map(|at| format!(", next slot in {}", format_remaining(at - now))).unwrap_or_default();
        window + &next + &waiting_suffix(self.waiting)
    }
}

fn waiting_suffix(count: Option<u64>) -> String {
    match count {
        None | Some(0) => String::new(),
        Some(1) => ", 1 waiting".to_owned(),
        Some(count) => format!(", {count} waiting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    const NOW: WallMs = 1_000_000;

    fn target(fields: Value) -> String {
        from_value::<TargetStatus>(fields).unwrap().state(NOW)
    }

    #[test]
    fn a_target_is_described() {
        for (fields, text) in [
            (
                json!({"circuit_state": "open", "circuit_retry_at": NOW + 40_001, "consecutive_failures": 5,
                    "last_error": "http_429", "backoff_until": NOW + 9_000, "waiting": 0}),
                "open, next try in 41 s after 5 failures: 429",
            ),
            (
                json!({"circuit_state": "open", "circuit_retry_at": NOW, "consecutive_failures": 1}),
                "open, next try now after 1 failure",
            ),
            (
                json!({"circuit_state": "half_open", "consecutive_failures": 5, "waiting": 3}),
                "half open, probe in progress, 3 waiting",
            ),
            (
                json!({"circuit_state": "closed", "backoff_until": NOW + 3_000, "consecutive_failures": 1,
                    "last_error": "http_503", "waiting": 1}),
                "closed, backing off for 3 s after 1 failure: 503, 1 waiting",
            ),
            (
                json!({"circuit_state": "closed", "backoff_until": NOW, "consecutive_failures": 2,
                    "last_error": "request_timeout"}),
                "closed after 2 failures: request_timeout",
            ),
            (json!({"circuit_state": "closed", "consecutive_failures": 0, "waiting": 2}), "closed, 2 waiting"),
            (json!({"circuit_state": "closed"}), "closed"),
            (json!({"circuit_state": "open"}), "open"),
            (json!({"circuit_state": "ajar", "waiting": 1}), "ajar, 1 waiting"),
            (json!({}), "-"),
        ] {
            assert_eq!(target(fields.clone()), text, "{fields}");
        }
    }

    #[test]
    fn a_platform_shows_its_own_limit_or_the_default() {
        let limits = |most: u64| json!({"rate_limit": {"requests_per_minute_per_platform": most}});
        let full = json!({"platform": "claude", "recent_dispatch_count": 3, "waiting": 1,
            "next_slot_at": NOW + 12_000, "limits": limits(3)});
        let usual = json!({"platform": "kimi", "recent_dispatch_count": 0, "waiting": 0, "next_slot_at": NOW - 1});
        let tables = |policy: Value| policy_tables(&from_value(policy).unwrap(), NOW, OutputStyle::PLAIN);
        let wanted = "\
no targets yet

PLATFORM  PACING
claude    3 of 3 in the window, next slot in 12 s, 1 waiting
kimi      0 of 10 in the window
";
        assert_eq!(tables(json!({"defaults": limits(10), "platforms": [full, usual]})), wanted);
        assert!(tables(json!({"platforms": [{"recent_dispatch_count": 2}]})).ends_with("-         2 in the window\n"));
        assert!(tables(json!({})).ends_with("\npacing: not reported by the daemon\n"));
    }
}
