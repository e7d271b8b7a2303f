//! The pacer actor: spaces out the requests of one platform across all clients.
//!
//! ```text
//! JoinPacing ──► queued ──window, random pause──► PacingGranted (PacingPermit) ──used──► recorded in the window
//!                  └─ LeavePacing ─► removed           └─ dropped ─► removed from the window
//! ```

use super::{
    dispatch_window::ms_until,
    events::PlatformChanged,
    hub::PlatformPacingView,
    memory::PolicyMemory,
    pacing_queue::{PacingEffect, PacingForecast, PacingQueue, PacingTurn},
    settings::PolicyLimits,
    target::{PacingGranted, PacingWait, PolicyTarget},
};
use crate::{
    clock::{Clock, Moment, WallMs},
    events::EventBus,
    failpoints,
    ids::PlatformName,
};
use actix::prelude::*;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio::time::Instant;

/// Delay before a changed window is persisted, so that several dispatches are written together.
pub(super) const PERSIST_DELAY: Duration = Duration::from_millis(50);

/// Shortest delay between turn and dispatch that is corrected in the window.
const LATE_DISPATCH_MIN: Duration = Duration::from_millis(1);

/// Paces the requests of one platform. There is one per platform, started by the hub.
pub(super) struct PlatformPacer {
    platform: PlatformName,
    pacing: PacingQueue<Addr<PolicyTarget>>,
    clock: Clock,
    events: EventBus,
    memory: PolicyMemory,
    effects: Vec<PacingEffect<Addr<PolicyTarget>>>,
    shown_waiting: usize,
    timer: Option<(Instant, SpawnHandle)>,
    persist_timer: Option<SpawnHandle>,
}

impl PlatformPacer {
    pub(super) fn new(
        platform: PlatformName,
        limits: &PolicyLimits,
        (clock, events, memory): (Clock, EventBus, PolicyMemory),
        random: StdRng,
    ) -> Self {
        let mut pacing = PacingQueue::new(&limits.rate_limit, limits.jitter, random);
        pacing.window = memory.window(&platform, &limits.rate_limit);
        let (effects, shown_waiting, timer, persist_timer) = (Vec::new(), 0, None, None);
        PlatformPacer { platform, pacing, clock, events, memory, effects, shown_waiting, timer, persist_timer }
    }

