//! The simulated Firefox against a scripted daemon.

use super::{socket::*, *};
use crate::simulator::webapp::WebApp;
use actix_http::ws::Frame;
use tokio::net::TcpListener;

/// The daemon's side of one connection.
struct Daemon {
    reading: FrameReader,
    writing: FrameWriter,
}

impl Daemon {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let (reading, writing) = accept_upgrade(stream).await;
        Daemon { reading, writing }
    }

    async fn greet(listener: &TcpListener) -> Self {
        let mut daemon = Daemon::accept(listener).await;
        let hello = daemon.next().await;
        assert_eq!((hello["type"].as_str(), hello["client_id"].as_str()), (Some("hello"), Some("sim")));
        daemon.send(json!({"type": "hello_ack", "client_id": "sim"})).await;
        daemon
    }

    async fn next(&mut self) -> Value {
        match self.reading.next().await.unwrap().unwrap() {
            Frame::Text(text) => serde_json::from_slice(&text).unwrap_or(Value::Null),
            other => panic!("{other:?}"),
        }
    }

    async fn of(&mut self, kind: &str) -> Value {
        for _ in 0..1_000 {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
        panic!("no {kind}")
    }

    async fn send(&mut self, message: Value) {
        self.writing.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    async fn request(&mut self, id: &str, path: &str, mode: &str) {
        self.send(json!({"type": "api_request", "id": id, "stream_id": id, "platform": "claude", "method": "GET",
            "path": path, "headers": {}, "body": null, "response_mode": mode}))
            .await;
    }
}

async fn start(profile: FirefoxProfile) -> (TcpListener, Firefox, Daemon) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/firefox", listener.local_addr().unwrap());
    let (firefox, daemon) = tokio::join!(Firefox::connect(&url, profile), Daemon::greet(&listener));
    (listener, firefox.unwrap(), daemon)
}

