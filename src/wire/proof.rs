//! The proof that both sides of a paired socket give: an HMAC over both random values, keyed by the client's secret,
//! which never crosses the socket again. Whose proof it is stands in it, so that neither side can send back the other's.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use subtle::ConstantTimeEq;

/// Whose proof it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The daemon's, in `challenge`.
    Server,
    /// The extension's, in `auth`.
    Client,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Server => "server",
            Side::Client => "client",
        }
    }
}

/// The random values of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonces {
    /// Of `hello`.
    pub client: String,
    /// Of `challenge`.
    pub server: String,
}

/// `hex(HMAC-SHA256(secret, side "\n" client nonce "\n" server nonce))`, in lower case; the key is the secret's text.
pub fn proof(secret: &str, side: Side, nonces: &Nonces) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("an HMAC takes a key of any length");
    for part in [side.name(), "\n", &nonces.client, "\n", &nonces.server] {
        mac.update(part.as_bytes());
    }
    hex(&mac.finalize().into_bytes())
}

/// Whether `given` is that proof; takes the same time for every guess.
pub fn proves(given: &str, secret: &str, side: Side, nonces: &Nonces) -> bool {
    let expected = proof(secret, side, nonces);
    expected.as_bytes().ct_eq(given.to_ascii_lowercase().as_bytes()).into()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(client: &str, server: &str) -> Nonces {
        Nonces { client: client.into(), server: server.into() }
    }

    /// Made by another program; the extension's tests read it too.
    const GOLDEN: &str = include_str!("../../tests/fixtures/proof.json");

    #[test]
    fn a_proof_is_what_any_hmac_of_that_text_is() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let text = |field: &str| golden[field].as_str().unwrap();
        let both = nonces(text("client_nonce"), text("server_nonce"));
        assert_eq!(proof(text("secret"), Side::Server, &both), text("server_proof"));
        assert_eq!(proof(text("secret"), Side::Client, &both), text("client_proof"));
    }

    #[test]
    fn only_that_proof_proves_in_either_case() {
        let (secret, both) = ("0".repeat(64), nonces("c", "s"));
        let right = proof(&secret, Side::Client, &both);
        assert!(proves(&right, &secret, Side::Client, &both));
        assert!(proves(&right.to_uppercase(), &secret, Side::Client, &both));
        for wrong in [
            String::new(),
            right[..62].to_owned(),
            format!("{right}00"),
            secret.clone(),
            proof(&secret, Side::Server, &both),
            proof(&secret, Side::Client, &nonces("s", "c")),
            proof(&"1".repeat(64), Side::Client, &both),
        ] {
            assert!(!proves(&wrong, &secret, Side::Client, &both), "{wrong}");
        }
    }
}
