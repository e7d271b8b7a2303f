//! The rules once more, plainly: what was promised to each request, effects by what was seen from outside alone.

use super::Settings;
use crate::policy::{
    admission::{CircuitState, PolicyRefusal, WaitStage},
    outcome::LeaseOutcome,
    target_queue::GrantedRequest,
};
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Out { last_life: u64 },
    Over,
}

#[derive(Debug)]
struct QueuedRequest {
    target: usize,
    arrived: u64,
    state: State,
}

/// The expected health of one target. Times are milliseconds of the history.
#[derive(Clone, Debug, Default)]
struct ExpectedHealth {
    failures: u32,
    rests_until: u64,
    opens_at: Option<u64>,
    probe: Option<u64>,
}

/// Counts what the histories covered, so that an empty simulation is noticed.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    granted: u64,
    delayed: [u64; 4],
    probes: u64,
    swept: u64,
    restarts: u64,
    refused: BTreeMap<&'static str, u64>,
    paced_out: u64,
}

impl Coverage {
    pub(super) fn add(&mut self, other: &Coverage) {
        self.granted += other.granted;
        self.probes += other.probes;
        self.swept += other.swept;
        self.restarts += other.restarts;
        self.paced_out += other.paced_out;
        for (sum, more) in self.delayed.iter_mut().zip(other.delayed) {
            *sum += more;
        }
        for (code, more) in &other.refused {
            *self.refused.entry(code).or_default() += more;
        }
    }

    /// Every kind of thing was met many times.
    pub(super) fn everything(&self) {
        let refusals = ["queue_full", "circuit_open", "backoff", "waiter_timeout"];
        let counts = [self.granted, self.probes, self.swept, self.restarts, self.paced_out];
        let refused = refusals.map(|code| self.refused.get(code).copied().unwrap_or(0));
        let rare = counts.into_iter().chain(self.delayed).chain(refused).min();
        assert!(rare.is_some_and(|count| count >= 50), "{self:?}");
    }
}

#[derive(Debug)]
pub(super) struct Reference {
    settings: Settings,
    requests: BTreeMap<u64, QueuedRequest>,
    /// By target, in the order of their arrival.
    waiting: Vec<Vec<u64>>,
    /// By target.
    out: Vec<usize>,
    expected_healths: Vec<ExpectedHealth>,
    /// When each platform was asked.
    dispatches: Vec<VecDeque<u64>>,
    pub(super) coverage: Coverage,
}

impl Reference {
    pub(super) fn new(settings: Settings, platforms: usize, targets: usize) -> Self {
        Reference {
            settings,
            requests: BTreeMap::new(),
            waiting: vec![Vec::new(); targets],
            out: vec![0; targets],
            expected_healths: vec![ExpectedHealth::default(); targets],
            dispatches: vec![VecDeque::new(); platforms],
            coverage: Coverage::default(),
        }
    }

    pub(super) fn arrived(&mut self, target: usize, number: u64, ms: u64) {
        self.requests.insert(number, QueuedRequest { target, arrived: ms, state: State::Waiting });
        self.waiting[target].push(number);
    }

    /// The waiting requests of a target, in order of arrival.
    pub(super) fn waiting(&self, target: usize) -> &[u64] {
        &self.waiting[target]
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.waiting.iter().all(Vec::is_empty) && self.out.iter().all(|out| *out == 0)
    }

    /// Marks a request as ended.
    pub(super) fn over(&mut self, number: u64) {
        self.set(number, State::Over);
    }

    fn set(&mut self, number: u64, state: State) {
        let Some(request) = self.requests.get_mut(&number) else { return };
        match std::mem::replace(&mut request.state, state) {
            State::Waiting => self.waiting[request.target].retain(|waits| *waits != number),
            State::Out { .. } => self.out[request.target] -= 1,
            State::Over => {}
        }
        if let State::Out { .. } = state {
            self.out[request.target] += 1;
        }
    }

    pub(super) fn granted(&mut self, target: usize, platform: usize, granted: &GrantedRequest<u64>, ms: u64) {
        let number = granted.arrival.number;
        let request = &self.requests[&number];
        assert_eq!((request.target, request.state), (target, State::Waiting), "{number} is granted once");
        assert!(self.out[target] < self.settings.slots.in_flight_max, "{number} has a slot");
        assert_eq!(self.waiting(target).first(), Some(&number), "first come, first served");
        let waited = ms - request.arrived;
        assert!(u128::from(waited) <= self.settings.slots.wait.as_millis(), "{number} waited {waited} ms");
        let delays = granted.delays_ms();
        assert!(delays.iter().all(|delay| *delay >= 0), "{delays:?}");
        let unnamed = waited as i64 - delays.iter().sum::<i64>();
        assert!((0..=1).contains(&unnamed), "{delays:?} add up to {waited}");

        let expected_health = &mut self.expected_healths[target];
        assert!(expected_health.rests_until <= ms, "{number} goes out while its target rests");
        assert!(expected_health.probe.is_none(), "{number} goes out beside a probe");
        let state = match expected_health.opens_at.take() {
            Some(at) => {
                assert!(at <= ms, "{number} goes out though the circuit is open");
                expected_health.probe = Some(number);
                self.coverage.probes += 1;
                CircuitState::HalfOpen
            }
            None => CircuitState::Closed,
        };
        assert_eq!(granted.circuit_state, state);

        let dispatches = &mut self.dispatches[platform];
        let window = self.settings.rate_limit.window_ms;
        dispatches.push_back(ms);
        while dispatches.front().is_some_and(|at| at + window <= ms) {
            dispatches.pop_front();
        }
        let recent = dispatches.len();
        let limit = self.settings.rate_limit.requests_per_minute_per_platform;
        assert!(recent <= limit, "{recent} of {limit} in a window");
        self.coverage.granted += 1;
        for (met, delay) in self.coverage.delayed.iter_mut().zip(delays) {
            *met += u64::from(delay > 0);
        }
        self.set(number, State::Out { last_life: ms });
    }

