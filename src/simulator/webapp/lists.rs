//! Where the simulated web app puts a list in its answers: in one of the places where real ones were seen.

use serde_json::{Value, json};

/// Where its answers hold a list, and the one that was just made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListShape {
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

impl ListShape {
    /// Each of them.
    pub const ALL: [ListShape; 6] = [
        ListShape::Bare,
        ListShape::Named,
        ListShape::Items,
        ListShape::Entries,
        ListShape::Data,
        ListShape::NamedData,
    ];

    pub(super) fn list(self, name: &str, list: Value) -> Value {
        match self {
            ListShape::Bare => list,
            ListShape::Named => json!({name: list}),
            ListShape::Items => json!({"items": list}),
            ListShape::Entries => json!({"entries": list}),
            ListShape::Data => json!({"data": list}),
            ListShape::NamedData => json!({"data": {name: list}}),
        }
    }

    pub(super) fn made(self, entry: Value) -> Value {
        match self {
            ListShape::Bare => entry,
            ListShape::Named | ListShape::Items => json!({"chat_conversation": entry}),
            ListShape::Entries => json!({"conversation": entry}),
            ListShape::Data => json!({"data": {"chat_conversation": entry}}),
            ListShape::NamedData => json!({"data": {"conversation": entry}}),
        }
    }
}
