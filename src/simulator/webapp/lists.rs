//! The positions of lists in the answers of the simulated web app, as observed in real ones.

use serde_json::{Value, json};

/// The position of a list in an answer, and of a created entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListShape {
    /// The answer is the list.
    #[default]
    Bare,
    /// In a field with the list's name.
    Named,
    /// In `items`.
    Items,
    /// In `entries`.
    Entries,
    /// In `data`.
    Data,
    /// In a field with the list's name in `data`.
    NamedData,
}

impl ListShape {
    /// All variants.
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
