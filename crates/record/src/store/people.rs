//! Who may use the admin side under a name of their own: each with a role, and a token that is kept as a hash.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError, Topic};
use crate::sql;

/// A person, without their token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPerson {
    /// Their id.
    pub id: Uuid,
    /// What they are called, once among all.
    pub name: String,
    /// What they may do, by its word.
    pub role: String,
    /// The BLAKE3 hash of their token.
    pub hash: [u8; 32],
    /// The token's first characters, for people.
    pub start: String,
    /// When they were added.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When the token was made.
    pub token_at: Timestamp,
    /// From when on it is not accepted any more.
    pub expires_at: Option<Timestamp>,
}

/// How adding somebody went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// They are there now.
    Yes,
    /// Somebody is called so already.
    NameTaken,
    /// There are too many already.
    TooMany,
}

impl Store {
    /// All of them, by name.
    pub async fn people(&self) -> Result<Vec<StoredPerson>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        Ok(sql::people::all(&mut connection.sql()).await?)
    }

    /// Adds somebody, where nobody is called so and fewer than `most` are there.
    pub async fn add_person(&self, person: &StoredPerson, most: usize) -> Result<Added, StoreError> {
        let mut work = self.change(Topic::People).await?;
        let others = sql::people::all(&mut work.sql()).await?;
        let name = person.name.to_lowercase();
        if others.iter().any(|other| other.name.to_lowercase() == name) {
            return Ok(Added::NameTaken);
        }
        if others.len() >= most {
            return Ok(Added::TooMany);
        }
        sql::people::add(&mut work.sql(), person).await?;
        work.commit().await?;
        Ok(Added::Yes)
    }

    /// Says anew what somebody may do and until when. `false`: there is nobody of this id.
    pub async fn set_person(&self, id: Uuid, role: &str, expires_at: Option<Timestamp>) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::People).await?;
        let done = sql::people::set(&mut work.sql(), id, role, expires_at).await?;
        work.commit().await?;
        Ok(done)
    }

    /// Gives somebody another token; what the old one opened ends. `false`: there is nobody of this id.
    pub async fn renew_person(&self, id: Uuid, hash: [u8; 32], start: &str, at: Timestamp) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::People).await?;
        let done = sql::people::renew(&mut work.sql(), id, hash, start, at).await?;
        sql::logins::end_of(&mut work.sql(), id).await?;
        work.commit().await?;
        Ok(done)
    }

    /// Removes somebody, with what their token opened. `false`: there is nobody of this id.
    pub async fn remove_person(&self, id: Uuid) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::People).await?;
        let done = sql::people::remove(&mut work.sql(), id).await?;
        sql::logins::end_of(&mut work.sql(), id).await?;
        work.commit().await?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::store::{LoginKind, StoredLogin};
    use crate::testing::{Db, recorder_on, second};

    fn person(number: u128, name: &str) -> StoredPerson {
        StoredPerson {
            id: Uuid::from_u128(number),
            name: name.into(),
            role: "viewer".into(),
            hash: [u8::try_from(number).unwrap(); 32],
            start: "ltp-abcd".into(),
            created_at: second(1),
            created_by: "admin".into(),
            token_at: second(1),
            expires_at: None,
        }
    }

    #[rstest]
    #[tokio::test]
    async fn people_are_kept_changed_and_removed(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        assert_eq!(store.add_person(&person(1, "Ann"), 2).await.unwrap(), Added::Yes);
        assert_eq!(store.add_person(&person(2, "ann"), 2).await.unwrap(), Added::NameTaken);
        assert_eq!(store.add_person(&person(2, "Bob"), 2).await.unwrap(), Added::Yes);
        assert_eq!(store.add_person(&person(3, "Eve"), 2).await.unwrap(), Added::TooMany);
        let (ann, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(store.set_person(ann, "admin", Some(second(9))).await.unwrap());
        assert!(store.renew_person(ann, [7; 32], "ltp-new", second(5)).await.unwrap());
        assert!(store.remove_person(bob).await.unwrap());
        assert!(!store.remove_person(bob).await.unwrap());
        assert!(!store.set_person(bob, "admin", None).await.unwrap());
        assert!(!store.renew_person(bob, [8; 32], "ltp-", second(5)).await.unwrap());
        let expected = StoredPerson {
            role: "admin".into(),
            hash: [7; 32],
            start: "ltp-new".into(),
            token_at: second(5),
            expires_at: Some(second(9)),
            ..person(1, "Ann")
        };
        assert_eq!(store.people().await.unwrap(), [expected]);
    }

    #[rstest]
    #[tokio::test]
    async fn logins_end_with_their_persons_token(
        #[values(Db::Sqlite, Db::Postgres)] db: Db,
        #[values(false, true)] renewed: bool,
    ) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        store.add_person(&person(1, "Ann"), 9).await.unwrap();
        let login = |hash: u8, person: Option<u128>| StoredLogin {
            hash: [hash; 32],
            person: person.map(Uuid::from_u128),
            bond: [0; 32],
            created_at: second(1),
            expires_at: second(100),
        };
        for one in [login(1, Some(1)), login(2, Some(2)), login(3, None)] {
            store.add_login(LoginKind::Session, &one, second(1)).await.unwrap();
        }
        if renewed {
            store.renew_person(Uuid::from_u128(1), [7; 32], "", second(2)).await.unwrap();
        } else {
            store.remove_person(Uuid::from_u128(1)).await.unwrap();
        }
        let mut left: Vec<u8> = store.login_sessions().await.unwrap().iter().map(|login| login.hash[0]).collect();
        left.sort_unstable();
        assert_eq!(left, [2, 3]);
    }
}
