//! By what several processes on one database see that something was changed: a number for each topic, raised with every change.

use std::collections::BTreeMap;

use super::{Store, StoreError, unsigned};
use crate::sql::{self, Work};

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The policy for everything.
    Policies,
    /// The policies for a part of the traffic.
    Assignments,
    /// The panic switch.
    Panic,
    /// The keys that the gateway gives to its clients.
    ClientKeys,
    /// The settings that are changed while running.
    Settings,
    /// What keys, sessions and users may use.
    Caps,
    /// Who may use the admin side.
    People,
    /// The sessions of their browsers.
    Logins,
    /// The gateway's own credentials, and the providers that use them.
    Credentials,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Policies,
        Self::Assignments,
        Self::Panic,
        Self::ClientKeys,
        Self::Settings,
        Self::Caps,
        Self::People,
        Self::Logins,
        Self::Credentials,
    ];

    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policies => "policies",
            Self::Assignments => "assignments",
            Self::Panic => "panic",
            Self::ClientKeys => "client_keys",
            Self::Settings => "settings",
            Self::Caps => "caps",
            Self::People => "people",
            Self::Logins => "logins",
            Self::Credentials => "credentials",
        }
    }
}

/// How often each topic was changed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revisions(BTreeMap<Topic, u64>);

impl Revisions {
    /// Of one topic; 0 where it never was.
    pub fn of(&self, topic: Topic) -> u64 {
        self.0.get(&topic).copied().unwrap_or_default()
    }
}

impl Store {
    /// Begins a change of this topic. Changes of a topic take turns, so that their order is that of their numbers.
    pub(super) async fn change(&self, topic: Topic) -> Result<Work, StoreError> {
        let mut work = self.editor.begin().await?;
        sql::revisions::raise(&mut work.sql(), topic.name()).await?;
        Ok(work)
    }

    /// How often each topic was changed so far. Cheap.
    pub async fn revisions(&self) -> Result<Revisions, StoreError> {
        let mut connection = self.follower.acquire().await?;
        let rows = sql::revisions::all(&mut connection.sql()).await?;
        let known = |name: &str| Topic::ALL.into_iter().find(|topic| topic.name() == name);
        Ok(Revisions(rows.iter().filter_map(|(name, number)| Some((known(name)?, unsigned(*number)))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::database::DatabaseOptions;
    use crate::store::{StoredAssignment, StoredPanic, StoredPolicy};
    use crate::testing::{Db, recorder_on, second};

    fn policy() -> StoredPolicy {
        StoredPolicy {
            class_ref: "no_op".to_owned(),
            config: json!({}),
            mode: None,
            enabled_at: second(0),
            enabled_by: "a".to_owned(),
        }
    }

    fn assignment() -> StoredAssignment {
        StoredAssignment {
            id: 0,
            scope: "global".to_owned(),
            credential: None,
            name: None,
            class_ref: "no_op".to_owned(),
            config: json!({}),
            mode: "enforce".to_owned(),
            how: "add".to_owned(),
            set_at: second(0),
            set_by: "a".to_owned(),
            expires_at: None,
            ended: None,
        }
    }

    fn panic(mode: &str, seconds: i64) -> StoredPanic {
        let (mode, set_by) = (mode.to_owned(), "a".to_owned());
        StoredPanic { mode, reason: None, message: None, set_at: second(seconds), set_by }
    }

    async fn numbers(store: &Store) -> Vec<u64> {
        let now = store.revisions().await.unwrap();
        [Topic::Policies, Topic::Assignments, Topic::Panic].map(|topic| now.of(topic)).to_vec()
    }

    #[rstest]
    #[tokio::test]
    async fn every_change_raises_the_number_of_its_topic(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        assert_eq!(numbers(store).await, [0, 0, 0]);
        assert_eq!(store.set_policy(&policy()).await.unwrap(), 1);
        assert_eq!(store.set_policy(&policy()).await.unwrap(), 2);
        assert_eq!(numbers(store).await, [2, 0, 0]);
        let id = store.assign(&assignment()).await.unwrap();
        store.end_assignment(id, second(1), "b").await.unwrap();
        assert_eq!(numbers(store).await, [2, 2, 0]);
        store.set_panic(&panic("traffic", 1)).await.unwrap();
        assert_eq!(numbers(store).await, [2, 2, 1]);
    }

    #[rstest]
    #[tokio::test]
    async fn versions_of_policies_that_are_set_at_once_follow_their_numbers(
        #[values(Db::Sqlite, Db::Postgres)] db: Db,
    ) {
        let (_home, recorder) = recorder_on(db).await;
        let other = recorder.store().clone();
        let set = |store: Store| async move {
            let mut versions = Vec::new();
            for _ in 0..20 {
                versions.push(store.set_policy(&policy()).await.unwrap());
            }
            versions
        };
        let (one, two) = tokio::join!(set(recorder.store().clone()), set(other));
        let mut all = [one, two].concat();
        all.sort_unstable();
        assert_eq!(all, (1..=40).collect::<Vec<_>>());
        assert_eq!(numbers(recorder.store()).await, [40, 0, 0]);
    }

    #[rstest]
    #[tokio::test]
    async fn of_the_panic_switch_the_latest_order_counts(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        store.set_panic(&panic("traffic", 9)).await.unwrap();
        // Kept late: the database was away where it was given.
        store.set_panic(&panic("off", 5)).await.unwrap();
        assert_eq!(store.panic().await.unwrap().unwrap().mode, "traffic");
    }

    #[rstest]
    #[tokio::test]
    async fn what_others_change_is_seen_beside_slow_queries(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        store.set_panic(&panic("traffic", 1)).await.unwrap();
        let mut busy = Vec::new();
        for _ in 0..DatabaseOptions::default().pool_size {
            busy.push(store.readers().acquire().await.unwrap());
        }
        assert_eq!(numbers(store).await, [0, 0, 1]);
        assert_eq!(store.panic().await.unwrap().unwrap().mode, "traffic");
        assert!(store.current_policy().await.unwrap().is_none());
        assert!(store.assignments().await.unwrap().is_empty());
        assert!(store.client_keys().await.unwrap().is_empty());
        assert!(store.settings().await.unwrap().is_empty());
        assert!(store.people().await.unwrap().is_empty());
        assert!(store.login_sessions().await.unwrap().is_empty());
        assert!(store.credentials().await.unwrap().0.is_empty());
        drop(busy);
    }
}
