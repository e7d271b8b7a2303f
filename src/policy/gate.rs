//! The gate actor: paces the requests of one platform, whoever performs them.
//!
//! ```text
//! Enter ──► in line ──window, random pause──► Called (Ticket) ──used──► recorded in the window
//!              └─ Leave ─► gone                    └─ dropped ─► taken back
//! ```

use super::{
    events::PlatformChanged,
    memory::Memory,
    pacing::{Outlook, Pacing, Told, Turn},
    settings::Limits,
    target::{Called, Paced, Target},
    window::ms_until,
};
use crate::{
    clock::{Clock, Moment, WallMs},
    events::Bus,
    faults,
    ids::PlatformName,
};
use actix::prelude::*;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio::time::Instant;

/// How long a changed window rests before it is kept, so that many dispatches are kept together.
pub(super) const KEEP_AFTER: Duration = Duration::from_millis(50);

/// A turn that is used this much later than it was given is told of.
const NOTICEABLE: Duration = Duration::from_millis(1);

/// The actor; one per platform, started by the hub.
pub(super) struct Gate {
    platform: PlatformName,
    pacing: Pacing<Addr<Target>>,
    clock: Clock,
    events: Bus,
    memory: Memory,
    told: Vec<Told<Addr<Target>>>,
    shown_waiting: usize,
    alarm: Option<(Instant, SpawnHandle)>,
    keeping: Option<SpawnHandle>,
}

impl Gate {
    pub(super) fn new(
        platform: PlatformName,
        limits: &Limits,
        (clock, events, memory): (Clock, Bus, Memory),
        random: StdRng,
    ) -> Self {
        let mut pacing = Pacing::new(&limits.rate_limit, limits.jitter, random);
        pacing.window = memory.window(&platform, &limits.rate_limit);
        let (told, shown_waiting, alarm, keeping) = (Vec::new(), 0, None, None);
        Gate { platform, pacing, clock, events, memory, told, shown_waiting, alarm, keeping }
    }

    /// Says what the line decided, and arms the timer for what time alone decides.
    fn tell(&mut self, ctx: &mut Context<Self>) {
        let mut told = std::mem::take(&mut self.told);
        for told in told.drain(..) {
            match told {
                // Bounded: a request waits for one thing after the other, and has one turn.
                Told::Waits { who, number, why } => who.do_send(Paced { number, why }),
                Told::Turn(who, turn) => {
                    let ticket = Ticket { gate: ctx.address(), turn, used: false };
                    who.do_send(Called(ticket));
                    self.keep_soon(ctx);
                }
            }
        }
        self.told = told; // with its room
        let wanted = self.pacing.alarm();
        if wanted != self.alarm.map(|(at, _)| at) {
            if let Some((_, handle)) = self.alarm.take() {
                ctx.cancel_future(handle);
            }
            self.alarm = wanted.map(|at| {
                let pause = at.saturating_duration_since(Instant::now());
                (at, ctx.run_later(pause, Self::ring))
            });
        }
        if std::mem::replace(&mut self.shown_waiting, self.pacing.waiting()) != self.shown_waiting {
            PlatformChanged { platform: self.platform.clone(), waiting: self.shown_waiting }.tell(&self.events);
        }
    }

    fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm = None;
        self.pacing.advance(self.clock.moment(), &mut self.told);
        self.tell(ctx);
    }

    fn keep_soon(&mut self, ctx: &mut Context<Self>) {
        if self.keeping.is_none() {
            self.keeping = Some(ctx.run_later(KEEP_AFTER, |gate, _| gate.keep()));
        }
    }

    fn keep(&mut self) {
        self.keeping = None;
        self.memory.keep_window(&self.platform, &mut self.pacing.window);
    }

    fn now(&self) -> Moment {
        self.clock.moment()
    }
}

impl Actor for Gate {
    type Context = Context<Self>;
}

/// A request's turn to go out; given back when it is dropped unused.
#[derive(Debug)]
pub(super) struct Ticket {
    gate: Addr<Gate>,
    pub(super) turn: Turn,
    used: bool,
}

