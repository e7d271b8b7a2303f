//! A request from its body to its exit code, with Ctrl-C at every moment.

use super::*;
use crate::cli::{
    Cli, CliCommand,
    terminal::testing::CapturedOutput,
    testing::stub_daemon::{ReceivedRequest, ResponsePart, StubDaemon, json, sse_head},
};
use clap::Parser;
use futures_util::stream;

const PLAIN: ResponseStyle = ResponseStyle { json: false, terminal: false };

#[test]
fn a_header_is_split_at_its_first_colon() {
    assert_eq!(header("x-a: b:c"), Ok(("x-a".into(), "b:c".into())));
    assert!(header("x-a").is_err() && header(": b").is_err());
}

#[test]
fn an_impossible_request_id_is_bad_usage() {
    let line = ["baa-conductor", "request", "--platform", "p", "--path", "/", "--request-id", "a/b"];
    assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2);
}

fn request(sse: bool) -> PreparedRequest {
    let line = ["baa-conductor", "request", "--platform", "claude", "--path", "/x", "--request-id", "r-1"];
    let mode = sse.then_some("--sse");
    let cli = Cli::try_parse_from(line.into_iter().chain(mode)).unwrap();
    let Some(CliCommand::Request(arguments)) = cli.command else { panic!("a request") };
    PreparedRequest::new(arguments, io::empty()).unwrap()
}

/// The result of a run: exit code or error, output, and the requests to the daemon.
struct RequestRun {
    exit: Result<ExitCode, String>,
    output: CapturedOutput,
    stub: StubDaemon,
}

impl RequestRun {
    /// Runs the command; `interrupts` is created after the stub.
    async fn new<P: Stream<Item = ()> + Unpin>(
        sse: bool,
        room: usize,
        answer: impl Fn(&ReceivedRequest) -> Vec<ResponsePart> + Send + Sync + 'static,
        interrupts: impl FnOnce(&StubDaemon) -> P,
    ) -> RequestRun {
        let stub = StubDaemon::new(answer);
        let (client, request) = (DaemonClient::new(&stub.base, None).unwrap(), request(sse));
        let output = CapturedOutput::new(room);
        let printer = Printer::new(output.clone());
        let interrupts = interrupts(&stub);
        let indicator = WaitIndicator::on_stderr(true);
        let work = async {
            if sse {
                super::send_streamed(
                    &client,
                    &request,
                    StreamRenderer::Events(EventRenderer::new(PLAIN)),
                    printer,
                    &indicator,
                )
                .await
            } else {
                send_buffered(&client, &request, PLAIN, printer, &indicator).await
            }
        };
        let exit = wait_for_end(&client, &request, pin!(work), interrupts).await.map_err(|error| format!("{error:#}"));
        RequestRun { exit, output, stub }
    }

    async fn undisturbed(
        sse: bool,
        answer: impl Fn(&ReceivedRequest) -> Vec<ResponsePart> + Send + Sync + 'static,
    ) -> RequestRun {
        RequestRun::new(sse, 1 << 20, answer, |_| stream::pending()).await
    }

    fn cancels(&self) -> Vec<serde_json::Value> {
        self.stub.received().iter().filter(|seen| seen.line == CANCEL).map(ReceivedRequest::json).collect()
    }
}

const CANCEL: &str = "POST /v1/browser/request/cancel";

