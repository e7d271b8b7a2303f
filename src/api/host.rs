//! Commands and files of the machine that the daemon runs on.

use super::fields::request_fields;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

request_fields! {
    /// A command to run.
    ExecRequest {
        required {
            /// A script for `/bin/sh -c`, or an array of a program and its arguments.
            command: ExecCommand,
        }
        optional {
            /// Base of relative paths; default the first root, else the home folder.
            cwd: String,
            /// Variables beside the usual ones.
            env: BTreeMap<String, String>,
            /// Standard input.
            stdin: String,
            /// Time limit in milliseconds, 1 to {host.TIMEOUT_MS_MAX}; default {host.TIMEOUT_MS_DEFAULT}.
            timeout_ms: u64,
            /// Most bytes that are kept of each stream, 0 to {host.OUTPUT_BYTES_MAX}; default {host.OUTPUT_BYTES_DEFAULT}.
            max_output_bytes | "maxBufferBytes": u64,
        }
    }
}

request_fields! {
    /// A file to read.
    FileReadRequest {
        required {
            /// Path of the file.
            path: String,
        }
        optional {
            /// Base of relative paths; default the first root, else the home folder.
            cwd: String,
            /// Encoding of the returned content; default utf8.
            encoding: FileEncoding,
            /// First byte to read; default 0.
            offset: u64,
            /// Most bytes to read, 1 to {host.READ_BYTES_MAX}; default {host.READ_BYTES_DEFAULT}.
            max_bytes: u64,
        }
    }
}

request_fields! {
    /// A file to write.
    FileWriteRequest {
        required {
            /// Path of the file.
            path: String,
            /// The content.
            content: String,
        }
        optional {
            /// Base of relative paths; default the first root, else the home folder.
            cwd: String,
            /// Encoding of the content; default utf8.
            encoding: FileEncoding,
            /// Whether an existing file is replaced; default false.
            overwrite: bool,
            /// Whether missing parent folders are created; default false.
            create_parents: bool,
            /// File mode in octal digits, such as 0644; default that of the replaced file, else the usual one.
            mode: String,
        }
    }
}

/// A shell command line or a program with arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExecCommand {
    /// A script for `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments, run directly.
    Argv(Vec<String>),
}

/// How file bytes are written as JSON text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// Base64 with padding.
    Base64,
}
