//! What came of all rows, counted: by label, by group, right and wrong, and how long it took.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use luthien_policy::evaluate::{Outcome, Point, Share, Verdict, auc, quantile, roc};

use super::EvalArgs;
use super::read::Row;

/// Labels that do not mean bad.
const GOOD: [&str; 5] = ["benign", "safe", "allow", "good", "ok"];

/// A row and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) row: Arc<Row>,
    pub(super) verdict: Verdict,
}

/// How often each outcome came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    of: BTreeMap<Outcome, u32>,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        *self.of.entry(outcome).or_default() += 1;
    }

    pub(super) fn of<'a>(tried: impl IntoIterator<Item = &'a Tried>) -> Self {
        let mut counts = Self::default();
        tried.into_iter().for_each(|one| counts.add(one.verdict.outcome));
        counts
    }

    pub(super) fn get(&self, outcome: Outcome) -> u32 {
        self.of.get(&outcome).copied().unwrap_or_default()
    }

    fn sum(&self, which: impl Fn(Outcome) -> bool) -> u32 {
        self.of.iter().filter(|(outcome, _)| which(**outcome)).map(|(_, count)| count).sum()
    }

    pub(super) fn rows(&self) -> u32 {
        self.sum(|_| true)
    }

    /// Rows that a policy decided not simply to let go on.
    pub(super) fn caught(&self) -> Share {
        Share { count: self.sum(Outcome::is_caught), of: self.rows() }
    }

    pub(super) fn failed(&self) -> u32 {
        self.sum(Outcome::is_failed)
    }
}

/// Everything counted.
pub(super) struct Tally {
    /// The policies' names.
    pub(super) policy: String,
    pub(super) tried: Vec<Tried>,
    /// Rows that the filters left out.
    pub(super) left_out: usize,
    positive: Vec<String>,
    group: Option<String>,
}

/// The confusion counts. Rows that nobody decided are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Confusion {
    pub(super) tp: u32,
    pub(super) fp: u32,
    pub(super) tn: u32,
    pub(super) fn_: u32,
}

/// Times, in whole steps of what was measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) median: Duration,
    pub(super) p95: Duration,
    pub(super) max: Duration,
}

impl Tally {
    pub(super) fn of(args: &EvalArgs, policy: String, tried: Vec<Tried>, left_out: usize) -> Self {
        Self { policy, tried, left_out, positive: args.positive.clone(), group: args.group_by.clone() }
    }

    /// Whether a label means bad; `None` without a label.
    pub(super) fn is_bad(&self, row: &Row) -> Option<bool> {
        let label = row.label.as_deref()?;
        Some(if self.positive.is_empty() {
            !GOOD.iter().any(|good| label.eq_ignore_ascii_case(good))
        } else {
            self.positive.iter().any(|bad| bad == label)
        })
    }

    /// The rows that are bad, or the good ones.
    pub(super) fn side(&self, bad: bool) -> impl Iterator<Item = &Tried> {
        self.tried.iter().filter(move |one| self.is_bad(&one.row) == Some(bad))
    }

    /// The counts by label, bad ones first; rows without one last, as "(no label)".
    pub(super) fn labels(&self) -> Vec<(String, Counts)> {
        self.counted(|_| vec![String::new()]).into_iter().map(|((_, label), counts)| (label, counts)).collect()
    }

    /// The counts by the value of the group's field and label.
    pub(super) fn groups(&self) -> Vec<((String, String), Counts)> {
        let Some(field) = &self.group else { return Vec::new() };
        self.counted(|row| {
            let values = row.values(field);
            if values.is_empty() { vec!["(none)".to_owned()] } else { values }
        })
    }

    fn counted(&self, groups: impl Fn(&Row) -> Vec<String>) -> Vec<((String, String), Counts)> {
        let mut counted: BTreeMap<(u8, String, String), Counts> = BTreeMap::new();
        for one in &self.tried {
            let label = one.row.label.clone().unwrap_or_else(|| "(no label)".to_owned());
            let order = self.is_bad(&one.row).map_or(2, |bad| u8::from(!bad));
            for group in groups(&one.row) {
                counted.entry((order, label.clone(), group)).or_default().add(one.verdict.outcome);
            }
        }
        counted.into_iter().map(|((_, label, group), counts)| ((group, label), counts)).collect()
    }

    pub(super) fn confusion(&self) -> Confusion {
        let (bad, good) = (Counts::of(self.side(true)), Counts::of(self.side(false)));
        Confusion {
            tp: bad.caught().count,
            fn_: bad.get(Outcome::Passed),
            fp: good.caught().count,
            tn: good.get(Outcome::Passed),
        }
    }

    /// The share of what was caught that is bad.
    pub(super) fn precision(&self) -> Share {
        let Confusion { tp, fp, .. } = self.confusion();
        Share { count: tp, of: tp + fp }
    }

    /// Bad rows that passed, the least suspicious first.
    pub(super) fn missed(&self) -> Vec<&Tried> {
        let mut missed: Vec<&Tried> = self.side(true).filter(|one| one.verdict.outcome == Outcome::Passed).collect();
        missed.sort_by(|a, b| score(a).total_cmp(&score(b)));
        missed
    }

    /// Good rows that were caught, the most suspicious first.
    pub(super) fn false_alarms(&self) -> Vec<&Tried> {
        let mut alarms: Vec<&Tried> = self.side(false).filter(|one| one.verdict.outcome.is_caught()).collect();
        alarms.sort_by(|a, b| score(b).total_cmp(&score(a)));
        alarms
    }

    /// Rows that nobody decided.
    pub(super) fn failures(&self) -> Vec<&Tried> {
        self.tried.iter().filter(|one| one.verdict.outcome.is_failed()).collect()
    }

    /// What members in the shadow would have done with the bad rows, and with the good ones.
    pub(super) fn shadow(&self) -> Option<(Share, Share)> {
        self.tried.iter().any(|one| one.verdict.shadow.is_some()).then(|| {
            let share = |bad| Share {
                count: number(self.side(bad).filter(|one| one.verdict.shadow.is_some_and(Outcome::is_caught)).count()),
                of: number(self.side(bad).count()),
            };
            (share(true), share(false))
        })
    }

    /// The points of the scores, if the policy gives any: a row without one counts as 0. Rows that nobody decided do not count.
    pub(super) fn scores(&self) -> (Vec<Point>, Option<f64>) {
        if self.tried.iter().all(|one| one.verdict.score.is_none()) {
            return (Vec::new(), None);
        }
        let decided = self.tried.iter().filter(|one| !one.verdict.outcome.is_failed());
        let scores: Vec<_> = decided.filter_map(|one| Some((score(one), self.is_bad(&one.row)?))).collect();
        let points = roc(&scores);
        let area = auc(&points);
        (points, area)
    }

    pub(super) fn times(&self) -> Times {
        let mut sorted: Vec<Duration> = self.tried.iter().map(|one| one.verdict.took).collect();
        sorted.sort_unstable();
        let at = |per_cent| quantile(&sorted, per_cent).unwrap_or_default();
        Times { median: at(50), p95: at(95), max: at(100) }
    }
}

fn score(tried: &Tried) -> f64 {
    tried.verdict.score.unwrap_or_default()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
