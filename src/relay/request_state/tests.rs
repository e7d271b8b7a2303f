//! Every edge of a state, as rows of a table, and what time alone brings.

use super::*;
use crate::{bridge::DisconnectReason, wire::ResponseHeaders};

mod steps;

const TIMEOUTS: RequestTimeouts = RequestTimeouts {
    total: Some(Duration::from_secs(100)),
    open: Duration::from_secs(10),
    idle: Duration::from_secs(30),
    silence: Duration::from_secs(1_800),
    prompt: None,
    queued: Duration::from_secs(125),
    grace: Duration::from_secs(2),
};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A request that was dispatched at the returned instant.
fn dispatched(streamed: bool, total: Option<Duration>) -> (RequestState, Instant) {
    let now = Instant::now();
    let mut state = RequestState::new(streamed, RequestTimeouts { total, ..TIMEOUTS });
    state.mark_dispatched(RequestPart::Last, now);
    (state, now)
}

fn event(seq: u64) -> RequestReport {
    RequestReport::Event(StreamEvent {
        seq,
        event: RawJson::default(),
        data: RawJson::default(),
        raw: RawJson::default(),
    })
}

fn open(status: u16) -> RequestReport {
    RequestReport::Open { status, meta: RawJson::default(), headers: ResponseHeaders::default() }
}

fn answer(status: Option<u16>, ok: bool, error: Option<&str>) -> RequestReport {
    RequestReport::Answer(ApiResponse { ok, status, error: error.map(str::to_owned), ..ApiResponse::default() })
}

fn error(status: Option<u16>, code: &str) -> RequestReport {
    RequestReport::Error { status, code: code.into(), message: None }
}

fn failed(act: RequestEffect) -> RequestError {
    match act {
        RequestEffect::End(RequestEnd::Failed(cause)) => cause,
        other => panic!("not a failure: {other:?}"),
    }
}

/// Every edge of a dispatched request: (streamed, what came before, what comes, what follows).
#[test]
fn each_report_has_its_meaning_in_each_phase() {
    type Row = (&'static str, bool, Vec<RequestReport>, RequestReport, fn(&RequestEffect) -> bool);
    let rows: Vec<Row> = vec![
        ("an answer", false, vec![], answer(Some(200), true, None), |a| matches!(a, RequestEffect::Whole(_))),
        ("an answer without status", false, vec![], answer(None, true, None), |a| matches!(a, RequestEffect::Whole(_))),
        (
            "an error answer",
            false,
            vec![],
            answer(Some(500), false, None),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(500)),
        ),
        (
            "an error status called ok",
            false,
            vec![],
            answer(Some(404), true, None),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(404)),
        ),
        (
            "a failure with a good status",
            false,
            vec![],
            answer(Some(200), false, Some("x")),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status.is_none()),
        ),
        ("an event for a buffered one", false, vec![], event(1), |a| matches!(a, RequestEffect::Nothing)),
        ("an opening for a buffered one", false, vec![], open(200), |a| matches!(a, RequestEffect::Nothing)),
        ("a stream's end for a buffered one", false, vec![], RequestReport::End { status: None }, |a| {
            matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Garbled(_))))
        }),
        ("a broken stream for a buffered one", false, vec![], error(None, "boom"), |a| {
            matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(_))))
        }),
        ("progress", true, vec![], RequestReport::Progress, |a| matches!(a, RequestEffect::Nothing)),
        ("an opening", true, vec![], open(201), |a| matches!(a, RequestEffect::Open { status: 201, .. })),
        ("a second opening", true, vec![open(200)], open(500), |a| matches!(a, RequestEffect::Nothing)),
        ("a first event", true, vec![], event(1), |a| matches!(a, RequestEffect::Emit { opens: true, .. })),
        ("an event after the opening", true, vec![open(200)], event(7), |a| {
            matches!(a, RequestEffect::Emit { opens: false, .. })
        }),
        ("the same event again", true, vec![event(2)], event(2), |a| matches!(a, RequestEffect::Nothing)),
        ("an older event", true, vec![event(2)], event(1), |a| matches!(a, RequestEffect::Nothing)),
        ("an end", true, vec![open(201)], RequestReport::End { status: None }, |a| {
            matches!(a, RequestEffect::End(RequestEnd::Stream { status: 201 }))
        }),
        ("an end without an opening", true, vec![], RequestReport::End { status: None }, |a| {
            matches!(a, RequestEffect::End(RequestEnd::Stream { status: 200 }))
        }),
        (
            "an end with an error status",
            true,
            vec![],
            RequestReport::End { status: Some(429) },
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(429)),
        ),
        (
            "the end of what began as an error",
            true,
            vec![open(429), event(1)],
            RequestReport::End { status: Some(200) },
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(429)),
        ),
        (
            "another error of what began as one",
            true,
            vec![open(429)],
            error(Some(500), "odd"),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(429)),
        ),
        (
            "a whole answer to what began as an error",
            true,
            vec![open(500)],
            answer(Some(200), true, None),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(500)),
        ),
        (
            "the extension cancelled by itself, with a status",
            true,
            vec![],
            error(Some(499), "request_cancelled"),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Cancelled))),
        ),
        ("the same as an answer", false, vec![], answer(Some(500), false, Some("request_cancelled")), |a| {
            matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Cancelled)))
        }),
        ("the extension cancelled by itself", true, vec![open(200)], error(None, "request_cancelled"), |a| {
            matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Cancelled)))
        }),
        ("the extension's own limit", false, vec![], answer(None, false, Some("response_too_large")), |a| {
            matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::TooLarge { .. })))
        }),
        ("a whole answer to a stream", true, vec![], answer(Some(200), true, None), |a| {
            matches!(a, RequestEffect::Whole(_))
        }),
    ];
    for (what, streamed, before, report, follows) in rows {
        let (mut state, now) = dispatched(streamed, None);
        for earlier in before {
            state.on_report(earlier, now);
        }
        let act = state.on_report(report, now);
        assert!(follows(&act), "{what}: {act:?}");
    }
}

