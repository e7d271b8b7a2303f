//! Every edge of a life, as rows of a table, and what time alone brings.

use super::*;
use crate::{bridge::Gone, wire::Headers};

mod steps;

const TIMEOUTS: Timeouts = Timeouts {
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
fn dispatched(streamed: bool, total: Option<Duration>) -> (Life, Instant) {
    let now = Instant::now();
    let mut life = Life::new(streamed, Timeouts { total, ..TIMEOUTS });
    life.dispatched(Part::Last, now);
    (life, now)
}

fn event(seq: u64) -> Upstream {
    Upstream::Event(Event { seq, event: Raw::default(), data: Raw::default(), raw: Raw::default() })
}

fn open(status: u16) -> Upstream {
    Upstream::Open { status, meta: Raw::default(), headers: Headers::default() }
}

fn answer(status: Option<u16>, ok: bool, error: Option<&str>) -> Upstream {
    Upstream::Answer(Answer { ok, status, error: error.map(str::to_owned), ..Answer::default() })
}

fn error(status: Option<u16>, code: &str) -> Upstream {
    Upstream::Error { status, code: code.into(), message: None }
}

fn failed(act: Act) -> Cause {
    match act {
        Act::End(Ended::Failed(cause)) => cause,
        other => panic!("not a failure: {other:?}"),
    }
}

/// Every edge of a dispatched request: (streamed, what came before, what comes, what follows).
#[test]
fn each_report_has_its_meaning_in_each_phase() {
    type Row = (&'static str, bool, Vec<Upstream>, Upstream, fn(&Act) -> bool);
    let rows: Vec<Row> = vec![
        ("an answer", false, vec![], answer(Some(200), true, None), |a| matches!(a, Act::Whole(_))),
        ("an answer without status", false, vec![], answer(None, true, None), |a| matches!(a, Act::Whole(_))),
        (
            "an error answer",
            false,
            vec![],
            answer(Some(500), false, None),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(500)),
        ),
        (
            "an error status called ok",
            false,
            vec![],
            answer(Some(404), true, None),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(404)),
        ),
        (
            "a failure with a good status",
            false,
            vec![],
            answer(Some(200), false, Some("x")),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status.is_none()),
        ),
        ("an event for a buffered one", false, vec![], event(1), |a| matches!(a, Act::Nothing)),
        ("an opening for a buffered one", false, vec![], open(200), |a| matches!(a, Act::Nothing)),
        ("a stream's end for a buffered one", false, vec![], Upstream::End { status: None }, |a| {
            matches!(a, Act::End(Ended::Failed(Cause::Garbled(_))))
        }),
        ("a broken stream for a buffered one", false, vec![], error(None, "boom"), |a| {
            matches!(a, Act::End(Ended::Failed(Cause::Upstream(_))))
        }),
        ("progress", true, vec![], Upstream::Progress, |a| matches!(a, Act::Nothing)),
        ("an opening", true, vec![], open(201), |a| matches!(a, Act::Open { status: 201, .. })),
        ("a second opening", true, vec![open(200)], open(500), |a| matches!(a, Act::Nothing)),
        ("a first event", true, vec![], event(1), |a| matches!(a, Act::Emit { opens: true, .. })),
        ("an event after the opening", true, vec![open(200)], event(7), |a| {
            matches!(a, Act::Emit { opens: false, .. })
        }),
        ("the same event again", true, vec![event(2)], event(2), |a| matches!(a, Act::Nothing)),
        ("an older event", true, vec![event(2)], event(1), |a| matches!(a, Act::Nothing)),
        ("an end", true, vec![open(201)], Upstream::End { status: None }, |a| {
            matches!(a, Act::End(Ended::Stream { status: 201 }))
        }),
        ("an end without an opening", true, vec![], Upstream::End { status: None }, |a| {
            matches!(a, Act::End(Ended::Stream { status: 200 }))
        }),
        (
            "an end with an error status",
            true,
            vec![],
            Upstream::End { status: Some(429) },
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(429)),
        ),
        (
            "the end of what began as an error",
            true,
            vec![open(429), event(1)],
            Upstream::End { status: Some(200) },
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(429)),
        ),
        (
            "another error of what began as one",
            true,
            vec![open(429)],
            error(Some(500), "odd"),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(429)),
        ),
        (
            "a whole answer to what began as an error",
            true,
            vec![open(500)],
            answer(Some(200), true, None),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(500)),
        ),
        (
            "the extension cancelled by itself, with a status",
            true,
            vec![],
            error(Some(499), "request_cancelled"),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Cancelled))),
        ),
        ("the same as an answer", false, vec![], answer(Some(500), false, Some("request_cancelled")), |a| {
            matches!(a, Act::End(Ended::Failed(Cause::Cancelled)))
        }),
        ("the extension cancelled by itself", true, vec![open(200)], error(None, "request_cancelled"), |a| {
            matches!(a, Act::End(Ended::Failed(Cause::Cancelled)))
        }),
        ("the extension's own limit", false, vec![], answer(None, false, Some("response_too_large")), |a| {
            matches!(a, Act::End(Ended::Failed(Cause::TooLarge { .. })))
        }),
        ("a whole answer to a stream", true, vec![], answer(Some(200), true, None), |a| matches!(a, Act::Whole(_))),
    ];
    for (what, streamed, before, report, follows) in rows {
        let (mut life, now) = dispatched(streamed, None);
        for earlier in before {
            life.said(earlier, now);
        }
        let act = life.said(report, now);
        assert!(follows(&act), "{what}: {act:?}");
    }
}

