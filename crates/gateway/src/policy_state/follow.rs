//! What another process has set in the database comes into force here.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use luthien_record::store::Topic;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{PolicyState, SetError, assign, halt, in_time, source, standing};
use crate::revisions::Watched;
use crate::scopes::Assigned;

/// What is followed here.
const TOPICS: [Topic; 3] = [Topic::Policies, Topic::Assignments, Topic::Panic];

/// How long to wait before what could not be read is read again.
const AGAIN: Duration = Duration::from_millis(500);

impl PolicyState {
    /// What was changed in the database, for whoever follows it too.
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Until `stop`: puts in force what other processes set.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let topics = join_all(TOPICS.map(|topic| self.follow_topic(topic, self.watched.watch(topic))));
        tokio::select! {
            () = self.watched.look(stop) => {}
            _ = topics => {}
        }
    }

    /// After each change of the number: reads what was changed, again until that succeeds.
    async fn follow_topic(&self, topic: Topic, mut number: watch::Receiver<u64>) {
        while number.changed().await.is_ok() {
            while let Err(error) = self.take(topic).await {
                tracing::warn!(%error, topic = topic.name(), "what was set elsewhere cannot be read; trying again");
                sleep(AGAIN).await;
            }
        }
    }

    async fn take(&self, topic: Topic) -> Result<(), SetError> {
        match topic {
            Topic::Policies => self.take_policy().await,
            Topic::Assignments => self.take_assignments().await,
            Topic::Panic => self.take_panic().await,
            // Followed by whoever has them.
            Topic::ClientKeys | Topic::Settings | Topic::Caps | Topic::People | Topic::Logins | Topic::Credentials => {
                Ok(())
            }
        }
    }

    /// The policy that was set last, unless it is in force, or a later one is.
    async fn take_policy(&self) -> Result<(), SetError> {
        let Some((version, stored)) = in_time(source::stored(&self.store)).await? else { return Ok(()) };
        if version <= self.live.load().standing.version {
            return Ok(());
        }
        let chosen = source::from_database(stored, version, self.clock.now());
        let standing = standing(chosen, &self.env).await;
        let (policy, by) = (standing.active.policy.clone(), standing.active.enabled_by.clone());
        let rejected = standing.rejected().map(ToString::to_string);
        if !self.live.swap(standing, |now| now.version < version) {
            return Ok(());
        }
        match rejected {
            None => tracing::info!(%policy, version, %by, "policy changed elsewhere"),
            Some(reason) => {
                tracing::error!(%reason, version, %by, "the policy that was set elsewhere is rejected here");
            }
        }
        self.changed.notify_one();
        Ok(())
    }

    /// The assignments that stand in the database, and no others of those that were in force before.
    async fn take_assignments(&self) -> Result<(), SetError> {
        // What is assigned or ended here while the database is read is right already.
        let before: HashSet<u64> = self.live.load().assignments.all().map(|one| one.id).collect();
        let stored = in_time(self.store.assignments()).await?;
        let standing: HashSet<u64> = stored.iter().map(|one| one.id).collect();
        let ended: Vec<u64> = before.iter().copied().filter(|id| *id != 0 && !standing.contains(id)).collect();
        let now = self.clock.now();
        let new = stored.into_iter().filter(|one| !before.contains(&one.id));
        let loading = new.map(|one| assign::from_store(one, &self.env));
        let new: Vec<Arc<Assigned>> = join_all(loading).await.into_iter().map(Arc::new).collect();
        for assigned in &new {
            let (id, scope, policy) = (assigned.id, assigned.scope.kind(), assigned.name());
            match &assigned.loaded {
                Ok(_) => tracing::info!(assignment = id, scope, policy, "policy assigned elsewhere"),
                Err(reason) => {
                    tracing::error!(assignment = id, %reason, "a policy that was assigned elsewhere is rejected here");
                }
            }
        }
        self.live.assign(|assignments| {
            let kept = ended.iter().fold(assignments.clone(), |kept, id| kept.without(*id));
            let known: HashSet<u64> = kept.all().map(|one| one.id).collect();
            let added = new.iter().filter(|one| !known.contains(&one.id) && !one.is_over(now));
            added.fold(kept, |kept, one| kept.with(Arc::clone(one)))
        });
        for id in ended {
            tracing::info!(assignment = id, "policy assignment ended elsewhere");
        }
        self.changed.notify_one();
        Ok(())
    }

    /// The panic switch as it was turned last, here or elsewhere.
    async fn take_panic(&self) -> Result<(), SetError> {
        let _keeping = self.keeping.lock().await;
        let Some(stored) = in_time(self.store.panic()).await? else { return Ok(()) };
        let at = stored.set_at;
        let order = halt::order(stored);
        if let Some(number) = self.live.halt_later(&order, at) {
            self.kept.store(number, Ordering::SeqCst);
            let (mode, by) = (order.mode.name(), &order.by);
            tracing::warn!(mode, %by, "the panic switch was turned elsewhere");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
