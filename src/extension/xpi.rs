//! Packs the extension as an `.xpi`: a zip without compression, since it is only transferred locally.

use super::ExtensionFile;
use std::io::{Cursor, Write};
use zip::{CompressionMethod, DateTime, ZipWriter, result::ZipError, write::SimpleFileOptions};

/// Packs files. Times and modes are fixed, so that the same files give the same bytes.
pub(super) fn pack(files: impl Iterator<Item = ExtensionFile>) -> Vec<u8> {
    write(files).expect("memory takes what is written to it, and our own names are names")
}

fn write(files: impl Iterator<Item = ExtensionFile>) -> Result<Vec<u8>, ZipError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(file.name, options)?;
        zip.write_all(&file.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
