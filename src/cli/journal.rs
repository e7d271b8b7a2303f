//! The fields of journal entries that client commands show.

use crate::{api::policy::WaitReason, clock::WallMs};
use serde::Deserialize;

/// The data of `GET /v1/browser/requests`.
#[derive(Debug, Deserialize)]
pub(super) struct JournalPage {
    pub(super) requests: Vec<JournalEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JournalEntry {
    pub(super) request_id: String,
    pub(super) platform: String,
    pub(super) client_id: Option<String>,
    pub(super) phase: String,
    pub(super) outcome: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) requested_at: WallMs,
    pub(super) first_byte_at: Option<WallMs>,
    pub(super) finished_at: Option<WallMs>,
    pub(super) waiting: Option<WaitReason>,
}
