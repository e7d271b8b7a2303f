//! Random histories of several clients and platforms, and what must hold after each step of each. Lines, pacers and what
//! outlives the process are the real values; messages between them arrive late, time goes by, clocks are set, processes
//! end. `BAA_POLICY_SEED=<number>` replays the history of that number, `BAA_POLICY_HISTORIES=<number>` runs as many.

use crate::{
    clock::{Moment, uptime::Uptime},
    policy::{
        deadline::ClockReadings,
        pacing_queue::{PacingEffect, PacingQueue, PacingTurn},
        settings::{Backoff, CircuitBreaker, Jitter, RateLimit},
        target_health::TargetHealth,
        target_queue::{TargetEffect, TargetLimits, TargetQueue},
    },
    store::policy::WindowRow,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

mod reference;
mod steps;

use reference::Reference;

const HISTORIES: u64 = 3_000;
const STEPS: usize = 80;
const DAY_MS: i64 = 86_400_000;

/// Random settings of a history.
#[derive(Clone, Copy, Debug)]
struct Settings {
    slots: TargetLimits,
    backoff: Backoff,
    breaker: CircuitBreaker,
    rate_limit: RateLimit,
    jitter: Jitter,
}

impl Settings {
    fn random(random: &mut StdRng) -> Self {
        let ms = |from, to, random: &mut StdRng| Duration::from_millis(random.random_range(from..=to));
        let slots = TargetLimits {
            in_flight_max: random.random_range(1..=3),
            waiting_max: random.random_range(0..=5),
            wait: ms(50, 2_000, random),
            idle: ms(100, 1_000, random),
            sweep_interval: ms(20, 200, random),
        };
        let base_ms = random.random_range(1..=50);
        let min_ms = random.random_range(0..=10);
        let off = Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 };
        let jitter = Jitter { min_ms, max_ms: min_ms + 20, mu_ms: 15, sigma_ms: 10 };
        let limit = if random.random_ratio(1, 8) { 4_097 } else { random.random_range(1..=5) };
        Settings {
            slots,
            backoff: Backoff { base_ms, max_ms: base_ms * random.random_range(1..=20) },
            breaker: CircuitBreaker {
                failure_threshold: random.random_range(1..=4),
                open_ms: random.random_range(10..=300),
            },
            rate_limit: RateLimit { requests_per_minute_per_platform: limit, window_ms: random.random_range(20..=500) },
            jitter: if random.random_ratio(1, 2) { off } else { jitter },
        }
    }
}

/// A message on its way to a pacer.
enum PacerMessage {
    Join(u64),
    Leave(u64),
    ReturnTurn(i64),
    DispatchedLate(i64, Moment),
}

/// A message on its way to a target.
enum TargetMessage {
    Wait(u64, super::admission::PolicyRule),
    Turn(PacingTurn),
}

struct PlatformPacer {
    pacing: PacingQueue<usize>,
    inbox: VecDeque<(usize, PacerMessage)>,
    kept: WindowRow,
}

struct PolicyTarget {
    queue: TargetQueue<u64>,
    platform: usize,
    inbox: VecDeque<TargetMessage>,
    /// The leases that are out.
    out: BTreeMap<u64, std::sync::Arc<super::lease::ActivityRecord>>,
}

