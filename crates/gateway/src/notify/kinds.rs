//! The kinds of notifications, and which of them an operator wants.

use luthien_record::model::{Evaluation, Status};

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A transaction has ended.
    Transaction,
    /// A policy has blocked something.
    PolicyBlocked,
    /// A policy asks a person.
    PolicyAsk,
    /// A judge, a policy server or an upstream is left alone after failures.
    BreakerOpened,
    /// It is asked again.
    BreakerClosed,
    /// Records were lost.
    RecorderDropped,
    /// The panic switch was turned.
    Panic,
    /// A key, a session or a user has used what it may.
    CapReached,
}

impl Kind {
    /// All but transactions.
    const ALERTS: [Self; 7] = [
        Self::PolicyBlocked,
        Self::PolicyAsk,
        Self::BreakerOpened,
        Self::BreakerClosed,
        Self::RecorderDropped,
        Self::Panic,
        Self::CapReached,
    ];

    /// The name in notifications and settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::PolicyBlocked => "policy.blocked",
            Self::PolicyAsk => "policy.ask",
            Self::BreakerOpened => "breaker.opened",
            Self::BreakerClosed => "breaker.closed",
            Self::RecorderDropped => "recorder.dropped",
            Self::Panic => "panic",
            Self::CapReached => "cap.reached",
        }
    }
}

/// Which notifications are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    transactions: bool,
    interventions: bool,
    failures: bool,
    alerts: Vec<Kind>,
}

impl Wanted {
    /// What a list of words wants; the error says which words there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut wanted = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "transactions" => wanted.transactions = true,
                "interventions" => wanted.interventions = true,
                "failures" => wanted.failures = true,
                "alerts" => wanted.alerts.extend(Kind::ALERTS),
                word => match Kind::ALERTS.into_iter().find(|kind| kind.name() == word) {
                    Some(kind) => wanted.alerts.push(kind),
                    None => return Err(Self::words()),
                },
            }
        }
        Ok(wanted)
    }

    fn words() -> String {
        let kinds = Kind::ALERTS.map(|kind| format!("`{}`", kind.name())).join(", ");
        format!(
            "`transactions`, `interventions`, `failures`, `alerts` or single ones of these ({kinds}), separated by commas"
        )
    }

    /// A transaction that ends so.
    pub(super) fn transaction(&self, status: Status, evaluation: Evaluation) -> bool {
        let failed = !matches!(status, Status::Completed | Status::ClientDisconnected);
        self.transactions
            || (self.interventions && evaluation == Evaluation::Intervened)
            || (self.failures && (failed || evaluation == Evaluation::FailedOpen))
    }

    /// Anything else.
    pub(super) fn kind(&self, kind: Kind) -> bool {
        self.alerts.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_what_is_told() {
        let notable = Wanted::parse("interventions, failures,policy.ask").unwrap();
        assert!(!notable.transaction(Status::Completed, Evaluation::Passed));
        assert!(!notable.transaction(Status::ClientDisconnected, Evaluation::NotEvaluated));
        assert!(notable.transaction(Status::Completed, Evaluation::Intervened));
        assert!(notable.transaction(Status::Completed, Evaluation::FailedOpen));
        assert!(notable.transaction(Status::UpstreamBroken, Evaluation::Passed));
        assert!(notable.kind(Kind::PolicyAsk) && !notable.kind(Kind::PolicyBlocked));
        let usual = Wanted::parse("transactions,alerts").unwrap();
        assert!(usual.transaction(Status::Completed, Evaluation::None));
        assert!(Kind::ALERTS.into_iter().all(|kind| usual.kind(kind)));
        assert!(Wanted::parse("everything").unwrap_err().contains("`breaker.opened`"));
        assert_eq!(Wanted::parse("").unwrap(), Wanted::default());
    }
}