fn cancelled() -> Vec<ResponsePart> {
    json(200, r#"{"ok":true,"data":{"status":"cancel_requested","type":"request_cancel"}}"#)
}

fn cancel_with(reason: &str) -> Vec<serde_json::Value> {
    vec![serde_json::json!({"request_id": "r-1", "platform": "claude", "reason": reason})]
}

/// One Ctrl-C as soon as a request line containing `text` was received.
fn press_after(stub: &StubDaemon, text: &'static str) -> Pin<Box<dyn Stream<Item = ()>>> {
    let (press, pressed) = tokio::sync::oneshot::channel();
    let stub = stub.clone();
    std::thread::spawn(move || {
        stub.wait_for(text);
        press.send(())
    });
    Box::pin(stream::once(async { drop(pressed.await) }).chain(stream::pending()))
}

const OPEN: &str = "id: 0\nevent: stream_open\ndata: {\"status\":200}\n\n";
const WORDS: &str = "id: 1\nevent: stream_event\ndata: {\"data\":{\"text\":\"eins ü\"},\"seq\":1}\n\n: keep-alive\n\n\
                     id: 2\nevent: stream_event\ndata: {\"data\":{\"text\":\" zwei\"},\"seq\":2}\n\n";
const END: &str = "event: stream_end\ndata: {\"status\":200}\n\n";
const ERROR: &str = "event: stream_error\ndata: {\"error\":\"request_cancelled\",\"message\":\"Cancelled.\"}\n\n";
const UPSTREAM: &str =
    "event: stream_error\ndata: {\"error\":\"x\",\"http_error\":\"browser_upstream_error\",\"status\":503}\n\n";

fn text(texts: &[&str], size: usize) -> ResponsePart {
    ResponsePart::Chunks(texts.concat().into_bytes(), size)
}

#[actix_rt::test]
async fn a_buffered_response_is_printed() {
    let run = RequestRun::undisturbed(false, |_| json(200, r#"{"ok":true,"data":{"response":{"hello":"cli"}}}"#)).await;
    assert_eq!((run.exit, &*run.output.text()), (Ok(ExitCode::SUCCESS), "{\"hello\":\"cli\"}\n"));
    let wanted =
        serde_json::json!({"platform": "claude", "request_id": "r-1", "response_mode": "buffered", "path": "/x"});
    assert_eq!((run.stub.received()[0].json(), &*run.stub.received()[0].line), (wanted, "POST /v1/browser/request"));
}

#[actix_rt::test]
async fn a_refusal_prints_nothing_to_stdout() {
    for sse in [false, true] {
        let body = r#"{"ok":false,"error":"browser_bridge_unavailable","message":"No Firefox is connected."}"#;
        let run = RequestRun::undisturbed(sse, move |_| json(503, body)).await;
        assert_eq!(run.exit, Ok(ExitCode::FAILURE));
        assert_eq!(run.output.text(), "");
    }
}

#[actix_rt::test]
async fn a_stream_is_printed_as_text_in_chunks_of_any_size() {
    for size in [1, 5, 13, 4_096] {
        let run = RequestRun::undisturbed(true, move |_| {
            vec![sse_head(), text(&[OPEN, WORDS, END], size), ResponsePart::Last]
        })
        .await;
        assert_eq!((run.exit, &*run.output.text()), (Ok(ExitCode::SUCCESS), "eins ü zwei\n"), "in pieces of {size}");
    }
}

#[actix_rt::test]
async fn a_stream_error_fails_after_printing_the_received_text() {
    let run =
        RequestRun::undisturbed(true, |_| vec![sse_head(), text(&[OPEN, WORDS, UPSTREAM], 64), ResponsePart::Last])
            .await;
    assert_eq!((run.exit, &*run.output.text()), (Ok(ExitCode::from(5)), "eins ü zwei\n"));
}

#[actix_rt::test]
async fn a_stream_without_its_last_event_is_an_error() {
    for last in [Some(ResponsePart::Last), None] {
        let parts: Vec<_> = [sse_head(), text(&[OPEN, WORDS], 64)].into_iter().chain(last.clone()).collect();
        let run = RequestRun::undisturbed(true, move |_| parts.clone()).await;
        let error = run.exit.unwrap_err();
        let wanted = if last.is_some() { "without its last event" } else { "does not answer" };
        assert!(error.contains(wanted) || error.contains("without its last event"), "{error}");
        assert_eq!(run.output.text(), "eins ü zwei\n");
    }
}

#[actix_rt::test]
async fn ctrl_c_cancels_and_waits_for_the_end_of_the_stream() {
    let answer = |seen: &ReceivedRequest| match &*seen.line {
        CANCEL => cancelled(),
        _ => vec![
            sse_head(),
            text(&[OPEN, WORDS], 9),
            ResponsePart::Until("/cancel"),
            text(&[ERROR], 9),
            ResponsePart::Last,
        ],
    };
    let run = RequestRun::new(true, 1 << 20, answer, |stub| press_after(stub, "/request")).await;
    assert_eq!(run.exit, Ok(FailureKind::Cancelled.exit_code()));
    assert_eq!(run.cancels(), cancel_with("ctrl-c"));
    assert_eq!(run.output.text(), "eins ü zwei\n", "text received meanwhile is printed");
}

#[actix_rt::test]
async fn ctrl_c_cancels_a_buffered_request_too() {
    let answer = |seen: &ReceivedRequest| match &*seen.line {
        CANCEL => cancelled(),
        _ => {
            let body = r#"{"ok":false,"error":"browser_request_cancelled","message":"Cancelled."}"#;
            [vec![ResponsePart::Until("/cancel")], json(499, body)].concat()
        }
    };
    let run = RequestRun::new(false, 1 << 20, answer, |stub| press_after(stub, "/request")).await;
    assert_eq!((run.exit.clone(), run.cancels()), (Ok(FailureKind::Cancelled.exit_code()), cancel_with("ctrl-c")));
}

#[actix_rt::test]
async fn a_second_ctrl_c_ends_at_once() {
    let answer = |seen: &ReceivedRequest| match &*seen.line {
        CANCEL => vec![ResponsePart::Until("never")],
        _ => vec![sse_head(), ResponsePart::Until("never")],
    };
    let began = tokio::time::Instant::now();
    let twice = |stub: &StubDaemon| press_after(stub, "/request").take(1).chain(press_after(stub, "/cancel"));
    let run = RequestRun::new(true, 1 << 20, answer, twice).await;
    assert_eq!(run.exit, Ok(FailureKind::Cancelled.exit_code()));
    assert!(began.elapsed() < CANCEL_TIMEOUT / 2, "{:?}", began.elapsed());
}

#[actix_rt::test]
async fn a_closed_stdout_cancels_quietly() {
    let answer = |seen: &ReceivedRequest| match &*seen.line {
        CANCEL => cancelled(),
        _ => vec![
            sse_head(),
            text(&[OPEN, WORDS, WORDS], 11),
            ResponsePart::Until("/cancel"),
            text(&[ERROR], 9),
            ResponsePart::Last,
        ],
    };
    let run = RequestRun::new(true, 7, answer, |_| stream::pending::<()>()).await;
    assert_eq!((run.exit.clone(), run.cancels()), (Ok(ExitCode::SUCCESS), cancel_with("stdout-closed")));
}
