//! The proof that both sides of a paired socket give: an HMAC over both random values and the dialled address, keyed by
//! the client's secret, which never crosses the socket again. A proof names its side, so that neither side can replay
//! the other's, and the address, so that a program on another port cannot relay it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use subtle::ConstantTimeEq;
use url::Url;

/// The side that a proof belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ProofSide {
    /// The daemon's, in `challenge`.
    Server,
    /// The extension's, in `auth`.
    Client,
}

impl ProofSide {
    fn name(self) -> &'static str {
        self.into()
    }
}

/// The values of one connection that proofs are computed over. None of them contains a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The random value of `hello`.
    pub client_nonce: String,
    /// The random value of `challenge`.
    pub server_nonce: String,
    /// The address that the extension dialled, as [`address_of`] returns it.
    pub address: String,
}

/// Returns `hex(HMAC-SHA256(secret, side "\n" client nonce "\n" server nonce "\n" address))`, in lower case; the key is the
/// secret's text.
pub fn proof(secret: &str, side: ProofSide, transcript: &Transcript) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("an HMAC takes a key of any length");
    let Transcript { client_nonce, server_nonce, address } = transcript;
    for part in [side.name(), "\n", client_nonce, "\n", server_nonce, "\n", address] {
        mac.update(part.as_bytes());
    }
    hex(&mac.finalize().into_bytes())
}

/// Returns the address that a `Host` header names, as a browser's `URL.host` gives it: lower case, IPv6 in brackets, without
/// the port 80. Nothing where the text is more or less than a host and a port.
pub fn address_of(host: &str) -> Option<String> {
    // Characters that the URL parser would drop or assign to another part.
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '@' | '%');
    if host.is_empty() || host.contains(odd) {
        return None;
    }
    let url = Url::parse(&format!("ws://{host}/")).ok()?;
    let name = url.host_str()?;
    Some(url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")))
}

/// Returns whether `given` is the expected proof, in constant time.
pub fn proves(given: &str, secret: &str, side: ProofSide, transcript: &Transcript) -> bool {
    let expected = proof(secret, side, transcript);
    expected.as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()).into()
}

/// Returns bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(client: &str, server: &str, address: &str) -> Transcript {
        Transcript { client_nonce: client.into(), server_nonce: server.into(), address: address.into() }
    }

    /// Made by another program; the extension's tests read it too.
    const GOLDEN: &str = include_str!("../../tests/fixtures/proof.json");

    #[test]
    fn a_proof_is_what_any_hmac_of_that_text_is() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let text = |field: &str| golden[field].as_str().unwrap();
        let both = transcript(text("client_nonce"), text("server_nonce"), text("address"));
        assert_eq!(proof(text("secret"), ProofSide::Server, &both), text("server_proof"));
        assert_eq!(proof(text("secret"), ProofSide::Client, &both), text("client_proof"));
    }

    #[test]
    fn only_that_proof_proves_in_either_case() {
        let (secret, both) = ("0".repeat(64), transcript("c", "s", "127.0.0.1:1"));
        let right = proof(&secret, ProofSide::Client, &both);
        assert!(proves(&right, &secret, ProofSide::Client, &both));
        assert!(proves(&right.to_uppercase(), &secret, ProofSide::Client, &both));
        for wrong in [
            String::new(),
            right[..62].to_owned(),
            format!("{right}00"),
            secret.clone(),
            proof(&secret, ProofSide::Server, &both),
            proof(&secret, ProofSide::Client, &transcript("s", "c", "127.0.0.1:1")),
            proof(&secret, ProofSide::Client, &transcript("c", "s", "127.0.0.1:2")),
            proof(&secret, ProofSide::Client, &transcript("c", "s", "localhost:1")),
            proof(&secret, ProofSide::Client, &transcript("c", "s", "")),
            proof(&"1".repeat(64), ProofSide::Client, &both),
        ] {
            assert!(!proves(&wrong, &secret, ProofSide::Client, &both), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_what_a_browser_makes_of_it() {
        for (host, address) in [
            ("127.0.0.1:4317", Some("127.0.0.1:4317")),
            ("LocalHost:4317", Some("localhost:4317")),
            ("[::1]:4317", Some("[::1]:4317")),
            ("[0:0::1]:4317", Some("[::1]:4317")),
            ("box.lan", Some("box.lan")),
            ("box.lan:", Some("box.lan")),
            ("box.lan:80", Some("box.lan")),
            ("box.lan:080", Some("box.lan")),
            ("box.lan:443", Some("box.lan:443")),
            ("127.1:80", Some("127.0.0.1")),
            ("", None),
            (":80", None),
            ("box.lan:x", None),
            ("box.lan:65536", None),
            ("user@box.lan", None),
            ("box.lan/path", None),
            ("box.lan:80\t", None),
            ("box.lan?x", None),
            ("box%2elan", None),
            ("::1", None),
        ] {
            assert_eq!(address_of(host).as_deref(), address, "{host}");
        }
    }
}