    /// Performs the queue's effects and arms the timer for the next change.
    fn apply_effects(&mut self, ctx: &mut Context<Self>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effects in effects.drain(..) {
            match effects {
                // Bounded: a request waits for one thing after the other, and has one turn.
                PacingEffect::Waits { reply_to, number, why } => reply_to.do_send(PacingWait { number, why }),
                PacingEffect::Turn(reply_to, turn) => {
                    let permit = PacingPermit { pacer: ctx.address(), turn, used: false };
                    reply_to.do_send(PacingGranted(permit));
                    self.schedule_persist(ctx);
                }
            }
        }
        self.effects = effects; // with its room
        let wanted = self.pacing.next_wakeup();
        if wanted != self.timer.map(|(at, _)| at) {
            if let Some((_, handle)) = self.timer.take() {
                ctx.cancel_future(handle);
            }
            self.timer = wanted.map(|at| {
                let pause = at.saturating_duration_since(Instant::now());
                (at, ctx.run_later(pause, Self::on_timer))
            });
        }
        if std::mem::replace(&mut self.shown_waiting, self.pacing.waiting()) != self.shown_waiting {
            let changed = PlatformChanged { platform: self.platform.clone(), waiting: self.shown_waiting };
            self.events.publish("policy", changed);
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        self.pacing.advance(self.clock.moment(), &mut self.effects);
        self.apply_effects(ctx);
    }

    fn schedule_persist(&mut self, ctx: &mut Context<Self>) {
        if self.persist_timer.is_none() {
            self.persist_timer = Some(ctx.run_later(PERSIST_DELAY, |pacer, _| pacer.persist()));
        }
    }

    fn persist(&mut self) {
        self.persist_timer = None;
        self.memory.persist_window(&self.platform, &mut self.pacing.window);
    }

    fn now(&self) -> Moment {
        self.clock.moment()
    }
}

impl Actor for PlatformPacer {
    type Context = Context<Self>;
}

/// Permission to dispatch one request. Returns itself when dropped unused.
#[derive(Debug)]
pub(super) struct PacingPermit {
    pacer: Addr<PlatformPacer>,
    pub(super) turn: PacingTurn,
    used: bool,
}

impl PacingPermit {
    /// Marks the permit as used.
    pub(super) fn used(mut self, now: Moment) {
        self.used = true;
        // The window counts from the dispatch, which usually follows at once.
        if now.instant.saturating_duration_since(self.turn.granted_at) >= LATE_DISPATCH_MIN {
            self.pacer.do_send(DispatchedLate { dispatch: self.turn.dispatch, at: now }); // bounded: one turn a request
        }
    }
}

impl Drop for PacingPermit {
    fn drop(&mut self) {
        if !self.used {
            self.pacer.do_send(ReturnPermit { dispatch: self.turn.dispatch }); // bounded: one turn a request
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct JoinPacing {
    pub(super) number: u64,
    pub(super) target: Addr<PolicyTarget>,
}

impl Handler<JoinPacing> for PlatformPacer {
    type Result = ();

    fn handle(&mut self, JoinPacing { number, target }: JoinPacing, ctx: &mut Self::Context) {
        failpoints::point("gate");
        self.pacing.join(number, target, self.now(), &mut self.effects);
        self.apply_effects(ctx);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LeavePacing {
    pub(super) number: u64,
}

impl Handler<LeavePacing> for PlatformPacer {
    type Result = ();

    fn handle(&mut self, LeavePacing { number }: LeavePacing, ctx: &mut Self::Context) {
        self.pacing.leave(number, self.now(), &mut self.effects);
        self.apply_effects(ctx);
    }
}

/// Corrects the time of a dispatch that followed its turn late; sent by [`PacingPermit`] only.
#[derive(Message)]
#[rtype(result = "()")]
struct DispatchedLate {
    dispatch: i64,
    at: Moment,
}

impl Handler<DispatchedLate> for PlatformPacer {
    type Result = ();

    fn handle(&mut self, DispatchedLate { dispatch, at }: DispatchedLate, ctx: &mut Self::Context) {
        self.pacing.window.went_out(dispatch, at);
        self.schedule_persist(ctx);
    }
}

/// Returns an unused turn; sent by [`PacingPermit`] only.
#[derive(Message)]
#[rtype(result = "()")]
struct ReturnPermit {
    dispatch: i64,
}

impl Handler<ReturnPermit> for PlatformPacer {
    type Result = ();

    fn handle(&mut self, ReturnPermit { dispatch }: ReturnPermit, ctx: &mut Self::Context) {
        self.pacing.return_turn(dispatch, self.now(), &mut self.effects);
        self.schedule_persist(ctx);
        self.apply_effects(ctx);
    }
}

/// Asks for the forecast of a queued request, or of a new one without a number.
#[derive(Message)]
#[rtype(result = "Option<PacingForecast>")]
pub(super) struct ForecastPacing {
    pub(super) number: Option<u64>,
}

impl Handler<ForecastPacing> for PlatformPacer {
    type Result = MessageResult<ForecastPacing>;

    fn handle(&mut self, ForecastPacing { number }: ForecastPacing, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.pacing.forecast(number, Instant::now()))
    }
}

#[derive(Message)]
#[rtype(result = "PlatformPacingView")]
pub(super) struct GetPacerView;

impl Handler<GetPacerView> for PlatformPacer {
    type Result = MessageResult<GetPacerView>;

    fn handle(&mut self, _: GetPacerView, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        let room_at = self.pacing.window.room_at(0, now.instant);
        let wall = |at| now.wall.saturating_add(WallMs::try_from(ms_until(now.instant, at)).unwrap_or(WallMs::MAX));
        MessageResult(PlatformPacingView {
            platform: self.platform.clone(),
            last_dispatched_at: self.pacing.window.last_at(),
            recent_dispatch_count: self.pacing.window.count(now.instant),
            waiting: self.pacing.waiting(),
            next_slot_at: room_at.map(wall),
        })
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct PersistWindow;

impl Handler<PersistWindow> for PlatformPacer {
    type Result = ();

    fn handle(&mut self, _: PersistWindow, _: &mut Self::Context) {
        self.persist();
    }
}
