//! Requests of several steps: the exchange performs its plan step by step on one lease.

use super::{Exchange, RequestPart};
use crate::{
    bridge::ConnectedClient,
    platforms::{
        plan::PlanStep,
        request_path::{PathError, check_path},
    },
    relay::{request::RequestWork, request_error::RequestError},
    wire::ApiResponse,
};
use actix::prelude::*;
use tokio::time::Instant;

impl Exchange {
    /// Checks that the client has the login or template that the request needs.
    pub(super) fn check_client(&self, client: &ConnectedClient) -> Result<(), RequestError> {
        let (bridge, platform) = (self.hub.bridge(), &self.request.platform);
        match &self.request.work {
            RequestWork::Call => Ok(()),
            RequestWork::Plan(_) if bridge.fingerprint(&client.client_id, platform).is_some() => Ok(()),
            RequestWork::Plan(_) => Err(RequestError::NoCredentials),
            RequestWork::Template(_) if bridge.has_template(&client.client_id, platform) => Ok(()),
            RequestWork::Template(_) => Err(RequestError::NoTemplate(platform.clone())),
        }
    }

    /// Sends the first part of the request.
    pub(super) fn begin(&mut self, client: ConnectedClient, ctx: &mut Context<Self>) {
        if !matches!(self.request.work, RequestWork::Plan(_)) {
            return self.dispatch(client, RequestPart::Last, ctx);
        }
        let RequestWork::Plan(plan) = std::mem::replace(&mut self.request.work, RequestWork::Call) else { return };
        self.asked = plan.asked().cloned();
        self.fingerprint = self.hub.bridge().fingerprint(&client.client_id, &self.request.platform).flatten();
        let known = self.asked.as_ref().and_then(|asked| {
            self.hub.choices().known(&client.client_id, self.fingerprint.as_deref(), asked, Instant::now())
        });
        self.run_step(plan.begin(known), client, ctx);
    }

    fn run_step(&mut self, step: PlanStep, client: ConnectedClient, ctx: &mut Context<Self>) {
        let (PlanStep::Intermediate { call, .. } | PlanStep::Final { call, .. }) = &step;
        // An id of the caller's or the app's may be read as more than a segment.
        let platform = self.hub.bridge().registry().get(self.request.platform.as_str());
        if platform.is_some_and(|platform| check_path(platform, &call.path) == Err(PathError::Credentials)) {
            self.client = Some(client);
            return self.end(Err(RequestError::CredentialPath), true, ctx);
        }
        match step {
            PlanStep::Intermediate { call, then } => {
                (self.request.call, self.pending_plan) = (call, Some(then));
                self.dispatch(client, RequestPart::Step, ctx);
            }
            PlanStep::Final { call, chosen } => {
                (self.request.call, self.pending_plan) = (call, None);
                if let (Some(asked), Some(chosen)) = (&self.asked, &chosen) {
                    let (who, now) = (&client.client_id, Instant::now());
                    self.hub.choices().keep(who, self.fingerprint.as_deref(), asked, chosen, now);
                }
                self.chosen = chosen;
                self.dispatch(client, RequestPart::Last, ctx);
            }
        }
    }

    /// Continues the plan with the answer to a step.
    pub(super) fn on_step_answer(&mut self, answer: &ApiResponse, ctx: &mut Context<Self>) {
        if let Some(dispatched) = self.dispatched.take() {
            dispatched.complete();
        }
        let max = self.hub.bridge().settings().max_response_bytes;
        if answer.body.len() > max {
            return self.end(Err(RequestError::TooLarge { max: Some(max) }), true, ctx);
        }
        let (Some(then), Some(client)) = (self.pending_plan.take(), self.client.take()) else { return };
        match then.answered(&answer.body) {
            Ok(step) => self.run_step(step, client, ctx),
            Err(error) => {
                self.client = Some(client);
                self.end(Err(RequestError::Plan(error)), true, ctx);
            }
        }
    }

    /// Reports to the bridge that the app accepted a prompt from the learned template.
    pub(super) fn report_accepted_prompt(&self) {
        if let (RequestWork::Template(_), Some(client)) = (&self.request.work, &self.client) {
            self.hub.bridge().record_accepted_prompt(client, &self.request.platform);
        }
    }

    /// Updates the cached locations by the status of an answer.
    pub(super) fn update_choices(&self, status: Option<u16>) {
        if let (Some(_), Some(client), Some(status)) = (&self.asked, &self.client, status) {
            self.hub.choices().answered(&client.client_id, status);
        }
    }
}
