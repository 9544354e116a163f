//! Signatures by which a receiver knows who sent a notification, and when: HMAC-SHA256.

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::tls13::OkmBlock;

/// Bytes of SHA-256's block: a longer key counts by its hash (RFC 2104).
const BLOCK: usize = 64;

/// The header's value for a body that is sent at `now`, in seconds since 1970: `t=<now>,v1=<hex>`, over `<now>.<body>`.
pub(super) fn signature(secret: &[u8], now: i64, body: &[u8]) -> Option<String> {
    let signed = [now.to_string().as_bytes(), b".", body].concat();
    Some(format!("t={now},v1={}", hex(&hmac_sha256(secret, &signed)?)))
}

/// HMAC-SHA256, by the library that carries TLS here.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13()?;
    let key = if key.len() > BLOCK {
        OkmBlock::new(suite.common.hash_provider.hash(key).as_ref())
    } else {
        OkmBlock::new(key)
    };
    Some(suite.hkdf_provider.hmac_sign(&key, message).as_ref().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hmac_of_rfc_4231() {
        let short = hmac_sha256(b"Jefe", b"what do ya want for nothing?").unwrap();
        assert_eq!(hex(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let long = hmac_sha256(&[0xaa; 131], message).unwrap();
        assert_eq!(hex(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn the_time_is_signed_with_the_body() {
        let at = |now| signature(b"key", now, b"{}").unwrap();
        assert!(at(7).starts_with("t=7,v1="));
        assert_ne!(at(7)[7..], at(8)[7..]);
    }
}
