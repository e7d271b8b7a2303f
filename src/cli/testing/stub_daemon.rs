//! A stub daemon with prepared responses, for the tests of the client commands. Each connection carries one request.

use parking_lot::{Condvar, Mutex};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    /// Method and target, such as `GET /v1/browser`.
    pub(crate) line: String,
    /// The headers, one per line, with names in lower case.
    pub(crate) headers: String,
    /// The body.
    pub(crate) body: String,
}

impl ReceivedRequest {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A part of a response.
#[derive(Clone, Debug)]
pub(crate) enum ResponsePart {
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// Chunks of a chunked body, each at most this many bytes.
    Chunks(Vec<u8>, usize),
    /// The last chunk of a chunked body.
    Last,
    /// Waits until a request line containing this text was received.
    Until(&'static str),
}

/// A response with a JSON body.
pub(crate) fn json(status: u16, body: &str) -> Vec<ResponsePart> {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    vec![ResponsePart::Bytes(format!("{head}connection: close\r\n\r\n{body}").into_bytes())]
}

/// The head of an event stream.
pub(crate) fn sse_head() -> ResponsePart {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    ResponsePart::Bytes(head.as_bytes().to_vec())
}

#[derive(Default)]
struct RequestLog {
    seen: Mutex<Vec<ReceivedRequest>>,
    more: Condvar,
}

/// The stub daemon, on a free port.
#[derive(Clone)]
pub(crate) struct StubDaemon {
    /// Base address.
    pub(crate) base: String,
    log: Arc<RequestLog>,
}

impl StubDaemon {
    /// Starts a stub that responds with `answer(request)`.
    pub(crate) fn new(answer: impl Fn(&ReceivedRequest) -> Vec<ResponsePart> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stub = StubDaemon { base, log: Arc::default() };
        let (log, answer) = (Arc::clone(&stub.log), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                // In some tests the client disconnects early.
                thread::spawn(move || exchange(&stream.unwrap(), &log, &*answer).unwrap_or_default());
            }
        });
        stub
    }

    /// The requests received so far.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.log.seen.lock().clone()
    }

    /// Blocks until a request line containing `text` was received.
    pub(crate) fn wait_for(&self, text: &str) {
        wait_for(&self.log, text);
    }
}

fn wait_for(log: &RequestLog, text: &str) {
    let mut seen = log.seen.lock();
    let missing = |seen: &mut Vec<ReceivedRequest>| !seen.iter().any(|one| one.line.contains(text));
    let waited = log.more.wait_while_for(&mut seen, missing, Duration::from_secs(10));
    assert!(!waited.timed_out(), "no request line with {text}");
}

fn exchange(
    stream: &TcpStream,
    log: &RequestLog,
    answer: &dyn Fn(&ReceivedRequest) -> Vec<ResponsePart>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        let name = name.to_ascii_lowercase();
        if name == "content-length" {
            length = value.trim().parse().unwrap();
        }
        headers.push_str(&format!("{name}:{value}\n"));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let seen = ReceivedRequest { line, headers, body: String::from_utf8(body).unwrap() };
    let parts = answer(&seen);
    log.seen.lock().push(seen);
    log.more.notify_all();
    let mut out = stream;
    for part in parts {
        match part {
            ResponsePart::Bytes(bytes) => out.write_all(&bytes)?,
            ResponsePart::Chunks(bytes, size) => {
                for piece in bytes.chunks(size) {
                    out.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                    out.write_all(piece)?;
                    out.write_all(b"\r\n")?;
                    thread::yield_now();
                }
            }
            ResponsePart::Last => out.write_all(b"0\r\n\r\n")?,
            ResponsePart::Until(text) => wait_for(log, text),
        }
    }
    stream.shutdown(Shutdown::Write)?;
    // Reads until the client closes, since an early close could discard the response.
    reader.read_to_end(&mut Vec::new())?;
    Ok(())
}
