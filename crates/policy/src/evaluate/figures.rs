//! Figures over many verdicts: shares with their intervals, areas under curves, quantiles.

use std::time::Duration;

use serde::Serialize;

/// The normal deviate of a 95% interval.
const Z: f64 = 1.959_963_984_540_054;

/// So many out of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub count: u32,
    /// Out of how many.
    pub of: u32,
}

impl Share {
    /// The rate, 0 to 1; none of nothing.
    pub fn rate(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.count) / f64::from(self.of))
    }

    /// The 95% interval of the rate by Wilson's score method, which stays within 0 and 1 and holds for few rows and for
    /// rates near the ends.
    pub fn interval(self) -> Option<(f64, f64)> {
        let (rate, n) = (self.rate()?, f64::from(self.of));
        let z2 = Z * Z;
        let middle = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z / (1.0 + z2 / n) * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
        // At the ends the formula gives 0 and 1 but for rounding.
        let low = if self.count == 0 { 0.0 } else { (middle - half).max(0.0) };
        let high = if self.count == self.of { 1.0 } else { (middle + half).min(1.0) };
        Some((low, high))
    }
}

/// What catching everything from one score on would do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Caught from this score on.
    pub threshold: f64,
    /// The share of bad things caught.
    pub caught: f64,
    /// The share of good things caught.
    pub false_alarms: f64,
}

/// A point for each score that occurs, highest first. `scores` says of each thing whether it is bad. Empty where all are
/// bad or none is.
pub fn roc(scores: &[(f64, bool)]) -> Vec<Point> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let all = |bad: bool| sorted.iter().filter(|(_, it)| *it == bad).count();
    let (Some(bad), Some(good)) = (positive(all(true)), positive(all(false))) else { return Vec::new() };
    let (mut caught, mut alarms) = (0.0, 0.0);
    let mut points: Vec<Point> = Vec::new();
    for (score, is_bad) in sorted {
        if is_bad {
            caught += 1.0;
        } else {
            alarms += 1.0;
        }
        let point = Point { threshold: score, caught: caught / bad, false_alarms: alarms / good };
        match points.last_mut() {
            Some(last) if last.threshold.total_cmp(&score).is_eq() => *last = point,
            _ => points.push(point),
        }
    }
    points
}

/// The area under the curve of these points: how likely a bad thing has a higher score than a good one, ties counted half.
pub fn auc(points: &[Point]) -> Option<f64> {
    let (mut before, mut area) = ((0.0, 0.0), 0.0);
    for point in points {
        area += (point.false_alarms - before.0) * (point.caught + before.1) / 2.0;
        before = (point.false_alarms, point.caught);
    }
    (!points.is_empty()).then_some(area)
}

fn positive(count: usize) -> Option<f64> {
    u32::try_from(count).ok().filter(|count| *count > 0).map(f64::from)
}

/// The smallest of some times that so many per cent of them do not exceed. `sorted`: shortest first.
pub fn quantile(sorted: &[Duration], per_cent: usize) -> Option<Duration> {
    let at = (sorted.len() * per_cent.min(100)).div_ceil(100);
    sorted.get(at.saturating_sub(1)).copied()
}
