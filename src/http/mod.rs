//! The HTTP edge: who may call, what each route does, how it is answered. The only module that names a status.

mod actions;
mod body;
mod browser;
mod callers;
mod claude;
mod codex;
mod describe;
mod endpoint;
mod error;
mod events;
mod fields;
mod journal;
mod messages;
mod origins;
mod paging;
mod probes;
mod relayed;
mod reply;
mod route;
mod routes;
mod server;
pub mod settings;
mod socket;
mod sse_body;
mod state;
mod status;
mod system;
mod tasks;

pub use callers::{Access, Caller};
pub use describe::Facts;
pub use endpoint::Call;
pub use error::{ApiError, Code};
pub use reply::Reply;
pub use route::{Example, Feature, Features, Kind, Route, Surface};
pub use routes::ROUTES;
pub use server::{Core, Listening, Parts, ServerHandle, bind, run};
