//! The state of one browser request, as a value: what each event means in each phase. No actor, no clock, no I/O.
//!
//! ```text
//! Queued --granted--> Dispatched --open or first event--> Streaming
//!    |                    |                                   |
//!    '----- refused ------+-- answer, end, error, timeout ----+--> Done
//! cancel: Queued ends at once; later the extension has a grace period for its last report
//! ```
//!
//! Invariant: after [`RequestEffect::End`] further reports, timers and cancels have no effect.

use super::request_error::{RequestError, UpstreamError};
use crate::wire::{ApiResponse, RawJson, RequestReport, StreamEvent};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTimeouts {
    /// From dispatch to the end; optional for streams.
    pub(super) total: Option<Duration>,
    /// From dispatch to the opening of a stream.
    pub(super) open: Duration,
    /// Between two signs of activity of a stream.
    pub(super) idle: Duration,
    /// Between two events of a stream; `progress` does not count.
    pub(super) silence: Duration,
    /// From cancellation to the extension's last report.
    pub(super) grace: Duration,
    /// Longest time in the queue; longer than the policy's own limit, which normally ends the wait.
    pub(super) queued: Duration,
    /// Limit up to which activity can extend the total time of a prompt; `None` for other requests.
    pub(super) prompt: Option<Duration>,
}

/// The part of a request that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestPart {
    /// An intermediate step of a plan.
    Step,
    /// The part whose answer the caller gets.
    Last,
}

/// Phase of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum RequestPhase {
    Queued,
    Dispatched,
    Streaming,
    Done,
}

impl RequestPhase {
    pub(super) fn name(self) -> &'static str {
        self.into()
    }
}

