//! Fernet, in which an older proxy kept its credentials: AES-128 in CBC mode, with an HMAC. Read for import, never written.

use aes::Aes128;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use sha2::Sha256;

use super::keys::KeyRing;

/// The first byte of a token.
const VERSION: u8 = 0x80;

/// Version, time, and the vector that the cipher begins with.
const HEAD: usize = 1 + 8 + 16;

/// The HMAC at the end.
const TAIL: usize = 32;

/// What is in a token, if one of the keys opens it. How old it is does not matter.
pub fn open_fernet(keys: &KeyRing, token: &str) -> Option<SecretString> {
    let token = URL_SAFE.decode(token.trim()).ok()?;
    let text = keys.keys().find_map(|key| open(key.bytes(), &token))?;
    String::from_utf8(text).ok().map(SecretString::from)
}

fn open(key: &[u8; 32], token: &[u8]) -> Option<Vec<u8>> {
    if token.len() < HEAD + TAIL || token.first() != Some(&VERSION) {
        return None;
    }
    let (signing, sealing) = key.split_at(16);
    let (body, tag) = token.split_at(token.len() - TAIL);
    let mut mac = Hmac::<Sha256>::new_from_slice(signing).ok()?;
    mac.update(body);
    // In constant time, and before anything is decrypted.
    mac.verify_slice(tag).ok()?;
    let cipher = Decryptor::<Aes128>::new_from_slices(sealing, &body[HEAD - 16..HEAD]).ok()?;
    cipher.decrypt_padded_vec::<Pkcs7>(&body[HEAD..]).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use secrecy::ExposeSecret as _;

    use super::*;

    /// From the specification's own examples.
    const KEY: &str = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";
    const TOKEN: &str =
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";

    fn opened(keys: &str, token: &str) -> Option<String> {
        open_fernet(&KeyRing::parse(&keys.into()).unwrap(), token).map(|text| text.expose_secret().to_owned())
    }

    #[test]
    fn the_specifications_example_opens() {
        assert_eq!(opened(KEY, TOKEN).as_deref(), Some("hello"));
        let several = format!("{},{KEY}", "11".repeat(32));
        assert_eq!(opened(&several, TOKEN).as_deref(), Some("hello"));
    }

    /// The examples of what is invalid, but for those about its age, which does not matter here.
    #[rstest]
    #[case::incorrect_mac(
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ=="
    )]
    #[case::too_short("gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==")]
    #[case::invalid_base64(
        "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q=="
    )]
    #[case::payload_not_of_whole_blocks(
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm"
    )]
    #[case::wrong_padding(
        "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw=="
    )]
    #[case::another_vector(
        "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAnja1xKYyhd-Y6mSkTOyTGJmw2Xc2a6kBd-iX9b_qXQcw=="
    )]
    #[case::nothing("")]
    fn what_is_damaged_does_not(#[case] token: &str) {
        assert_eq!(opened(KEY, token), None);
    }

    #[test]
    fn another_key_does_not_open_it() {
        assert_eq!(opened(&"11".repeat(32), TOKEN), None);
    }
}
