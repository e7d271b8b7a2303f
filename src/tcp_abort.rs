//! A second handle of a TCP connection: the way to end one whose peer does not read, when everything above it sleeps.

use std::{
    net::{Shutdown, TcpStream},
    sync::Arc,
};

/// A handle that can cut its connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TcpAbortHandle(Arc<TcpStream>);

impl TcpAbortHandle {
    /// A handle of the connection that `stream` is.
    pub fn new(stream: TcpStream) -> Self {
        TcpAbortHandle(Arc::new(stream))
    }

    /// Says that nothing more will be sent; what was sent before still arrives.
    pub fn shutdown_write(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// Ends the connection without a goodbye.
    pub fn abort(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
