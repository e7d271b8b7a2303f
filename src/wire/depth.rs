//! Measures the nesting of JSON text. `serde_json` skips ignored values of any depth, so text that is forwarded unparsed is
//! checked here.

use memchr::memchr2;

/// Maximum nesting of arrays and objects in any input.
pub const DEPTH_MAX: usize = 128;

/// Up to this many bytes it is faster to count all opening brackets first, which decides nearly every text. In longer
/// texts most bytes are in strings, which the exact scan skips.
const COUNT_BYTES_MAX: usize = 4 << 10;

/// Returns whether `json`, which must be valid, nests deeper than [`DEPTH_MAX`].
pub fn too_deep(json: &str) -> bool {
    let bytes = json.as_bytes();
    if bytes.len() <= COUNT_BYTES_MAX && bytes.chunks(255).map(opens_in).sum::<usize>() <= DEPTH_MAX {
        return false; // nothing nests deeper than it opens
    }
    deepest(bytes) > DEPTH_MAX
}

/// Counts `[` and `{`, also those inside strings. At most 255 bytes at a time, so that a byte-wide sum cannot overflow.
fn opens_in(chunk: &[u8]) -> usize {
    usize::from(chunk.iter().fold(0u8, |sum, b| sum + u8::from(b | 0x20 == b'{')))
}

/// Returns the exact depth; strings are skipped.
fn deepest(bytes: &[u8]) -> usize {
    let (mut at, mut depth, mut deepest) = (0, 0usize, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = after_string(bytes, at),
            _ => {}
        }
    }
    deepest
}

/// Returns the position after the closing quote of the string whose content begins at `at`.
pub fn after_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn the_limit_itself_passes_and_one_more_does_not() {
        assert!(!too_deep(&nested(DEPTH_MAX)));
        assert!(too_deep(&nested(DEPTH_MAX + 1)));
        assert!(too_deep(&nested(200_000)));
        assert!(too_deep(&format!("{}1{}", "{\"a\":".repeat(129), "}".repeat(129))));
    }

    #[test]
    fn width_is_not_depth() {
        assert!(!too_deep(&format!("[{}]", vec!["[{}]"; 5_000].join(","))));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let text = "[".repeat(1_000);
        assert!(!too_deep(&format!(r#"["{text}","\"{text}","\\"]"#)));
        assert!(too_deep(&format!(r#"["\\\"]]]",{}]"#, nested(128))), "an escaped quote does not end a string");
        assert_eq!(deepest(br#"{"a\\":[1,{"b":"]}\""}]}"#), 3);
    }
}