struct World {
    random: StdRng,
    settings: Settings,
    start: Instant,
    ms: u64,
    /// The offset by which the wall clock was set.
    set_off: i64,
    pacers: Vec<PlatformPacer>,
    targets: Vec<PolicyTarget>,
    reference: Reference,
    numbers: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let settings = Settings::random(&mut random);
        let (platforms, clients) = (random.random_range(1..=2), random.random_range(1..=3));
        let pacer = |number: usize| PlatformPacer {
            pacing: PacingQueue::new(&settings.rate_limit, settings.jitter, StdRng::seed_from_u64(number as u64)),
            inbox: VecDeque::new(),
            kept: WindowRow { platform: "p".into(), last_dispatched_at: None, keep_from: 0, dispatches: Vec::new() },
        };
        let target = |number: usize| PolicyTarget {
            queue: TargetQueue::new(settings.slots, TargetHealth::new(settings.backoff, settings.breaker)),
            platform: number % platforms,
            inbox: VecDeque::new(),
            out: BTreeMap::new(),
        };
        World {
            settings,
            start: Instant::now(),
            ms: 0,
            set_off: 0,
            pacers: (0..platforms).map(pacer).collect(),
            targets: (0..clients * platforms).map(target).collect(),
            reference: Reference::new(settings, platforms, clients * platforms),
            numbers: 0,
            random,
        }
    }

    fn now(&self) -> Moment {
        let wall = 1_000_000 + self.ms as i64 + self.set_off;
        Moment { instant: self.start + Duration::from_millis(self.ms), wall }
    }

    fn readings(&self) -> ClockReadings {
        let uptime = Some(Uptime { boot_id: "boot".into(), ms: 50_000 + self.ms as i64 });
        ClockReadings { now: self.now(), uptime }
    }

    /// Something happens to a target; what it decides is done and held against the rules.
    fn on_target<T>(
        &mut self,
        number: usize,
        event: impl FnOnce(&mut TargetQueue<u64>, Moment, &mut Vec<TargetEffect<u64>>) -> T,
    ) -> T {
        let (now, mut effects) = (self.now(), Vec::new());
        let answer = event(&mut self.targets[number].queue, now, &mut effects);
        let platform = self.targets[number].platform;
        for effect in effects {
            match effect {
                TargetEffect::Grant(granted) => {
                    self.reference.granted(number, platform, &granted, self.ms);
                    self.targets[number].out.insert(granted.arrival.number, granted.activity);
                }
                TargetEffect::Refuse(request, refusal) => self.reference.refused(number, request, &refusal, self.ms),
                TargetEffect::Sweep(request) => {
                    self.targets[number].out.remove(&request);
                    self.reference.swept(number, request, self.ms);
                }
                TargetEffect::Join(place) => self.pacers[platform].inbox.push_back((number, PacerMessage::Join(place))),
                TargetEffect::Leave(place) => {
                    self.pacers[platform].inbox.push_back((number, PacerMessage::Leave(place)))
                }
            }
        }
        answer
    }

    fn on_pacer(
        &mut self,
        number: usize,
        event: impl FnOnce(&mut PacingQueue<usize>, Moment, &mut Vec<PacingEffect<usize>>),
    ) {
        let (now, mut effects) = (self.now(), Vec::new());
        event(&mut self.pacers[number].pacing, now, &mut effects);
        for effects in effects {
            let (target, message) = match effects {
                PacingEffect::Waits { reply_to, number, why } => (reply_to, TargetMessage::Wait(number, why)),
                PacingEffect::Turn(reply_to, turn) => (reply_to, TargetMessage::Turn(turn)),
            };
            self.targets[target].inbox.push_back(message);
        }
    }

    /// Delivers one message that is on its way. False when there is none.
    fn deliver(&mut self) -> bool {
        let pacers = (0..self.pacers.len()).filter(|pacer| !self.pacers[*pacer].inbox.is_empty());
        let targets = (0..self.targets.len()).filter(|target| !self.targets[*target].inbox.is_empty());
        let boxes: Vec<_> = pacers.map(|pacer| (true, pacer)).chain(targets.map(|target| (false, target))).collect();
        if boxes.is_empty() {
            return false;
        }
        let (to_pacer, number) = boxes[self.random.random_range(0..boxes.len())];
        if to_pacer {
            let Some((target, message)) = self.pacers[number].inbox.pop_front() else { return false };
            self.on_pacer(number, |pacing, now, effects| match message {
                PacerMessage::Join(place) => pacing.join(place, target, now, effects),
                PacerMessage::Leave(place) => pacing.leave(place, now, effects),
                PacerMessage::ReturnTurn(dispatch) => pacing.return_turn(dispatch, now, effects),
                PacerMessage::DispatchedLate(dispatch, at) => pacing.window.went_out(dispatch, at),
            });
            return true;
        }
        match self.targets[number].inbox.pop_front() {
            Some(TargetMessage::Wait(place, why)) => {
                self.on_target(number, |queue, now, _| queue.set_pacing_wait(place, why, now.instant));
            }
            Some(TargetMessage::Turn(turn)) => {
                let (platform, now) = (self.targets[number].platform, self.now());
                let used = self.on_target(number, |queue, now, effects| queue.on_pacing_turn(&turn, now, effects));
                let said = match used {
                    true if now.instant > turn.granted_at => Some(PacerMessage::DispatchedLate(turn.dispatch, now)),
                    true => None,
                    false => Some(PacerMessage::ReturnTurn(turn.dispatch)),
                };
                self.pacers[platform].inbox.extend(said.map(|said| (number, said)));
            }
            None => return false,
        }
        true
    }
}

/// Says which history it was when that fails.
struct Replay(u64);

impl Drop for Replay {
    #[expect(clippy::print_stdout, reason = "it is output of a failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("replay with BAA_POLICY_SEED={}", self.0);
        }
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn whatever_happens_the_rules_hold() {
    let chosen = number_of("BAA_POLICY_SEED").map(|seed| seed..seed + 1);
    let seeds = chosen.unwrap_or_else(|| 0..number_of("BAA_POLICY_HISTORIES").unwrap_or(HISTORIES));
    let mut coverage = reference::Coverage::default();
    for seed in seeds.clone() {
        let _replay = Replay(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.end();
        coverage.add(&world.reference.coverage);
    }
    if seeds.end - seeds.start >= HISTORIES {
        coverage.everything();
    }
}
