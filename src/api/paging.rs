//! What lists have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a list says beside its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageInfo {
    /// Number of entries in this answer.
    #[serde(default)]
    pub count: usize,
    /// Where the next older part begins; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<i64>,
}
