//! The paths of codexd.
//!
//! Invariant: a session id is exactly one path segment, whatever it contains.

use std::fmt::Write;

/// A path of codexd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamPath(String);

impl UpstreamPath {
    /// The path of its status.
    pub fn status() -> Self {
        UpstreamPath("/v1/codexd/status".to_owned())
    }

    /// The path of its sessions.
    pub fn sessions() -> Self {
        UpstreamPath("/v1/codexd/sessions".to_owned())
    }

    /// The path of one session. `raw` is the id as a path segment, still encoded. `None` when it is empty, `.` or `..` in
    /// any spelling.
    pub fn session(raw: &str) -> Option<Self> {
        let id = decoded(raw);
        if matches!(&id[..], b"" | b"." | b"..") {
            return None;
        }
        let mut path = Self::sessions().0;
        path.push('/');
        for byte in id {
            // The unreserved characters of RFC 3986; everything else is encoded.
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                path.push(char::from(byte));
            } else {
                write!(path, "%{byte:02X}").expect("a String takes everything");
            }
        }
        Some(UpstreamPath(path))
    }

    /// The path to which turns are posted.
    pub fn turn() -> Self {
        UpstreamPath("/v1/codexd/turn".to_owned())
    }

    /// Returns the whole address. `query` has no question mark.
    pub(super) fn address(&self, base: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        [base, &self.0, mark, query].concat()
    }
}

/// Percent-decodes a path segment; invalid escapes are kept.
fn decoded(raw: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let escape = match behind {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                rest = &behind[2..];
            }
            None => bytes.push(*first),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        for (raw, wanted) in [
            ("s-1_a.b~", Some("s-1_a.b~")),
            ("%41%2dz", Some("A-z")),
            ("a%2fb", Some("a%2Fb")),
            ("a%2F..%2Fturn", Some("a%2F..%2Fturn")),
            ("..%5Cx", Some("..%5Cx")),
            ("%252e%252e", Some("%252e%252e")),
            ("%25%32e", Some("%252e")),
            ("a;b?c#d", Some("a%3Bb%3Fc%23d")),
            ("a%3fb%23", Some("a%3Fb%23")),
            ("ü%00%0d%0a", Some("%C3%BC%00%0D%0A")),
            ("50%", Some("50%25")),
            ("%zz%4", Some("%25zz%254")),
            ("...", Some("...")),
            ("", None),
            (".", None),
            ("..", None),
            ("%2e%2E", None),
            (".%2e", None),
        ] {
            let path = UpstreamPath::session(raw);
            let id = path.as_ref().map(|path| path.0.strip_prefix("/v1/codexd/sessions/").unwrap());
            assert_eq!(id, wanted, "{raw}");
        }
    }

    #[test]
    fn an_address_has_a_query_only_when_there_is_one() {
        assert_eq!(UpstreamPath::turn().address("http://x:1", ""), "http://x:1/v1/codexd/turn");
        assert_eq!(
            UpstreamPath::sessions().address("http://x/base", "a=1&b"),
            "http://x/base/v1/codexd/sessions?a=1&b"
        );
        assert_eq!(UpstreamPath::status().address("http://x", "%3F"), "http://x/v1/codexd/status?%3F");
    }
}
