//! End-to-end tests: a program, the daemon, the extension in a real Firefox, and a web app.
//!
//! Each test starts its own browser on a fresh profile, its own daemon and web apps, which listen where Firefox
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
#[path = "../it"]
mod it {
    pub(crate) mod support;
}
use it::support as shared;
mod speed;
mod status;
mod strangers;
mod support;
mod tabs;
