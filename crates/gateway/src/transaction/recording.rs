//! A handle on a transaction's entry in the record, for whoever adds to it; what it is told, whoever watches is told too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::HeaderMap;
use luthien_policy::contract::{EventListener, Mode};
use luthien_policy::plan::{self, DecisionSink};
use luthien_record::model::{Decision, RawHeads, TransactionId};
use luthien_record::recorder::{InFlight, Recorder};
use serde_json::Value;

use crate::activity::teller::Teller;
use crate::clock::Clock;
use crate::notify::{About, Kind, Notice};
use crate::redaction::SecretNames;

use super::Keeping;
use super::metering::Metering;

/// Adds to a transaction's entry while it is open.
#[derive(Clone)]
pub(crate) struct Recording(pub(super) Arc<Slot>);

/// What all handles of one transaction share.
pub(super) struct Slot {
    pub(super) id: TransactionId,
    pub(super) recorder: Recorder,
    pub(super) keeping: Keeping,
    pub(super) clock: Clock,
    /// Tells whoever watches.
    pub(super) teller: Teller,
    pub(super) received: AtomicUsize,
    /// Set where somebody is charged for what is used.
    pub(super) metering: OnceLock<Metering>,
    pub(super) inflight: Mutex<Option<InFlight>>,
}

impl Recording {
    /// Runs `add` on the entry if it is still open.
    pub(crate) fn with(&self, add: impl FnOnce(&InFlight)) {
        if let Some(inflight) = self.0.inflight.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            add(inflight);
        }
    }

    /// Bytes as they came from the upstream.
    pub(crate) fn upstream_bytes(&self, bytes: &[u8]) {
        self.0.received.fetch_add(bytes.len(), Ordering::Relaxed);
        self.meter(|metering| metering.came(bytes));
        self.heads(|_, heads| {
            if let Some(outbound) = &mut heads.outbound {
                outbound.completed_at = Some(self.0.clock.now());
            }
        });
        self.with(|record| record.upstream_bytes(bytes));
    }

    /// The head of an upstream's answer, as it came.
    pub(crate) fn upstream_answered(&self, status: u16, headers: &HeaderMap) {
        self.0.teller.answered();
        self.meter(|metering| metering.answered(status));
        let kept = self.0.keeping.secrets.kept(headers);
        self.with(|record| record.upstream_response(status, kept));
        self.heads(|secrets, heads| {
            if let Some(outbound) = &mut heads.outbound {
                outbound.response_headers = secrets.masked(headers);
            }
        });
    }

    /// Changes the heads of the raw exchanges, where they are kept.
    pub(super) fn heads(&self, change: impl FnOnce(&SecretNames, &mut RawHeads)) {
        let Keeping { secrets, raw_http, .. } = &self.0.keeping;
        if *raw_http {
            self.with(|record| record.heads(|heads| change(secrets, heads)));
        }
    }

    /// How many bytes have come from the upstream.
    pub(crate) fn received(&self) -> usize {
        self.0.received.load(Ordering::Relaxed)
    }

    /// The client got `bytes`, which are not the upstream's.
    pub(crate) fn own_answer(&self, bytes: &[u8]) {
        self.with(|record| {
            record.own_client_copy(0);
            record.client_bytes(bytes);
        });
    }

    /// A policy has blocked something.
    fn tell_of_block(&self, open: Option<&InFlight>, decision: &Decision) {
        let Slot { id, keeping: Keeping { notifier, .. }, clock, .. } = &*self.0;
        let Decision { policy, action, reason, .. } = decision;
        tracing::warn!(transaction_id = %id, policy, action, ?reason, target = %decision.target, "a policy has blocked something");
        if !notifier.wants(Kind::PolicyBlocked) {
            return;
        }
        notifier.tell(|| {
            let what = decision.target["name"].as_str().map(|name| format!("the call of {name}"));
            let what =
                what.unwrap_or_else(|| decision.target["kind"].as_str().unwrap_or("something").replace('_', " "));
            let why = reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let data = serde_json::json!({
                "policy": policy, "action": action, "target": decision.target, "reason": reason,
                "score": decision.score, "failed": decision.failed,
            });
            let about = open.map_or(About::Nothing, |open| About::Open(Box::new(open.outline(0))));
            let text = format!("{policy} blocked {what}{why}");
            Notice { kind: Kind::PolicyBlocked, at: clock.now(), text, about, data }
        });
    }

    /// The entry, to be ended.
    pub(super) fn take(&self) -> Option<InFlight> {
        self.0.inflight.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A decision as the record has it.
pub(crate) fn recorded(decision: plan::Decision) -> Decision {
    Decision {
        policy: decision.policy.to_string(),
        target: serde_json::to_value(&decision.target).unwrap_or_default(),
        action: decision.action.to_owned(),
        mode: if decision.overruled { "overruled" } else { mode_name(decision.mode) }.to_owned(),
        failed: decision.failed,
        score: decision.score,
        reason: decision.reason,
        micros: u64::try_from(decision.took.as_micros()).unwrap_or(u64::MAX),
    }
}

impl DecisionSink for Recording {
    fn decided(&self, decision: plan::Decision) {
        let decision = recorded(decision);
        self.0.teller.decided(self.0.clock.now(), &decision);
        let open = self.0.inflight.lock().unwrap_or_else(PoisonError::into_inner);
        if is_block(&decision) {
            self.tell_of_block(open.as_ref(), &decision);
        }
        match open.as_ref() {
            Some(inflight) => inflight.decision(decision),
            None => self.0.recorder.late_decision(self.0.id, decision),
        }
    }
}

impl EventListener for Recording {
    fn happened(&self, event_type: &str, data: &Value) {
        self.0.teller.happened(self.0.clock.now(), event_type, data);
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recording").field(&self.0.id).finish()
    }
}

/// Something was withheld, and not only in the shadow.
fn is_block(decision: &Decision) -> bool {
    decision.mode == "enforce" && matches!(decision.action.as_str(), "block" | "refuse")
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Off => "off",
        Mode::Shadow => "shadow",
        Mode::Enforce => "enforce",
    }
}
