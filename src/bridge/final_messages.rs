//! The receiver of final messages, beside the client's session.

use crate::ids::ClientId;
use std::{fmt, sync::Arc};

/// A final message that a client reported.
#[derive(Clone)]
pub struct ReceivedFinalMessage {
    /// Client.
    pub client_id: ClientId,
    /// Platform.
    pub platform: String,
    /// Conversation, if the page shows it.
    pub conversation_id: Option<String>,
    /// Id of the message.
    pub assistant_message_id: String,
    /// Whether the owner of the client is known: from pairing or, if pairing is off, from the kernel.
    pub has_verified_owner: bool,
    /// The whole text.
    pub raw_text: Arc<str>,
}

impl fmt::Debug for ReceivedFinalMessage {
    /// Leaves out the text, which must not be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedFinalMessage")
            .field("client_id", &self.client_id)
            .field("platform", &self.platform)
            .field("conversation_id", &self.conversation_id)
            .field("assistant_message_id", &self.assistant_message_id)
            .finish_non_exhaustive()
    }
}

/// A receiver of all final messages, in the order in which a client reports them.
pub trait FinalMessageSink: fmt::Debug + Send + Sync {
    /// Receives a final message. Called on the client's arbiter, which it must not block.
    fn on_final_message(&self, message: ReceivedFinalMessage);
}
