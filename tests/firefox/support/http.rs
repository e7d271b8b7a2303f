//! The part of HTTP/1.1 that a web app needs for one browser.

use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) host: String,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(given, _)| given == name)?;
        Some(value)
    }

    /// Returns host and path.
    pub(crate) fn place(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{}{path}", self.host)
    }

    /// Whether this is a navigation, not a request of a script.
    pub(crate) fn wants_page(&self) -> bool {
        self.header("sec-fetch-dest") == Some("document")
    }
}

/// Reads the next request of a connection; `None` at its end.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
    const END: &[u8] = b"\r\n\r\n";
    let head = loop {
        if let Some(at) = buffer.windows(END.len()).position(|window| window == END) {
            break buffer.drain(..at + END.len()).collect::<Vec<_>>();
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.trim_end().split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.filter_map(header).collect();
    let mut request = Received { host: String::new(), method, target, headers, body: String::new() };
    request.host = request.header("host").unwrap_or_default().to_owned();
    let length: usize = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    request.body = String::from_utf8_lossy(&buffer.drain(..length).collect::<Vec<_>>()).into_owned();
    Ok(Some(request))
}

/// Writes a whole answer. `headers`: further header lines, each with its line end.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    status: u16,
    content_type: &str,
    headers: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} .\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.flush().await
}

/// Writes the pieces of an answer as they come. Returns `false` if the browser disconnected or the answer was aborted.
pub(crate) async fn pass_on(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    mut pieces: mpsc::UnboundedReceiver<String>,
) -> io::Result<bool> {
    let mut rest = [0; 1];
    let mut last = String::new();
    loop {
        // Dropping the receiver notifies the test.
        tokio::select! {
            piece = pieces.recv() => match piece {
                Some(piece) => {
                    stream.write_all(piece.as_bytes()).await?;
                    stream.flush().await?;
                    last = piece;
                }
                None => return Ok(last == "0\r\n\r\n"),
            },
            // The browser sends nothing during an answer, so only the end of the connection can be read.
            read = stream.read(&mut rest) => if !matches!(read, Ok(1)) { return Ok(false) },
        }
    }
}
