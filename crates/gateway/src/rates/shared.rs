//! Accounts in Redis, which several gateways share. Where Redis does not answer at once each gateway counts for itself.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, Script, ScriptInvocation};
use tokio::time::timeout;
use uuid::Uuid;

use super::Quota;
use crate::replicas::PREFIX;

/// How long a request may wait for Redis.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long nobody waits for it after it did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);

/// [`Quota::take`] by the server's clock: gives whether it was taken, the account before, what comes of it, and the time.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local clock = redis.call('TIME')
        local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
        local each, ahead = tonumber(ARGV[1]), tonumber(ARGV[2])
        local account = tonumber(redis.call('GET', KEYS[1]) or '0')
        account = math.min(account, now + ahead)
        local after = math.max(account, now) + each
        local wait = after - ahead - now
        if wait > 0 then
            return {0, account, wait, now}
        end
        redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
        return {1, account, after, now}
        ",
    )
});

/// The account of a caller's tokens, and the time.
static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local clock = redis.call('TIME')
        local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
        return {tonumber(redis.call('GET', KEYS[1]) or '0'), now}
        ",
    )
});

/// Moves the account of a caller's tokens on by a time.
static MOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local clock = redis.call('TIME')
        local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
        local after = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + tonumber(ARGV[1])
        redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
        return 1
        ",
    )
});

/// The accounts.
pub(super) struct SharedAccounts {
    connection: ConnectionManager,
    began: Instant,
    /// Until when nobody waits for it, in milliseconds from the beginning.
    alone_until: AtomicU64,
}

impl std::fmt::Debug for SharedAccounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedAccounts").field("alone_until", &self.alone_until).finish_non_exhaustive()
    }
}

impl SharedAccounts {
    /// Over a connection that is made when it is first wanted, and again when it is lost.
    pub(super) fn new(client: Client) -> Option<Self> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        match ConnectionManager::new_lazy_with_config(client, config) {
            Ok(connection) => Some(Self { connection, began: Instant::now(), alone_until: AtomicU64::new(0) }),
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "rates are counted by each gateway alone");
                None
            }
        }
    }

    /// Counts a request: the account after or how long to wait, the account before, and the time, in microseconds. `None` where
    /// Redis does not say.
    pub(super) async fn take(&self, caller: &[u8; 16], quota: Quota) -> Option<(Result<i64, i64>, i64, i64)> {
        let mut call = TAKE.key(format!("{PREFIX}rate:{}", Uuid::from_bytes(*caller).simple()));
        call.arg(quota.each()).arg(quota.ahead());
        Some(match self.call::<(i64, i64, i64, i64)>(call).await? {
            (1, account, after, now) => (Ok(after), account, now),
            (_, account, wait, now) => (Err(wait), account, now),
        })
    }

    /// The account of a caller's tokens, and the time, in microseconds. `None` where Redis does not say.
    pub(super) async fn tokens(&self, caller: &[u8; 16]) -> Option<(i64, i64)> {
        self.call(LOOK.key(tokens_of(caller))).await
    }

    /// Moves the account of a caller's tokens on by so many microseconds. `false` where Redis does not say that it has.
    pub(super) async fn used(&self, caller: &[u8; 16], time: i64) -> bool {
        let mut call = MOVE.key(tokens_of(caller));
        call.arg(time);
        self.call::<i64>(call).await.is_some()
    }

    /// Runs a script, unless Redis is left alone.
    async fn call<T: FromRedisValue>(&self, call: ScriptInvocation<'_>) -> Option<T> {
        if self.alone_until.load(Ordering::Relaxed) > self.millis() {
            return None;
        }
        let mut connection = self.connection.clone();
        if let Ok(Ok(answer)) = timeout(PATIENCE, call.invoke_async::<T>(&mut connection)).await {
            return Some(answer);
        }
        self.leave_alone();
        None
    }

    /// For a while each request is counted here alone.
    fn leave_alone(&self) {
        let now = self.millis();
        let until = now + u64::try_from(LEFT_ALONE.as_millis()).unwrap_or_default();
        if self.alone_until.swap(until, Ordering::Relaxed) <= now {
            tracing::warn!("Redis does not answer at once: this gateway counts requests alone for a second");
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn tokens_of(caller: &[u8; 16]) -> String {
    format!("{PREFIX}tokens:{}", Uuid::from_bytes(*caller).simple())
}
