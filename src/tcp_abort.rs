//! A second handle of a TCP connection: ends one whose peer does not read, while no task above it is polled.

use std::{
    net::{Shutdown, TcpStream},
    sync::Arc,
};

/// A handle that can abort its TCP connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TcpAbortHandle(Arc<TcpStream>);

impl TcpAbortHandle {
    /// Creates a handle of the connection `stream`.
    pub fn new(stream: TcpStream) -> Self {
        TcpAbortHandle(Arc::new(stream))
    }

    /// Shuts down the sending side; bytes that were sent before still arrive.
    pub fn shutdown_write(&self) {
        // The connection may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Shuts down both sides at once.
    pub fn abort(&self) {
        // The connection may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
