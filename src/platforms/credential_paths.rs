//! Paths of a platform whose answers contain credentials: parses them from the configuration, and matches the path of a
//! request in any spelling.
//!
//! Servers differ in which spellings they treat as equal. So a path is normalized by the loosest rules: escapes are decoded
//! repeatedly, `\` is a slash, case is ignored, empty and dot segments are dropped, and the rest of a segment after `;`,
//! `?`, `#` or a null is ignored. Every prefix at which a server might stop is compared too. A path that is refused
//! needlessly can be requested in its plain spelling.

use crate::config::section::ValidationErrors;
use serde::{Serialize, Serializer};

/// An entry of `credential_paths`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPath {
    /// Lower case, without the star.
    text: String,
    /// Whether the entry is a prefix.
    is_prefix: bool,
}

impl CredentialPath {
    /// Parses `/path` or `/prefix*`, in plain spelling.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (path, is_prefix) = text.strip_suffix('*').map_or((text, false), |path| (path, true));
        if !path.starts_with('/') {
            return Err("must begin with a slash");
        }
        if path.contains(|c: char| !c.is_ascii_graphic() || matches!(c, '*' | '%' | '\\' | '?' | '#' | ';')) {
            return Err("must be a plain path: visible ASCII without % \\ ? # ; and with * at its end alone");
        }
        let kept = if path.len() > 1 && !is_prefix { path.strip_suffix('/').unwrap_or(path) } else { path };
        let (last, segments) = kept[1..]
            .split('/')
            .collect::<Vec<_>>()
            .split_last()
            .map_or_else(|| ("", Vec::new()), |(last, segments)| (*last, segments.to_vec()));
        let is_odd = |segment: &str| segment.ends_with('.');
        if segments.iter().any(|segment| segment.is_empty() || is_odd(segment)) || (!is_prefix && is_odd(last)) {
            return Err("must have neither empty segments nor any that end with a dot");
        }
        if !is_prefix && last.is_empty() && kept != "/" {
            return Err("must have neither empty segments nor any that end with a dot");
        }
        Ok(CredentialPath { text: kept.to_ascii_lowercase(), is_prefix })
    }

    /// Parses a list, and reports each invalid entry.
    pub(super) fn read(texts: &[String], errors: &mut ValidationErrors) -> Vec<Self> {
        let parse = |text: &String| {
            let fault = |reason| errors.add("credential_paths", format!("{text:?} {reason}"));
            CredentialPath::parse(text).map_err(fault).ok()
        };
        texts.iter().filter_map(parse).collect()
    }

    /// Returns whether the entry covers a path in the normal form of [`covers_any`], without a trailing slash.
    fn covers(&self, plain: &[u8]) -> bool {
        let plain = if plain.is_empty() { b"/" } else { plain };
        let text = self.text.as_bytes();
        if !self.is_prefix {
            return plain == text;
        }
        plain.starts_with(text) || text.strip_suffix(b"/") == Some(plain)
    }
}

impl Serialize for CredentialPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}{}", self.text, if self.is_prefix { "*" } else { "" }))
    }
}

/// Returns whether `path`, without its query, may be covered by one of `entries`.
pub fn covers_any(entries: &[CredentialPath], path: &str) -> bool {
    if entries.is_empty() {
        return false;
    }
    let decoded = decoded(path);
    let is_one = |plain: &[u8]| entries.iter().any(|entry| entry.covers(plain));
    let mut plain = Vec::with_capacity(decoded.len());
    for segment in decoded.split(|byte| *byte == b'/') {
        let end = segment.iter().position(|byte| matches!(byte, b';' | b'?' | b'#' | 0));
        let name = trimmed(&segment[..end.unwrap_or(segment.len())]);
        if name == b".." {
            if is_one(&plain) {
                return true;
            }
            plain.truncate(plain.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
        } else {
            let dots = name.iter().rev().take_while(|byte| **byte == b'.').count();
            if dots < name.len() {
                plain.push(b'/');
                plain.extend_from_slice(&name[..name.len() - dots]);
            }
        }
        if end.is_some() && is_one(&plain) {
            return true;
        }
    }
    is_one(&plain)
}

/// Returns a name without the blanks and control characters around it.
fn trimmed(name: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| !matches!(byte, 0..=b' ' | 0x7f);
    let from = name.iter().position(is_kept).unwrap_or(name.len());
    let to = name.iter().rposition(is_kept).map_or(from, |at| at + 1);
    &name[from..to]
}

/// Returns a path with all escapes decoded, repeatedly, with `/` for `\`, in lower case.
fn decoded(path: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(path.len());
    for byte in path.bytes() {
        bytes.push(byte);
        // A decoded byte may complete another escape.
        while let [.., b'%', high, low] = bytes[..]
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            bytes.truncate(bytes.len() - 3);
            bytes.push(high << 4 | low);
        }
    }
    for byte in &mut bytes {
        *byte = if *byte == b'\\' { b'/' } else { byte.to_ascii_lowercase() };
    }
    bytes
}

#[cfg(test)]
mod tests;
