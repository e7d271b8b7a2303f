//! Where the simulated web app puts a list in its answers: in one of the places where real ones were seen.

use serde_json::{Value, json};

/// Where its answers hold a list, and the one that was just made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lists {
    /// The list is the answer.
    #[default]
    Bare,
    /// Under its own name.
    Named,
    /// Under `items`.
    Items,
    /// Under `entries`.
    Entries,
    /// Under `data`.
    Data,
    /// Under its own name in an object under `data`.
    NamedData,
}

impl Lists {
    /// Each of them.
    pub const ALL: [Lists; 6] =
        [Lists::Bare, Lists::Named, Lists::Items, Lists::Entries, Lists::Data, Lists::NamedData];

    pub(super) fn list(self, name: &str, list: Value) -> Value {
        match self {
            Lists::Bare => list,
            Lists::Named => json!({name: list}),
            Lists::Items => json!({"items": list}),
            Lists::Entries => json!({"entries": list}),
            Lists::Data => json!({"data": list}),
            Lists::NamedData => json!({"data": {name: list}}),
        }
    }

    pub(super) fn made(self, entry: Value) -> Value {
        match self {
            Lists::Bare => entry,
            Lists::Named | Lists::Items => json!({"chat_conversation": entry}),
            Lists::Entries => json!({"conversation": entry}),
            Lists::Data => json!({"data": {"chat_conversation": entry}}),
            Lists::NamedData => json!({"data": {"conversation": entry}}),
        }
    }
}
