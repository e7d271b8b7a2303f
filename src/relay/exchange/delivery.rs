//! What an exchange's caller gets: the frames of a stream, or a whole answer.

use super::{Delivered, Exchange, Sink};
use crate::{
    ids::ClientId,
    relay::{
        answer::{self, Spelling, TooLarge},
        buffer::Overflow,
        ending::{Cause, Failure},
        frames,
    },
    wire::{Answer, Event, Raw},
};
use actix::prelude::*;

impl Exchange {
    pub(super) fn open(&mut self, status: u16, meta: &Raw, ctx: &mut Context<Self>) {
        self.status = Some(status);
        if let (Sink::Stream(writer), Some(client), Some(admission)) = (&self.sink, &self.client, &self.admission) {
            let opened = frames::Opened {
                client_id: &client.client_id,
                request_mode: &self.request_mode,
                chosen: self.chosen.as_ref(),
                admission,
                status,
                meta,
            };
            writer.open(frames::open(&self.request, &opened));
            self.partial.opened = true;
            if let Some(registration) = &mut self.registration {
                registration.phases.streaming(self.first_byte_at.unwrap_or(self.requested_at));
            }
        }
        self.arm(ctx);
    }

    pub(super) fn emit(&mut self, event: &Event, ctx: &mut Context<Self>) {
        let Sink::Stream(writer) = &self.sink else { return };
        match writer.push(frames::event(&self.request, event)) {
            Ok(()) => {
                let bytes = (event.data.len() + event.raw.len()) as u64;
                self.bytes += bytes;
                if let Some(registration) = &self.registration {
                    registration.phases.event(bytes);
                }
                self.partial.event_count += 1;
                self.partial.last_seq = event.seq;
            }
            Err(Overflow) => self.end(Err(Cause::Overflow), false, ctx),
        }
    }

    /// A whole answer; a stream gets it as its one event.
    pub(super) fn whole(&mut self, answer: &Answer, ctx: &mut Context<Self>) {
        let status = answer.status.unwrap_or(200);
        let max = self.hub.bridge().settings().max_response_bytes;
        let shaped = match answer::shape(answer, max, self.spelling()) {
            Ok(taken) => {
                if let Some(drift) = taken.drift {
                    self.hub.count_drift(&self.request.platform, drift);
                }
                taken.shown
            }
            Err(TooLarge) => return self.end(Err(Cause::TooLarge { max: Some(max) }), true, ctx),
        };
        if matches!(self.sink, Sink::Stream(_)) {
            if !self.partial.opened {
                self.open(status, &Raw::default(), ctx);
            }
            let raw = if answer.body.string().is_some() { answer.body.clone() } else { Raw::of(&answer.body.text()) };
            let (seq, name) = (self.partial.last_seq + 1, Raw::of(&"message"));
            self.emit(&Event { seq, event: name, data: shaped.clone(), raw }, ctx);
        } else {
            self.bytes += shaped.len() as u64;
        }
        self.status = Some(status);
        self.end(Ok(shaped), true, ctx);
    }

    /// How the answer's text is put together: where the app's assistant speaks, by its own forms alone.
    fn spelling(&self) -> Spelling {
        let Some(platform) = self.hub.bridge().registry().get(self.request.platform.as_str()) else {
            return Spelling::default();
        };
        let app = platform.final_message;
        let path = self.request.call.path.split(['?', '#']).next().unwrap_or_default();
        Spelling { assistant: (self.prompts || app.speaks_at(path)).then_some(app) }
    }

    pub(super) fn deliver(&mut self, ended: Result<Raw, Cause>) {
        let ended = ended.map_err(|cause| Failure {
            cause,
            client_id: self.client.as_ref().map(|client| client.client_id.clone()),
            connection_id: self.client.as_ref().map(|client| client.connection_id.clone()),
        });
        let status = self.status.unwrap_or(200);
        match &mut self.sink {
            Sink::Stream(writer) => writer.end(ended.map(|_| status), self.partial),
            Sink::Buffered(caller) => {
                let (Some(caller), client) = (caller.take(), self.client.as_ref()) else { return };
                let answer = ended.map(|response| Delivered {
                    client_id: client.map_or_else(|| ClientId::trusted("-"), |client| client.client_id.clone()),
                    platform: self.request.platform.clone(),
                    request_id: self.request.id.clone(),
                    admission: self.admission.take(),
                    request_mode: self.request_mode.clone(),
                    chosen: self.chosen.take(),
                    call: std::mem::take(&mut self.request.call),
                    status,
                    response,
                });
                // A caller that is gone needs no answer.
                let _ = caller.send(answer);
            }
        }
    }
}
