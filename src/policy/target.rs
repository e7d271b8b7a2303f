//! The target actor: the requests of one client to one platform. [`TargetQueue`] decides; the actor performs.
//!
//! ```text
//! AcquireLease ──► queue ──JoinPacing──► pacer ──PacingGranted──► queue ──► granted (Lease) ──SettleLease──► slot free
//!                    └── withdrawn, waiting time over, circuit open, back-off too long: removed or refused
//! ```

use super::{
    admission::{Admission, PolicyRefusal},
    deadline::Deadline,
    events::{PublishedTargetState, TargetChanged},
    hub::{PlatformPacers, PolicyParts},
    lease::Lease,
    observer::PolicyObservation,
    platform_pacer::{self, PERSIST_DELAY, PlatformPacer},
    target_health::HealthChange,
    target_queue::{GrantedRequest, QueueArrival, TargetEffect, TargetQueue},
};
use crate::{
    actor_registry::LoadCounter,
    clock::Moment,
    ids::{ClientId, PlatformName},
};
use actix::prelude::*;
use std::sync::Arc;
use tokio::time::Instant;

mod messages;
mod view;

pub(super) use messages::{
    AcquireLease, ForecastAdmission, GetTargetView, GetWaitReason, PacingGranted, PacingWait, PersistTarget,
    ResetTarget, SettleLease, WithdrawRequest,
};
pub(super) use view::TargetCounts;
pub use view::TargetView;

/// Verdict about a request. A granted request may later get `Swept` as a second one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum LeaseVerdict {
    /// The request may be dispatched.
    Granted(Lease),
    /// The request is refused.
    Refused(PolicyRefusal),
    /// The lease was revoked after too long without activity.
    Swept,
}

type ReplyTo = Recipient<LeaseVerdict>;

/// Requests of one client to one platform. There is one per pair, started by the hub.
pub(super) struct PolicyTarget {
    client: ClientId,
    platform: PlatformName,
    queue: TargetQueue<ReplyTo>,
    effects: Vec<TargetEffect<ReplyTo>>,
    pacers: PlatformPacers,
    pacer: Option<Addr<PlatformPacer>>,
    /// State as last published.
    shown: PublishedTargetState,
    timer: Option<(Instant, SpawnHandle)>,
    persist_timer: Option<SpawnHandle>,
    /// Counts unfinished requests, and one more while a change is not persisted.
    load: LoadCounter,
}

impl PolicyTarget {
    pub(super) fn new(
        client: ClientId,
        platform: PlatformName,
        queue: TargetQueue<ReplyTo>,
        pacers: PlatformPacers,
        load: LoadCounter,
    ) -> Self {
        PolicyTarget {
            shown: PublishedTargetState {
                circuit_state: queue.health.circuit_state(),
                waiting: 0,
                consecutive_failures: queue.health.failures,
            },
            client,
            platform,
            queue,
            effects: Vec::new(),
            pacers,
            pacer: None,
            timer: None,
            persist_timer: None,
            load,
        }
    }

    fn parts(&self) -> &PolicyParts {
        self.pacers.parts()
    }

    fn now(&self) -> Moment {
        self.parts().clock.moment()
    }

    /// Returns the platform's pacer, replacing one that died.
    fn pacer(&mut self) -> Option<Addr<PlatformPacer>> {
        if self.pacer.as_ref().is_none_or(|pacer| !pacer.connected()) {
            self.pacer = self.pacers.of(&self.platform);
        }
        self.pacer.clone()
    }

