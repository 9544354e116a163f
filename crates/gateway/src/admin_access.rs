//! Who gets in at the admin side: the admin key, people's tokens, and the sessions of their browsers.
//!
//! What requests need is in memory and follows the database, which is waited for only where somebody logs in or out.

pub(crate) mod browser;
mod guesses;
mod people;
pub(crate) mod tokens;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Version, header};
use jiff::Timestamp;
use luthien_record::Store;
use luthien_record::store::{LoginKind, StoreError, StoredLogin};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use self::guesses::Guesses;
use self::people::People;
pub(crate) use self::people::Person;
use crate::admin::{Proof, Who};
use crate::clock::Clock;
use crate::replicas::Hints;

/// How long a browser's session lasts.
pub(crate) const SESSION: Duration = Duration::from_hours(24);

/// How long a login link is good for.
const LINK: Duration = Duration::from_mins(10);

/// How long to wait before what could not be read is read again.
const AGAIN: Duration = Duration::from_millis(500);

/// What decides who gets in.
#[derive(Debug)]
pub struct AdminAccessConfig {
    /// The admin key.
    pub admin: SecretString,
    /// Calls from this machine need no key. Only with a listener that nobody else reaches.
    pub bypass: bool,
    /// Where people and sessions are kept.
    pub store: Store,
    /// By what other gateways are told that something was changed.
    pub hints: Hints,
    /// The time.
    pub clock: Clock,
}

/// Who gets in. Cloning shares it.
#[derive(Clone, Debug)]
pub struct AdminAccess {
    inner: Arc<Inner>,
}

struct Inner {
    /// The admin key's hash: comparing takes the same time whatever is presented.
    admin: blake3::Hash,
    /// The key of the bonds of those sessions that the admin key began.
    admin_bond: [u8; 32],
    people: People,
    sessions: ArcSwap<HashMap<[u8; 32], StoredLogin>>,
    guesses: Guesses,
    bypass: bool,
    store: Store,
    hints: Hints,
    clock: Clock,
    /// What is read later counts later.
    turn: Mutex<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminAccess").field("bypass", &self.bypass).finish_non_exhaustive()
    }
}

/// Whose credential something was.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    /// Whoever has the admin key.
    AdminKey,
    /// A person.
    Person(Arc<Person>),
}

impl Holder {
    pub(crate) fn who(&self, proof: Proof) -> Who {
        match self {
            Self::AdminKey => Who::with_admin_key(proof),
            Self::Person(person) => Who::person(person, proof),
        }
    }
}

/// Why somebody does not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing came that opens anything.
    Nothing,
    /// What came does not open it.
    Wrong,
    /// Too many wrong ones came; again after this time.
    TooMany(Duration),
    /// A page of another site made a browser send it.
    CrossSite,
}

/// Something that was to be kept was not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccessError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system.
    #[error("the system gives no random numbers now")]
    NoRandomness,
}

impl From<getrandom::Error> for AccessError {
    fn from(_: getrandom::Error) -> Self {
        Self::NoRandomness
    }
}

impl AdminAccess {
    /// With the people and sessions that the database holds.
    pub async fn stored(config: AdminAccessConfig) -> Result<Self, StoreError> {
        let admin = config.admin.expose_secret().as_bytes();
        let access = Self {
            inner: Arc::new(Inner {
                admin: blake3::hash(admin),
                admin_bond: blake3::derive_key("luthien: sessions that the admin key began", admin),
                people: People::default(),
                sessions: ArcSwap::default(),
                guesses: Guesses::new(),
                bypass: config.bypass,
                store: config.store,
                hints: config.hints,
                clock: config.clock,
                turn: Mutex::new(()),
            }),
        };
        access.take().await?;
        Ok(access)
    }

    /// Takes over what the database holds now.
    pub async fn take(&self) -> Result<(), StoreError> {
        let inner = &self.inner;
        let _turn = inner.turn.lock().await;
        inner.people.take(&inner.store).await?;
        let sessions = inner.store.login_sessions().await?;
        inner.sessions.store(Arc::new(sessions.into_iter().map(|session| (session.hash, session)).collect()));
        Ok(())
    }

