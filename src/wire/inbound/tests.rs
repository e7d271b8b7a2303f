//! Every type of frame as the extension may write it, and what is refused.

use super::*;
use crate::wire::{ApiResponse, RawJson, ResponseHeaders, StreamEvent};

fn parse(text: &str) -> Result<InboundFrame<'static>, FrameError> {
    // A leaked frame outlives the test's assertions.
    InboundFrame::parse(Box::leak(Box::new(ByteString::from(text))))
}

fn report(text: &str) -> RequestReport {
    match parse(text) {
        Ok(InboundFrame::Request { report, .. }) => report,
        other => panic!("not about a request: {other:?}"),
    }
}

#[test]
fn every_type_in_the_list_is_read() {
    for kind in TYPES {
        let refused = parse(&format!("{{\"type\":\"{kind}\"}}"));
        let known = !matches!(refused, Err(FrameError { code: FrameErrorCode::UnsupportedMessageType, .. }));
        assert!(known, "{kind}");
    }
    let refused = parse(r#"{"type":"wat","id":"r"}"#).unwrap_err();
    assert_eq!(refused.code, FrameErrorCode::UnsupportedMessageType);
    assert_eq!(refused.in_reply_to.as_deref(), Some("wat"));
}

#[test]
fn what_is_no_message_is_refused_by_its_kind() {
    for (text, code) in [
        ("not json", FrameErrorCode::InvalidJson),
        ("{", FrameErrorCode::InvalidJson),
        ("[]", FrameErrorCode::InvalidMessage),
        ("{}", FrameErrorCode::InvalidMessage),
        (r#"{"type":7}"#, FrameErrorCode::InvalidMessage),
        (r#"{"type":"credentials"}"#, FrameErrorCode::InvalidMessage),
        (r#"{"type":"stream_event","id":"r","seq":0}"#, FrameErrorCode::InvalidMessage),
        (r#"{"type":"stream_event","id":"r","seq":1,"event":{}}"#, FrameErrorCode::InvalidMessage),
        (r#"{"type":"api_response","id":"r","status":99}"#, FrameErrorCode::InvalidMessage),
    ] {
        assert_eq!(parse(text).unwrap_err().code, code, "{text}");
    }
}

#[test]
fn a_frame_that_nests_too_deep_is_refused_and_names_the_request_that_it_would_have_answered() {
    let deep = format!(r#"{{"type":"api_response","id":"r1","body":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let refused = parse(&deep).unwrap_err();
    assert_eq!(refused.code, FrameErrorCode::InvalidMessage);
    assert_eq!(refused.ends_request(), Some("r1"));
    let harmless = parse(r#"{"type":"action_result","id":"r1","results":5}"#).unwrap_err();
    assert_eq!(harmless.ends_request(), None);
}

#[test]
fn a_long_answer_keeps_its_body_as_a_slice_and_a_short_one_lets_its_frame_go() {
    for (filling, sliced) in [(1, false), (8_000, true)] {
        let body = format!(r#"{{"k": [1, 2], "f": "{}"}}"#, "x".repeat(filling));
        let text = format!(r#"{{"type":"api_response","id":"a","body":{body},"status":201}}"#);
        let frame = ByteString::from(text);
        let Ok(InboundFrame::Request { id, report: RequestReport::Answer(answer) }) = InboundFrame::parse(&frame)
        else {
            panic!()
        };
        assert!(matches!(id, Cow::Borrowed("a")));
        assert_eq!((answer.ok, answer.status, answer.body.text()), (true, Some(201), &*body));
        let inside = frame.as_bytes().as_ptr_range().contains(&answer.body.text().as_ptr());
        assert_eq!(inside, sliced, "{filling}");
    }
}

#[test]
fn an_answer_without_ok_is_judged_by_its_status() {
    let ok = |text| matches!(report(text), RequestReport::Answer(ApiResponse { ok: true, .. }));
    assert!(ok(r#"{"type":"api_response","id":"a","status":399}"#));
    assert!(!ok(r#"{"type":"api_response","id":"a","status":400}"#));
    assert!(!ok(r#"{"type":"api_response","id":"a","error":"fetch_failed"}"#));
    assert!(ok(r#"{"type":"api_response","id":"a","ok":true}"#));
}

#[test]
fn of_the_response_headers_only_those_in_use_are_kept() {
    let text = r#"{"type":"api_response","id":"a","headers":{"Content-Type":"text/plain","set-cookie":"secret"}}"#;
    let RequestReport::Answer(answer) = report(text) else { panic!() };
    assert_eq!(answer.headers.content_type.as_deref(), Some("text/plain"));
    assert!(!format!("{answer:?}").contains("secret"));
}

#[test]
fn events_have_their_defaults_and_aliases() {
    let RequestReport::Event(StreamEvent { seq, event, data, raw }) =
        report(r#"{"type":"stream_event","requestId":"a","seq":3,"chunk":"x"}"#)
    else {
        panic!()
    };
    assert_eq!((seq, event.text(), data.text(), raw.text()), (3, "\"message\"", "null", "\"x\""));
    assert_eq!(
        report(r#"{"type":"stream_open","request_id":"a"}"#),
        RequestReport::Open { status: 200, meta: RawJson::default(), headers: ResponseHeaders::default() }
    );
    let retry_after = |headers: &str| match report(&format!(r#"{{"type":"stream_open","id":"a","headers":{headers}}}"#))
    {
        RequestReport::Open { headers, .. } => headers.retry_after,
        other => panic!("no opening: {other:?}"),
    };
    assert_eq!(retry_after(r#"{"Retry-After":"7","set-cookie":"s"}"#).as_deref(), Some("7"));
    assert_eq!((retry_after("7"), retry_after(r#"{"retry-after":7}"#)), (None, None), "the stream goes on");
    let broken = report(r#"{"type":"stream_error","id":"a","error":"boom","status":502}"#);
    assert_eq!(broken, RequestReport::Error { status: Some(502), code: "boom".into(), message: None });
}

#[test]
fn no_header_value_of_a_login_survives_the_parser() {
    let text = r#"{"type":"credentials","platform":"claude","headers":{"cookie":"s3cret","x-csrf":"t0ken"}}"#;
    let Ok(InboundFrame::Credentials(seen)) = parse(text) else { panic!() };
    assert_eq!(seen.header_count, 2);
    let shown = format!("{seen:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken") && !shown.contains("cookie"));
}

#[test]
fn an_event_reads_the_same_in_its_plain_form_and_in_any_other() {
    let plain = r#"{"type":"stream_event","id":"a","stream_id":"a","seq":3,"event":"x","data":{"k":1},"raw":"r"}"#;
    let spaced = plain.replacen("\"type\":", "\"type\": ", 1);
    assert_eq!(parse(plain), parse(&spaced));
    assert!(matches!(report(plain), RequestReport::Event(StreamEvent { seq: 3, .. })));
    // What the plain form does not cover is left to the general reading.
    for odd in [
        r#"{"type":"stream_event","requestId":"a","seq":3}"#,
        r#"{"type":"stream_event","id":" a ","seq":3,"chunk":"r"}"#,
        r#"{"type":"stream_event","id":"\u0061","seq":3}"#,
        r#"{"type":"stream_event","id":"a","seq":3,"data":null,"more":[]}"#,
    ] {
        assert!(matches!(report(odd), RequestReport::Event(StreamEvent { seq: 3, .. })), "{odd}");
    }
    let deep = format!(r#"{{"type":"stream_event","id":"a","seq":3,"data":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(parse(&deep).unwrap_err().ends_request(), Some("a"));
}
