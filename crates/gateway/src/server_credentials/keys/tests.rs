//! What opens, and what does not.

use jiff::Timestamp;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(&text.into()).unwrap()
}

fn shell(name: &str, platform: &str, url: Option<&str>, kind: &str) -> SealedCredential {
    SealedCredential {
        name: name.into(),
        platform: platform.into(),
        platform_url: url.map(Into::into),
        credential_type: kind.into(),
        key_id: String::new(),
        sealed: Vec::new(),
        created_at: Timestamp::UNIX_EPOCH,
        created_by: "ada".into(),
        updated_at: Timestamp::UNIX_EPOCH,
        updated_by: "ada".into(),
    }
}

fn sealed() -> SealedCredential {
    ring(HEX).seal(shell("a", "openai", Some("https://x"), "api_key"), &"sk-the-value".into()).unwrap()
}

#[rstest]
#[case::hexadecimal(HEX)]
#[case::in_capitals("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F")]
#[case::base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
#[case::without_padding("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")]
fn a_key_is_32_bytes_in_either_form(#[case] text: &str) {
    assert_eq!(ring(text).id(), ring(HEX).id());
    assert_eq!(ring(text).open(&sealed()).unwrap().expose_secret(), "sk-the-value");
}

#[test]
fn both_alphabets_of_base64_are_taken() {
    let (url, standard) =
        ("-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_-_8=", "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8=");
    assert_eq!(ring(url).id(), ring(standard).id());
}

#[rstest]
#[case("", BadKey::Empty)]
#[case(" , \n", BadKey::Empty)]
#[case("secret", BadKey::NotAKey)]
#[case("AAECAwQFBgcICQoLDA0ODw==", BadKey::NotAKey)]
fn what_is_no_key_is_refused_and_not_repeated(#[case] text: &str, #[case] expected: BadKey) {
    let error = KeyRing::parse(&text.into()).unwrap_err();
    assert_eq!(error, expected);
    assert!(!error.to_string().contains("AAEC"));
}

#[test]
fn the_first_key_seals_and_all_open() {
    let other = "11".repeat(32);
    let both = ring(&format!("{other},{HEX}"));
    assert_eq!(both.open(&sealed()).unwrap().expose_secret(), "sk-the-value");
    let anew = both.seal(sealed(), &"sk-2".into()).unwrap();
    assert_eq!(anew.key_id, ring(&other).id());
    assert_eq!(ring(HEX).open(&anew).unwrap_err(), Unopened::OtherKey(anew.key_id));
}

#[test]
fn what_is_sealed_twice_is_not_the_same() {
    assert_ne!(sealed().sealed, sealed().sealed);
}

#[rstest]
#[case::name(SealedCredential { name: "b".into(), ..sealed() })]
#[case::platform(SealedCredential { platform: "anthropic".into(), ..sealed() })]
#[case::url(SealedCredential { platform_url: Some("https://y".into()), ..sealed() })]
#[case::no_url(SealedCredential { platform_url: None, ..sealed() })]
#[case::kind(SealedCredential { credential_type: "auth_token".into(), ..sealed() })]
#[case::cut(SealedCredential { sealed: sealed().sealed[..30].to_vec(), ..sealed() })]
fn a_value_opens_in_its_own_row_alone(#[case] changed: SealedCredential) {
    assert_eq!(ring(HEX).open(&changed).unwrap_err(), Unopened::Damaged);
}

#[test]
fn a_newer_form_is_told_apart() {
    let newer = SealedCredential { sealed: [&[2], &sealed().sealed[1..]].concat(), ..sealed() };
    assert_eq!(ring(HEX).open(&newer).unwrap_err(), Unopened::OtherForm);
    let empty = SealedCredential { sealed: Vec::new(), ..sealed() };
    assert_eq!(ring(HEX).open(&empty).unwrap_err(), Unopened::Damaged);
}

#[test]
fn neither_key_nor_value_is_in_what_is_shown() {
    let shown = format!("{:?} {:?}", ring(HEX), sealed());
    assert!(!shown.contains("000102") && !shown.contains("sk-the-value"), "{shown}");
    assert!(!ring(HEX).id().contains("0001"));
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_no_other_byte_does(value in "[!-~]{1,200}", at in 0_usize..1000, bit in 0_u8..8) {
        let keys = ring(HEX);
        let sealed = keys.seal(shell("n", "p", None, "api_key"), &value.clone().into()).unwrap();
        let opened = keys.open(&sealed).unwrap();
        prop_assert_eq!(opened.expose_secret(), value.as_str());
        let mut bytes = sealed.sealed.clone();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let other = SealedCredential { sealed: bytes, ..sealed };
        prop_assert!(keys.open(&other).is_err());
    }
}
