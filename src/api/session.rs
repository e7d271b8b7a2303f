//! Sessions of the status page.

use super::fields::request_fields;
use crate::clock::WallMs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A code that logs in once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(example = super::example(r#"{"code":"0123abcd","expires_at":1795184470407}"#))]
pub struct SessionCode<'a> {
    /// The code.
    pub code: Cow<'a, str>,
    /// End of its validity, in Unix milliseconds.
    pub expires_at: WallMs,
}

/// A session that has begun; its cookie is in the header `set-cookie`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionStart {
    /// End of the session, in Unix milliseconds.
    pub expires_at: WallMs,
}

/// The end of a session.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionEnd {
    /// Whether the request showed a session, which has ended now.
    pub ended: bool,
}

request_fields! {
    /// Start of a session.
    SessionStartRequest { required {
        /// A code from `POST /v1/session/codes`; valid once.
        code: String,
    } optional {
        /// 64 random hexadecimal digits in lower case; the session's cookie then counts only together with the header
        /// `x-baa-session-key` that shows them.
        key: String,
    } }
}
