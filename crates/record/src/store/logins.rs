//! Sessions of browsers on the admin side, and links that begin one: kept as hashes.

use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError, Topic};
use crate::sql;

/// How many of a kind are kept; beyond it the oldest end.
const MOST: u32 = 1000;

/// What somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// A browser's session.
    Session,
    /// A link that begins one, once.
    Link,
}

impl LoginKind {
    fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Link => "link",
        }
    }
}

/// A session or a link, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLogin {
    /// The BLAKE3 hash of its token.
    pub hash: [u8; 32],
    /// Whose it is; none: of whoever has the admin key.
    pub person: Option<Uuid>,
    /// The token's hash keyed with the credential that it stands for: without that credential it does not hold.
    pub bond: [u8; 32],
    /// When it began.
    pub created_at: Timestamp,
    /// From when on it is not accepted any more.
    pub expires_at: Timestamp,
}

impl Store {
    /// All sessions, those that are over included.
    pub async fn login_sessions(&self) -> Result<Vec<StoredLogin>, StoreError> {
        let mut connection = self.follower.acquire().await?;
        Ok(sql::logins::all(&mut connection.sql(), LoginKind::Session.name()).await?)
    }

    /// Keeps one, and forgets those that are over.
    pub async fn add_login(&self, kind: LoginKind, login: &StoredLogin, now: Timestamp) -> Result<(), StoreError> {
        let mut work = self.change(Topic::Logins).await?;
        sql::logins::add(&mut work.sql(), kind.name(), login).await?;
        sql::logins::tidy(&mut work.sql(), kind.name(), now, MOST).await?;
        Ok(work.commit().await?)
    }

    /// Takes a link out, for whoever uses it: nobody else gets it. None: it was used, or never was.
    pub async fn take_login_link(&self, hash: [u8; 32]) -> Result<Option<StoredLogin>, StoreError> {
        let kind = LoginKind::Link.name();
        // Anybody may ask for a link: only one that there is costs a change.
        let mut connection = self.readers.acquire().await?;
        if sql::logins::one(&mut connection.sql(), kind, hash).await?.is_none() {
            return Ok(None);
        }
        drop(connection);
        let mut work = self.change(Topic::Logins).await?;
        let found = sql::logins::one(&mut work.sql(), kind, hash).await?;
        let ours = sql::logins::end(&mut work.sql(), kind, hash).await?;
        work.commit().await?;
        Ok(found.filter(|_| ours))
    }

    /// Ends a session. `false`: there is none.
    pub async fn end_login(&self, hash: [u8; 32]) -> Result<bool, StoreError> {
        let mut work = self.change(Topic::Logins).await?;
        let done = sql::logins::end(&mut work.sql(), LoginKind::Session.name(), hash).await?;
        work.commit().await?;
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{Db, recorder_on, second};

    fn login(hash: u8, expires: i64) -> StoredLogin {
        let (created_at, expires_at) = (second(1), second(expires));
        StoredLogin { hash: [hash; 32], person: None, bond: [hash; 32], created_at, expires_at }
    }

    #[rstest]
    #[tokio::test]
    async fn a_session_is_kept_until_it_ends(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        store.add_login(LoginKind::Session, &login(1, 10), second(1)).await.unwrap();
        store.add_login(LoginKind::Session, &login(2, 100), second(11)).await.unwrap();
        assert_eq!(store.login_sessions().await.unwrap(), [login(2, 100)], "the first is over");
        assert!(store.end_login([2; 32]).await.unwrap());
        assert!(!store.end_login([2; 32]).await.unwrap());
        assert!(store.login_sessions().await.unwrap().is_empty());
    }

    #[rstest]
    #[tokio::test]
    async fn a_link_is_used_by_one(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        store.add_login(LoginKind::Link, &login(1, 10), second(1)).await.unwrap();
        assert!(store.login_sessions().await.unwrap().is_empty());
        assert!(!store.end_login([1; 32]).await.unwrap(), "a link is no session");
        let (one, two) = tokio::join!(store.take_login_link([1; 32]), store.take_login_link([1; 32]));
        let got: Vec<_> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
        assert_eq!(got, [login(1, 10)]);
    }
}
