//! Conditions on the figures: `blocked(malicious)>=60%`, so that a build can hold a policy to them.

use luthien_policy::evaluate::{Outcome, Share};

use super::read::Row;
use super::tally::{Counts, Tally};
use crate::failure::Failure;

/// Whether a figure keeps to a limit.
type Holds = fn(f64, f64) -> bool;

/// The comparisons, longer ones first so that they are found first.
const COMPARISONS: [(&str, Holds); 5] = [
    (">=", |a, b| a >= b),
    ("<=", |a, b| a <= b),
    ("==", |a, b| (a - b).abs() < f64::EPSILON),
    (">", |a, b| a > b),
    ("<", |a, b| a < b),
];

/// One condition.
#[derive(Debug)]
pub(super) struct Condition {
    text: String,
    figure: Figure,
    among: Vec<Among>,
    holds: Holds,
    limit: f64,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Share(fn(&Counts) -> u32),
    Precision,
    Auc,
}

/// Which rows are meant.
#[derive(Debug)]
enum Among {
    Bad(bool),
    Label(String),
    Field { name: String, value: String, is: bool },
}

/// What came of a condition.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) condition: String,
    /// The figure.
    pub(super) value: f64,
    /// What it is a share of, if it is one.
    pub(super) of: Option<u32>,
    pub(super) holds: bool,
    /// Rows among those meant that nobody decided; a condition that is not about failures does not hold with any.
    pub(super) failed: u32,
}

impl Condition {
    /// Reads `FIGURE(ROWS) COMPARISON NUMBER`.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::new(format!("--require {text}: {what}"));
        // Comparisons within the parentheses belong to the rows.
        let from = text.rfind(')').unwrap_or(0);
        let after = text.get(from..).unwrap_or_default();
        let (sign, holds) = *COMPARISONS
            .iter()
            .find(|(sign, _)| after.contains(sign))
            .ok_or_else(|| wrong("write it like blocked(LABEL)>=60%"))?;
        let (head, limit) = after.split_once(sign).ok_or_else(|| wrong("there is no comparison"))?;
        let head = format!("{}{head}", text.get(..from).unwrap_or_default());
        let limit = number(limit.trim()).ok_or_else(|| wrong("the limit has to be a number, 0 to 1 or with %"))?;
        let head = head.trim();
        let (name, rows) = match head.split_once('(') {
            Some((name, rows)) => {
                (name.trim(), rows.strip_suffix(')').ok_or_else(|| wrong("a parenthesis is not closed"))?)
            }
            None => (head, ""),
        };
        let figure = figure(name).ok_or_else(|| {
            let outcomes = Outcome::ALL.map(Outcome::name).join(", ");
            wrong(&format!("`{name}` is none of caught, failed, {outcomes}, precision and auc"))
        })?;
        let among: Vec<Among> = rows.split(',').map(str::trim).filter(|part| !part.is_empty()).map(among).collect();
        if !matches!(figure, Figure::Share(_)) && !among.is_empty() {
            return Err(wrong(&format!("`{name}` is about all rows")));
        }
        Ok(Self { text: text.to_owned(), figure, among, holds, limit })
    }

    /// Whether it holds. A condition about no row at all is a slip.
    pub(super) fn check(&self, tally: &Tally) -> Result<Found, Failure> {
        let counts = Counts::of(tally.tried.iter().filter(|one| self.among.iter().all(|it| it.takes(tally, &one.row))));
        let none = |what: &str| Failure::new(format!("--require {}: {what}", self.text));
        let mut of = None;
        let (value, needs_verdicts) = match self.figure {
            Figure::Share(count) => {
                let share = Share { count: count(&counts), of: counts.rows() };
                of = Some(share.of);
                (share.rate().ok_or_else(|| none("there is no such row"))?, !self.about_failures())
            }
            // Nothing caught is nothing caught wrongly, but no figure to hold anybody to.
            Figure::Precision => (tally.precision().rate().unwrap_or(0.0), true),
            Figure::Auc => (tally.scores().1.ok_or_else(|| none("the policy gives no scores"))?, true),
        };
        let failed = counts.failed();
        let holds = (self.holds)(value, self.limit) && !(needs_verdicts && failed > 0);
        Ok(Found { condition: self.text.clone(), value, of, holds, failed })
    }

    fn about_failures(&self) -> bool {
        ["failed", "unreadable"].iter().any(|word| self.text.trim_start().starts_with(word))
    }
}

fn number(text: &str) -> Option<f64> {
    let number = match text.strip_suffix('%') {
        Some(per_cent) => per_cent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse().ok()?,
    };
    (0.0..=1.0).contains(&number).then_some(number)
}

fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "caught" => Figure::Share(|counts| counts.caught().count),
        "failed" => Figure::Share(Counts::failed),
        "blocked" => Figure::Share(|counts| counts.get(Outcome::Blocked)),
        "asked" => Figure::Share(|counts| counts.get(Outcome::Asked)),
        "changed" => Figure::Share(|counts| counts.get(Outcome::Changed)),
        "passed" => Figure::Share(|counts| counts.get(Outcome::Passed)),
        "failed_open" => Figure::Share(|counts| counts.get(Outcome::FailedOpen)),
        "failed_closed" => Figure::Share(|counts| counts.get(Outcome::FailedClosed)),
        "unreadable" => Figure::Share(|counts| counts.get(Outcome::Unreadable)),
        "precision" => Figure::Precision,
        "auc" => Figure::Auc,
        _ => return None,
    })
}

fn among(part: &str) -> Among {
    let field = |name: &str, value: &str, is| Among::Field { name: name.trim().into(), value: value.trim().into(), is };
    match (part, part.split_once("!="), part.split_once('=')) {
        (_, Some((name, value)), _) => field(name, value, false),
        (_, None, Some((name, value))) => field(name, value, true),
        ("bad", ..) => Among::Bad(true),
        ("good", ..) => Among::Bad(false),
        (label, ..) => Among::Label(label.to_owned()),
    }
}

impl Among {
    fn takes(&self, tally: &Tally, row: &Row) -> bool {
        match self {
            Self::Bad(bad) => tally.is_bad(row) == Some(*bad),
            Self::Label(label) => row.label.as_ref() == Some(label),
            Self::Field { name, value, is } => row.values(name).contains(value) == *is,
        }
    }
}