#[test]
fn when_the_app_wants_to_be_asked_again_is_not_lost_between_opening_and_end() {
    let headers = |wait: &str| Headers { retry_after: Some(wait.into()), ..Headers::default() };
    let answer = Answer { headers: headers("9"), ..Answer::default() };
    for (what, opened, end, told) in [
        ("an end", 429, Upstream::End { status: None }, Some("7")),
        ("an error", 503, error(None, "reset"), Some("7")),
        ("a whole answer, which knows better", 429, Upstream::Answer(answer), Some("9")),
        ("an error of what began well", 200, error(Some(500), "reset"), None),
    ] {
        let (mut life, now) = dispatched(true, None);
        life.said(Upstream::Open { status: opened, meta: Raw::default(), headers: headers("7") }, now);
        let Cause::Upstream(upstream) = failed(life.said(end, now)) else { panic!("{what}") };
        assert_eq!(upstream.retry_after.as_deref(), told, "{what}");
    }
}

#[test]
fn nothing_acts_before_the_dispatch_or_after_the_end() {
    let now = Instant::now();
    let mut life = Life::new(true, TIMEOUTS);
    assert_eq!(life.said(event(1), now), Act::Nothing);
    assert_eq!((life.deadline(), life.tick(now + seconds(9_999))), (None, Act::Nothing));
    life.dispatched(Part::Last, now);
    life.said(Upstream::End { status: None }, now);
    assert_eq!(life.said(event(1), now), Act::Nothing);
    assert_eq!(life.fail(Cause::Timeout), Act::Nothing);
    assert_eq!(life.gone(Gone::Disconnected), Act::Nothing);
    assert_eq!(life.tick(now + seconds(9_999)), Act::Nothing);
    assert_eq!((life.cancel(now), life.deadline()), (Cancelled::Late, None));
}

#[test]
fn a_buffered_request_has_its_total_time_alone() {
    let (mut life, now) = dispatched(false, Some(seconds(20)));
    assert_eq!(life.deadline(), Some(now + seconds(20)));
    life.said(Upstream::Progress, now + seconds(10));
    assert_eq!(life.tick(now + seconds(19)), Act::Nothing);
    assert_eq!(failed(life.tick(now + seconds(20))), Cause::Timeout);
}