    pub(super) fn refused(&mut self, target: usize, number: u64, refusal: &PolicyRefusal, ms: u64) {
        let request = &self.requests[&number];
        assert_eq!((request.target, request.state), (target, State::Waiting), "{number} is refused once");
        let (expected_health, slots) = (&self.expected_healths[target], &self.settings.slots);
        let wait = u64::try_from(slots.wait.as_millis()).unwrap();
        match refusal {
            PolicyRefusal::QueueFull { waiting } => assert!(*waiting >= slots.waiting_max, "{waiting} wait"),
            PolicyRefusal::WaiterTimeout { stage, .. } => {
                assert!(ms >= request.arrived + wait, "{number} waited too short");
                self.coverage.paced_out += u64::from(*stage == WaitStage::PlatformAdmission);
            }
            PolicyRefusal::CircuitOpen { retry_after_ms, .. } => {
                assert!(expected_health.opens_at.is_some_and(|at| at > ms), "{number}: the circuit");
                let usable = expected_health.opens_at.max(Some(expected_health.rests_until));
                assert_eq!(usable, Some(ms + retry_after_ms), "{number}: when to come back");
            }
            PolicyRefusal::Backoff { retry_after_ms, .. } => {
                assert_eq!(expected_health.rests_until, ms + retry_after_ms, "{number}: the rest");
                assert!(expected_health.rests_until > request.arrived + wait, "{number} could have waited");
            }
            PolicyRefusal::TooManyTargets { .. } => panic!("a queue does not count targets"),
        }
        *self.coverage.refused.entry(refusal.code().name()).or_default() += 1;
        self.set(number, State::Over);
    }

    pub(super) fn touched(&mut self, number: u64, ms: u64) {
        self.set(number, State::Out { last_life: ms });
    }

    pub(super) fn settled(&mut self, target: usize, number: u64, outcome: &LeaseOutcome, ms: u64) {
        self.set(number, State::Over);
        let expected_health = &mut self.expected_healths[target];
        match outcome {
            LeaseOutcome::Success => *expected_health = ExpectedHealth::default(),
            LeaseOutcome::Failure(failed) => self.failed(target, failed.retry_after_ms, ms),
            LeaseOutcome::Cancelled if expected_health.probe == Some(number) => {
                (expected_health.probe, expected_health.opens_at) = (None, Some(ms));
            }
            LeaseOutcome::Cancelled => {}
        }
    }

    fn failed(&mut self, target: usize, retry_after_ms: Option<u64>, ms: u64) {
        let (backoff, breaker) = (self.settings.backoff, self.settings.breaker);
        let expected_health = &mut self.expected_healths[target];
        expected_health.failures += 1;
        let doubled = (1..expected_health.failures).fold(backoff.base_ms, |rest, _| rest.saturating_mul(2));
        let rest = doubled.min(backoff.max_ms).max(retry_after_ms.unwrap_or(0));
        expected_health.rests_until = expected_health.rests_until.max(ms + rest);
        if expected_health.probe.take().is_some() || expected_health.failures >= breaker.failure_threshold {
            expected_health.opens_at = Some(ms + breaker.open_ms);
        }
    }

    pub(super) fn swept(&mut self, target: usize, number: u64, ms: u64) {
        let State::Out { last_life } = self.requests[&number].state else { panic!("{number} is not out") };
        assert!(u128::from(ms - last_life) >= self.settings.slots.idle.as_millis(), "{number} is alive");
        self.set(number, State::Over);
        self.coverage.swept += 1;
        self.failed(target, None, ms);
    }

    pub(super) fn reset(&mut self, target: usize) {
        self.expected_healths[target] = ExpectedHealth::default();
    }

    /// Ends all requests, as a restart does; the expected health of the targets stays.
    pub(super) fn restarted(&mut self, ms: u64) {
        self.requests.clear();
        self.waiting.iter_mut().for_each(Vec::clear);
        self.out.fill(0);
        for expected_health in &mut self.expected_healths {
            if expected_health.probe.take().is_some() {
                expected_health.opens_at = Some(ms);
            }
        }
        self.coverage.restarts += 1;
    }
}