    /// Performs the queue's effects, persists and publishes changes, and arms the timer.
    fn perform(&mut self, now: Moment, ctx: &mut Context<Self>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                TargetEffect::Grant(granted) => self.grant(granted, ctx),
                TargetEffect::Refuse(reply_to, refusal) => {
                    self.parts().observer.notify(PolicyObservation::Refused(&refusal));
                    reply_to.do_send(LeaseVerdict::Refused(refusal)); // bounded: one verdict a request
                    self.load.remove();
                }
                TargetEffect::Join(number) => {
                    if let Some(pacer) = self.pacer() {
                        pacer.do_send(platform_pacer::JoinPacing { number, target: ctx.address() }); // bounded by the slots
                    }
                }
                TargetEffect::Leave(number) => {
                    if let Some(pacer) = self.pacer() {
                        pacer.do_send(platform_pacer::LeavePacing { number }); // bounded by the slots
                    }
                }
                TargetEffect::Sweep(reply_to) => {
                    self.parts().observer.notify(PolicyObservation::Swept);
                    reply_to.do_send(LeaseVerdict::Swept); // bounded: once a request
                    self.load.remove();
                }
            }
        }
        self.effects = effects;
        self.persist_health(ctx);
        self.publish_if_changed(now);
        self.arm(now, ctx);
    }

    fn grant(&mut self, granted: GrantedRequest<ReplyTo>, ctx: &mut Context<Self>) {
        let [queue_delay_ms, backoff_delay_ms, rate_limit_delay_ms, jitter_delay_ms] = granted.delays_ms();
        let total = queue_delay_ms + backoff_delay_ms + rate_limit_delay_ms + jitter_delay_ms;
        let GrantedRequest {
            arrival: QueueArrival { number, request_id, reply_to },
            requested,
            circuit_state,
            activity,
            ..
        } = granted;
        let admission = Arc::new(Admission {
            request_id,
            platform: self.platform.clone(),
            target_client_id: self.client.clone(),
            requested_at: requested.wall,
            admitted_at: requested.wall + total,
            circuit_state,
            queue_delay_ms,
            backoff_delay_ms,
            rate_limit_delay_ms,
            jitter_delay_ms,
        });
        self.parts().observer.notify(PolicyObservation::Admitted(&admission));
        let lease = Lease { target: ctx.address(), number, activity, settled: false, admission };
        // Bounded: one verdict a request. An applicant that is gone drops the lease, which then settles itself.
        reply_to.do_send(LeaseVerdict::Granted(lease));
    }

    /// Persists changes of the health: at once if they affect decisions, else after a short delay.
    fn persist_health(&mut self, ctx: &mut Context<Self>) {
        match self.queue.health.take_change() {
            HealthChange::Nothing => {}
            HealthChange::Minor if self.persist_timer.is_some() => {}
            HealthChange::Minor => {
                self.load.add();
                self.persist_timer = Some(ctx.run_later(PERSIST_DELAY, |target, _| target.persist_now()));
            }
            HealthChange::Major => {
                if let Some(handle) = self.persist_timer {
                    ctx.cancel_future(handle);
                }
                self.persist_now();
            }
        }
    }

    fn persist_now(&mut self) {
        if self.persist_timer.take().is_some() {
            self.load.remove();
        }
        self.parts().memory.persist_target(&self.client, &self.platform, &self.queue.health);
    }

    /// Publishes the state if it has changed.
    fn publish_if_changed(&mut self, now: Moment) {
        let health = &self.queue.health;
        let (circuit_state, consecutive_failures) = (health.circuit_state(), health.failures);
        let shown = PublishedTargetState { circuit_state, waiting: self.queue.waiting(), consecutive_failures };
        if std::mem::replace(&mut self.shown, shown) == shown {
            return;
        }
        let wall = |until: &Deadline| until.wall(now);
        let changed = TargetChanged {
            client_id: self.client.clone(),
            platform: self.platform.clone(),
            circuit_state,
            in_flight: self.queue.in_flight(),
            waiting: shown.waiting,
            consecutive_failures,
            backoff_until: health.backoff(now.instant).map(wall),
            circuit_retry_at: health.retry_at().map(wall),
            last_error: health.last_error.clone(),
        };
        self.parts().events.publish("policy", changed);
    }

    /// Arms the timer. A timer that is due earlier stays and re-arms itself.
    fn arm(&mut self, now: Moment, ctx: &mut Context<Self>) {
        let Some(wanted) = self.queue.next_wakeup(now.instant) else { return };
        if let Some((armed, handle)) = self.timer {
            if armed <= wanted {
                return;
            }
            ctx.cancel_future(handle);
        }
        let on_timer = |target: &mut Self, ctx: &mut Context<Self>| {
            target.timer = None;
            let now = target.now();
            target.queue.on_timer(now, &mut target.effects);
            target.perform(now, ctx);
        };
        self.timer = Some((wanted, ctx.run_later(wanted.saturating_duration_since(now.instant), on_timer)));
    }
}

impl Actor for PolicyTarget {
    type Context = Context<Self>;
}

impl PolicyTarget {
    fn view(&self, now: Moment) -> TargetView {
        let activity = self.queue.last_activity();
        let counts = view::TargetCounts {
            in_flight: self.queue.in_flight(),
            held_back: self.queue.held_back(),
            waiting: self.queue.waiting(),
            activity: activity.map(|(at, reason)| (self.parts().clock.at(at), reason)),
        };
        TargetView::of(&self.client, &self.platform, &self.queue.health, counts, now)
    }
}
