//! A caller over plain TCP: HTTP/1.1 written and read by hand, so that a test decides every byte and can also
//! disconnect in the middle, be slow, or never read.

mod stream;

pub(crate) use stream::{Frame, Stream};

use super::within;
use serde_json::{Value, json};
use std::{io, net::SocketAddr};
use tokio::net::{TcpSocket, TcpStream};

/// The path of the event stream.
pub(crate) const EVENTS: &str = "/v1/events";

/// A caller of one daemon.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// A complete response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One TCP connection to the daemon.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Caller { address, headers: Vec::new() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns a caller that sends a further header with each request.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns a caller with a token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub(crate) async fn open(&self) -> Connection {
        Connection::open(self.address).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body.to_string().as_bytes())).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        let mut connection = self.open().await;
        connection.write(&self.head(method, path, body)).await;
        connection.answer(method == "HEAD").await
    }

    /// Serializes a request.
    pub(crate) fn head(&self, method: &str, path: &str, body: Option<&[u8]>) -> Vec<u8> {
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        let given = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut add = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\r\n"));
        if !given("host") {
            add("host", &self.address.to_string());
        }
        if let Some(body) = body {
            if !given("content-type") {
                add("content-type", "application/json");
            }
            add("content-length", &body.len().to_string());
        }
        for (name, value) in &self.headers {
            add(name, value);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        bytes
    }

    /// Sends `POST /v1/browser/request` and returns the complete response.
    pub(crate) async fn request(&self, body: &Value) -> Answer {
        self.post("/v1/browser/request", body).await
    }

    /// The same, without waiting for the response.
    pub(crate) async fn begin(&self, body: &Value) -> Connection {
        self.begin_at("/v1/browser/request", body).await
    }

    /// Sends a `POST` whose response is read later.
    pub(crate) async fn begin_at(&self, path: &str, body: &Value) -> Connection {
        let mut connection = self.open().await;
        connection.write(&self.head("POST", path, Some(body.to_string().as_bytes()))).await;
        connection
    }

    /// Sends `POST /v1/browser/request` for a streamed response.
    pub(crate) async fn stream(&self, body: &Value) -> Stream {
        self.begin(body).await.stream().await
    }

    /// The same on a connection with the smallest receive window that the system allows.
    pub(crate) async fn stream_narrowly(&self, body: &Value) -> Stream {
        self.begin_narrowly(body).await.stream().await
    }

    /// Sends a request on such a connection.
    pub(crate) async fn begin_narrowly(&self, body: &Value) -> Connection {
        self.send_narrowly(&self.head("POST", "/v1/browser/request", Some(body.to_string().as_bytes()))).await
    }

    /// Sends a `GET` on such a connection.
    pub(crate) async fn get_narrowly(&self, path: &str) -> Connection {
        self.send_narrowly(&self.head("GET", path, None)).await
    }

    async fn send_narrowly(&self, request: &[u8]) -> Connection {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        let mut connection = Connection { stream: socket.connect(self.address).await.unwrap(), buffer: Vec::new() };
        connection.write(request).await;
        connection
    }

    /// Follows the events from now on.
    pub(crate) async fn follow(&self) -> Stream {
        let mut connection = self.open().await;
        connection.write(&self.head("GET", EVENTS, None)).await;
        connection.stream().await
    }

    /// Follows the events after the one with that id.
    pub(crate) async fn follow_after(&self, id: impl ToString) -> Stream {
        self.clone().with("last-event-id", &id.to_string()).follow().await
    }

    pub(crate) async fn cancel(&self, id: &str) -> Answer {
        self.post("/v1/browser/request/cancel", &json!({"request_id": id, "platform": "claude"})).await
    }

    /// Returns the data of `GET /v1/browser`.
    pub(crate) async fn browser(&self) -> Value {
        self.get("/v1/browser").await.data()
    }

    /// Returns the journal's entry of a request.
    pub(crate) async fn journal(&self, id: &str) -> Value {
        self.get(&format!("/v1/browser/requests/{id}")).await.data()
    }
}

