//! What is drawn at random: codes for people, values for one proof, keys for good.

use crate::{secret::Secret, wire::proof::hex};

/// How many codes there are: six digits.
const CODES: u64 = 1_000_000;

/// Six digits, each as likely as any.
pub(super) fn code() -> Result<Secret, getrandom::Error> {
    // Of 2^64 values the last incomplete million would make small codes likelier, by one in 10^13.
    Ok(Secret::new(format!("{:06}", getrandom::u64()? % CODES)))
}

/// A value that no other connection has, 256 random bits in hexadecimal digits.
pub(super) fn nonce() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// The key of a client, 256 random bits in hexadecimal digits.
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
