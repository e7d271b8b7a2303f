//! Delivery to the caller: frames of a stream, or a whole answer.

use super::{AnswerSink, CompletedRequest, Exchange};
use crate::{
    ids::ClientId,
    platforms::registry::FinalMessageExtractor,
    relay::{
        answer::{self, AnswerTooLarge},
        frame_buffer::FrameBufferOverflow,
        frames,
        request_error::{RequestError, RequestFailure},
    },
    wire::{ApiResponse, RawJson, StreamEvent},
};
use actix::prelude::*;

impl Exchange {
    pub(super) fn open(&mut self, status: u16, meta: &RawJson, ctx: &mut Context<Self>) {
        self.status = Some(status);
        if let (AnswerSink::Stream(writer), Some(client), Some(admission)) = (&self.sink, &self.client, &self.admission)
        {
            let opened = frames::StreamOpening {
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
                registration.events.streaming(self.first_byte_at.unwrap_or(self.requested_at));
            }
        }
        self.arm(ctx);
    }

    pub(super) fn emit(&mut self, event: &StreamEvent, ctx: &mut Context<Self>) {
        let AnswerSink::Stream(writer) = &self.sink else { return };
        match writer.push(frames::event(&self.request, event)) {
            Ok(()) => {
                let bytes = (event.data.len() + event.raw.len()) as u64;
                self.bytes += bytes;
                if let Some(registration) = &self.registration {
                    registration.events.event(bytes);
                }
                self.partial.event_count += 1;
                self.partial.last_seq = event.seq;
            }
            Err(FrameBufferOverflow) => self.end(Err(RequestError::Overflow), false, ctx),
        }
    }

    /// Delivers a whole answer; a stream gets it as its only event.
    pub(super) fn deliver_whole(&mut self, answer: &ApiResponse, ctx: &mut Context<Self>) {
        let status = answer.status.unwrap_or(200);
        let max = self.hub.bridge().settings().max_response_bytes;
        let shaped = match answer::shape_answer(answer, max, self.assistant()) {
            Ok(taken) => {
                if let Some(drift) = taken.drift {
                    self.hub.count_drift(&self.request.platform, drift);
                }
                taken.shown
            }
            Err(AnswerTooLarge) => return self.end(Err(RequestError::TooLarge { max: Some(max) }), true, ctx),
        };
        if matches!(self.sink, AnswerSink::Stream(_)) {
            if !self.partial.opened {
                self.open(status, &RawJson::default(), ctx);
            }
            let raw =
                if answer.body.string().is_some() { answer.body.clone() } else { RawJson::of(&answer.body.text()) };
            let (seq, name) = (self.partial.last_seq + 1, RawJson::of(&"message"));
            self.emit(&StreamEvent { seq, event: name, data: shaped.clone(), raw }, ctx);
        } else {
            self.bytes += shaped.len() as u64;
        }
        self.status = Some(status);
        self.end(Ok(shaped), true, ctx);
    }

    /// Returns the app in whose format the answer is read: only at the assistant's endpoints.
    fn assistant(&self) -> Option<FinalMessageExtractor> {
        let app = self.hub.bridge().registry().get(self.request.platform.as_str())?.final_message;
        let path = self.request.call.path.split(['?', '#']).next().unwrap_or_default();
        (self.prompts || app.answers_at(path)).then_some(app)
    }

    pub(super) fn deliver(&mut self, ended: Result<RawJson, RequestError>) {
        let ended = ended.map_err(|cause| RequestFailure {
            cause,
            client_id: self.client.as_ref().map(|client| client.client_id.clone()),
            connection_id: self.client.as_ref().map(|client| client.connection_id.clone()),
        });
        let status = self.status.unwrap_or(200);
        match &mut self.sink {
            AnswerSink::Stream(writer) => writer.end(ended.map(|_| status), self.partial),
            AnswerSink::Buffered(caller) => {
                let (Some(caller), client) = (caller.take(), self.client.as_ref()) else { return };
                let answer = ended.map(|response| CompletedRequest {
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
                // The caller may be gone.
                let _ = caller.send(answer);
            }
        }
    }
}