#[test]
fn when_the_app_wants_to_be_asked_again_is_not_lost_between_opening_and_end() {
    let headers = |wait: &str| ResponseHeaders { retry_after: Some(wait.into()), ..ResponseHeaders::default() };
    let answer = ApiResponse { headers: headers("9"), ..ApiResponse::default() };
    for (what, opened, end, told) in [
        ("an end", 429, RequestReport::End { status: None }, Some("7")),
        ("an error", 503, error(None, "reset"), Some("7")),
        ("a whole answer, which knows better", 429, RequestReport::Answer(answer), Some("9")),
        ("an error of what began well", 200, error(Some(500), "reset"), None),
    ] {
        let (mut state, now) = dispatched(true, None);
        state.on_report(RequestReport::Open { status: opened, meta: RawJson::default(), headers: headers("7") }, now);
        let RequestError::Upstream(upstream) = failed(state.on_report(end, now)) else { panic!("{what}") };
        assert_eq!(upstream.retry_after.as_deref(), told, "{what}");
    }
}

#[test]
fn nothing_acts_before_the_dispatch_or_after_the_end() {
    let now = Instant::now();
    let mut state = RequestState::new(true, TIMEOUTS);
    assert_eq!(state.on_report(event(1), now), RequestEffect::Nothing);
    assert_eq!((state.deadline(), state.on_timer(now + seconds(9_999))), (None, RequestEffect::Nothing));
    state.mark_dispatched(RequestPart::Last, now);
    state.on_report(RequestReport::End { status: None }, now);
    assert_eq!(state.on_report(event(1), now), RequestEffect::Nothing);
    assert_eq!(state.fail(RequestError::Timeout), RequestEffect::Nothing);
    assert_eq!(state.on_disconnect(DisconnectReason::SocketClosed), RequestEffect::Nothing);
    assert_eq!(state.on_timer(now + seconds(9_999)), RequestEffect::Nothing);
    assert_eq!((state.cancel(now), state.deadline()), (CancelOutcome::Late, None));
}

#[test]
fn a_buffered_request_has_its_total_time_alone() {
    let (mut state, now) = dispatched(false, Some(seconds(20)));
    assert_eq!(state.deadline(), Some(now + seconds(20)));
    state.on_report(RequestReport::Progress, now + seconds(10));
    assert_eq!(state.on_timer(now + seconds(19)), RequestEffect::Nothing);
    assert_eq!(failed(state.on_timer(now + seconds(20))), RequestError::Timeout);
}

