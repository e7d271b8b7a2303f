//! A TCP stream that paces its reads while its caller is unauthenticated: small pieces at a limited rate. The HTTP
//! library parses a request head anew with every piece, and what it reads ahead takes memory.

use super::{authenticator::PeerConnection, connection_quota::UnauthenticatedLimiter, connections::ConnectionState};
use crate::tcp_abort::TcpAbortHandle;
use actix_web::rt::net::TcpStream;
use std::{
    cell::Cell,
    io,
    os::fd::AsFd,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// Bytes of one read. The library parses every request in it before it answers the first; 2 KiB hold up to 45, which
/// take about 55 KB.
const PIECE_BYTES: usize = 2 << 10;

/// A TCP stream, as the HTTP library reads and writes it.
pub(super) struct PacedTcpStream {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    limiter: Option<Arc<UnauthenticatedLimiter>>,
    /// Timer that must end before the next read.
    read_delay: Option<Pin<Box<Sleep>>>,
    /// Whether the last piece was read and not yet parsed.
    has_unparsed: bool,
    /// What is known of the peer, until the HTTP library takes it.
    peer: Cell<Option<PeerConnection>>,
}

impl PacedTcpStream {
    /// Creates a stream on the current thread, which will serve it. `peer` gets the abort handle, a second handle of
    /// the socket that works when the peer does not read.
    pub(super) fn new(
        stream: std::net::TcpStream,
        peer: impl FnOnce(Option<TcpAbortHandle>) -> PeerConnection,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let abort_handle = stream.as_fd().try_clone_to_owned().ok().map(|fd| TcpAbortHandle::new(fd.into()));
        let (stream, peer) = (TcpStream::from_std(stream)?, peer(abort_handle));
        let (state, limiter) = (
            Arc::clone(peer.connection.state()),
            peer.connection.permit().and_then(|permit| permit.limiter().cloned()),
        );
        Ok(PacedTcpStream {
            stream,
            state,
            limiter,
            read_delay: None,
            has_unparsed: false,
            peer: Cell::new(Some(peer)),
        })
    }

    /// Returns what is known of the peer; `None` after the first call.
    pub(super) fn take_peer(&self) -> Option<PeerConnection> {
        self.peer.take()
    }
}

impl AsyncRead for PacedTcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(read_delay) = &mut this.read_delay {
            ready!(read_delay.as_mut().poll(cx));
            this.read_delay = None;
        }
        let Some(limiter) = this.limiter.as_ref().filter(|_| !this.state.is_authenticated()) else {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        };
        // A pipelined request is not read before the current one is answered.
        ready!(this.state.poll_no_requests(cx));
        if std::mem::take(&mut this.has_unparsed) {
            // The library reads until the stream is pending and only then parses.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = buffer.remaining().min(PIECE_BYTES);
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
        let read = piece.filled().len();
        buffer.advance(read);
        if read > 0 {
            this.has_unparsed = true;
            let delay = limiter.read_delay();
            this.read_delay = (!delay.is_zero()).then(|| Box::pin(tokio::time::sleep(delay)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PacedTcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