impl Answer {
    /// Returns a header's value; panics if there are two.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "{name} was sent twice");
        first
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the data of a success.
    pub(crate) fn data(&self) -> Value {
        let mut json = self.json();
        assert_eq!((self.status, json["ok"].as_bool()), (200, Some(true)), "{json}");
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"));
        json["data"].take()
    }

    /// Returns status and code of a failure.
    pub(crate) fn error(&self) -> (u16, String) {
        let json = self.json();
        assert_eq!(json["ok"], false, "{json}");
        assert!(json["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
        assert_eq!(json["request_id"].as_str(), self.header("x-request-id"));
        (self.status, json["error"].as_str().unwrap().to_owned())
    }

    /// Returns the specific code of a failed browser request.
    pub(crate) fn error_code(&self) -> String {
        self.json()["details"]["error_code"].as_str().unwrap_or_default().to_owned()
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = within("connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream, buffer: Vec::new() }
    }

    /// Wraps a connection that was made elsewhere.
    pub(crate) fn from_std(stream: std::net::TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Connection { stream: TcpStream::from_std(stream).unwrap(), buffer: Vec::new() }
    }

    pub(crate) fn from_tokio(stream: TcpStream) -> Self {
        Connection { stream, buffer: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).await.unwrap();
    }

    /// Writes as much as the other side takes; it may have disconnected.
    pub(crate) async fn try_write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            within("room to write", self.stream.writable()).await?;
            match self.stream.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads once; returns `false` at the end of the connection, however it came.
    pub(crate) async fn read(&mut self) -> bool {
        let mut chunk = vec![0; 16 << 10];
        loop {
            within("bytes", self.stream.readable()).await.unwrap();
            match self.stream.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(n) => {
                    self.buffer.extend_from_slice(&chunk[..n]);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
    }

    /// Reads up to the end of the connection.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        while self.read().await {}
        self.buffer
    }

    async fn read_until(&mut self, mark: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return self.buffer.drain(..at + mark.len()).collect();
            }
            let more = self.read().await;
            assert!(more, "the connection ended within {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    async fn read_exactly(&mut self, bytes: usize) -> Vec<u8> {
        while self.buffer.len() < bytes {
            let more = self.read().await;
            assert!(more, "the connection ended within a body");
        }
        self.buffer.drain(..bytes).collect()
    }

    /// Reads this many bytes; `None` if the connection ends before.
    pub(crate) async fn try_read_exactly(&mut self, bytes: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < bytes {
            if !self.read().await {
                return None;
            }
        }
        Some(self.buffer.drain(..bytes).collect())
    }

    /// Reads the head of a response.
    pub(crate) async fn head(&mut self) -> Answer {
        let bytes = self.read_until(b"\r\n\r\n").await;
        let text = String::from_utf8(bytes).unwrap();
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Answer { status: status.unwrap(), headers: lines.map(header).collect(), body: Vec::new() }
    }

    /// Reads the rest of a response whose first bytes were taken.
    pub(crate) async fn rest_of_answer(&mut self) {
        self.buffer.splice(..0, *b"HTTP/1.1 200");
        self.answer(false).await;
    }

    /// Returns the status of the arriving response without consuming it.
    pub(crate) async fn peek_status(&mut self) -> u16 {
        while self.buffer.len() < 12 {
            assert!(self.read().await, "the connection ended before an answer");
        }
        str::from_utf8(&self.buffer[9..12]).unwrap().parse().unwrap()
    }

    /// Reads a complete response. `bare`: one to a `HEAD`.
    pub(crate) async fn answer(&mut self, bare: bool) -> Answer {
        let mut answer = self.head().await;
        if bare {
            return answer;
        }
        if answer.is_chunked() {
            while let Some(chunk) = self.chunk().await {
                answer.body.extend_from_slice(&chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.read_exactly(length).await;
        }
        answer
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.read_until(b"\r\n").await;
        let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let mut chunk = self.read_exactly(size + 2).await;
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }

    /// Returns the response, which must be a stream.
    pub(crate) async fn stream(mut self) -> Stream {
        let head = self.head().await;
        assert_eq!(head.status, 200, "{head:?}");
        assert_eq!(head.header("content-type"), Some("text/event-stream; charset=utf-8"));
        assert!(head.is_chunked());
        Stream::new(self, head)
    }
}
