//! The steps of a history, and the invariants that are checked after each.

use super::{DAY_MS, PolicyTarget, Settings, World};
use crate::{
    ids::{ClientId, PlatformName, RequestId},
    policy::{
        ActivityKind,
        deadline::signed_ms,
        dispatch_window::DispatchWindow,
        outcome::{LeaseFailure, LeaseOutcome},
        pacing_queue::PacingQueue,
        target_health::TargetHealth,
        target_queue::{QueueArrival, TargetQueue},
    },
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
                self.on_target(target, |queue, now, effects| queue.reset(now, effects));
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
        let arrival = QueueArrival { number, request_id: RequestId::trusted("r"), reply_to: number };
        self.on_target(target, |queue, now, effects| queue.arrive(arrival, now, effects));
    }

    fn settle(&mut self, target: usize) {
        let Some(number) = self.one_of(target) else { return };
        let retry_after_ms = self.random.random_ratio(1, 4).then(|| self.random.random_range(0..3_000));
        let outcome = match self.random.random_range(0..10) {
            0..5 => LeaseOutcome::Success,
            5..9 => LeaseOutcome::Failure(LeaseFailure { error: "http_503".into(), retry_after_ms }),
            _ => LeaseOutcome::Cancelled,
        };
        self.targets[target].out.remove(&number);
        self.reference.settled(target, number, &outcome, self.ms);
        let known = self.on_target(target, |queue, now, effects| queue.settle(number, outcome, now, effects));
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
        let known = self.on_target(target, |queue, now, effects| queue.withdraw(number, now, effects));
        assert!(known, "a request that waits is known");
    }

    fn touch(&mut self, target: usize) {
        let (number, now) = (self.one_of(target), self.now());
        if let Some(number) = number {
            self.targets[target].out[&number].touch(ActivityKind::Progress, now.instant);
            self.reference.touched(number, self.ms);
        }
    }

    /// Time goes by: a moment while messages are on their way, or to the next alarm at most.
    fn pass(&mut self) {
        if self.random.random_ratio(1, 4) {
            self.ms += self.random.random_range(1..=2);
            self.on_timer();
        }
        while self.deliver() {}
        let now = self.now().instant;
        let of_targets = self.targets.iter().filter_map(|target| target.queue.next_wakeup(now));
        let next = of_targets.chain(self.pacers.iter().filter_map(|pacer| pacer.pacing.next_wakeup())).min();
        let until = next.map_or(1_000, |at| u64::try_from(signed_ms(now, at)).unwrap_or(0));
        let whole = self.random.random_ratio(2, 3);
        self.ms += if whole { until } else { self.random.random_range(0..=until) };
        self.on_timer();
    }

    /// All alarms that are due ring.
    fn on_timer(&mut self) {
        let now = self.now().instant;
        for number in 0..self.targets.len() {
            if self.targets[number].queue.next_wakeup(now).is_some_and(|at| at <= now) {
                self.on_target(number, |queue, now, effects| queue.on_timer(now, effects));
            }
        }
        for number in 0..self.pacers.len() {
            if self.pacers[number].pacing.next_wakeup().is_some_and(|at| at <= now) {
                self.on_pacer(number, |pacing, now, effects| pacing.advance(now, effects));
            }
        }
    }

    /// The process ends in order and another one begins, the clock set anew perhaps.
    fn restart(&mut self) {
        let before = self.readings();
        let (client, platform) = (ClientId::trusted("c"), PlatformName::trusted("p"));
        let rows: Vec<_> =
            self.targets.iter().map(|target| target.queue.health.row(&client, &platform, &before)).collect();
        for pacer in &mut self.pacers {
            if let Some((keep_from, dispatches)) = pacer.pacing.window.changes(&before) {
                let last_dispatched_at = pacer.pacing.window.last_at();
                let newer = WindowRow { platform: "p".into(), last_dispatched_at, keep_from, dispatches };
                let older = std::mem::replace(&mut pacer.kept, newer);
                pacer.kept.absorb(older);
            }
        }
        self.set_off += [0, DAY_MS, -DAY_MS][self.random.random_range(0..3)];
        let after = self.readings();
        let Settings { slots, backoff, breaker, rate_limit, jitter } = self.settings;
        for (target, row) in self.targets.iter_mut().zip(rows) {
            target.queue = TargetQueue::new(slots, TargetHealth::restored((backoff, breaker), row, &after));
            target.inbox.clear();
            target.out.clear();
        }
        for pacer in &mut self.pacers {
            pacer.pacing = PacingQueue::new(&rate_limit, jitter, StdRng::seed_from_u64(self.random.random()));
            pacer.pacing.window = DispatchWindow::restored(&rate_limit, &pacer.kept, &after);
            pacer.inbox.clear();
        }
        self.reference.restarted(self.ms);
    }

    /// Checks the invariants of every moment, and those of moments without messages in transit.
    fn hold(&self) {
        let now = self.now();
        for (number, target) in self.targets.iter().enumerate() {
            let queue = &target.queue;
            assert!(queue.in_flight() <= self.settings.slots.in_flight_max, "target {number}: slots");
            assert!(
                queue.waiting() <= self.settings.slots.waiting_max + queue.held_back() + 1,
                "target {number}: queue"
            );
            assert_eq!(queue.in_flight() - queue.held_back(), target.out.len(), "target {number}: leases");
            let waiting = queue.waiting() + queue.held_back();
            assert_eq!(waiting, self.reference.waiting(number).len(), "target {number}: no request is lost");
        }
        let on_the_way = self.pacers.iter().any(|pacer| !pacer.inbox.is_empty())
            || self.targets.iter().any(|target| !target.inbox.is_empty());
        if on_the_way {
            return;
        }
        for (number, target) in self.targets.iter().enumerate() {
            let queue = &target.queue;
            let full = queue.in_flight() == self.settings.slots.in_flight_max || queue.health.is_probing();
            assert!(queue.waiting() == 0 || full, "target {number}: waits for nothing");
        }
        for (number, pacer) in self.pacers.iter().enumerate() {
            let of_it = |target: &&PolicyTarget| target.platform == number;
            let pacing: usize = self.targets.iter().filter(of_it).map(|target| target.queue.pacing_count()).sum();
            assert_eq!(pacer.pacing.waiting(), pacing, "platform {number}: as many places as there are that pace");
            let waits = pacer.pacing.next_wakeup().is_some_and(|at| at >= now.instant);
            assert!(pacer.pacing.waiting() == 0 || waits, "platform {number}: waits for nothing");
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
                assert!(self.targets.iter().all(|target| target.queue.in_flight() == 0), "a slot is lost");
                assert!(self.pacers.iter().all(|pacer| pacer.pacing.waiting() == 0), "a place is lost");
                return;
            }
        }
        panic!("a request waits for ever");
    }
}
