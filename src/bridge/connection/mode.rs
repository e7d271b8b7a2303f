//! The daemon's mode on a connection: a client may change it and is sent a snapshot after every change.

use super::Connection;
use crate::{
    mode::{Mode, SystemView},
    wire::{ActionRequest, ActionResponse, frame},
};
use actix::prelude::*;
use futures_util::stream;

/// Changes in progress per client; further ones are refused. Each change waits for the disk.
const CHANGES_MAX: usize = 8;

impl Connection {
    /// Schedules a snapshot after every change of the mode, until the connection ends.
    pub(super) fn watch_mode(&mut self, ctx: &mut Context<Self>) {
        let changes = stream::unfold(self.hub.system().watch(), async |mut mode| {
            mode.changed().await.ok()?;
            Some(((), mode))
        });
        ctx.spawn(changes.into_actor(self).map(|(), this, ctx| this.schedule_snapshot("system", ctx)).finish());
    }

    /// Handles `action_request`: changes the mode, then answers.
    pub(super) fn change_mode(&mut self, request: ActionRequest, ctx: &mut Context<Self>) {
        let mode =
            Mode::for_action(&request.action).filter(|_| self.mode_changes < CHANGES_MAX && self.has_verified_owner);
        let Some(mode) = mode else {
            let system = self.hub.system().state();
            return self.answer_change(&request, false, system, ctx);
        };
        self.mode_changes += 1;
        let change = self.hub.system().change(mode, Some(format!("requested by client {}", self.client_name())));
        let answer = change.into_actor(self).map(move |changed, this, ctx| {
            this.mode_changes -= 1;
            let ok = changed.is_ok();
            let system = changed.unwrap_or_else(|_| this.hub.system().state());
            this.answer_change(&request, ok, system, ctx);
        });
        ctx.spawn(answer);
    }

    fn answer_change(&mut self, request: &ActionRequest, ok: bool, system: SystemView, ctx: &mut Context<Self>) {
        let request_id = request.request_id.as_deref();
        self.send(frame(&ActionResponse { action: &request.action, request_id, ok, system }), ctx);
    }
}
