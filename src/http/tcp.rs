//! A connection as the HTTP library reads and writes it. One on which nothing was shown yet that lets its caller in is read
//! in small pieces, no faster than those may come: each piece of a head has all of it parsed anew, and what is read before
//! it can be answered takes memory.

use super::{callers::Peer, connections::State, shares::Rein};
use crate::line::Line;
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

/// Bytes of a piece. The library makes a request of each that stands in it before it answers the first: of 2 KiB up to 45,
/// which take about 55 KB.
const PIECE_BYTES: usize = 2 << 10;

/// A connection.
pub(super) struct Tcp {
    stream: TcpStream,
    state: Arc<State>,
    rein: Option<Arc<Rein>>,
    /// Nothing is read before.
    rest: Option<Pin<Box<Sleep>>>,
    /// Whether a piece was read that is still to be looked at.
    read: bool,
    /// Until the HTTP library has it.
    peer: Cell<Option<Peer>>,
}

impl Tcp {
    /// To be called on the thread that serves it. `peer`: makes what is known of its other end, of a second handle of it:
    /// the way to cut it when its peer does not read.
    ///
    /// # Errors
    ///
    /// The connection cannot be waited on.
    pub(super) fn new(stream: std::net::TcpStream, peer: impl FnOnce(Option<Line>) -> Peer) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let line = stream.as_fd().try_clone_to_owned().ok().map(|fd| Line::new(fd.into()));
        let (stream, peer) = (TcpStream::from_std(stream)?, peer(line));
        let (state, rein) = (Arc::clone(peer.open.state()), peer.open.place().and_then(|place| place.rein().cloned()));
        Ok(Tcp { stream, state, rein, rest: None, read: false, peer: Cell::new(Some(peer)) })
    }

    /// What is known of its other end; once.
    pub(super) fn take_peer(&self) -> Option<Peer> {
        self.peer.take()
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(rest) = &mut this.rest {
            ready!(rest.as_mut().poll(cx));
            this.rest = None;
        }
        let Some(rein) = this.rein.as_ref().filter(|_| !this.state.is_known()) else {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        };
        // What comes behind a request would be kept until that is answered.
        ready!(this.state.poll_unused(cx));
        if std::mem::take(&mut this.read) {
            // The library reads until there is nothing left, and looks at what it has then.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = buffer.remaining().min(PIECE_BYTES);
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))?;
        let read = piece.filled().len();
        buffer.advance(read);
        if read > 0 {
            this.read = true;
            let wait = rein.after_read();
            this.rest = (!wait.is_zero()).then(|| Box::pin(tokio::time::sleep(wait)));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tcp {
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
