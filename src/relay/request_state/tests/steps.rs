//! A request of several steps, and what signs of life are worth where the assistant answers.

use super::*;

/// A request with a step out since the returned instant.
fn stepping(streamed: bool, timeouts: RequestTimeouts) -> (RequestState, Instant) {
    let now = Instant::now();
    let mut state = RequestState::new(streamed, timeouts);
    state.mark_dispatched(RequestPart::Step, now);
    (state, now)
}

fn prompting(total: Option<u64>) -> RequestTimeouts {
    RequestTimeouts { total: total.map(seconds), prompt: Some(seconds(60)), ..TIMEOUTS }
}

#[test]
fn a_steps_answer_leads_on_and_only_the_last_parts_is_the_callers() {
    for streamed in [false, true] {
        let (mut state, now) = stepping(streamed, TIMEOUTS);
        for _ in 0..2 {
            assert!(matches!(state.on_report(answer(Some(200), true, None), now), RequestEffect::Step(_)));
            assert_eq!(state.phase(), RequestPhase::Dispatched);
            state.mark_dispatched(RequestPart::Step, now);
        }
        assert!(matches!(state.on_report(answer(None, true, None), now), RequestEffect::Step(_)));
        state.mark_dispatched(RequestPart::Last, now);
        assert!(matches!(state.on_report(answer(Some(200), true, None), now), RequestEffect::Whole(_)));
        assert_eq!(state.phase(), RequestPhase::Done);
    }
}

/// What each report means while a step of a streamed request is out.
#[test]
fn a_step_is_never_a_stream() {
    type Row = (&'static str, RequestReport, fn(&RequestEffect) -> bool);
    let rows: Vec<Row> = vec![
        ("an opening", open(200), |a| *a == RequestEffect::Nothing),
        ("an event", event(1), |a| *a == RequestEffect::Nothing),
        ("progress", RequestReport::Progress, |a| *a == RequestEffect::Nothing),
        ("a stream's end", RequestReport::End { status: Some(200) }, |a| {
            matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Garbled(_))))
        }),
        (
            "a broken stream",
            error(Some(503), "boom"),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(503)),
        ),
        (
            "an error answer",
            answer(Some(403), false, None),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(403)),
        ),
        (
            "an error status called ok",
            answer(Some(401), true, None),
            |a| matches!(a, RequestEffect::End(RequestEnd::Failed(RequestError::Upstream(u))) if u.status == Some(401)),
        ),
    ];
    for (what, report, follows) in rows {
        let (mut state, now) = stepping(true, TIMEOUTS);
        let act = state.on_report(report, now);
        assert!(follows(&act), "{what}: {act:?}");
    }
}

#[test]
fn what_a_step_sent_as_a_stream_opens_nothing_and_numbers_nothing_of_the_last_part() {
    let (mut state, now) = stepping(true, TIMEOUTS);
    state.on_report(open(500), now);
    state.on_report(event(9), now);
    assert!(matches!(state.on_report(answer(Some(200), true, None), now), RequestEffect::Step(_)));
    state.mark_dispatched(RequestPart::Last, now);
    assert!(matches!(state.on_report(event(1), now), RequestEffect::Emit { opens: true, .. }));
    assert_eq!(
        state.on_report(RequestReport::End { status: None }, now),
        RequestEffect::End(RequestEnd::Stream { status: 200 })
    );
}

#[test]
fn a_cancel_while_a_step_is_out_ends_the_plan_whatever_the_step_answers() {
    type End = fn(&mut RequestState, Instant) -> RequestEffect;
    let ends: [(&str, End); 4] = [
        ("a good answer", |state, now| state.on_report(answer(Some(200), true, None), now)),
        ("a failure", |state, now| state.on_report(answer(Some(500), false, None), now)),
        ("the client's end", |state, _| state.on_disconnect(DisconnectReason::SocketClosed)),
        ("the grace", |state, now| state.on_timer(now + seconds(2))),
    ];
    for (what, end) in ends {
        let (mut state, now) = stepping(false, TIMEOUTS);
        assert_eq!(state.cancel(now), CancelOutcome::First, "{what}");
        assert_eq!(state.deadline(), Some(now + seconds(2)), "{what}");
        assert_eq!(failed(end(&mut state, now)), RequestError::Cancelled, "{what}");
        assert_eq!(state.on_report(answer(Some(200), true, None), now), RequestEffect::Nothing, "{what}");
    }
}

#[test]
fn the_total_time_begins_with_the_first_step_and_every_step_must_come_in_the_time_of_an_opening() {
    let (mut state, now) = stepping(true, RequestTimeouts { total: Some(seconds(12)), ..TIMEOUTS });
    assert_eq!(state.deadline(), Some(now + seconds(10)));
    state.on_report(answer(Some(200), true, None), now + seconds(9));
    state.mark_dispatched(RequestPart::Last, now + seconds(9));
    assert_eq!(state.deadline(), Some(now + seconds(12)), "not from the last part on");
    assert_eq!(failed(state.on_timer(now + seconds(12))), RequestError::Timeout);

    let (mut slow, now) = stepping(true, TIMEOUTS);
    slow.on_report(answer(Some(200), true, None), now + seconds(9));
    slow.mark_dispatched(RequestPart::Step, now + seconds(9));
    assert_eq!(slow.deadline(), Some(now + seconds(19)));
    assert_eq!(failed(slow.on_timer(now + seconds(19))), RequestError::OpenTimeout);
}

#[test]
fn signs_of_life_put_off_the_end_of_a_whole_answer_to_a_prompt_within_a_bound() {
    let (mut state, now) = stepping(false, prompting(Some(20)));
    assert_eq!(state.deadline(), Some(now + seconds(20)));
    state.on_report(RequestReport::Progress, now + seconds(15));
    assert_eq!(state.deadline(), Some(now + seconds(35)), "a step's count too");
    state.on_report(answer(Some(200), true, None), now + seconds(30));
    state.mark_dispatched(RequestPart::Last, now + seconds(30));
    assert_eq!(state.deadline(), Some(now + seconds(35)), "an answered step is no sign of life by itself");
    state.on_report(RequestReport::Progress, now + seconds(34));
    assert_eq!(state.deadline(), Some(now + seconds(54)));
    state.on_report(RequestReport::Progress, now + seconds(53));
    assert_eq!(state.deadline(), Some(now + seconds(60)), "no further than the bound, from the first step on");
    state.on_report(RequestReport::Progress, now + seconds(59));
    assert_eq!(failed(state.on_timer(now + seconds(60))), RequestError::Timeout);
}

#[test]
fn a_caller_that_asked_for_more_than_the_bound_has_what_it_asked_for() {
    let (mut state, now) = stepping(false, prompting(Some(90)));
    state.on_report(RequestReport::Progress, now + seconds(1));
    assert_eq!(state.deadline(), Some(now + seconds(90)));
}

#[test]
fn signs_of_life_do_not_put_off_the_total_time_of_a_stream_or_of_a_request_without_a_prompt() {
    let (mut stream, now) = stepping(true, prompting(Some(5)));
    stream.on_report(RequestReport::Progress, now + seconds(4));
    assert_eq!(stream.deadline(), Some(now + seconds(5)));
    let (mut raw, now) = dispatched(false, Some(seconds(5)));
    raw.on_report(RequestReport::Progress, now + seconds(4));
    assert_eq!(raw.deadline(), Some(now + seconds(5)));
}