    /// Takes over a change of this gateway's own, and tells the others of it. What is not in force at once is so as soon as the
    /// database can be read.
    pub(crate) async fn changed(&self) {
        self.inner.hints.give();
        if let Err(error) = self.take().await {
            tracing::warn!(%error, "a change of who gets in is not in force at once");
        }
    }

    /// Until `stop`: takes over what the database holds whenever one of these numbers says that it was changed.
    pub async fn follow(
        self,
        mut people: watch::Receiver<u64>,
        mut sessions: watch::Receiver<u64>,
        stop: CancellationToken,
    ) {
        loop {
            let changed = tokio::select! {
                () = stop.cancelled() => return,
                changed = people.changed() => changed,
                changed = sessions.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            while let Err(error) = self.take().await {
                tracing::warn!(%error, "who gets in cannot be read; trying again");
                if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
                    return;
                }
            }
        }
    }

    /// Who makes this call. A credential in a header counts before a cookie, and a wrong one is refused whatever else came.
    pub(crate) fn identify(&self, head: &Parts) -> Result<Who, Refused> {
        let (headers, peer) = (&head.headers, peer(head));
        let mut any = false;
        let mut found = None;
        for presented in presented(headers) {
            any = true;
            let holder = self.holder(presented, peer)?;
            found = found.or(holder.map(|holder| holder.who(Proof::of_credential(&holder))));
        }
        if any {
            return found.ok_or(Refused::Wrong);
        }
        if let Some(who) = self.session(headers) {
            // A browser sends its cookie along whoever makes it call.
            let safe = head.method.is_safe() || browser::same_origin(headers, &head.uri);
            return if safe { Ok(who) } else { Err(Refused::CrossSite) };
        }
        // A proxy that says nothing of itself often speaks HTTP/1.0, as nginx does.
        if self.inner.bypass
            && head.version != Version::HTTP_10
            && browser::straight_from_here(headers, &head.uri, peer)
        {
            return Ok(Who::by_bypass());
        }
        Err(Refused::Nothing)
    }

    /// Whose this credential is: the admin key or a person's token.
    pub(crate) fn holder(&self, credential: &[u8], peer: IpAddr) -> Result<Option<Holder>, Refused> {
        let inner = &self.inner;
        let compare = || {
            let hash = blake3::hash(credential);
            if bool::from(inner.admin.as_bytes().ct_eq(hash.as_bytes())) {
                return Some(Holder::AdminKey);
            }
            inner.people.with_token(hash.as_bytes(), inner.clock.now()).map(Holder::Person)
        };
        inner.guesses.judged(credential, peer, compare).map_err(Refused::TooMany)
    }