#[actix_rt::test]
async fn it_introduces_itself_and_answers_from_the_web_app() {
    let (_listener, firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    let credentials = daemon.next().await;
    assert_eq!((credentials["type"].as_str(), credentials["platform"].as_str()), (Some("credentials"), Some("claude")));
    daemon.request("r1", "/api/organizations", "buffered").await;
    let answer = daemon.next().await;
    assert_eq!((answer["id"].as_str(), answer["status"].as_u64()), (Some("r1"), Some(200)));
    assert_eq!(answer["body"][0]["uuid"], "org-1");
    assert_eq!(firefox.expect("api_request").await.unwrap()["id"], "r1");
    assert_eq!(firefox.received_of("hello_ack").len(), 1, "what was expected is still in the log");
}

#[actix_rt::test]
async fn a_stream_has_numbered_events_and_its_buffered_form_is_its_text() {
    let (_listener, _firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    daemon.request("s", "/events/2", "sse").await;
    assert_eq!(daemon.of("stream_open").await["status"], 200);
    assert_eq!(daemon.next().await["seq"], 1);
    let event = daemon.next().await;
    assert_eq!((event["seq"].as_u64(), event["data"]["n"].as_u64()), (Some(2), Some(2)));
    assert_eq!(daemon.next().await["type"], "stream_end");
    daemon.request("b", "/events/2", "buffered").await;
    let answer = daemon.next().await;
    assert_eq!(answer["headers"]["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(answer["body"].as_str().unwrap().matches("event: message\n").count(), 2);
}

#[actix_rt::test]
async fn a_cancelled_request_ends_as_with_the_extension() {
    let mut profile = FirefoxProfile::new("sim");
    profile.behaviour.progress = Duration::from_millis(5);
    let (_listener, _firefox, mut daemon) = start(profile).await;
    daemon.request("b", "/silence", "buffered").await;
    assert_eq!(daemon.of("progress").await["id"], "b");
    daemon.send(json!({"type": "request_cancel", "id": "b"})).await;
    let answer = daemon.of("api_response").await;
    assert_eq!((answer["ok"].as_bool(), answer["status"].as_u64()), (Some(false), Some(499)));
    assert_eq!(answer["error"], "request_cancelled");
    daemon.request("s", "/events/1?end=never", "sse").await;
    daemon.of("stream_event").await;
    daemon.send(json!({"type": "request_cancel", "id": "s"})).await;
    assert_eq!(daemon.of("stream_error").await["code"], "request_cancelled");
}

#[actix_rt::test]
async fn a_test_can_answer_manually() {
    let (_listener, firefox, mut daemon) = start(FirefoxProfile::manual("sim")).await;
    daemon.request("r", "/anything", "sse").await;
    let request = firefox.next_request().await.unwrap();
    assert_eq!((request.id(), request.path(), request.is_sse()), ("r", "/anything", true));
    request.open(200).await.unwrap();
    assert_eq!(request.event("message", json!(1)).await, Ok(1));
    assert_eq!(request.event_at(7, "message", json!(2)).await, Ok(7));
    request.error("boom", "it broke", Some(503)).await.unwrap();
    daemon.of("stream_open").await;
    assert_eq!(daemon.next().await["seq"], 1);
    assert_eq!(daemon.next().await["seq"], 7);
    let error = daemon.next().await;
    assert_eq!((error["code"].as_str(), error["status"].as_u64()), (Some("boom"), Some(503)));
}

#[actix_rt::test]
async fn malformed_frames_are_sent_as_they_are() {
    let (_listener, _firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    daemon.of("credentials").await;
    daemon.request("m", "/malformed", "buffered").await;
    assert_eq!(daemon.next().await, Value::Null, "not json");
    assert!(daemon.next().await.is_array());
    assert_eq!(daemon.next().await, json!({"id": "m"}));
    assert_eq!(daemon.next().await["type"], "no_such_type");
    assert_eq!(daemon.next().await["status"], 200);
}

#[actix_rt::test]
async fn the_close_code_of_a_connection_is_reported() {
    let (_listener, firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    let reason = CloseReason { code: CloseCode::from(4001), description: Some("replaced".to_owned()) };
    daemon.writing.send(Message::Close(Some(reason))).await.unwrap();
    assert_eq!(firefox.closed().await.unwrap(), ConnectionClosed { code: Some(4001), reason: "replaced".to_owned() });
    assert!(matches!(firefox.expect("anything").await, Err(ExpectError::Ended { .. })));
    assert_eq!(firefox.send_text("late").await, Err(NotConnected));
}

#[actix_rt::test]
async fn a_dropped_connection_ends_without_a_close_frame() {
    let (_listener, firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    daemon.of("credentials").await;
    firefox.drop_connection().await.unwrap();
    assert!(daemon.reading.next().await.is_none());
    assert_eq!(firefox.closed().await.unwrap().code, None);
    let (_listener, firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    daemon.of("credentials").await;
    drop(firefox);
    assert!(daemon.reading.next().await.is_none(), "the last handle takes the connection with it");
}

#[actix_rt::test]
async fn a_requested_reconnect_sends_hello_again() {
    let (listener, firefox, mut daemon) = start(FirefoxProfile::new("sim")).await;
    daemon.send(json!({"type": "ws_reconnect", "request_id": "a1", "action": "ws_reconnect"})).await;
    let result = daemon.of("action_result").await;
    assert_eq!((result["request_id"].as_str(), result["completed"].as_bool()), (Some("a1"), Some(false)));
    assert_eq!(result["shell_runtime"][0]["platform"], "claude");
    let Some(Ok(Frame::Close(Some(reason)))) = daemon.reading.next().await else { panic!("a close frame") };
    assert_eq!(u16::from(reason.code), 1000);
    drop(daemon);
    let _again = Daemon::greet(&listener).await;
    firefox.closed().await.unwrap();
    firefox.expect("hello_ack").await.unwrap();
}

#[actix_rt::test]
async fn pings_are_answered_and_ready_waits_for_the_snapshot() {
    let mut profile = FirefoxProfile::new("sim");
    profile.app = WebApp::new().with_pace(Duration::ZERO);
    let (_listener, firefox, mut daemon) = start(profile).await;
    daemon.writing.send(Message::Ping("x".into())).await.unwrap();
    daemon.of("credentials").await;
    let ready = async {
        assert!(matches!(daemon.reading.next().await, Some(Ok(Frame::Text(_) | Frame::Pong(_)))));
        assert!(matches!(daemon.reading.next().await, Some(Ok(Frame::Text(_) | Frame::Pong(_)))));
        let client = json!({"client_id": "sim", "credentials": [{"platform": "claude"}]});
        daemon.send(json!({"type": "state_snapshot", "snapshot": {"browser": {"clients": []}}})).await;
        daemon.send(json!({"type": "state_snapshot", "snapshot": {"browser": {"clients": [client]}}})).await;
    };
    let (result, ()) = tokio::join!(firefox.ready(), ready);
    result.unwrap();
    assert_eq!(firefox.pings(), 1);
}

#[actix_rt::test]
async fn the_error_of_a_refused_upgrade_has_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/firefox", listener.local_addr().unwrap());
    let refuse = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        stream.try_write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").unwrap();
        stream
    };
    let (result, _stream) = tokio::join!(Firefox::connect(&url, FirefoxProfile::new("sim")), refuse);
    assert!(matches!(result, Err(ConnectError::Refused { status: 403 })));
    assert!(matches!(Firefox::connect("http://localhost/", FirefoxProfile::new("sim")).await, Err(ConnectError::Url)));
}
