//! Section `policy`: the limits of targets and platforms, and what single platforms have differently.

use crate::config::section::{
    BYTES_MAX, COUNT, COUNT_MAX, DELAY, DURATION, SettingsSection, ValidationErrors, settings,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Declares a group of limits and its twin in which every limit may be absent.
macro_rules! group {
    (
        $(#[doc = $about:literal])+
        $name:ident, $part:ident {
            $($(#[$($meta:tt)*])* $field:ident: $type:ty = $default:expr => $bounds:expr,)*
        }
    ) => {
        settings! {
            $(#[doc = $about])+
            #[derive(Copy, Eq, schemars::JsonSchema)]
            $name { $($(#[$($meta)*])* $field: $type = $default => $bounds,)* }
        }

        #[doc = concat!("Overrides of [`", stringify!($name), "`] for one platform.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[expect(missing_docs, reason = "the fields are those of the group")]
        pub struct $part {
            $(#[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
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
        /// Milliseconds that a target rests after the first failure; each further one in a row doubles them.
        base_ms: u64 = 1_000 => DURATION,
        /// Maximum of that rest, in milliseconds. A later `retry-after` of the web app takes precedence.
        max_ms: u64 = 60_000 => DURATION,
    }
}

group! {
    /// The circuit breaker of a target.
    CircuitBreaker, CircuitBreakerPart {
        /// Failures in a row that open the circuit.
        failure_threshold: u32 = 5 => COUNT,
        /// Milliseconds for which an open circuit refuses requests before it admits one probe.
        open_ms: u64 = 60_000 => DURATION,
    }
}

group! {
    /// Concurrency of a target.
    Concurrency, ConcurrencyPart {
        /// Concurrent requests of a client and platform; more wait.
        max_in_flight_per_client_platform: usize = 1 => COUNT,
    }
}

group! {
    /// The random pause before a dispatch, normally distributed; all four 0 = none.
    Jitter, JitterPart {
        /// Minimum of the random pause before a dispatch, in milliseconds; all four 0 = no pause.
        min_ms: u64 = 1_000 => DELAY,
        /// Maximum of that pause, in milliseconds.
        max_ms: u64 = 5_000 => DELAY,
        /// Mean of that pause, in milliseconds.
        mu_ms: u64 = 2_000 => DELAY,
        /// Standard deviation of that pause, in milliseconds.
        sigma_ms: u64 = 500 => DELAY,
    }
}

group! {
    /// The rate limit of dispatches to a platform.
    RateLimit, RateLimitPart {
        /// Dispatches of a platform, over all clients, within a window.
        requests_per_minute_per_platform: usize = 10 => COUNT,
        /// Milliseconds of a window.
        window_ms: u64 = 60_000 => DURATION,
    }
}

group! {
    /// When a lease that shows no life is taken back.
    StaleLease, StaleLeasePart {
        /// Milliseconds without a sign of life after which a request loses its slot.
        #[advanced]
        idle_ms: u64 = 300_000 => DURATION,
        /// Milliseconds between two checks for such requests.
        #[advanced]
        sweep_interval_ms: u64 = 30_000 => DURATION,
    }
}

group! {
    /// The bounds of a streamed answer.
    Stream, StreamPart {
        /// Milliseconds from dispatch to the opening of a stream.
        open_timeout_ms: u64 = 10_000 => DURATION,
        /// Milliseconds between two signs of life of a stream.
        idle_timeout_ms: u64 = 30_000 => DURATION,
        /// Bytes that may wait for a slow caller.
        #[advanced]
        max_buffered_bytes: usize = 524_288 => 1..=BYTES_MAX,
        /// Events that may wait for a slow caller.
        #[advanced]
        max_buffered_events: usize = 256 => COUNT,
        /// Milliseconds without a real event after which a stream ends, whatever `progress` says.
        max_silence_ms: u64 = 1_800_000 => DURATION,
    }
}

group! {
    /// Waiting for a slot, a back-off or pacing.
    Waiter, WaiterPart {
        /// Milliseconds that a request may wait for a slot, a back-off and pacing together.
        timeout_ms: u64 = 120_000 => DURATION,
        /// Requests that may wait per target; 0 = requests are admitted or refused immediately.
        max_per_target: usize = 256 => 0..=COUNT_MAX,
    }
}

/// Declares the structs of all groups, and what is done group by group.
macro_rules! groups {
    ($($field:ident: $name:ident, $part:ident;)*) => {
        /// The limits that hold for one platform; serializes as `policy.defaults` shows them.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(default)]
        #[expect(missing_docs, reason = "each field's type says what it is")]
        pub struct PolicyLimits {
            $(pub $field: $name,)*
        }

        /// Overrides of the limits for one platform.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        #[expect(missing_docs, reason = "each field's type says what it is")]
        pub struct PolicyOverride {
            $(pub $field: $part,)*
        }

        impl PolicySettings {
            /// Returns the limits of a platform without overrides.
            pub fn limits(&self) -> PolicyLimits {
                PolicyLimits { $($field: self.$field,)* }
            }
        }

        impl PolicyOverride {
            fn over(&self, base: PolicyLimits) -> PolicyLimits {
                PolicyLimits { $($field: self.$field.over(base.$field),)* }
            }
        }

        impl PolicyLimits {
            fn check_bounds(&self, errors: &mut ValidationErrors) {
                $(errors.in_section(stringify!($field), |errors| self.$field.check_bounds(errors));)*
            }
        }
    };
}

groups! {
    backoff: Backoff, BackoffPart;
    circuit_breaker: CircuitBreaker, CircuitBreakerPart;
    concurrency: Concurrency, ConcurrencyPart;
    jitter: Jitter, JitterPart;
    rate_limit: RateLimit, RateLimitPart;
    stale_lease: StaleLease, StaleLeasePart;
    stream: Stream, StreamPart;
    waiter: Waiter, WaiterPart;
}

settings! {
    /// The pace of requests. Overrides for one platform go under its name, such as `[policy.platform.claude.jitter]`.
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
        /// Seed of the random pauses, for tests; 0 = random.
        #[serde(with = "zero")]
        #[advanced]
        seed: Option<u64> = None,
        /// Pairs of client and platform whose state is kept.
        #[advanced]
        max_targets: usize = 4_096 => COUNT,
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
    /// Returns the limits of a platform.
    pub fn for_platform(&self, name: &str) -> PolicyLimits {
        let base = self.limits();
        self.platform.get(name).map_or(base, |own| own.over(base))
    }

    /// Adds an error for each invalid value; `registered` returns whether a platform exists.
    pub fn validate(&self, errors: &mut ValidationErrors, registered: impl Fn(&str) -> bool) {
        self.check_bounds(errors);
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

impl PolicyLimits {
    fn validate(&self, errors: &mut ValidationErrors) {
        self.check_bounds(errors);
        if self.backoff.base_ms > self.backoff.max_ms {
            errors.add_conflict("backoff.base_ms", "backoff.max_ms", "must not be more than backoff.max_ms");
        }
        if self.jitter.min_ms > self.jitter.max_ms {
            errors.add_conflict("jitter.min_ms", "jitter.max_ms", "must not be more than jitter.max_ms");
        } else if self.jitter.min_ms > self.waiter.timeout_ms {
            let reason = "must not be more than waiter.timeout_ms, or nothing would ever be admitted";
            errors.add_conflict("jitter.min_ms", "waiter.timeout_ms", reason);
        }
    }
}

#[cfg(test)]
mod tests;
