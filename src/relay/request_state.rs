//! The state of one browser request, as a value: what each event means in each phase. No actor, no clock, no I/O.
//!
//! ```text
//! Queued --granted--> Dispatched --open or first event--> Streaming
//!    |                    |                                   |
//!    '----- refused ------+-- answer, end, error, timeout ----+--> Done
//! cancel: Queued ends at once; later the extension gets a grace to say its last word
//! ```
//!
//! Invariant: after [`RequestEffect::End`] nothing acts any more; whatever comes is ignored.

use super::request_error::{RequestError, UpstreamError};
use crate::wire::{ApiResponse, RawJson, RequestReport, StreamEvent};
use std::time::Duration;
use tokio::time::Instant;

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTimeouts {
    /// From dispatch to the end; a stream may have none.
    pub(super) total: Option<Duration>,
    /// From dispatch to the opening of a stream.
    pub(super) open: Duration,
    /// Between two signs of life of a stream.
    pub(super) idle: Duration,
    /// Between two real events of a stream, whatever `progress` says.
    pub(super) silence: Duration,
    /// From a cancel to the extension's last word.
    pub(super) grace: Duration,
    /// How long it may wait to go out: more than the policy lets it, which answers before.
    pub(super) queued: Duration,
    /// How far signs of life may put the end of a whole answer off; nothing where they do not.
    pub(super) prompt: Option<Duration>,
}

/// What goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestPart {
    /// A step whose answer another follows.
    Step,
    /// What the caller wants answered.
    Last,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestPhase {
    Queued,
    Dispatched,
    Streaming,
    Done,
}

impl RequestPhase {
    pub(super) fn name(self) -> &'static str {
        match self {
            RequestPhase::Queued => "queued",
            RequestPhase::Dispatched => "dispatched",
            RequestPhase::Streaming => "streaming",
            RequestPhase::Done => "done",
        }
    }
}

/// What the exchange does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestEffect {
    /// Nothing.
    Nothing,
    /// Tell the caller that the stream is open.
    Open { status: u16, meta: RawJson },
    /// Pass an event on, after opening the stream if that has not happened.
    Emit { opens: bool, event: StreamEvent },
    /// A step of a plan is answered: the next one follows.
    Step(ApiResponse),
    /// The whole answer is here.
    Whole(ApiResponse),
    /// It is over.
    End(RequestEnd),
}

/// How a state ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestEnd {
    /// The stream is complete.
    Stream { status: u16 },
    /// It failed.
    Failed(RequestError),
}

/// What became of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CancelOutcome {
    /// It was waiting and is over.
    Queued,
    /// The extension is to be told.
    First,
    /// The extension was told before.
    Again,
    /// It was over already.
    Late,
}

/// One request's state.
#[derive(Debug)]
pub(super) struct RequestState {
    streamed: bool,
    timeouts: RequestTimeouts,
    phase: RequestPhase,
    part: RequestPart,
    queued_until: Option<Instant>,
    /// The first time.
    dispatched: Option<Instant>,
    total_until: Option<Instant>,
    quiet_until: Option<Instant>,
    silent_until: Option<Instant>,
    grace_until: Option<Instant>,
    /// The status that the stream was opened with.
    status: Option<u16>,
    /// When the app wants to be asked again, as it said when it opened the stream as an error.
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

    /// Events that came again or too late.
    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// It ended for a reason outside this state.
    pub(super) fn finish(&mut self) {
        self.phase = RequestPhase::Done;
    }

    /// It waits to go out.
    pub(super) fn mark_queued(&mut self, now: Instant) {
        self.queued_until = Some(now + self.timeouts.queued);
    }

    /// It goes out now, or a step of it does. Its time as a whole begins with the first.
    pub(super) fn mark_dispatched(&mut self, part: RequestPart, now: Instant) {
        debug_assert!(
            self.phase == RequestPhase::Queued || self.part == RequestPart::Step,
            "what is last is dispatched once"
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

    /// The extension said something.
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

    /// Whether what is out is to be answered event by event.
    fn streams(&self) -> bool {
        self.streamed && self.part == RequestPart::Last
    }

    /// Restarts the timer that is running: that of the opening, or that between signs of life; in a prompt mode that of
    /// the whole answer, within its bound.
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
            // What was opened as an error ends as that error, however the extension ends it.
            let (status, body) = (opened_as_error, super::answer::cut(answer.body));
            return self.upstream_failed(UpstreamError { status, body, retry_after, ..UpstreamError::default() });
        }
        let (status, error) = (answer.status.filter(|status| *status >= 400), answer.error);
        let body = super::answer::cut(answer.body);
        // With a status it is the app's answer; without one it never got there.
        let code = error.clone().filter(|_| status.is_none());
        let upstream = UpstreamError { status, code, error, body, retry_after, ..UpstreamError::default() };
        self.upstream_failed(upstream)
    }

    fn upstream_failed(&mut self, mut upstream: UpstreamError) -> RequestEffect {
        // A cancellation is one whoever words it, and with whatever status.
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

    fn complete(&mut self, told: Option<u16>) -> RequestEffect {
        match self.status.or(told) {
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

    /// Ends it for a cause of the daemon's own.
    pub(super) fn fail(&mut self, cause: RequestError) -> RequestEffect {
        if self.phase == RequestPhase::Done {
            return RequestEffect::Nothing;
        }
        self.phase = RequestPhase::Done;
        RequestEffect::End(RequestEnd::Failed(cause))
    }

    /// What a failure is called. One that was cancelled has failed for no other reason, whoever words it.
    pub(super) fn resolve_error(&self, cause: RequestError) -> RequestError {
        if self.is_cancelled() && !cause.is_cancellation() { RequestError::Cancelled } else { cause }
    }

    /// The client can do nothing more for it. One that was to stop anyway ends as cancelled.
    pub(super) fn on_client_gone(&mut self, gone: crate::bridge::Gone) -> RequestEffect {
        let cause = if self.is_cancelled() { RequestError::Cancelled } else { RequestError::Gone(gone) };
        self.fail(cause)
    }

    /// The caller wants it no more.
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

    /// When time alone will end it. Once it is cancelled only the grace counts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.phase == RequestPhase::Done {
            return None;
        }
        self.grace_until.or_else(|| {
            let of_it = [self.queued_until, self.total_until, self.quiet_until, self.silent_until];
            of_it.into_iter().flatten().min()
        })
    }

    /// Time has passed.
    pub(super) fn on_timer(&mut self, now: Instant) -> RequestEffect {
        let over = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let cause = if self.is_cancelled() {
            if !over(self.grace_until) {
                return RequestEffect::Nothing;
            }
            RequestError::Cancelled
        } else if over(self.queued_until) {
            // The policy would have answered: what it gave the answer to is gone.
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
