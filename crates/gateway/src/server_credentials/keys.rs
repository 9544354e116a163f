//! The keys that seal credentials: read from a setting or from a file, the first of them seals, all of them open.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use luthien_record::store::SealedCredential;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use crate::data_dir::{DataDirError, random};

/// The form of what is sealed: its first byte.
const FORM: u8 = 1;

/// How long a nonce is.
const NONCE: usize = 24;

/// What the keys in use are derived for: the same secret may have another use elsewhere.
const CONTEXT: &str = "luthien 2026 server credentials";

/// The same for fingerprints.
const FINGERPRINT: &str = "luthien 2026 server credentials key fingerprint";

/// A key of 32 bytes.
pub(super) struct Key {
    secret: SecretBox<[u8; 32]>,
    id: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id).finish()
    }
}

/// Keys, the first of which seals.
#[derive(Debug)]
pub struct KeyRing(Vec<Key>);

/// No key can be read out of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// One of them is none.
    #[error("a key has to be 32 bytes, as 64 hexadecimal digits or in base64; make one with `openssl rand -hex 32`")]
    NotAKey,
}

/// Why a credential cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// Another key has sealed it.
    #[error(
        "it was sealed with another key (fingerprint {0}): put that key behind the present one in CREDENTIAL_ENCRYPTION_KEY or in \
         credentials.key, or set the credential anew"
    )]
    OtherKey(String),
    /// It is not what was sealed.
    #[error("it is damaged, or was changed in the database: set the credential anew")]
    Damaged,
    /// A newer version has sealed it.
    #[error("it was sealed by another version of luthien: start that one, or set the credential anew")]
    OtherForm,
}

/// The system gave no random numbers, or the value could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers now")]
pub struct NoRandomness;

impl Key {
    fn new(bytes: [u8; 32]) -> Self {
        let id = blake3::Hash::from(blake3::derive_key(FINGERPRINT, &bytes)).to_hex();
        Self { secret: SecretBox::new(Box::new(bytes)), id: id.chars().take(16).collect() }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = unhex(text).or_else(|| decode(text))?;
        Some(Self::new(bytes))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&blake3::derive_key(CONTEXT, self.secret.expose_secret()).into())
    }

    /// Its bytes, for formats of others.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        self.secret.expose_secret()
    }
}

impl KeyRing {
    /// The keys in a text, between commas or on lines.
    pub fn parse(text: &SecretString) -> Result<Self, BadKey> {
        let texts = text.expose_secret().split([',', '\n']).map(str::trim).filter(|text| !text.is_empty());
        let keys: Vec<Key> = texts.map(|text| Key::parse(text).ok_or(BadKey::NotAKey)).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(BadKey::Empty) } else { Ok(Self(keys)) }
    }

    /// A new key in front of these.
    pub(super) fn with_new(old: &Self) -> Result<Self, DataDirError> {
        let keys = std::iter::once(Key::new(random()?)).chain(old.0.iter().map(|key| Key::new(*key.bytes())));
        Ok(Self(keys.collect()))
    }

    /// A new key, as a file holds it.
    pub(super) fn random() -> Result<String, DataDirError> {
        Ok(hex(&random()?))
    }

    /// As a file holds them.
    pub(super) fn text(&self) -> SecretString {
        self.0.iter().fold(String::new(), |text, key| text + &hex(key.bytes()) + "\n").into()
    }

    /// The first alone.
    pub(super) fn newest(&self) -> Self {
        Self(self.0.first().map(|key| Key::new(*key.bytes())).into_iter().collect())
    }

    /// All of them.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }

    /// The fingerprint of the one that seals.
    pub fn id(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// The fingerprints of all.
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.id.as_str()).collect()
    }

    /// A credential with this value sealed in it.
    pub(super) fn seal(
        &self,
        credential: SealedCredential,
        value: &SecretString,
    ) -> Result<SealedCredential, NoRandomness> {
        let key = self.0.first().ok_or(NoRandomness)?;
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
        let bound = bound(&credential);
        let payload = Payload { msg: value.expose_secret().as_bytes(), aad: &bound };
        let text = key.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| NoRandomness)?;
        let sealed = [&[FORM][..], &nonce, &text].concat();
        Ok(SealedCredential { key_id: key.id.clone(), sealed, ..credential })
    }

    /// The value that is sealed in a credential.
    pub(super) fn open(&self, credential: &SealedCredential) -> Result<SecretString, Unopened> {
        let other = || Unopened::OtherKey(credential.key_id.clone());
        let key = self.0.iter().find(|key| key.id == credential.key_id).ok_or_else(other)?;
        let (form, rest) = credential.sealed.split_first().ok_or(Unopened::Damaged)?;
        if *form != FORM {
            return Err(Unopened::OtherForm);
        }
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or(Unopened::Damaged)?;
        let payload = Payload { msg: text, aad: &bound(credential) };
        let opened = key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| Unopened::Damaged)?;
        String::from_utf8(opened).map(SecretString::from).map_err(|_| Unopened::Damaged)
    }
}

/// What a value is bound to: a row's value is none in another row, nor for another place.
fn bound(credential: &SealedCredential) -> Vec<u8> {
    let SealedCredential { name, platform, platform_url, credential_type, .. } = credential;
    let mut out = vec![FORM, u8::from(platform_url.is_some())];
    for part in [name, platform, platform_url.as_deref().unwrap_or_default(), credential_type] as [&str; 4] {
        // The length first, so that no two rows run together to the same bytes.
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}

fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from(*bytes).to_hex().to_string()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    blake3::Hash::from_hex(text).ok().map(Into::into)
}

/// Base64 of either alphabet, with its padding or without.
fn decode(text: &str) -> Option<[u8; 32]> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabets = [alphabet::STANDARD, alphabet::URL_SAFE];
    let decoded = alphabets.into_iter().find_map(|one| GeneralPurpose::new(&one, lenient).decode(text).ok())?;
    decoded.try_into().ok()
}

#[cfg(test)]
mod tests;
