//! Calls that are passed on to codexd; their answers are its own.

use super::fields::request_fields;
use serde_json::Value;

request_fields! {
    /// A new session of codexd, or a turn of one. The body is passed on as it is.
    CodexRequest {
        required {}
        optional {
            /// Id of the session of a turn.
            session_id: Value,
            /// As codexd defines it.
            input: Value,
        }
    }
}

request_fields! {
    /// A session of codexd.
    CodexSessionParameters {
        required {
            /// Id of the session.
            id: String,
        }
        optional {}
    }
}
