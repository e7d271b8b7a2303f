//! A simulated Firefox and a simulated web app, for `demo`, tests and benches.
//!
//! [`WebApp`] is a pure value that returns an [`AppReply`] for each [`AppCall`], without waiting or using a socket.
//! [`Firefox`] is a peer on the real WebSocket, like the extension, that performs the replies of its web app.
//!
//! ```text
//! daemon ◄── WebSocket ──► Firefox ── AppCall ──► WebApp
//!                             ▲  ◄── AppReply ──────┘
//!                      test, demo: expect, send, answer manually
//! ```
//!
//! It is single-threaded: use it inside an actix system or a `LocalSet`.

pub mod firefox;
pub mod webapp;

pub use firefox::{
    AnswerMode, ConnectError, Firefox, FirefoxBehaviour, FirefoxProfile, SimulatedPlatform,
    message_log::{ConnectionClosed, ExpectError},
    request::SimulatedRequest,
};
pub use webapp::{AppCall, AppEvent, AppReply, CompletionShape, ListShape, StreamEnd, WebApp};