impl Ticket {
    /// The request goes out.
    pub(super) fn used(mut self, now: Moment) {
        self.used = true;
        // The window begins when a request goes out. Mostly that is now.
        if now.instant.saturating_duration_since(self.turn.called_at) >= NOTICEABLE {
            self.gate.do_send(WentOut { dispatch: self.turn.dispatch, at: now }); // bounded: one turn a request
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.used {
            self.gate.do_send(TakeBack { dispatch: self.turn.dispatch }); // bounded: one turn a request
        }
    }
}

/// Joins the line.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Enter {
    pub(super) number: u64,
    pub(super) target: Addr<Target>,
}

impl Handler<Enter> for Gate {
    type Result = ();

    fn handle(&mut self, Enter { number, target }: Enter, ctx: &mut Self::Context) {
        faults::point("gate");
        self.pacing.enter(number, target, self.now(), &mut self.told);
        self.tell(ctx);
    }
}

/// Leaves the line.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave {
    pub(super) number: u64,
}

impl Handler<Leave> for Gate {
    type Result = ();

    fn handle(&mut self, Leave { number }: Leave, ctx: &mut Self::Context) {
        self.pacing.leave(number, self.now(), &mut self.told);
        self.tell(ctx);
    }
}

/// A turn was used noticeably later than it was given; only a [`Ticket`] sends it.
#[derive(Message)]
#[rtype(result = "()")]
struct WentOut {
    dispatch: i64,
    at: Moment,
}

impl Handler<WentOut> for Gate {
    type Result = ();

    fn handle(&mut self, WentOut { dispatch, at }: WentOut, ctx: &mut Self::Context) {
        self.pacing.window.went_out(dispatch, at);
        self.keep_soon(ctx);
    }
}

/// A turn was not used; only a [`Ticket`] sends it.
#[derive(Message)]
#[rtype(result = "()")]
struct TakeBack {
    dispatch: i64,
}

impl Handler<TakeBack> for Gate {
    type Result = ();

    fn handle(&mut self, TakeBack { dispatch }: TakeBack, ctx: &mut Self::Context) {
        self.pacing.take_back(dispatch, self.now(), &mut self.told);
        self.keep_soon(ctx);
        self.tell(ctx);
    }
}

/// Asks what a request waits for; without a number, what one made now would.
#[derive(Message)]
#[rtype(result = "Option<Outlook>")]
pub(super) struct Foretell {
    pub(super) number: Option<u64>,
}

impl Handler<Foretell> for Gate {
    type Result = MessageResult<Foretell>;

    fn handle(&mut self, Foretell { number }: Foretell, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.pacing.outlook(number, Instant::now()))
    }
}

/// Asks how things stand.
#[derive(Message)]
#[rtype(result = "GateView")]
pub(super) struct View;

/// How a gate stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GateView {
    pub(super) last_dispatched_at: Option<WallMs>,
    pub(super) recent_dispatch_count: usize,
    pub(super) waiting: usize,
    pub(super) next_slot_at: Option<WallMs>,
}

impl Handler<View> for Gate {
    type Result = MessageResult<View>;

    fn handle(&mut self, _: View, _: &mut Self::Context) -> Self::Result {
        let now = self.now();
        let room_at = self.pacing.window.room_at(0, now.instant);
        let wall = |at| now.wall.saturating_add(WallMs::try_from(ms_until(now.instant, at)).unwrap_or(WallMs::MAX));
        MessageResult(GateView {
            last_dispatched_at: self.pacing.window.last_at(),
            recent_dispatch_count: self.pacing.window.count(now.instant),
            waiting: self.pacing.waiting(),
            next_slot_at: room_at.map(wall),
        })
    }
}

/// Keeps at once what is not kept yet.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Keep;

impl Handler<Keep> for Gate {
    type Result = ();

    fn handle(&mut self, _: Keep, _: &mut Self::Context) {
        self.keep();
    }
}
