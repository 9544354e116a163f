//! What came of an evaluation as JSON.

use luthien_policy::evaluate::{Outcome, Share};
use serde_json::{Map, Value, json};

use super::EvalArgs;
use super::condition::Found;
use super::tally::{Counts, Tally, Tried};
use crate::failure::Failure;

/// The whole document.
pub(super) fn text(tally: &Tally, args: &EvalArgs, conditions: &[Found]) -> Result<String, Failure> {
    let confusion = tally.confusion();
    let all = Counts::of(&tally.tried);
    let sides = [true, false].map(|bad| Counts::of(tally.side(bad)).caught());
    let labels: Map<String, Value> =
        tally.labels().into_iter().map(|(label, found)| (label, Value::Object(counts(&found)))).collect();
    let mut document = json!({
        "policy": tally.policy,
        "rows": all.rows(),
        "left_out": tally.left_out,
        "labels": labels,
        "confusion": {
            "true_positives": confusion.tp,
            "false_positives": confusion.fp,
            "true_negatives": confusion.tn,
            "false_negatives": confusion.fn_,
            "failed_open": all.get(Outcome::FailedOpen),
            "failed_closed": all.get(Outcome::FailedClosed),
            "unreadable": all.get(Outcome::Unreadable),
        },
        "interval": "95%, Wilson's score method",
        "rates": {
            "caught": share(sides[0]),
            "false_alarms": share(sides[1]),
            "precision": share(tally.precision()),
        },
        "time_us": times(tally),
        "misses": listed(&tally.missed(), args.misses),
        "false_alarms": listed(&tally.false_alarms(), args.misses),
        "failures": listed(&tally.failures(), args.misses),
        "conditions": conditions.iter().map(condition).collect::<Vec<_>>(),
    });
    if let Some(field) = &args.group_by {
        let groups: Vec<Value> = tally
            .groups()
            .into_iter()
            .map(|((group, label), found)| {
                let mut row = counts(&found);
                row.insert("group".into(), group.into());
                row.insert("label".into(), label.into());
                Value::Object(row)
            })
            .collect();
        document["groups"] = json!({"field": field, "rows": groups});
    }
    if let Some((bad, good)) = tally.shadow() {
        document["shadow"] = json!({"caught": share(bad), "false_alarms": share(good)});
    }
    if args.scores {
        let (points, auc) = tally.scores();
        document["scores"] = json!({"auc": auc, "points": points});
    }
    let text = serde_json::to_string_pretty(&document).map_err(|error| Failure::new(error.to_string()))?;
    Ok(text + "\n")
}

fn condition(found: &Found) -> Value {
    let Found { condition, value, of, holds, failed } = found;
    json!({"condition": condition, "value": value, "of": of, "holds": holds, "failed": failed})
}

fn counts(counts: &Counts) -> Map<String, Value> {
    let mut row: Map<String, Value> =
        Outcome::ALL.into_iter().map(|outcome| (outcome.name().to_owned(), counts.get(outcome).into())).collect();
    row.insert("rows".into(), counts.rows().into());
    row.insert("caught".into(), share(counts.caught()));
    row
}

fn share(share: Share) -> Value {
    let (low, high) = share.interval().unzip();
    json!({"count": share.count, "of": share.of, "rate": share.rate(), "low": low, "high": high})
}

/// Microseconds, with the digits below that a clock gives.
fn times(tally: &Tally) -> Value {
    let times = tally.times();
    let [median, p95, max] = [times.median, times.p95, times.max].map(|time| time.as_secs_f64() * 1e6);
    json!({"median": median, "p95": p95, "max": max})
}

fn listed(tried: &[&Tried], most: usize) -> Vec<Value> {
    tried
        .iter()
        .take(most)
        .map(|one| {
            json!({
                "place": one.row.place,
                "label": one.row.label,
                "content": one.row.case.shown(),
                "outcome": one.verdict.outcome,
                "policy": one.verdict.policy,
                "score": one.verdict.score,
                "reason": one.verdict.reason,
            })
        })
        .collect()
}
