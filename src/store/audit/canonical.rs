//! The canonical text of a line, over which its hash is computed: reproducible by other programs, and unique per line.
//!
//! ```text
//! baa-log-1
//! previous_hash:64:9f…          name:bytes of the value:value
//! log_id:20:log_0000000000000002
//! task_id:4:t_01
//! run_id:-                      absent
//! at:13:1893456000000
//! level:4:info
//! event:7:running
//! message:10:exec began
//! ```
//!
//! Each line ends with LF. The hash is the SHA-256 of that text as UTF-8, in lower-case hexadecimal digits.

use crate::store::tasks::logs::LogRow;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Version of the canonical form.
const VERSION: &str = "baa-log-1";

/// Returns the hash of a line: of all its fields but the hash itself.
pub fn hash(row: &LogRow) -> String {
    digest(canonical(row).as_bytes())
}

/// Returns the SHA-256 of some bytes, in hexadecimal digits.
pub(in crate::store) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

fn canonical(row: &LogRow) -> String {
    let at = row.at.to_string();
    let fields = [
        ("previous_hash", row.previous_hash.as_deref()),
        ("log_id", Some(&*row.log_id)),
        ("task_id", Some(&*row.task_id)),
        ("run_id", row.run_id.as_deref()),
        ("at", Some(&*at)),
        ("level", Some(&*row.level)),
        ("event", Some(&*row.event)),
        ("message", Some(&*row.message)),
    ];
    fields.into_iter().fold(format!("{VERSION}\n"), |mut text, (name, value)| {
        let _ = match value {
            Some(value) => writeln!(text, "{name}:{}:{value}", value.len()),
            None => writeln!(text, "{name}:-"),
        };
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by Python's hashlib from the form as the documentation tells it.
    #[test]
    fn another_program_finds_the_same_hashes() {
        let first = LogRow {
            id: 1,
            log_id: "log_0000000000000001".into(),
            task_id: "task_1".into(),
            run_id: None,
            at: 1_893_456_000_000,
            level: "info".into(),
            event: "queued".into(),
            message: "waits: ü\nlevel:4:warn".into(),
            hash: String::new(),
            previous_hash: None,
        };
        assert_eq!(hash(&first), "ca9dbab82ae8583815524a378dfe805996447341fd503f18c99a2a041bc1d819");
        let second = LogRow {
            id: 2,
            log_id: "log_0000000000000002".into(),
            run_id: Some("run_1".into()),
            at: -1,
            message: String::new(),
            previous_hash: Some(hash(&first)),
            ..first
        };
        assert_eq!(hash(&second), "d7a9fa3eb0134044cfdbbca86e9cb09b6596397f36f67634063b7537b86b9d07");
    }
}