#[test]
fn a_stream_must_open_and_then_not_fall_silent() {
    let (mut state, now) = dispatched(true, None);
    assert_eq!(state.deadline(), Some(now + seconds(10)));
    state.on_report(RequestReport::Progress, now + seconds(9));
    assert_eq!(state.deadline(), Some(now + seconds(19)), "a sign of life restarts the opening's time");
    state.on_report(open(200), now + seconds(11));
    assert_eq!(state.deadline(), Some(now + seconds(41)));
    state.on_report(event(1), now + seconds(40));
    assert_eq!(state.on_timer(now + seconds(69)), RequestEffect::Nothing);
    assert_eq!(failed(state.on_timer(now + seconds(70))), RequestError::IdleTimeout);

    let (mut never, now) = dispatched(true, None);
    assert_eq!(failed(never.on_timer(now + seconds(10))), RequestError::OpenTimeout);
}

#[test]
fn progress_alone_does_not_keep_a_stream_for_ever() {
    let (mut state, now) = dispatched(true, None);
    for minute in 0..30 {
        assert_eq!(state.on_timer(now + seconds(minute * 60)), RequestEffect::Nothing, "minute {minute}");
        for part in 0..12 {
            state.on_report(RequestReport::Progress, now + seconds(minute * 60 + part * 5));
        }
    }
    assert_eq!(failed(state.on_timer(now + seconds(1_800))), RequestError::IdleTimeout);
}

#[test]
fn a_busy_stream_still_has_the_total_time_that_was_asked_for() {
    let (mut state, now) = dispatched(true, Some(seconds(5)));
    for seq in 1..5 {
        state.on_report(event(seq), now + seconds(seq));
    }
    assert_eq!(failed(state.on_timer(now + seconds(5))), RequestError::Timeout);
}

#[test]
fn a_cancel_in_the_queue_ends_at_once() {
    let mut state = RequestState::new(false, TIMEOUTS);
    assert_eq!(state.cancel(Instant::now()), CancelOutcome::Queued);
    assert_eq!(state.phase(), RequestPhase::Done);
}

#[test]
fn after_a_cancel_only_the_grace_counts_and_every_failure_is_the_cancellation() {
    type End = fn(&mut RequestState, Instant) -> RequestEffect;
    let ends: [(&str, End); 5] = [
        ("the grace", |state, now| state.on_timer(now + seconds(2))),
        ("an error", |state, now| state.on_report(error(Some(502), "boom"), now)),
        ("a failed answer", |state, now| state.on_report(answer(Some(499), false, Some("request_cancelled")), now)),
        ("the client's end", |state, _| state.on_disconnect(DisconnectReason::SocketClosed)),
        ("an error status at the end", |state, now| state.on_report(RequestReport::End { status: Some(500) }, now)),
    ];
    for (what, end) in ends {
        let (mut state, now) = dispatched(true, Some(seconds(1)));
        assert_eq!((state.cancel(now), state.cancel(now)), (CancelOutcome::First, CancelOutcome::Again));
        assert_eq!(state.deadline(), Some(now + seconds(2)));
        assert_eq!(state.on_timer(now + seconds(1)), RequestEffect::Nothing, "the total time no longer counts");
        assert_eq!(failed(end(&mut state, now)), RequestError::Cancelled, "{what}");
    }
}

#[test]
fn an_answer_that_is_complete_within_the_grace_is_delivered() {
    let (mut state, now) = dispatched(false, None);
    state.cancel(now);
    assert!(matches!(state.on_report(answer(Some(200), true, None), now), RequestEffect::Whole(_)));
    let (mut stream, now) = dispatched(true, None);
    stream.cancel(now);
    assert!(matches!(stream.on_report(event(1), now), RequestEffect::Emit { .. }));
    assert_eq!(
        stream.on_report(RequestReport::End { status: None }, now),
        RequestEffect::End(RequestEnd::Stream { status: 200 })
    );
}

#[test]
fn repeated_events_are_dropped_and_counted() {
    let (mut state, now) = dispatched(true, None);
    for seq in [1, 1, 5, 3, 1_000] {
        state.on_report(event(seq), now);
    }
    assert_eq!((state.last_seq, state.dropped()), (1_000, 2));
}
