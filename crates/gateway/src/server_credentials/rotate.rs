//! Sealing all credentials with a new key.

use luthien_record::Store;
use luthien_record::store::{SealError, StoreError};
use serde::Serialize;

use super::key_file::{Changing, KeyError, KeySource};
use super::keys::KeyRing;

/// How a rotation went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rotated {
    /// The fingerprint of the key that seals now.
    pub key_id: String,
    /// How many credentials were sealed anew.
    pub resealed: usize,
    /// Those that no key opens, and that stay as they are, each with why.
    pub unreadable: Vec<(String, String)>,
    /// The fingerprints of keys that nothing needs any more: they may go out of `CREDENTIAL_ENCRYPTION_KEY`, or have gone from the file.
    pub spent: Vec<String>,
}

/// The credentials were not sealed anew. All are as they were, and the keys that open them are where they were.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Seals all credentials with the first key of the setting, or with a new one in the file. A kill at any moment leaves every credential
/// with a key that opens it: the file gets the new key beside the old ones first, and loses those only when nothing needs them.
pub async fn rotate(store: &Store, source: &KeySource) -> Result<Rotated, RotateError> {
    let KeySource::File(path) = source else {
        let keys = source.made()?;
        return reseal(store, &keys).await;
    };
    let changing = Changing::begin(path)?;
    let keys = KeyRing::with_new(&source.made()?).map_err(KeyError::from)?;
    changing.write(&keys)?;
    let rotated = reseal(store, &keys).await?;
    changing.write(&keys.newest())?;
    Ok(rotated)
}

pub(super) async fn reseal(store: &Store, keys: &KeyRing) -> Result<Rotated, RotateError> {
    let mut unreadable = Vec::new();
    let resealed = store
        .reseal_credentials(|old| {
            if old.key_id == keys.id() && keys.open(old).is_ok() {
                return Ok(None);
            }
            match keys.open(old) {
                Ok(value) => {
                    keys.seal(old.clone(), &value).map(|new| Some((new.key_id, new.sealed))).map_err(KeyError::from)
                }
                Err(why) => {
                    unreadable.push((old.name.clone(), why.to_string()));
                    Ok(None)
                }
            }
        })
        .await
        .map_err(|error| match error {
            SealError::Seal(error) => RotateError::Key(error),
            SealError::Store(error) => RotateError::Store(error),
        })?;
    let spent = keys.ids().into_iter().skip(1).map(str::to_owned).collect();
    Ok(Rotated { key_id: keys.id().to_owned(), resealed, unreadable, spent })
}
