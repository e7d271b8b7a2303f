//! Serializes our own values as JSON into existing buffers.

use serde::Serialize;
use std::cell::RefCell;

/// Most bytes of scratch memory that a thread keeps.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Appends `value` to `out`.
///
/// `serde_json` writes bytes, piece by piece; gathered first, they are checked to be text once instead of piece by piece.
pub fn write(out: &mut String, value: &impl Serialize) {
    // The scratch memory is in use if a value serializes others while it is serialized.
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            write_through(&mut scratch, out, value);
            scratch.clear();
            scratch.shrink_to(SCRATCH_BYTES_MAX);
        }
        Err(_) => write_through(&mut Vec::new(), out, value),
    });
}

fn write_through(scratch: &mut Vec<u8>, out: &mut String, value: &impl Serialize) {
    scratch.clear();
    serde_json::to_writer(&mut *scratch, value).expect("our own values have string keys");
    out.push_str(std::str::from_utf8(scratch).expect("serde_json writes UTF-8"));
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

    #[test]
    fn a_value_may_write_json_while_it_is_written() {
        struct Nested;
        impl Serialize for Nested {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut inner = String::new();
                write(&mut inner, &[1, 2]);
                inner.serialize(serializer)
            }
        }
        let mut out = String::new();
        write(&mut out, &Nested);
        assert_eq!(out, r#""[1,2]""#);
    }
}
