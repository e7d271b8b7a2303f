//! A request of several steps, and what signs of life are worth where the assistant answers.

use super::*;

/// A request with a step out since the returned instant.
fn stepping(streamed: bool, timeouts: Timeouts) -> (Life, Instant) {
    let now = Instant::now();
    let mut life = Life::new(streamed, timeouts);
    life.dispatched(Part::Step, now);
    (life, now)
}

fn prompting(total: Option<u64>) -> Timeouts {
    Timeouts { total: total.map(seconds), prompt: Some(seconds(60)), ..TIMEOUTS }
}

#[test]
fn a_steps_answer_leads_on_and_only_the_last_parts_is_the_callers() {
    for streamed in [false, true] {
        let (mut life, now) = stepping(streamed, TIMEOUTS);
        for _ in 0..2 {
            assert!(matches!(life.said(answer(Some(200), true, None), now), Act::Step(_)));
            assert_eq!(life.phase(), Phase::Dispatched);
            life.dispatched(Part::Step, now);
        }
        assert!(matches!(life.said(answer(None, true, None), now), Act::Step(_)));
        life.dispatched(Part::Last, now);
        assert!(matches!(life.said(answer(Some(200), true, None), now), Act::Whole(_)));
        assert_eq!(life.phase(), Phase::Done);
    }
}

/// What each report means while a step of a streamed request is out.
#[test]
fn a_step_is_never_a_stream() {
    type Row = (&'static str, Upstream, fn(&Act) -> bool);
    let rows: Vec<Row> = vec![
        ("an opening", open(200), |a| *a == Act::Nothing),
        ("an event", event(1), |a| *a == Act::Nothing),
        ("progress", Upstream::Progress, |a| *a == Act::Nothing),
        ("a stream's end", Upstream::End { status: Some(200) }, |a| {
            matches!(a, Act::End(Ended::Failed(Cause::Garbled(_))))
        }),
        (
            "a broken stream",
            error(Some(503), "boom"),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(503)),
        ),
        (
            "an error answer",
            answer(Some(403), false, None),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(403)),
        ),
        (
            "an error status called ok",
            answer(Some(401), true, None),
            |a| matches!(a, Act::End(Ended::Failed(Cause::Upstream(u))) if u.status == Some(401)),
        ),
    ];
    for (what, report, follows) in rows {
        let (mut life, now) = stepping(true, TIMEOUTS);
        let act = life.said(report, now);
        assert!(follows(&act), "{what}: {act:?}");
    }
}

#[test]
fn what_a_step_sent_as_a_stream_opens_nothing_and_numbers_nothing_of_the_last_part() {
    let (mut life, now) = stepping(true, TIMEOUTS);
    life.said(open(500), now);
    life.said(event(9), now);
    assert!(matches!(life.said(answer(Some(200), true, None), now), Act::Step(_)));
    life.dispatched(Part::Last, now);
    assert!(matches!(life.said(event(1), now), Act::Emit { opens: true, .. }));
    assert_eq!(life.said(Upstream::End { status: None }, now), Act::End(Ended::Stream { status: 200 }));
}

#[test]
fn a_cancel_while_a_step_is_out_ends_the_plan_whatever_the_step_answers() {
    type End = fn(&mut Life, Instant) -> Act;
    let ends: [(&str, End); 4] = [
        ("a good answer", |life, now| life.said(answer(Some(200), true, None), now)),
        ("a failure", |life, now| life.said(answer(Some(500), false, None), now)),
        ("the client's end", |life, _| life.gone(Gone::Disconnected)),
        ("the grace", |life, now| life.tick(now + seconds(2))),
    ];
    for (what, end) in ends {
        let (mut life, now) = stepping(false, TIMEOUTS);
        assert_eq!(life.cancel(now), Cancelled::First, "{what}");
        assert_eq!(life.deadline(), Some(now + seconds(2)), "{what}");
        assert_eq!(failed(end(&mut life, now)), Cause::Cancelled, "{what}");
        assert_eq!(life.said(answer(Some(200), true, None), now), Act::Nothing, "{what}");
    }
}

#[test]
fn the_total_time_begins_with_the_first_step_and_every_step_must_come_in_the_time_of_an_opening() {
    let (mut life, now) = stepping(true, Timeouts { total: Some(seconds(12)), ..TIMEOUTS });
    assert_eq!(life.deadline(), Some(now + seconds(10)));
    life.said(answer(Some(200), true, None), now + seconds(9));
    life.dispatched(Part::Last, now + seconds(9));
    assert_eq!(life.deadline(), Some(now + seconds(12)), "not from the last part on");
    assert_eq!(failed(life.tick(now + seconds(12))), Cause::Timeout);

    let (mut slow, now) = stepping(true, TIMEOUTS);
    slow.said(answer(Some(200), true, None), now + seconds(9));
    slow.dispatched(Part::Step, now + seconds(9));
    assert_eq!(slow.deadline(), Some(now + seconds(19)));
    assert_eq!(failed(slow.tick(now + seconds(19))), Cause::OpenTimeout);
}

#[test]
fn signs_of_life_put_off_the_end_of_a_whole_answer_to_a_prompt_within_a_bound() {
    let (mut life, now) = stepping(false, prompting(Some(20)));
    assert_eq!(life.deadline(), Some(now + seconds(20)));
    life.said(Upstream::Progress, now + seconds(15));
    assert_eq!(life.deadline(), Some(now + seconds(35)), "a step's count too");
    life.said(answer(Some(200), true, None), now + seconds(30));
    life.dispatched(Part::Last, now + seconds(30));
    assert_eq!(life.deadline(), Some(now + seconds(35)), "an answered step is no sign of life by itself");
    life.said(Upstream::Progress, now + seconds(34));
    assert_eq!(life.deadline(), Some(now + seconds(54)));
    life.said(Upstream::Progress, now + seconds(53));
    assert_eq!(life.deadline(), Some(now + seconds(60)), "no further than the bound, from the first step on");
    life.said(Upstream::Progress, now + seconds(59));
    assert_eq!(failed(life.tick(now + seconds(60))), Cause::Timeout);
}

#[test]
fn a_caller_that_asked_for_more_than_the_bound_has_what_it_asked_for() {
    let (mut life, now) = stepping(false, prompting(Some(90)));
    life.said(Upstream::Progress, now + seconds(1));
    assert_eq!(life.deadline(), Some(now + seconds(90)));
}

#[test]
fn signs_of_life_do_not_put_off_the_total_time_of_a_stream_or_of_a_request_without_a_prompt() {
    let (mut stream, now) = stepping(true, prompting(Some(5)));
    stream.said(Upstream::Progress, now + seconds(4));
    assert_eq!(stream.deadline(), Some(now + seconds(5)));
    let (mut raw, now) = dispatched(false, Some(seconds(5)));
    raw.said(Upstream::Progress, now + seconds(4));
    assert_eq!(raw.deadline(), Some(now + seconds(5)));
}
