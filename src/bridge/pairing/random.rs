//! Random pairing codes, nonces and keys.

use crate::{secret::Secret, wire::proof::hex};

const CODES: u64 = 1_000_000;

/// Returns a code of six digits, uniformly distributed.
pub(super) fn code() -> Result<Secret, getrandom::Error> {
    // The remainder makes small codes likelier by one in 10^13.
    Ok(Secret::new(format!("{:06}", getrandom::u64()? % CODES)))
}

/// Returns a nonce: 256 random bits in hexadecimal digits.
pub(super) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Returns the key of a client: 256 random bits in hexadecimal digits.
pub(super) fn secret() -> Result<Secret, getrandom::Error> {
    nonce().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_six_digits_and_keys_sixty_four() {
        for _ in 0..100 {
            let (code, secret) = (code().unwrap(), secret().unwrap());
            assert!(code.expose().len() == 6 && code.expose().bytes().all(|b| b.is_ascii_digit()));
            assert!(secret.expose().len() == 64 && secret.expose().bytes().all(|b| b"0123456789abcdef".contains(&b)));
            assert_ne!(secret, super::secret().unwrap());
        }
    }
}
