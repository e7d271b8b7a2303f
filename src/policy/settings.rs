//! Section `policy`: the limits of targets and platforms, and what single platforms have differently.

use crate::config::section::{ValidationErrors, settings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Declares a group of limits and its twin in which every limit may be absent.
macro_rules! group {
    ($(#[$doc:meta])* $name:ident, $part:ident { $($(#[$meta:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        settings! {
            $(#[$doc])*
            #[derive(Copy, Eq, schemars::JsonSchema)]
            $name { $($(#[$meta])* $field: $type = $default,)* }
        }

        #[doc = concat!("What one platform has differently from [`", stringify!($name), "`].")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $part {
            $($(#[$meta])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }

        impl $part {
            fn over(&self, base: $name) -> $name {
                $name { $($field: self.$field.unwrap_or(base.$field),)* }
            }
        }
    };
}

group! {
    /// The back-off of a target after a failure.
    Backoff, BackoffPart {
        /// Milliseconds after the first failure; each further one in a row doubles them.
        base_ms: u64 = 1_000,
        /// Most milliseconds.
        max_ms: u64 = 60_000,
    }
}

group! {
    /// The circuit breaker of a target.
    CircuitBreaker, CircuitBreakerPart {
        /// Failures in a row that open the circuit.
        failure_threshold: u32 = 5,
        /// Milliseconds for which an open circuit refuses requests before it admits one probe.
        open_ms: u64 = 60_000,
    }
}

group! {
    /// Concurrency of a target.
    Concurrency, ConcurrencyPart {
        /// Concurrent requests per target.
        max_in_flight_per_client_platform: usize = 1,
    }
}

group! {
    /// The random pause before a dispatch, normally distributed; all four 0: none.
    Jitter, JitterPart {
        /// Minimum in milliseconds.
        min_ms: u64 = 1_000,
        /// Most milliseconds.
        max_ms: u64 = 5_000,
        /// Mean in milliseconds.
        mu_ms: u64 = 2_000,
        /// Standard deviation in milliseconds.
        sigma_ms: u64 = 500,
    }
}

group! {
    /// The rate limit of dispatches to a platform.
    RateLimit, RateLimitPart {
        /// Dispatches within a window.
        requests_per_minute_per_platform: usize = 10,
        /// Milliseconds of that window.
        window_ms: u64 = 60_000,
    }
}

group! {
    /// When a lease that shows no life is taken back.
    StaleLease, StaleLeasePart {
        /// Milliseconds without a sign of life.
        idle_ms: u64 = 300_000,
        /// Milliseconds between two sweeps.
        sweep_interval_ms: u64 = 30_000,
    }
}

group! {
    /// The bounds of a streamed answer.
    Stream, StreamPart {
        /// Milliseconds from dispatch to the opening.
        open_timeout_ms: u64 = 10_000,
        /// Milliseconds between two signs of life.
        idle_timeout_ms: u64 = 30_000,
        /// Bytes that may wait for a slow caller.
        max_buffered_bytes: usize = 524_288,
        /// Events that may wait for a slow caller.
        max_buffered_events: usize = 256,
        /// Milliseconds without a real event after which a stream ends, whatever `progress` says.
        max_silence_ms: u64 = 1_800_000,
    }
}

group! {
    /// Waiting for a slot, a back-off or pacing.
    Waiter, WaiterPart {
        /// Maximum total waiting time in milliseconds.
        timeout_ms: u64 = 120_000,
        /// Requests that may wait per target.
        max_per_target: usize = 256,
    }
}

/// The limits that hold for one platform; serializes as `policy.defaults` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "each field's type says what it is")]
pub struct PolicyLimits {
    pub backoff: Backoff,
    pub circuit_breaker: CircuitBreaker,
    pub concurrency: Concurrency,
    pub jitter: Jitter,
    pub rate_limit: RateLimit,
    pub stale_lease: StaleLease,
    pub stream: Stream,
    pub waiter: Waiter,
}

/// Overrides of the limits for one platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each field's type says what it is")]
pub struct PolicyOverride {
    pub backoff: BackoffPart,
    pub circuit_breaker: CircuitBreakerPart,
    pub concurrency: ConcurrencyPart,
    pub jitter: JitterPart,
    pub rate_limit: RateLimitPart,
    pub stale_lease: StaleLeasePart,
    pub stream: StreamPart,
    pub waiter: WaiterPart,
}

settings! {
    /// The limits of all platforms, and overrides for single ones.
    PolicySettings {
        /// The back-off after a failure.
        backoff: Backoff = Backoff::default(),
        /// The circuit breaker of a target.
        circuit_breaker: CircuitBreaker = CircuitBreaker::default(),
        /// Concurrency of a target.
        concurrency: Concurrency = Concurrency::default(),
        /// The random pause before a dispatch.
        jitter: Jitter = Jitter::default(),
        /// The rate limit of dispatches to a platform.
        rate_limit: RateLimit = RateLimit::default(),
        /// Revocation of idle leases.
        stale_lease: StaleLease = StaleLease::default(),
        /// Bounds of a streamed answer.
        stream: Stream = Stream::default(),
        /// Bounds of waiting.
        waiter: Waiter = Waiter::default(),
        /// Seed of the jitter, for tests; 0: random.
        #[serde(with = "zero")]
        seed: Option<u64> = None,
        /// Maximum number of targets.
        max_targets: usize = 4_096,
        /// Overrides by platform.
        platform: BTreeMap<String, PolicyOverride> = BTreeMap::new(),
    }
}

/// Reads and writes an `Option` whose `None` is 0.
mod zero {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.unwrap_or(0).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        u64::deserialize(deserializer).map(|value| (value != 0).then_some(value))
    }
}

impl Jitter {
    /// Returns whether there is no pause.
    pub fn is_off(&self) -> bool {
        *self == Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 }
    }
}

impl PolicySettings {
    /// The limits of a platform that has nothing of its own.
    pub fn limits(&self) -> PolicyLimits {
        PolicyLimits {
            backoff: self.backoff,
            circuit_breaker: self.circuit_breaker,
            concurrency: self.concurrency,
            jitter: self.jitter,
            rate_limit: self.rate_limit,
            stale_lease: self.stale_lease,
            stream: self.stream,
            waiter: self.waiter,
        }
    }

    /// The limits of the platform of that name.
    pub fn for_platform(&self, name: &str) -> PolicyLimits {
        let base = self.limits();
        self.platform.get(name).map_or(base, |own| own.over(base))
    }

    /// Names every value that cannot be; `registered` tells which platforms there are.
    pub fn validate(&self, errors: &mut ValidationErrors, registered: impl Fn(&str) -> bool) {
        errors.count("max_targets", self.max_targets);
        let mut base = ValidationErrors::default();
        self.limits().validate(&mut base);
        base.errors().iter().for_each(|found| errors.add_nested("", found));
        for name in self.platform.keys() {
            let section = format!("platform.{}", crate::config::section::quoted(name));
            if !registered(name) {
                errors.add(&section, "is not a registered platform");
            }
            let mut own = ValidationErrors::default();
            self.for_platform(name).validate(&mut own);
            // Errors of the common limits are not repeated for each platform.
            for found in own.errors().iter().filter(|found| !base.errors().contains(found)) {
                errors.add_nested(&format!("{section}."), found);
            }
        }
    }
}

impl PolicyOverride {
    fn over(&self, base: PolicyLimits) -> PolicyLimits {
        PolicyLimits {
            backoff: self.backoff.over(base.backoff),
            circuit_breaker: self.circuit_breaker.over(base.circuit_breaker),
            concurrency: self.concurrency.over(base.concurrency),
            jitter: self.jitter.over(base.jitter),
            rate_limit: self.rate_limit.over(base.rate_limit),
            stale_lease: self.stale_lease.over(base.stale_lease),
            stream: self.stream.over(base.stream),
            waiter: self.waiter.over(base.waiter),
        }
    }
}

impl PolicyLimits {
    fn validate(&self, errors: &mut ValidationErrors) {
        errors.duration("backoff.base_ms", self.backoff.base_ms);
        errors.duration("backoff.max_ms", self.backoff.max_ms);
        if self.backoff.base_ms > self.backoff.max_ms {
            errors.add_conflict("backoff.base_ms", "backoff.max_ms", "must not be more than backoff.max_ms");
        }
        errors.count("circuit_breaker.failure_threshold", self.circuit_breaker.failure_threshold as usize);
        errors.duration("circuit_breaker.open_ms", self.circuit_breaker.open_ms);
        let in_flight = self.concurrency.max_in_flight_per_client_platform;
        errors.count("concurrency.max_in_flight_per_client_platform", in_flight);
        errors.delay("jitter.min_ms", self.jitter.min_ms);
        errors.delay("jitter.max_ms", self.jitter.max_ms);
        errors.delay("jitter.mu_ms", self.jitter.mu_ms);
        errors.delay("jitter.sigma_ms", self.jitter.sigma_ms);
        if self.jitter.min_ms > self.jitter.max_ms {
            errors.add_conflict("jitter.min_ms", "jitter.max_ms", "must not be more than jitter.max_ms");
        } else if self.jitter.min_ms > self.waiter.timeout_ms {
            let reason = "must not be more than waiter.timeout_ms, or nothing would ever be admitted";
            errors.add_conflict("jitter.min_ms", "waiter.timeout_ms", reason);
        }
        errors.count("rate_limit.requests_per_minute_per_platform", self.rate_limit.requests_per_minute_per_platform);
        errors.duration("rate_limit.window_ms", self.rate_limit.window_ms);
        errors.duration("stale_lease.idle_ms", self.stale_lease.idle_ms);
        errors.duration("stale_lease.sweep_interval_ms", self.stale_lease.sweep_interval_ms);
        errors.duration("stream.open_timeout_ms", self.stream.open_timeout_ms);
        errors.duration("stream.idle_timeout_ms", self.stream.idle_timeout_ms);
        errors.bytes("stream.max_buffered_bytes", self.stream.max_buffered_bytes, 1);
        errors.count("stream.max_buffered_events", self.stream.max_buffered_events);
        errors.duration("stream.max_silence_ms", self.stream.max_silence_ms);
        errors.duration("waiter.timeout_ms", self.waiter.timeout_ms);
        // 0 is valid: requests are then admitted or refused immediately.
        errors.range("waiter.max_per_target", self.waiter.max_per_target as u64, 0, 1_000_000_000);
    }
}

#[cfg(test)]
mod tests;
