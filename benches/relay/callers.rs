//! HTTP callers: keep-alive connections that parse only enough to check a response.

use crate::body::Body;
use anyhow::{Context, bail, ensure};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::{TcpSocket, TcpStream};

/// Time limit for a response; exceeding it is an error.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// One keep-alive connection.
pub(crate) struct Caller {
    stream: TcpStream,
    host: String,
    out: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
}

/// The head of a response.
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Offset of the body in the input.
    pub(crate) length: usize,
    /// `content-length`; `None` for a chunked body.
    pub(crate) content: Option<usize>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        Caller::with(address, TcpStream::connect(address).await?)
    }

    /// Returns a caller with a small receive buffer, for callers that do not read.
    pub(crate) async fn with_tiny_window(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4 << 10)?;
        Caller::with(address, socket.connect(address).await?)
    }

    fn with(address: SocketAddr, stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Caller { stream, host: address.to_string(), out: Vec::new(), input: vec![0; 16 << 10], filled: 0 })
    }

    /// Sends a request.
    pub(crate) async fn post(&mut self, route: &str, body: &str) -> anyhow::Result<()> {
        use std::io::Write;
        self.out.clear();
        let (host, length) = (&self.host, body.len());
        write!(
            self.out,
            "POST {route} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        self.write().await
    }

    /// Sends a request without waiting for the response.
    pub(crate) async fn get(&mut self, route: &str) -> anyhow::Result<()> {
        use std::io::Write;
        self.out.clear();
        write!(self.out, "GET {route} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host)?;
        self.write().await
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let mut written = 0;
        while written < self.out.len() {
            match self.stream.try_write(&self.out[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads a response with its whole body.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<(u16, &[u8])> {
        let head = self.head().await?;
        let content = head.content.context("an answer without content-length")?;
        let end = head.length + content;
        if self.input.len() < end {
            self.input.resize(end, 0);
        }
        while self.filled < end {
            self.fill().await?;
        }
        ensure!(self.filled == end, "bytes after the answer");
        self.filled = 0;
        Ok((head.status, &self.input[head.length..end]))
    }

    /// Reads the head of a response and leaves it in the input.
    pub(crate) async fn head(&mut self) -> anyhow::Result<Head> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.input[..self.filled], b"\r\n\r\n") {
                return parse_head(&self.input[..end + 4]);
            }
            ensure!(self.filled < 64 << 10, "an endless head");
            self.fill().await?;
        }
    }

    /// The bytes that were read and not consumed.
    pub(crate) fn input(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// Drops the first bytes of the input.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.input.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Reads once.
    pub(crate) async fn fill(&mut self) -> anyhow::Result<()> {
        if self.filled == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
        loop {
            match self.stream.try_read(&mut self.input[self.filled..]) {
                Ok(0) => bail!("the service closed the connection"),
                Ok(n) => {
                    self.filled += n;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.stream.readable().await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn parse_head(head: &[u8]) -> anyhow::Result<Head> {
    let text = std::str::from_utf8(head).context("a head that is not text")?;
    let status = text.get(9..12).and_then(|status| status.parse().ok()).context("no status line")?;
    let mut content = None;
    for line in text.split("\r\n").skip(1) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            content = Some(value.trim().parse().context("a bad content-length")?);
        }
    }
    Ok(Head { status, length: head.len(), content })
}

/// The request of a case: its id, client, path and response mode.
pub(crate) fn ask(id: &str, client: usize, path: &str, mode: &str) -> String {
    format!(
        r#"{{"platform":"claude","client_id":"peer-{client}","request_id":"{id}","path":"{path}","response_mode":"{mode}"}}"#
    )
}

/// Sends a buffered request and checks status, request id and body byte for byte.
pub(crate) async fn buffered(
    caller: &mut Caller,
    id: &str,
    client: usize,
    path: &str,
    body: &Body,
) -> anyhow::Result<()> {
    caller.post("/v1/browser/request", &ask(id, client, path, "buffered")).await?;
    let (status, answer) = bounded(caller.answer()).await?;
    check(status, answer, id, body).with_context(|| format!("answer to {id}: {status} {}", excerpt(answer)))
}

fn check(status: u16, answer: &[u8], id: &str, body: &Body) -> anyhow::Result<()> {
    ensure!(status == 200, "not 200");
    let echo = format!(r#""request_id":"{id}""#);
    let response = memchr::memmem::find(answer, br#""response":"#).context("no response")? + br#""response":"#.len();
    ensure!(body.stands_at_start_of(&answer[response..], id), "another body");
    let after = &answer[response + body.parts(id).iter().map(|part| part.len()).sum::<usize>()..];
    let echoed = [&answer[..response], after].iter().any(|text| memchr::memmem::find(text, echo.as_bytes()).is_some());
    ensure!(echoed, "without its request id");
    ensure!(after.ends_with(b"}"), "an answer that is cut");
    Ok(())
}

/// Waits for a response, with a time limit.
pub(crate) async fn bounded<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| bail!("no answer within {ANSWER_WITHIN:?}"))
}

/// The beginning of a response, for an error message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned()
}
