//! What can happen in a history, one thing at a time, and what holds after each.

use super::{
    super::{
        Touch,
        deadline::signed_ms,
        health::Health,
        line::{Arrival, Line},
        outcome::{Failed, Outcome},
        pacing::Pacing,
        window::Window,
    },
    DAY_MS, Settings, Target, World,
};
use crate::{
    ids::{ClientId, PlatformName, RequestId},
    store::policy::WindowRow,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

impl World {
    pub(super) fn step(&mut self) {
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
            self.targets[target].out[&number].touch(Touch::Progress, now.instant);
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
        let until = next.map_or(1_000, |at| u64::try_from(signed_ms(now, at)).unwrap_or(0));
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
    pub(super) fn end(&mut self) {
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
