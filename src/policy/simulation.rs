//! Random histories of several clients and platforms, and what must hold after each step of each. Lines, gates and what
//! outlives the process are the real values; messages between them arrive late, time goes by, clocks are set, processes
//! end. `BAA_POLICY_SEED=<number>` replays the history of that number, `BAA_POLICY_HISTORIES=<number>` runs as many.

use super::{
    deadline::Bearings,
    health::Health,
    line::{Arrival, Effect, Line, Slots},
    outcome::{Failed, Outcome},
    pacing::{Pacing, Told, Turn},
    settings::{Backoff, CircuitBreaker, Jitter, RateLimit},
    window::Window,
};
use crate::{
    clock::Moment,
    host::uptime::Uptime,
    ids::{ClientId, PlatformName, RequestId},
    store::policy::WindowRow,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

mod reference;

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

    fn step(&mut self) {
        let target = self.random.random_range(0..self.targets.len());
        match self.random.random_range(0..100) {
            0..25 => self.arrive(target),
            25..40 => self.settle(target),
            40..46 => self.withdraw(target),
            46..50 => self.touch(target),
            50..52 => {
                self.reference.reset(target);
                self.on_target(target, |line, now, effects| line.reset(now, effects));
            }
            52 if self.random.random_ratio(1, 2) => self.restart(),
            53 => self.set_off += if self.random.random_bool(0.5) { DAY_MS } else { -DAY_MS },
            54..75 => self.pass(),
            _ => {
                self.deliver();
            }
        }
        self.hold();
    }

    fn arrive(&mut self, target: usize) {
        self.numbers += 1;
        let number = self.numbers;
        self.reference.arrived(target, number, self.ms);
        let arrival = Arrival { number, request_id: RequestId::trusted("r"), who: number };
        self.on_target(target, |line, now, effects| line.arrive(arrival, now, effects));
    }

    fn settle(&mut self, target: usize) {
        let Some(number) = self.one_of(target) else { return };
        let retry_after_ms = self.random.random_ratio(1, 4).then(|| self.random.random_range(0..3_000));
        let outcome = match self.random.random_range(0..10) {
            0..5 => Outcome::Success,
            5..9 => Outcome::Failure(Failed { error: "http_503".into(), retry_after_ms }),
            _ => Outcome::Cancelled,
        };
        self.targets[target].out.remove(&number);
        self.reference.settled(target, number, &outcome, self.ms);
        let known = self.on_target(target, |line, now, effects| line.settle(number, outcome, now, effects));
        assert!(known, "a lease that is out is known");
    }

    fn one_of(&mut self, target: usize) -> Option<u64> {
        let out: Vec<_> = self.targets[target].out.keys().copied().collect();
        (!out.is_empty()).then(|| out[self.random.random_range(0..out.len())])
    }

    fn withdraw(&mut self, target: usize) {
        let waiting = self.reference.waiting(target);
        if waiting.is_empty() {
            return;
        }
        let number = waiting[self.random.random_range(0..waiting.len())];
        self.reference.over(number);
        let known = self.on_target(target, |line, now, effects| line.withdraw(number, now, effects));
        assert!(known, "a request that waits is known");
    }

    fn touch(&mut self, target: usize) {
        let (number, now) = (self.one_of(target), self.now());
        if let Some(number) = number {
            self.targets[target].out[&number].touch(super::Touch::Progress, now.instant);
            self.reference.touched(number, self.ms);
        }
    }

    /// Time goes by: a moment while messages are on their way, or to the next alarm at most.
    fn pass(&mut self) {
        if self.random.random_ratio(1, 4) {
            self.ms += self.random.random_range(1..=2);
            self.ring();
        }
        while self.deliver() {}
        let now = self.now().instant;
        let of_targets = self.targets.iter().filter_map(|target| target.line.alarm(now));
        let next = of_targets.chain(self.gates.iter().filter_map(|gate| gate.pacing.alarm())).min();
        let until = next.map_or(1_000, |at| u64::try_from(super::deadline::signed_ms(now, at)).unwrap_or(0));
        let whole = self.random.random_ratio(2, 3);
        self.ms += if whole { until } else { self.random.random_range(0..=until) };
        self.ring();
    }

    /// All alarms that are due ring.
    fn ring(&mut self) {
        let now = self.now().instant;
        for number in 0..self.targets.len() {
            if self.targets[number].line.alarm(now).is_some_and(|at| at <= now) {
                self.on_target(number, |line, now, effects| line.look(now, effects));
            }
        }
        for number in 0..self.gates.len() {
            if self.gates[number].pacing.alarm().is_some_and(|at| at <= now) {
                self.on_gate(number, |pacing, now, told| pacing.advance(now, told));
            }
        }
    }

    /// The process ends in order and another one begins, the clock set anew perhaps.
    fn restart(&mut self) {
        let before = self.bearings();
        let (client, platform) = (ClientId::trusted("c"), PlatformName::trusted("p"));
        let rows: Vec<_> =
            self.targets.iter().map(|target| target.line.health.row(&client, &platform, &before)).collect();
        for gate in &mut self.gates {
            if let Some((keep_from, dispatches)) = gate.pacing.window.changes(&before) {
                let last_dispatched_at = gate.pacing.window.last_at();
                let newer = WindowRow { platform: "p".into(), last_dispatched_at, keep_from, dispatches };
                let older = std::mem::replace(&mut gate.kept, newer);
                gate.kept.absorb(older);
            }
        }
        self.set_off += [0, DAY_MS, -DAY_MS][self.random.random_range(0..3)];
        let after = self.bearings();
        let Settings { slots, backoff, breaker, rate_limit, jitter } = self.settings;
        for (target, row) in self.targets.iter_mut().zip(rows) {
            target.line = Line::new(slots, Health::restored((backoff, breaker), row, &after));
            target.inbox.clear();
            target.out.clear();
        }
        for gate in &mut self.gates {
            gate.pacing = Pacing::new(&rate_limit, jitter, StdRng::seed_from_u64(self.random.random()));
            gate.pacing.window = Window::restored(&rate_limit, &gate.kept, &after);
            gate.inbox.clear();
        }
        self.reference.restarted(self.ms);
    }

    /// What holds at any time, and what holds when nothing is on its way.
    fn hold(&self) {
        let now = self.now();
        for (number, target) in self.targets.iter().enumerate() {
            let line = &target.line;
            assert!(line.in_flight() <= self.settings.slots.in_flight_max, "target {number}: slots");
            assert!(line.waiting() <= self.settings.slots.waiting_max + line.held_back() + 1, "target {number}: queue");
            assert_eq!(line.in_flight() - line.held_back(), target.out.len(), "target {number}: leases");
            let waiting = line.waiting() + line.held_back();
            assert_eq!(waiting, self.reference.waiting(number).len(), "target {number}: nobody is forgotten");
        }
        let on_the_way = self.gates.iter().any(|gate| !gate.inbox.is_empty())
            || self.targets.iter().any(|target| !target.inbox.is_empty());
        if on_the_way {
            return;
        }
        for (number, target) in self.targets.iter().enumerate() {
            let line = &target.line;
            let full = line.in_flight() == self.settings.slots.in_flight_max || line.health.probe_is_out();
            assert!(line.waiting() == 0 || full, "target {number}: waits for nothing");
        }
        for (number, gate) in self.gates.iter().enumerate() {
            let of_it = |target: &&Target| target.platform == number;
            let pacing: usize = self.targets.iter().filter(of_it).map(|target| target.line.pacing_count()).sum();
            assert_eq!(gate.pacing.waiting(), pacing, "platform {number}: as many places as there are that pace");
            let waits = gate.pacing.alarm().is_some_and(|at| at >= now.instant);
            assert!(gate.pacing.waiting() == 0 || waits, "platform {number}: waits for nothing");
        }
    }

    /// Lets everything come to its end.
    fn end(&mut self) {
        for _ in 0..10_000 {
            let target = self.random.random_range(0..self.targets.len());
            self.settle(target);
            self.pass();
            self.hold();
            if self.reference.is_at_rest() && !self.deliver() {
                assert!(self.targets.iter().all(|target| target.line.in_flight() == 0), "a slot is lost");
                assert!(self.gates.iter().all(|gate| gate.pacing.waiting() == 0), "a place is lost");
                return;
            }
        }
        panic!("somebody waits for ever");
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
