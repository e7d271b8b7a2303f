//! Who is told of final messages, beside those who look at what was told.

use crate::ids::ClientId;
use std::{fmt, sync::Arc};

/// A final message that a client told of.
#[derive(Clone)]
pub struct ReceivedFinalMessage {
    /// Which client.
    pub client_id: ClientId,
    /// On which platform.
    pub platform: String,
    /// In which conversation, where the page shows it.
    pub conversation_id: Option<String>,
    /// Which message.
    pub assistant_message_id: String,
    /// Whether anything says whose the client is: its pairing, or where none is asked for, the kernel.
    pub has_verified_owner: bool,
    /// The whole text.
    pub raw_text: Arc<str>,
}

impl fmt::Debug for ReceivedFinalMessage {
    /// Without the text, which belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedFinalMessage")
            .field("client_id", &self.client_id)
            .field("platform", &self.platform)
            .field("conversation_id", &self.conversation_id)
            .field("assistant_message_id", &self.assistant_message_id)
            .finish_non_exhaustive()
    }
}

/// Is told of every final message, in the order in which a client tells them.
pub trait FinalMessageSink: fmt::Debug + Send + Sync {
    /// A client told of one. Must not block; called on the client's arbiter.
    fn on_final_message(&self, message: ReceivedFinalMessage);
}