#[test]
fn a_stream_must_open_and_then_not_fall_silent() {
    let (mut life, now) = dispatched(true, None);
    assert_eq!(life.deadline(), Some(now + seconds(10)));
    life.said(Upstream::Progress, now + seconds(9));
    assert_eq!(life.deadline(), Some(now + seconds(19)), "a sign of life restarts the opening's time");
    life.said(open(200), now + seconds(11));
    assert_eq!(life.deadline(), Some(now + seconds(41)));
    life.said(event(1), now + seconds(40));
    assert_eq!(life.tick(now + seconds(69)), Act::Nothing);
    assert_eq!(failed(life.tick(now + seconds(70))), Cause::IdleTimeout);

    let (mut never, now) = dispatched(true, None);
    assert_eq!(failed(never.tick(now + seconds(10))), Cause::OpenTimeout);
}

#[test]
fn progress_alone_does_not_keep_a_stream_for_ever() {
    let (mut life, now) = dispatched(true, None);
    for minute in 0..30 {
        assert_eq!(life.tick(now + seconds(minute * 60)), Act::Nothing, "minute {minute}");
        for part in 0..12 {
            life.said(Upstream::Progress, now + seconds(minute * 60 + part * 5));
        }
    }
    assert_eq!(failed(life.tick(now + seconds(1_800))), Cause::IdleTimeout);
}

#[test]
fn a_busy_stream_still_has_the_total_time_that_was_asked_for() {
    let (mut life, now) = dispatched(true, Some(seconds(5)));
    for seq in 1..5 {
        life.said(event(seq), now + seconds(seq));
    }
    assert_eq!(failed(life.tick(now + seconds(5))), Cause::Timeout);
}

#[test]
fn a_cancel_in_the_queue_ends_at_once() {
    let mut life = Life::new(false, TIMEOUTS);
    assert_eq!(life.cancel(Instant::now()), Cancelled::Queued);
    assert_eq!(life.phase(), Phase::Done);
}

#[test]
fn after_a_cancel_only_the_grace_counts_and_every_failure_is_the_cancellation() {
    type End = fn(&mut Life, Instant) -> Act;
    let ends: [(&str, End); 5] = [
        ("the grace", |life, now| life.tick(now + seconds(2))),
        ("an error", |life, now| life.said(error(Some(502), "boom"), now)),
        ("a failed answer", |life, now| life.said(answer(Some(499), false, Some("request_cancelled")), now)),
        ("the client's end", |life, _| life.gone(Gone::Disconnected)),
        ("an error status at the end", |life, now| life.said(Upstream::End { status: Some(500) }, now)),
    ];
    for (what, end) in ends {
        let (mut life, now) = dispatched(true, Some(seconds(1)));
        assert_eq!((life.cancel(now), life.cancel(now)), (Cancelled::First, Cancelled::Again));
        assert_eq!(life.deadline(), Some(now + seconds(2)));
        assert_eq!(life.tick(now + seconds(1)), Act::Nothing, "the total time no longer counts");
        assert_eq!(failed(end(&mut life, now)), Cause::Cancelled, "{what}");
    }
}

#[test]
fn an_answer_that_is_complete_within_the_grace_is_delivered() {
    let (mut life, now) = dispatched(false, None);
    life.cancel(now);
    assert!(matches!(life.said(answer(Some(200), true, None), now), Act::Whole(_)));
    let (mut stream, now) = dispatched(true, None);
    stream.cancel(now);
    assert!(matches!(stream.said(event(1), now), Act::Emit { .. }));
    assert_eq!(stream.said(Upstream::End { status: None }, now), Act::End(Ended::Stream { status: 200 }));
}

#[test]
fn repeated_events_are_dropped_and_counted() {
    let (mut life, now) = dispatched(true, None);
    for seq in [1, 1, 5, 3, 1_000] {
        life.said(event(seq), now);
    }
    assert_eq!((life.last_seq, life.dropped()), (1_000, 2));
}