/// An effect that the exchange has to perform.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestEffect {
    Nothing,
    /// Opens the stream for the caller.
    Open {
        status: u16,
        meta: RawJson,
    },
    /// Relays an event, after opening the stream if `opens`.
    Emit {
        opens: bool,
        event: StreamEvent,
    },
    /// Continues the plan with the answer to a step.
    Step(ApiResponse),
    /// Delivers the whole answer.
    Whole(ApiResponse),
    End(RequestEnd),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestEnd {
    /// The stream is complete.
    Stream {
        status: u16,
    },
    Failed(RequestError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CancelOutcome {
    /// The request was queued and has ended.
    Queued,
    /// The cancellation has to be sent to the extension.
    First,
    /// The cancellation was sent before.
    Again,
    /// The request was over already.
    Late,
}

#[derive(Debug)]
pub(super) struct RequestState {
    streamed: bool,
    timeouts: RequestTimeouts,
    phase: RequestPhase,
    part: RequestPart,
    queued_until: Option<Instant>,
    /// Time of the first dispatch.
    dispatched: Option<Instant>,
    total_until: Option<Instant>,
    quiet_until: Option<Instant>,
    silent_until: Option<Instant>,
    grace_until: Option<Instant>,
    /// Status with which the stream was opened.
    status: Option<u16>,
    /// `retry-after` of a stream that was opened with an error status.
    retry_after: Option<String>,
    last_seq: u64,
    dropped: u64,
}

impl RequestState {
    pub(super) fn new(streamed: bool, timeouts: RequestTimeouts) -> Self {
        RequestState {
            streamed,
            timeouts,
            phase: RequestPhase::Queued,
            part: RequestPart::Last,
            queued_until: None,
            dispatched: None,
            total_until: None,
            quiet_until: None,
            silent_until: None,
            grace_until: None,
            status: None,
            retry_after: None,
            last_seq: 0,
            dropped: 0,
        }
    }

    pub(super) fn phase(&self) -> RequestPhase {
        self.phase
    }

    fn opened(&self) -> bool {
        self.status.is_some()
    }

    /// Number of duplicate or late events.
    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Marks the request as ended for an external reason.
    pub(super) fn finish(&mut self) {
        self.phase = RequestPhase::Done;
    }

    /// Starts the time limit of the queue.
    pub(super) fn mark_queued(&mut self, now: Instant) {
        self.queued_until = Some(now + self.timeouts.queued);
    }

    /// Marks a part as dispatched. The total time counts from the first part.
    pub(super) fn mark_dispatched(&mut self, part: RequestPart, now: Instant) {
        debug_assert!(
            self.phase == RequestPhase::Queued || self.part == RequestPart::Step,
            "the last part is dispatched once"
        );
        (self.phase, self.part) = (RequestPhase::Dispatched, part);
        self.queued_until = None;
        if self.dispatched.is_none() {
            self.dispatched = Some(now);
            self.total_until = self.timeouts.total.map(|time| now + time);
        }
        if self.streamed {
            self.quiet_until = Some(now + self.timeouts.open);
            self.silent_until = Some(now + self.timeouts.silence);
        }
    }

    pub(super) fn on_report(&mut self, report: RequestReport, now: Instant) -> RequestEffect {
        if matches!(self.phase, RequestPhase::Queued | RequestPhase::Done) {
            return RequestEffect::Nothing;
        }
        match report {
            RequestReport::Answer(answer) => self.answer(answer),
            RequestReport::Error { status, code, message } => {
                let (code, error) = (Some(code.clone()), Some(code));
                let upstream = UpstreamError { status, code, error, message, ..UpstreamError::default() };
                self.upstream_failed(upstream)
            }
            RequestReport::End { status } if self.streams() => self.complete(status),
            RequestReport::End { .. } => {
                self.fail(RequestError::Garbled("a stream's end came for a request that is no stream".into()))
            }
            RequestReport::Progress => {
                self.sign_of_life(now);
                RequestEffect::Nothing
            }
            RequestReport::Open { status, meta, headers } if self.streams() && !self.opened() => {
                self.open(status, now);
                self.retry_after = headers.retry_after;
                RequestEffect::Open { status, meta }
            }
            RequestReport::Event(event) if self.streams() => self.event(event, now),
            RequestReport::Open { .. } | RequestReport::Event(_) => RequestEffect::Nothing,
        }
    }

    fn open(&mut self, status: u16, now: Instant) {
        self.status = Some(status);
        self.phase = RequestPhase::Streaming;
        self.silent_until = Some(now + self.timeouts.silence);
        self.sign_of_life(now);
    }

    fn event(&mut self, event: StreamEvent, now: Instant) -> RequestEffect {
        if event.seq <= self.last_seq {
            self.dropped += 1;
            return RequestEffect::Nothing;
        }
        let opens = !self.opened();
        if opens {
            self.open(200, now);
        }
        self.last_seq = event.seq;
        self.silent_until = Some(now + self.timeouts.silence);
        self.sign_of_life(now);
        RequestEffect::Emit { opens, event }
    }

    /// Whether the current part is answered by a stream.
    fn streams(&self) -> bool {
        self.streamed && self.part == RequestPart::Last
    }

    /// Restarts the running idle timer: that of the opening or that between activities; for a prompt the total time,
    /// within its limit.
    fn sign_of_life(&mut self, now: Instant) {
        if let (false, Some(total), Some(longest)) = (self.streamed, self.timeouts.total, self.timeouts.prompt) {
            let last = self.dispatched.map(|first| first + longest);
            let until = last.map_or(now + total, |last| last.min(now + total));
            self.total_until = self.total_until.map(|before| before.max(until));
        }
        if self.streamed {
            let time = if self.opened() { self.timeouts.idle } else { self.timeouts.open };
            self.quiet_until = Some(now + time);
        }
    }

    fn answer(&mut self, answer: ApiResponse) -> RequestEffect {
        let opened_as_error = self.status.filter(|status| *status >= 400);
        if opened_as_error.is_none() && answer.ok && answer.status.is_none_or(|status| status < 400) {
            if self.part == RequestPart::Step {
                return if self.is_cancelled() {
                    self.fail(RequestError::Cancelled)
                } else {
                    RequestEffect::Step(answer)
                };
            }
            self.phase = RequestPhase::Done;
            return RequestEffect::Whole(answer);
        }
        let retry_after = answer.headers.retry_after;
        if opened_as_error.is_some() {
            // A stream opened with an error status ends as that error, whichever report ends it.
            let (status, body) = (opened_as_error, super::answer::cut(answer.body));
            return self.upstream_failed(UpstreamError { status, body, retry_after, ..UpstreamError::default() });
        }
        let (status, error) = (answer.status.filter(|status| *status >= 400), answer.error);
        let body = super::answer::cut(answer.body);
        // A status means that the app answered; without one it was not reached.
        let code = error.clone().filter(|_| status.is_none());
        let upstream = UpstreamError { status, code, error, body, retry_after, ..UpstreamError::default() };
        self.upstream_failed(upstream)
    }

    fn upstream_failed(&mut self, mut upstream: UpstreamError) -> RequestEffect {
        // After a cancellation every failure counts as cancelled.
        if self.is_cancelled() || upstream.error.as_deref() == Some("request_cancelled") {
            return self.fail(RequestError::Cancelled);
        }
        if let Some(status) = self.status.filter(|status| *status >= 400) {
            upstream.status = Some(status);
            upstream.code = None;
            upstream.retry_after = upstream.retry_after.or_else(|| self.retry_after.take());
        } else if upstream.status.is_none() && upstream.error.as_deref() == Some("response_too_large") {
            return self.fail(RequestError::TooLarge { max: None });
        }
        self.fail(RequestError::Upstream(Box::new(upstream)))
    }

    fn complete(&mut self, reported: Option<u16>) -> RequestEffect {
        match self.status.or(reported) {
            Some(status) if status >= 400 => {
                let upstream = UpstreamError { status: Some(status), ..UpstreamError::default() };
                self.upstream_failed(upstream)
            }
            status => {
                self.phase = RequestPhase::Done;
                RequestEffect::End(RequestEnd::Stream { status: status.unwrap_or(200) })
            }
        }
    }

    /// Ends the request with an error.
    pub(super) fn fail(&mut self, cause: RequestError) -> RequestEffect {
        if self.phase == RequestPhase::Done {
            return RequestEffect::Nothing;
        }
        self.phase = RequestPhase::Done;
        RequestEffect::End(RequestEnd::Failed(cause))
    }

    /// Returns the error to report: after a cancellation always the cancellation.
    pub(super) fn resolve_error(&self, cause: RequestError) -> RequestError {
        if self.is_cancelled() && !cause.is_cancellation() { RequestError::Cancelled } else { cause }
    }

    /// Ends the request because its client is gone; a cancelled request ends as cancelled.
    pub(super) fn on_disconnect(&mut self, gone: crate::bridge::DisconnectReason) -> RequestEffect {
        let cause = if self.is_cancelled() { RequestError::Cancelled } else { RequestError::Gone(gone) };
        self.fail(cause)
    }

    pub(super) fn cancel(&mut self, now: Instant) -> CancelOutcome {
        match self.phase {
            RequestPhase::Done => CancelOutcome::Late,
            RequestPhase::Queued => {
                self.phase = RequestPhase::Done;
                CancelOutcome::Queued
            }
            _ if self.is_cancelled() => CancelOutcome::Again,
            _ => {
                self.grace_until = Some(now + self.timeouts.grace);
                CancelOutcome::First
            }
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.grace_until.is_some()
    }

    /// Returns the next deadline. After a cancellation only the grace period counts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.phase == RequestPhase::Done {
            return None;
        }
        self.grace_until.or_else(|| {
            let of_it = [self.queued_until, self.total_until, self.quiet_until, self.silent_until];
            of_it.into_iter().flatten().min()
        })
    }

    pub(super) fn on_timer(&mut self, now: Instant) -> RequestEffect {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let cause = if self.is_cancelled() {
            if !over(self.grace_until) {
                return RequestEffect::Nothing;
            }
            RequestError::Cancelled
        } else if over(self.queued_until) {
            // The policy's own limit has passed without a verdict, so the target must have died.
            RequestError::Internal
        } else if over(self.total_until) {
            RequestError::Timeout
        } else if over(self.silent_until) {
            RequestError::IdleTimeout
        } else if over(self.quiet_until) {
            if self.opened() { RequestError::IdleTimeout } else { RequestError::OpenTimeout }
        } else {
            return RequestEffect::Nothing;
        };
        self.fail(cause)
    }
}

#[cfg(test)]
mod tests;
