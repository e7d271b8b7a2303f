//! A request of several steps: the exchange drives its plan, one step after the other, on one lease.

use super::{Exchange, Part};
use crate::{
    bridge::Client,
    platforms::plan::Step,
    relay::{ending::Cause, request::Work},
    wire::Answer,
};
use actix::prelude::*;
use tokio::time::Instant;

impl Exchange {
    /// Whether that client has what the request needs.
    pub(super) fn is_able(&self, client: &Client) -> Result<(), Cause> {
        let (bridge, platform) = (self.hub.bridge(), &self.request.platform);
        match &self.request.work {
            Work::Call => Ok(()),
            Work::Plan(_) if bridge.fingerprint(&client.client_id, platform).is_some() => Ok(()),
            Work::Plan(_) => Err(Cause::NoCredentials),
            Work::Template(_) if bridge.has_template(&client.client_id, platform) => Ok(()),
            Work::Template(_) => Err(Cause::NoTemplate(platform.clone())),
        }
    }

    /// Sends what goes out first.
    pub(super) fn begin(&mut self, client: Client, ctx: &mut Context<Self>) {
        if !matches!(self.request.work, Work::Plan(_)) {
            return self.dispatch(client, Part::Last, ctx);
        }
        let Work::Plan(plan) = std::mem::replace(&mut self.request.work, Work::Call) else { return };
        self.asked = plan.asked().cloned();
        self.fingerprint = self.hub.bridge().fingerprint(&client.client_id, &self.request.platform).flatten();
        let known = self.asked.as_ref().and_then(|asked| {
            self.hub.choices().known(&client.client_id, self.fingerprint.as_deref(), asked, Instant::now())
        });
        self.take(plan.begin(known), client, ctx);
    }

    fn take(&mut self, step: Step, client: Client, ctx: &mut Context<Self>) {
        match step {
            Step::Before { call, then } => {
                (self.request.call, self.then) = (call, Some(then));
                self.dispatch(client, Part::Step, ctx);
            }
            Step::Last { call, chosen } => {
                (self.request.call, self.then) = (call, None);
                if let (Some(asked), Some(chosen)) = (&self.asked, &chosen) {
                    let (who, now) = (&client.client_id, Instant::now());
                    self.hub.choices().keep(who, self.fingerprint.as_deref(), asked, chosen, now);
                }
                self.chosen = chosen;
                self.dispatch(client, Part::Last, ctx);
            }
        }
    }

    /// A step is answered: the next one follows.
    pub(super) fn step_answered(&mut self, answer: &Answer, ctx: &mut Context<Self>) {
        if let Some(dispatched) = self.dispatched.take() {
            dispatched.answered();
        }
        let max = self.hub.bridge().settings().max_response_bytes;
        if answer.body.len() > max {
            return self.end(Err(Cause::TooLarge { max: Some(max) }), true, ctx);
        }
        let (Some(then), Some(client)) = (self.then.take(), self.client.take()) else { return };
        match then.answered(&answer.body) {
            Ok(step) => self.take(step, client, ctx),
            Err(error) => {
                self.client = Some(client);
                self.end(Err(Cause::Plan(error)), true, ctx);
            }
        }
    }

    /// The app took what was sent.
    pub(super) fn taken(&self) {
        if let (Work::Template(_), Some(client)) = (&self.request.work, &self.client) {
            self.hub.bridge().prompt_accepted(client, &self.request.platform);
        }
    }

    /// What was known of where prompts go may no longer be so.
    pub(super) fn learn_from(&self, status: Option<u16>) {
        if let (Some(_), Some(client), Some(status)) = (&self.asked, &self.client, status) {
            self.hub.choices().answered(&client.client_id, status);
        }
    }
}
