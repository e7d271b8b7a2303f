//! The Firefox side of the daemon: sockets, one connection actor per client, the directory of connected clients, pairing,
//! and tab and plugin actions.

mod action;
mod action_call;
mod assignment;
mod connection;
mod directory;
mod endpoints;
mod events;
mod final_messages;
mod frame_guard;
mod hub;
mod meter;
mod pairing;
mod session;
pub mod settings;
mod snapshot_pacing;
pub mod socket;
mod view;

pub use action::{
    ActionCommand, ActionDispatch, ActionFailure, ActionOutcome, ActionReport, ActionTarget, Reconnected,
};
pub use assignment::{AssignmentEvent, DisconnectReason, DispatchHandle};
pub use connection::{Connection, SocketCommand, SocketEvent, SocketPeer};
pub use directory::{ClientLink, NoClient};
pub use final_messages::{FinalMessageSink, ReceivedFinalMessage};
pub use frame_guard::{FrameGuard, MessageRate};
pub use hub::{BridgeHub, BridgeParts, ConnectedClient};
pub use meter::SocketMeter;
pub use pairing::{Pairing, PairingDecision, PairingError, PairingStatus, Pairings};
pub use settings::BridgeSettings;
pub use view::{
    BridgeStatus, BridgeView, ClientView, CredentialEntry, DaemonIdentity, FinalMessageEntry, HookEntry, SessionView,
    WS_PATH,
};
