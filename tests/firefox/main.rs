//! The whole way: a program asks the daemon, the daemon the extension in a real Firefox, the extension a web app.
//!
//! Each test starts a browser of its own on a fresh profile, a daemon of its own and web apps that listen where Firefox
//! believes `https://claude.ai` and its like to be: real host names, real cookies, nothing in between. Driven by raw
//! WebDriver BiDi. Tests poll for conditions and never sleep; `.config/nextest.toml` lets two browsers run at a time.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had ends the test")]

mod comings;
mod decisions;
mod hello;
mod hostile;
mod login;
mod messages;
mod opening;
mod own;
mod page;
mod pairing;
mod prompts;
mod requests;
#[expect(dead_code, unused_imports, reason = "the other tests' support, of which these need the daemon and its caller")]
#[path = "../it/support/mod.rs"]
mod shared;
mod speed;
mod status;
mod strangers;
mod support;
mod tabs;
