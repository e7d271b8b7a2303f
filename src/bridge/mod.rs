//! The Firefox side: sockets, one connection actor per client, who is connected and who is asked.

mod acting;
mod action;
mod assignment;
mod coalesce;
mod connection;
mod directory;
mod endpoints;
mod entries;
mod events;
mod frames;
mod hub;
mod messages;
mod meter;
mod pairing;
mod session;
pub mod settings;
pub mod socket;
mod told;
mod view;

pub use action::{ActionEntry, ActionFailure, ActionTarget, Asked, Done, Order, Reconnected};
pub use assignment::{Dispatched, Gone, Report};
pub use connection::{Connection, Handshake, In, Out};
pub use directory::{Link, NoClient};
pub use entries::{CredentialEntry, FinalMessageEntry, HookEntry, SessionView};
pub use frames::{FrameGuard, Rate};
pub use hub::{Client, Hub, Setup};
pub use messages::{FinalMessages, Seen};
pub use meter::Meter;
pub use pairing::{Decision, PairingView, Pairings, Standing, Undecided};
pub use settings::{Bridge, LoginState};
pub use view::{BridgeStatus, BridgeView, ClientView, Identity, WS_PATH};
