//! Our own values as JSON text, written into memory that is there already.

use serde::Serialize;
use std::io;

/// Appends `value` to `out`.
pub fn write(out: &mut String, value: &impl Serialize) {
    serde_json::to_writer(Text(out), value).expect("our own values have string keys");
}

/// Text as a place to write to. What `serde_json` writes is whole pieces of UTF-8.
struct Text<'a>(&'a mut String);

impl io::Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let piece = std::str::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        self.0.push_str(piece);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_appended() {
        let mut out = "[".to_owned();
        write(&mut out, &["ä\n\u{1}\"😀", "plain"]);
        assert_eq!(out, r#"[["ä\n\u0001\"😀","plain"]"#);
    }
}
