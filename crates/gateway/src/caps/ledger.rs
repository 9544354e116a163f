//! What has been used: as the database had it last, and what this gateway has added since.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use lru::LruCache;
use luthien_record::store::{Spender, Spent, SpentOn, Totals};

use super::ScopeId;

/// How many keys, sessions and users are remembered; the one that was silent longest is forgotten first, and read again when it comes.
pub(super) const MOST: usize = 100_000;

/// How many may wait for the database; beyond that nothing new is counted, which is told.
const MOST_WAITING: usize = 2 * MOST;

const DAY: i64 = 86_400;

/// The day of a time, counted from 1970, UTC.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(DAY)
}

/// When the day after a time begins.
pub(crate) fn next_day(at: Timestamp) -> Timestamp {
    Timestamp::from_second((day_of(at) + 1) * DAY).unwrap_or(at)
}

/// What all have used.
#[derive(Debug)]
pub(super) struct Ledger(Mutex<Books>);

#[derive(Debug)]
struct Books {
    /// As the database had it.
    known: LruCache<ScopeId, Known>,
    /// What it does not have yet.
    waiting: HashMap<(ScopeId, i64), Spent>,
    /// What is on its way there.
    under_way: HashMap<(ScopeId, i64), Spent>,
    /// Who was asked about since the database was last read.
    touched: HashSet<ScopeId>,
    /// So many amounts were not counted.
    lost: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    day: i64,
    totals: Totals,
}

/// What is to be kept now, and who is to be read.
pub(super) struct Batch {
    pub(super) more: Vec<SpentOn>,
    pub(super) of: Vec<Spender>,
    pub(super) lost: u64,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let most = NonZeroUsize::new(MOST).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(Books {
            known: LruCache::new(most),
            waiting: HashMap::new(),
            under_way: HashMap::new(),
            touched: HashSet::new(),
            lost: 0,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one has used today and in all; the database is asked about it soon.
    pub(super) fn used(&self, who: &ScopeId, day: i64) -> Totals {
        let mut books = self.lock();
        if books.touched.len() < MOST && !books.touched.contains(who) {
            books.touched.insert(who.clone());
        }
        books.used(who, day)
    }

    /// Adds to what one has used.
    pub(super) fn add(&self, who: &ScopeId, day: i64, spent: Spent) {
        if spent.is_nothing() {
            return;
        }
        self.lock().wait(who, day, spent);
    }

    /// Adds a question to a judge, unless one has asked so many today. Asked and counted in one: no two take the last.
    pub(super) fn add_judge_call(&self, who: &[(ScopeId, Option<u64>)], day: i64) -> Result<(), (usize, u64)> {
        let mut books = self.lock();
        for (at, (who, most)) in who.iter().enumerate() {
            let Some(most) = most else { continue };
            let used = books.used(who, day).today.judge_calls;
            if used >= *most {
                return Err((at, used));
            }
        }
        for (who, _) in who {
            books.wait(who, day, Spent { judge_calls: 1, ..Spent::default() });
        }
        Ok(())
    }

    /// Takes what the database does not have yet. Until [`Self::kept`] it counts as it did, and is taken again.
    pub(super) fn batch(&self) -> Batch {
        let mut books = self.lock();
        let waiting = std::mem::take(&mut books.waiting);
        for ((who, day), spent) in waiting {
            let sum = books.under_way.entry((who, day)).or_default();
            *sum = sum.and(spent);
        }
        let on =
            |((who, day), spent): (&(ScopeId, i64), &Spent)| SpentOn { who: spender(who), day: *day, spent: *spent };
        let more = books.under_way.iter().map(on).collect();
        let of = books.touched.drain().map(|who| spender(&who)).collect();
        Batch { more, of, lost: std::mem::take(&mut books.lost) }
    }

    /// The database has what was taken.
    pub(super) fn kept(&self) {
        let mut books = self.lock();
        for ((who, day), spent) in std::mem::take(&mut books.under_way) {
            let known = books.known.get_or_insert_mut(who, || Known { day, totals: Totals::default() });
            known.totals.in_all = known.totals.in_all.and(spent);
            if known.day < day {
                (known.day, known.totals.today) = (day, Spent::default());
            }
            if known.day == day {
                known.totals.today = known.totals.today.and(spent);
            }
        }
    }

    /// What the database says of these; who is not in it has used nothing. What is on its way there now is not in it.
    pub(super) fn read(&self, totals: &BTreeMap<Spender, Totals>, of: &[Spender], day: i64) {
        let mut books = self.lock();
        books.learn(totals, day);
        for who in of.iter().filter(|who| !totals.contains_key(who)) {
            if let Some(who) = ScopeId::of_texts(&who.scope, &who.id, &who.owner) {
                books.known.put(who, Known { day, totals: Totals::default() });
            }
        }
    }

    /// The database has not answered: these are to be read the next time.
    pub(super) fn not_kept(&self, of: &[Spender]) {
        let mut books = self.lock();
        let again = of.iter().filter_map(|who| ScopeId::of_texts(&who.scope, &who.id, &who.owner));
        books.touched.extend(again);
    }

    /// What the database says of these.
    pub(super) fn learn(&self, totals: &BTreeMap<Spender, Totals>, day: i64) {
        self.lock().learn(totals, day);
    }
}

impl Books {
    fn used(&mut self, who: &ScopeId, day: i64) -> Totals {
        let known = self.known.get(who).copied();
        let mut totals = known.map_or_else(Totals::default, |known| known.totals);
        if known.is_none_or(|known| known.day != day) {
            totals.today = Spent::default();
        }
        let key = (who.clone(), day);
        for books in [&self.waiting, &self.under_way] {
            if let Some(spent) = books.get(&key) {
                totals = Totals { today: totals.today.and(*spent), in_all: totals.in_all.and(*spent) };
            }
        }
        totals
    }

    fn wait(&mut self, who: &ScopeId, day: i64, spent: Spent) {
        let key = (who.clone(), day);
        if self.waiting.len() + self.under_way.len() >= MOST_WAITING
            && !self.waiting.contains_key(&key)
            && !self.under_way.contains_key(&key)
        {
            self.lost += 1;
            return;
        }
        let sum = self.waiting.entry(key).or_default();
        *sum = sum.and(spent);
    }

    fn learn(&mut self, totals: &BTreeMap<Spender, Totals>, day: i64) {
        for (who, totals) in totals {
            if let Some(who) = ScopeId::of_texts(&who.scope, &who.id, &who.owner) {
                self.known.put(who, Known { day, totals: *totals });
            }
        }
    }
}

/// As the database keeps it.
pub(super) fn spender(who: &ScopeId) -> Spender {
    Spender { scope: who.kind().name().to_owned(), id: who.name(), owner: who.owner() }
}
