//! Random histories of several clients and platforms, and what must hold after each step of each. Lines, gates and what
//! outlives the process are the real values; messages between them arrive late, time goes by, clocks are set, processes
//! end. `BAA_POLICY_SEED=<number>` replays the history of that number, `BAA_POLICY_HISTORIES=<number>` runs as many.

use super::{
    deadline::Bearings,
    health::Health,
    line::{Effect, Line, Slots},
    pacing::{Pacing, Told, Turn},
    settings::{Backoff, CircuitBreaker, Jitter, RateLimit},
};
use crate::{clock::Moment, host::uptime::Uptime, store::policy::WindowRow};
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

/// What may be chosen for a history.
#[derive(Clone, Copy, Debug)]
struct Settings {
    slots: Slots,
    backoff: Backoff,
    breaker: CircuitBreaker,
    rate_limit: RateLimit,
    jitter: Jitter,
}

impl Settings {
    fn random(random: &mut StdRng) -> Self {
        let ms = |from, to, random: &mut StdRng| Duration::from_millis(random.random_range(from..=to));
        let slots = Slots {
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

/// A message on its way to a gate.
enum ToGate {
    Enter(u64),
    Leave(u64),
    TakeBack(i64),
    WentOut(i64, Moment),
}

/// A message on its way to a target.
enum ToTarget {
    Paced(u64, super::admission::Rule),
    Called(Turn),
}

struct Gate {
    pacing: Pacing<usize>,
    inbox: VecDeque<(usize, ToGate)>,
    kept: WindowRow,
}

struct Target {
    line: Line<u64>,
    platform: usize,
    inbox: VecDeque<ToTarget>,
    /// The leases that are out.
    out: BTreeMap<u64, std::sync::Arc<super::lease::Activity>>,
}

struct World {
    random: StdRng,
    settings: Settings,
    start: Instant,
    ms: u64,
    /// How far the wall clock has been set off.
    set_off: i64,
    gates: Vec<Gate>,
    targets: Vec<Target>,
    reference: Reference,
    numbers: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let settings = Settings::random(&mut random);
        let (platforms, clients) = (random.random_range(1..=2), random.random_range(1..=3));
        let gate = |number: usize| Gate {
            pacing: Pacing::new(&settings.rate_limit, settings.jitter, StdRng::seed_from_u64(number as u64)),
            inbox: VecDeque::new(),
            kept: WindowRow { platform: "p".into(), last_dispatched_at: None, keep_from: 0, dispatches: Vec::new() },
        };
        let target = |number: usize| Target {
            line: Line::new(settings.slots, Health::new(settings.backoff, settings.breaker)),
            platform: number % platforms,
            inbox: VecDeque::new(),
            out: BTreeMap::new(),
        };
        World {
            settings,
            start: Instant::now(),
            ms: 0,
            set_off: 0,
            gates: (0..platforms).map(gate).collect(),
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

    fn bearings(&self) -> Bearings {
        let uptime = Some(Uptime { boot_id: "boot".into(), ms: 50_000 + self.ms as i64 });
        Bearings { now: self.now(), uptime }
    }

    /// Something happens to a target; what it decides is done and held against the rules.
    fn on_target<T>(
        &mut self,
        number: usize,
        event: impl FnOnce(&mut Line<u64>, Moment, &mut Vec<Effect<u64>>) -> T,
    ) -> T {
        let (now, mut effects) = (self.now(), Vec::new());
        let answer = event(&mut self.targets[number].line, now, &mut effects);
        let platform = self.targets[number].platform;
        for effect in effects {
            match effect {
                Effect::Grant(granted) => {
                    self.reference.granted(number, platform, &granted, self.ms);
                    self.targets[number].out.insert(granted.arrival.number, granted.activity);
                }
                Effect::Refuse(request, refusal) => self.reference.refused(number, request, &refusal, self.ms),
                Effect::Sweep(request) => {
                    self.targets[number].out.remove(&request);
                    self.reference.swept(number, request, self.ms);
                }
                Effect::Enter(place) => self.gates[platform].inbox.push_back((number, ToGate::Enter(place))),
                Effect::Leave(place) => self.gates[platform].inbox.push_back((number, ToGate::Leave(place))),
            }
        }
        answer
    }

    fn on_gate(&mut self, number: usize, event: impl FnOnce(&mut Pacing<usize>, Moment, &mut Vec<Told<usize>>)) {
        let (now, mut told) = (self.now(), Vec::new());
        event(&mut self.gates[number].pacing, now, &mut told);
        for told in told {
            let (target, message) = match told {
                Told::Waits { who, number, why } => (who, ToTarget::Paced(number, why)),
                Told::Turn(who, turn) => (who, ToTarget::Called(turn)),
            };
            self.targets[target].inbox.push_back(message);
        }
    }

    /// Delivers one message that is on its way. False when there is none.
    fn deliver(&mut self) -> bool {
        let gates = (0..self.gates.len()).filter(|gate| !self.gates[*gate].inbox.is_empty());
        let targets = (0..self.targets.len()).filter(|target| !self.targets[*target].inbox.is_empty());
        let boxes: Vec<_> = gates.map(|gate| (true, gate)).chain(targets.map(|target| (false, target))).collect();
        if boxes.is_empty() {
            return false;
        }
        let (to_gate, number) = boxes[self.random.random_range(0..boxes.len())];
        if to_gate {
            let Some((target, message)) = self.gates[number].inbox.pop_front() else { return false };
            self.on_gate(number, |pacing, now, told| match message {
                ToGate::Enter(place) => pacing.enter(place, target, now, told),
                ToGate::Leave(place) => pacing.leave(place, now, told),
                ToGate::TakeBack(dispatch) => pacing.take_back(dispatch, now, told),
                ToGate::WentOut(dispatch, at) => pacing.window.went_out(dispatch, at),
            });
            return true;
        }
        match self.targets[number].inbox.pop_front() {
            Some(ToTarget::Paced(place, why)) => {
                self.on_target(number, |line, now, _| line.waits(place, why, now.instant));
            }
            Some(ToTarget::Called(turn)) => {
                let (platform, now) = (self.targets[number].platform, self.now());
                let used = self.on_target(number, |line, now, effects| line.called(&turn, now, effects));
                let said = match used {
                    true if now.instant > turn.called_at => Some(ToGate::WentOut(turn.dispatch, now)),
                    true => None,
                    false => Some(ToGate::TakeBack(turn.dispatch)),
                };
                self.gates[platform].inbox.extend(said.map(|said| (number, said)));
            }
            None => return false,
        }
        true
    }
}

/// Says which history it was when that fails.
struct Replay(u64);

impl Drop for Replay {
    #[expect(clippy::print_stdout, reason = "for whoever reads the failed test")]
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
    let mut met = reference::Met::default();
    for seed in seeds.clone() {
        let _replay = Replay(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.end();
        met.add(&world.reference.met);
    }
    if seeds.end - seeds.start >= HISTORIES {
        met.everything();
    }
}
