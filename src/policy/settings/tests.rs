//! What one platform has differently, and impossible limits.

use super::*;
use crate::config::section::validation_errors;

fn parse(text: &str) -> PolicySettings {
    toml::from_str(text).unwrap()
}

fn errors(text: &str) -> Vec<String> {
    let policy = parse(text);
    validation_errors(|errors| policy.validate(errors, |name| name == "claude"))
}

#[test]
fn a_platform_changes_single_limits_and_keeps_the_rest() {
    let policy = parse("backoff.base_ms = 7\n[platform.claude]\nbackoff.max_ms = 9\njitter.min_ms = 0");
    let claude = policy.for_platform("claude");
    assert_eq!(claude.backoff, Backoff { base_ms: 7, max_ms: 9 });
    assert_eq!(claude.jitter, Jitter { min_ms: 0, ..Jitter::default() });
    assert_eq!(policy.for_platform("chatgpt"), policy.limits());
}

#[test]
fn jitter_is_off_when_all_four_are_zero() {
    let off = parse("jitter = { min_ms = 0, max_ms = 0, mu_ms = 0, sigma_ms = 0 }");
    assert!(off.jitter.is_off() && !Jitter::default().is_off());
    assert_eq!(errors("jitter = { min_ms = 0, max_ms = 0, mu_ms = 0, sigma_ms = 0 }"), [""; 0]);
}

#[test]
fn a_seed_of_zero_is_none() {
    assert_eq!((parse("seed = 0").seed, parse("seed = 5").seed), (None, Some(5)));
}

#[test]
fn impossible_values_are_faults() {
    for (text, key) in [
        ("jitter = { min_ms = 500, max_ms = 100 }", "jitter.min_ms"),
        ("jitter = { min_ms = 500, max_ms = 600 }\nwaiter.timeout_ms = 400", "jitter.min_ms"),
        ("backoff = { base_ms = 5, max_ms = 4 }", "backoff.base_ms"),
        ("backoff.base_ms = 0", "backoff.base_ms"),
        ("circuit_breaker.failure_threshold = 0", "circuit_breaker.failure_threshold"),
        ("circuit_breaker.open_ms = 0", "circuit_breaker.open_ms"),
        ("concurrency.max_in_flight_per_client_platform = 0", "concurrency.max_in_flight_per_client_platform"),
        ("rate_limit.window_ms = 0", "rate_limit.window_ms"),
        ("rate_limit.requests_per_minute_per_platform = 0", "rate_limit.requests_per_minute_per_platform"),
        ("stale_lease.idle_ms = 0", "stale_lease.idle_ms"),
        ("stale_lease.sweep_interval_ms = 0", "stale_lease.sweep_interval_ms"),
        ("stream.max_buffered_events = 0", "stream.max_buffered_events"),
        ("stream.max_buffered_bytes = 0", "stream.max_buffered_bytes"),
        ("stream.idle_timeout_ms = 9000000000000000000", "stream.idle_timeout_ms"),
        ("max_targets = 0", "max_targets"),
        ("[platform.gemini]", "platform.gemini"),
        ("[platform.claude]\nbackoff.max_ms = 1", "platform.claude.backoff.base_ms"),
    ] {
        let found = errors(text);
        assert!(found.len() == 1 && found[0].starts_with(&format!("{key}: ")), "{text}: {found:?}");
    }
}

#[test]
fn what_is_wrong_for_all_is_said_once() {
    assert_eq!(errors("backoff.base_ms = 0\n[platform.claude]\njitter.mu_ms = 3").len(), 1);
}
