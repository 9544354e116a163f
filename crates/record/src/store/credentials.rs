//! The gateway's own credentials, as they are kept: sealed with a key that is not here; and the providers that use them.

use jiff::Timestamp;
use serde_json::Value;

use super::{Store, StoreError, Topic, damaged};
use crate::sql::credentials::{CredentialRow, Made, ProviderRow};
use crate::sql::{self};

/// A credential as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCredential {
    /// What it is called.
    pub name: String,
    /// Whose API it opens.
    pub platform: String,
    /// Where that is, if it goes nowhere else.
    pub platform_url: Option<String>,
    /// How it is brought.
    pub credential_type: String,
    /// By which key it is sealed.
    pub key_id: String,
    /// The value, encrypted.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// A provider as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredProvider {
    /// What it is called.
    pub name: String,
    /// How it is asked.
    pub backend_type: String,
    /// The credential that it is asked with.
    pub credential_name: Option<String>,
    /// The model where a policy names none.
    pub default_model: Option<String>,
    /// The rest, an object.
    pub config: Value,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// What a credential was changed by, or why it was not.
#[derive(Debug, thiserror::Error)]
pub enum SealError<E> {
    /// It could not be sealed.
    #[error("{0}")]
    Seal(E),
    /// The database did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<E> From<sqlx::Error> for SealError<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// All credentials and all providers, each by name.
    pub async fn credentials(&self) -> Result<(Vec<SealedCredential>, Vec<StoredProvider>), StoreError> {
        let mut connection = self.follower.acquire().await?;
        let credentials = sql::credentials::all(&mut connection.sql()).await?;
        let providers = sql::credentials::providers(&mut connection.sql()).await?;
        let providers: Result<_, _> = providers.into_iter().map(provider).collect();
        Ok((credentials.into_iter().map(credential).collect(), providers?))
    }

    /// Keeps what `seal` gives, in place of a credential of its name. `true`: there was one. It is sealed while no other change is
    /// under way, so that nothing is sealed with a key that is just being given up.
    pub async fn set_credential<E: Send>(
        &self,
        seal: impl FnOnce() -> Result<SealedCredential, E> + Send,
    ) -> Result<bool, SealError<E>> {
        let mut work = self.change(Topic::Credentials).await?;
        let new = seal().map_err(SealError::Seal)?;
        let was_there = sql::credentials::has(&mut work.sql(), &new.name).await?;
        sql::credentials::set(&mut work.sql(), row(new)).await?;
        work.commit().await?;
        Ok(was_there)
    }

    /// Asks `seal` of each credential what is to be in its place, the key's id and the sealed value; `None` leaves it. All change or
    /// none. Gives how many did.
    pub async fn reseal_credentials<E: Send>(
        &self,
        mut seal: impl FnMut(&SealedCredential) -> Result<Option<(String, Vec<u8>)>, E> + Send,
    ) -> Result<usize, SealError<E>> {
        let mut work = self.change(Topic::Credentials).await?;
        let mut changed = 0;
        for row in sql::credentials::all(&mut work.sql()).await? {
            let old = credential(row);
            if let Some((key_id, sealed)) = seal(&old).map_err(SealError::Seal)? {
                sql::credentials::reseal(&mut work.sql(), &old.name, key_id, sealed).await?;
                changed += 1;
            }
        }
        work.commit().await?;
        Ok(changed)
    }

    /// Removes a credential. `false`: there was none of this name.
    pub async fn remove_credential(&self, name: &str) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::Credentials).await?;
        let was_there = sql::credentials::remove(&mut work.sql(), name).await?;
        work.commit().await?;
        Ok(was_there)
    }

    /// Keeps a provider, in place of one of its name.
    pub async fn set_provider(&self, new: &StoredProvider) -> Result<(), StoreError> {
        let row = ProviderRow {
            name: new.name.clone(),
            backend_type: new.backend_type.clone(),
            credential_name: new.credential_name.clone(),
            default_model: new.default_model.clone(),
            config: new.config.to_string(),
            made: Made {
                created_at: new.created_at,
                created_by: new.created_by.clone(),
                updated_at: new.updated_at,
                updated_by: new.updated_by.clone(),
            },
        };
        let mut work = self.change(Topic::Credentials).await?;
        sql::credentials::set_provider(&mut work.sql(), row).await?;
        Ok(work.commit().await?)
    }

    /// Removes a provider. `false`: there was none of this name.
    pub async fn remove_provider(&self, name: &str) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::Credentials).await?;
        let was_there = sql::credentials::remove_provider(&mut work.sql(), name).await?;
        work.commit().await?;
        Ok(was_there)
    }
}

fn row(new: SealedCredential) -> CredentialRow {
    CredentialRow {
        name: new.name,
        platform: new.platform,
        platform_url: new.platform_url,
        credential_type: new.credential_type,
        key_id: new.key_id,
        sealed: new.sealed,
        made: Made {
            created_at: new.created_at,
            created_by: new.created_by,
            updated_at: new.updated_at,
            updated_by: new.updated_by,
        },
    }
}

