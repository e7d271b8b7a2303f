//! A Firefox and a web app made of code: for `demo`, for tests and for benches.
//!
//! [`WebApp`] is a pure value: a call goes in, a [`AppReply`] comes out, and nothing in it waits or touches a socket.
//! [`Firefox`] is a peer on the real WebSocket, as the extension would be, that performs what its web app replied.
//!
//! ```text
//! daemon ◄── WebSocket ──► Firefox ── Call ──► WebApp
//!                             ▲  ◄── Reply ──────┘
//!                      test, demo: expect, send, answer by hand
//! ```
//!
//! Everything here lives on one thread: spawn and use it inside an actix system or a `LocalSet`.

pub mod firefox;
pub mod webapp;

pub use firefox::{
    AnswerMode, ConnectError, Firefox, FirefoxBehaviour, FirefoxProfile, SimulatedPlatform,
    message_log::{ConnectionClosed, ExpectError},
    request::SimulatedRequest,
};
pub use webapp::{AppCall, AppEvent, AppReply, CompletionShape, ListShape, StreamEnd, WebApp};
