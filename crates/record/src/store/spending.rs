//! What keys, sessions and users have used: added up by the day, by all gateways on the database together.

use std::collections::BTreeMap;

use super::{Store, StoreError, unsigned};
use crate::sql::spending::{self, Amounts, Whose};

/// How many ids one statement names.
const AT_ONCE: usize = 500;

/// Who uses something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spender {
    /// `key`, `session` or `user`.
    pub scope: String,
    /// Which one.
    pub id: String,
    /// The key that a session belongs to, in hexadecimal digits; empty for others.
    pub owner: String,
}

/// How much was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens.
    pub tokens: u64,
    /// Billionths of a dollar.
    pub nanodollars: u64,
    /// Questions to judges.
    pub judge_calls: u64,
}

impl Spent {
    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(more.tokens),
            nanodollars: self.nanodollars.saturating_add(more.nanodollars),
            judge_calls: self.judge_calls.saturating_add(more.judge_calls),
        }
    }

    /// It is nothing.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }

    fn row(self) -> Amounts {
        [self.tokens, self.nanodollars, self.judge_calls].map(|amount| i64::try_from(amount).unwrap_or(i64::MAX))
    }

    fn of([tokens, nanodollars, judge_calls]: Amounts) -> Self {
        let unsigned = |amount: i64| unsigned(amount.max(0));
        Self { tokens: unsigned(tokens), nanodollars: unsigned(nanodollars), judge_calls: unsigned(judge_calls) }
    }
}

/// What somebody has used on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentOn {
    /// Who.
    pub who: Spender,
    /// Days since 1970, UTC.
    pub day: i64,
    /// How much.
    pub spent: Spent,
}

/// What somebody has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// On the day that was asked for.
    pub today: Spent,
    /// On all days.
    pub in_all: Spent,
}

impl Store {
    /// Adds to what was used: all of it or nothing.
    pub async fn spend(&self, more: &[SpentOn]) -> Result<(), StoreError> {
        if more.is_empty() {
            return Ok(());
        }
        let mut work = self.editor.begin().await?;
        // In one order, so that gateways do not wait for each other in a circle.
        let mut rows: Vec<_> = more.iter().map(|on| (whose(&on.who), on.day, on.spent.row())).collect();
        rows.sort_unstable();
        spending::add(&mut work.sql(), rows).await?;
        Ok(work.commit().await?)
    }

    /// What these have used on a day and in all; those who have used nothing are not in it.
    pub async fn spent(&self, of: &[Spender], day: i64) -> Result<BTreeMap<Spender, Totals>, StoreError> {
        let mut ids: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for who in of {
            ids.entry(&who.scope).or_default().push(who.id.clone());
        }
        let mut found = BTreeMap::new();
        let mut connection = self.follower.acquire().await?;
        for (scope, ids) in ids {
            for ids in ids.chunks(AT_ONCE) {
                found.extend(spending::totals(&mut connection.sql(), scope, ids, day).await?.into_iter().map(totals));
            }
        }
        Ok(found)
    }

    /// The same of all that have used something on a day or on one of the `before` days before it, at most so many.
    pub async fn spent_lately(
        &self,
        day: i64,
        before: i64,
        most: u32,
    ) -> Result<BTreeMap<Spender, Totals>, StoreError> {
        let mut connection = self.readers.acquire().await?;
        let rows = spending::latest(&mut connection.sql(), day.saturating_sub(before), day, most).await?;
        Ok(rows.into_iter().map(totals).collect())
    }

    /// Forgets what was used before a day.
    pub async fn forget_spending(&self, before: i64) -> Result<(), StoreError> {
        let mut work = self.editor.begin().await?;
        spending::drop_before(&mut work.sql(), before).await?;
        Ok(work.commit().await?)
    }
}

fn whose(who: &Spender) -> Whose {
    (who.scope.clone(), who.id.clone(), who.owner.clone())
}

fn totals(((scope, id, owner), today, in_all): (Whose, Amounts, Amounts)) -> (Spender, Totals) {
    (Spender { scope, id, owner }, Totals { today: Spent::of(today), in_all: Spent::of(in_all) })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::testing::{Db, recorder_on};

    fn who(scope: &str, id: &str, owner: &str) -> Spender {
        Spender { scope: scope.into(), id: id.into(), owner: owner.into() }
    }

    fn on(who: &Spender, day: i64, tokens: u64) -> SpentOn {
        SpentOn {
            who: who.clone(),
            day,
            spent: Spent { tokens, nanodollars: tokens.saturating_mul(10), judge_calls: 1 },
        }
    }

    #[rstest]
    #[tokio::test]
    async fn what_is_used_is_added_up_by_the_day_and_in_all(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let (key, mine, other) = (who("key", "k", ""), who("session", "s", "k"), who("session", "s", "l"));
        let more = [on(&key, 10, 5), on(&mine, 9, 7), on(&mine, 10, 1), on(&other, 10, 3)];
        store.spend(&more).await.unwrap();
        store.spend(&[on(&key, 10, 2)]).await.unwrap();
        let found = store.spent(&[key.clone(), mine.clone()], 10).await.unwrap();
        assert_eq!(found[&key].today, Spent { tokens: 7, nanodollars: 70, judge_calls: 2 });
        assert_eq!((found[&mine].today.tokens, found[&mine].in_all.tokens), (1, 8));
        assert_eq!(found[&other].today.tokens, 3, "of another key");
        let lately = store.spent_lately(11, 1, 10).await.unwrap();
        assert_eq!((lately.len(), lately[&mine].today.tokens, lately[&mine].in_all.tokens), (3, 0, 8));
        assert_eq!(store.spent_lately(12, 1, 10).await.unwrap().len(), 0);
        store.forget_spending(10).await.unwrap();
        assert_eq!(store.spent(std::slice::from_ref(&mine), 10).await.unwrap()[&mine].in_all.tokens, 1);
    }

    #[rstest]
    #[tokio::test]
    async fn gateways_that_add_at_once_lose_nothing(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let (one, two) = (who("user", "ada", ""), who("user", "bob", ""));
        let add = |store: Store, first: Spender, second: Spender| async move {
            for _ in 0..25 {
                store.spend(&[on(&first, 1, 1), on(&second, 1, 1)]).await.unwrap();
            }
        };
        let store = recorder.store();
        tokio::join!(add(store.clone(), one.clone(), two.clone()), add(store.clone(), two.clone(), one.clone()));
        let found = store.spent(&[one.clone(), two.clone()], 1).await.unwrap();
        assert_eq!((found[&one].today.tokens, found[&two].today.tokens), (50, 50));
    }

    #[rstest]
    #[tokio::test]
    async fn the_largest_amounts_stay_in_their_bounds(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
        let (_home, recorder) = recorder_on(db).await;
        let store = recorder.store();
        let ada = who("user", "ada", "");
        for _ in 0..3 {
            store.spend(&[on(&ada, 1, u64::MAX)]).await.unwrap();
        }
        let found = store.spent(std::slice::from_ref(&ada), 1).await.unwrap();
        assert!(found[&ada].today.tokens >= 1 << 56);
    }
}
