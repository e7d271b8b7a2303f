//! The HTTP edge: who may call, what each route does, how it is answered. The only module that names a status.

mod body;
mod browser;
mod callers;
mod endpoint;
mod error;
mod fields;
mod journal;
mod origins;
mod paging;
mod probes;
mod reply;
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
pub use endpoint::Call;
pub use error::{ApiError, Code};
pub use reply::Reply;
pub use routes::{ROUTES, Route};
pub use server::{Core, Listening, Parts, ServerHandle, bind, run};