    /// Who is logged in, by the cookie.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Option<Who> {
        let (now, sessions) = (self.inner.clock.now(), self.inner.sessions.load());
        browser::cookies(headers).filter(|token| tokens::is(tokens::SESSION, token)).find_map(|token| {
            let login = sessions.get(&tokens::hash(token)).filter(|login| now < login.expires_at)?;
            Some(self.bound(login, token, now)?.who(Proof::Session).in_session(login.hash))
        })
    }

    /// Whose a session or a link is, if the credential that it stands for still counts.
    fn bound(&self, login: &StoredLogin, token: &[u8], now: Timestamp) -> Option<Holder> {
        let holder = match login.person {
            None => Holder::AdminKey,
            Some(id) => Holder::Person(self.inner.people.of(id, now)?),
        };
        bool::from(login.bond.ct_eq(&self.bond(&holder, token))).then_some(holder)
    }

    fn bond(&self, holder: &Holder, token: &[u8]) -> [u8; 32] {
        let key = match holder {
            Holder::AdminKey => &self.inner.admin_bond,
            Holder::Person(person) => &person.hash,
        };
        *blake3::keyed_hash(key, token).as_bytes()
    }

    /// Begins a session; gives the cookie's value.
    pub(crate) async fn begin(&self, holder: &Holder) -> Result<SecretString, AccessError> {
        let token = self.keep(LoginKind::Session, holder).await?;
        self.changed().await;
        Ok(token)
    }

    /// Makes a link's token, good once and for ten minutes; gives it with its end.
    pub(crate) async fn link(&self, holder: &Holder) -> Result<(SecretString, Timestamp), AccessError> {
        let expires_at = later(self.inner.clock.now(), LINK);
        Ok((self.keep(LoginKind::Link, holder).await?, expires_at))
    }

    /// Makes the token of a link for whoever has the admin key.
    pub async fn admin_link(&self) -> Result<SecretString, String> {
        let link = self.link(&Holder::AdminKey).await;
        link.map(|(token, _)| token).map_err(|error| error.to_string())
    }

    /// Whoever makes this call, as the holder of what it proves; none for those who proved nothing.
    pub(crate) fn holder_of(&self, who: &Who) -> Option<Holder> {
        match (who.id(), who.proof()) {
            (_, Proof::Bypass) => None,
            (None, _) => Some(Holder::AdminKey),
            (Some((id, _)), _) => self.inner.people.of(id, self.inner.clock.now()).map(Holder::Person),
        }
    }

    /// Whether what let somebody in still does.
    pub(crate) fn still(&self, who: &Who) -> bool {
        let (inner, now) = (&self.inner, self.inner.clock.now());
        let same = |(id, token)| inner.people.of(id, now).is_some_and(|person| person.hash == token);
        let open = |session| inner.sessions.load().get(&session).is_some_and(|login| now < login.expires_at);
        who.id().is_none_or(same) && who.session().is_none_or(open)
    }

    async fn keep(&self, kind: LoginKind, holder: &Holder) -> Result<SecretString, AccessError> {
        let (prefix, lasts) = match kind {
            LoginKind::Session => (tokens::SESSION, SESSION),
            LoginKind::Link => (tokens::LINK, LINK),
        };
        let (token, hash) = tokens::make(prefix)?;
        let now = self.inner.clock.now();
        let login = StoredLogin {
            hash,
            person: match holder {
                Holder::AdminKey => None,
                Holder::Person(person) => Some(person.id),
            },
            bond: self.bond(holder, token.expose_secret().as_bytes()),
            created_at: now,
            expires_at: later(now, lasts),
        };
        self.inner.store.add_login(kind, &login, now).await?;
        Ok(token)
    }

    /// Uses a link up; gives whose it was.
    pub(crate) async fn use_link(&self, token: &[u8]) -> Result<Option<Holder>, AccessError> {
        if !tokens::is(tokens::LINK, token) {
            return Ok(None);
        }
        let found = self.inner.store.take_login_link(tokens::hash(token)).await?;
        let now = self.inner.clock.now();
        Ok(found.filter(|link| now < link.expires_at).and_then(|link| self.bound(&link, token, now)))
    }

    /// Ends a session.
    pub(crate) async fn end(&self, session: [u8; 32]) -> Result<(), AccessError> {
        self.inner.store.end_login(session).await?;
        self.changed().await;
        Ok(())
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    // As finely as the database keeps it.
    let end = now.checked_add(by).unwrap_or(Timestamp::MAX);
    Timestamp::from_microsecond(end.as_microsecond()).unwrap_or(end)
}

/// Where a call comes from. Where that is not known, it is no address of anybody's.
pub(crate) fn peer(head: &Parts) -> IpAddr {
    let info = head.extensions.get::<ConnectInfo<SocketAddr>>();
    info.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(address)| address.ip())
}

/// The credentials that the headers hold.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearers = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let keys = headers.get_all("x-api-key").iter().map(|value| value.as_bytes().trim_ascii());
    bearers.chain(keys).filter(|presented| !presented.is_empty())
}

/// The token of a `Bearer` value.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}