fn credential(row: CredentialRow) -> SealedCredential {
    SealedCredential {
        name: row.name,
        platform: row.platform,
        platform_url: row.platform_url,
        credential_type: row.credential_type,
        key_id: row.key_id,
        sealed: row.sealed,
        created_at: row.made.created_at,
        created_by: row.made.created_by,
        updated_at: row.made.updated_at,
        updated_by: row.made.updated_by,
    }
}

fn provider(row: ProviderRow) -> Result<StoredProvider, StoreError> {
    let what = format!("the inference provider {}", row.name);
    Ok(StoredProvider {
        config: serde_json::from_str(&row.config).map_err(|error| damaged(&what, error))?,
        name: row.name,
        backend_type: row.backend_type,
        credential_name: row.credential_name,
        default_model: row.default_model,
        created_at: row.made.created_at,
        created_by: row.made.created_by,
        updated_at: row.made.updated_at,
        updated_by: row.made.updated_by,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::testing::{Db, recorder_on, second};

    fn sealed(name: &str, key: &str, value: &[u8], at: i64, by: &str) -> SealedCredential {
        SealedCredential {
            name: name.into(),
            platform: "openai".into(),
            platform_url: (at == 1).then(|| "https://api.openai.com".into()),
            credential_type: "api_key".into(),
            key_id: key.into(),
            sealed: value.to_vec(),
            created_at: second(at),
            created_by: by.into(),
            updated_at: second(at),
            updated_by: by.into(),
        }
    }

    async fn set(store: &Store, new: SealedCredential) -> bool {
        store.set_credential(move || Ok::<_, Infallible>(new)).await.unwrap()
    }

    #[rstest]
    #[tokio::test]
    async fn a_credential_is_kept_replaced_and_removed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        assert!(!set(store, sealed("b", "k1", &[0, 255], 1, "ada")).await);
        assert!(!set(store, sealed("a", "k1", b"x", 2, "ada")).await);
        assert!(set(store, sealed("b", "k2", b"y", 3, "bob")).await);
        let b =
            SealedCredential { created_at: second(1), created_by: "ada".into(), ..sealed("b", "k2", b"y", 3, "bob") };
        assert_eq!(store.credentials().await.unwrap().0, [sealed("a", "k1", b"x", 2, "ada"), b]);
        assert!(store.remove_credential("a").await.unwrap());
        assert!(!store.remove_credential("a").await.unwrap());
        assert_eq!(store.credentials().await.unwrap().0.len(), 1);
        let refused = store.set_credential(|| Err("no key")).await.unwrap_err();
        assert!(matches!(refused, SealError::Seal("no key")));
    }

    #[rstest]
    #[tokio::test]
    async fn all_are_sealed_anew_or_none(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        for name in ["a", "b", "c"] {
            set(store, sealed(name, "k1", name.as_bytes(), 1, "ada")).await;
        }
        let anew = |old: &SealedCredential| Some(("k2".to_owned(), [b"2", &old.sealed[..]].concat()));
        let failed = store.reseal_credentials(|old| if old.name == "c" { Err("damaged") } else { Ok(anew(old)) }).await;
        assert!(matches!(failed, Err(SealError::Seal("damaged"))));
        let all = store.credentials().await.unwrap().0;
        assert!(all.iter().all(|one| one.key_id == "k1" && one.sealed == one.name.as_bytes()));

        let but_b = |old: &SealedCredential| Ok::<_, Infallible>(anew(old).filter(|_| old.name != "b"));
        assert_eq!(store.reseal_credentials(but_b).await.unwrap(), 2);
        let all = store.credentials().await.unwrap().0;
        let told: Vec<_> = all.iter().map(|one| (one.key_id.as_str(), one.sealed.as_slice())).collect();
        assert_eq!(told, [("k2", &b"2a"[..]), ("k1", b"b"), ("k2", b"2c")]);
        assert!(all.iter().all(|one| one.updated_at == second(1)));
    }

    #[rstest]
    #[tokio::test]
    async fn a_provider_is_kept_replaced_and_removed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let provider = |model: Option<&str>, at, by: &str| StoredProvider {
            name: "judge".into(),
            backend_type: "direct_api".into(),
            credential_name: model.map(|_| "key".into()),
            default_model: model.map(Into::into),
            config: json!({"base_url": "http://127.0.0.1:1"}),
            created_at: second(at),
            created_by: by.into(),
            updated_at: second(at),
            updated_by: by.into(),
        };
        store.set_provider(&provider(Some("m"), 1, "ada")).await.unwrap();
        store.set_provider(&provider(None, 2, "bob")).await.unwrap();
        let kept = StoredProvider { created_at: second(1), created_by: "ada".into(), ..provider(None, 2, "bob") };
        assert_eq!(store.credentials().await.unwrap().1, [kept]);
        assert_eq!(store.revisions().await.unwrap().of(Topic::Credentials), 2);
        assert!(store.remove_provider("judge").await.unwrap());
        assert!(!store.remove_provider("judge").await.unwrap());
    }
}
