//! Admits a request: what its key, session and user have used is looked at, and what is to be counted is taken.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use luthien_policy::plan::Plan;
use luthien_record::store::Spent;
use luthien_wire::usage::Usage;

use super::ledger::{day_of, next_day};
use super::reached::Free;
use super::streams::{Full, Places};
use super::{Caps, CapsState, Dollars, Price, Reached, ScopeId, tool_calls};
use crate::client_keys::KeyLimits;
use crate::errors::GatewayError;

/// Who asks for what.
pub(crate) struct Asks<'a> {
    pub(crate) key: [u8; 16],
    /// What its key says.
    pub(crate) limits: &'a KeyLimits,
    pub(crate) session: Option<String>,
    pub(crate) user: Option<String>,
    /// It uses tokens, and so money.
    pub(crate) costs: bool,
    /// A model answers while it is under way.
    pub(crate) answers: bool,
    pub(crate) now: Timestamp,
}

/// A request that was admitted.
pub(crate) struct Admitted {
    /// What stands in front of the policies, where tool calls are capped.
    pub(crate) plan: Option<Plan>,
    /// Places among the answers under way.
    pub(crate) places: Option<Places>,
    /// Who is charged for what it uses, where somebody is.
    pub(crate) charge: Option<Charge>,
    /// What questions to judges count against.
    pub(crate) judges: Option<JudgeCalls>,
}

/// Who is charged for what a request uses.
pub(crate) struct Charge {
    caps: CapsState,
    who: Vec<ScopeId>,
    money: bool,
    price: Option<Price>,
}

/// A request whose questions to judges are capped.
#[derive(Debug)]
pub(crate) struct JudgeCalls {
    caps: CapsState,
    /// Whose, and how many they may ask in a day.
    who: Vec<(ScopeId, Option<u64>)>,
    /// How many this request may ask, and whose cap that is.
    turn: Option<(ScopeId, u32)>,
    asked: AtomicU32,
}

impl CapsState {
    /// Admits a request, or says which cap it has reached.
    pub(crate) fn admit(&self, asks: Asks<'_>) -> Result<Admitted, GatewayError> {
        let Asks { key, limits, session, user, costs, answers, now } = asks;
        let mut scopes: Vec<(ScopeId, Caps)> = Vec::new();
        let named = [
            Some(ScopeId::Key(key)),
            session.map(|session| ScopeId::Session(key, session.into())),
            user.map(|user| ScopeId::User(user.into())),
        ];
        for who in named.into_iter().flatten() {
            let own = limits.caps.filter(|_| matches!(who, ScopeId::Key(_)));
            let caps = self.of(&who, own);
            if !caps.is_empty() {
                scopes.push((who, caps));
            }
        }
        if costs {
            for (who, caps) in &scopes {
                self.check(who, caps, now).map_err(GatewayError::CapReached)?;
            }
        }
        let places = if answers { self.places(&scopes)? } else { None };
        let counted: Vec<ScopeId> =
            scopes.iter().filter(|(_, caps)| costs && caps.counts_usage()).map(|(who, _)| who.clone()).collect();
        let money = scopes.iter().any(|(_, caps)| caps.counts_money());
        let charge = (!counted.is_empty()).then(|| Charge { caps: self.clone(), who: counted, money, price: None });
        Ok(Admitted { plan: plan(&scopes), places, charge, judges: self.judges(scopes) })
    }

    /// What one has used is below its caps.
    fn check(&self, who: &ScopeId, caps: &Caps, now: Timestamp) -> Result<(), Box<Reached>> {
        if !caps.counts_usage() {
            return Ok(());
        }
        let used = self.standing(who, now).used;
        let dollars = |spent: Spent| Dollars::of_nanos(spent.nanodollars);
        let today = until_tomorrow(now);
        let counts = [
            ("tokens_in_all", caps.tokens_in_all, used.in_all.tokens, Free::Never),
            ("tokens_per_day", caps.tokens_per_day, used.today.tokens, today),
        ];
        let money = [
            ("dollars_in_all", caps.dollars_in_all, dollars(used.in_all), Free::Never),
            ("dollars_per_day", caps.dollars_per_day, dollars(used.today), today),
        ];
        let count = counts.into_iter().find_map(|(cap, most, used, free)| {
            let most = most.filter(|most| used >= *most)?;
            Some((cap, most.to_string(), used.to_string(), free))
        });
        let money = || {
            money.into_iter().find_map(|(cap, most, used, free)| {
                let most = most.filter(|most| used >= *most)?;
                Some((cap, format!("${most}"), format!("${used}"), free))
            })
        };
        match count.or_else(money) {
            Some((cap, most, used, free)) => Err(Box::new(Reached::new(who, cap, most, used, free))),
            None => Ok(()),
        }
    }

    fn places(&self, scopes: &[(ScopeId, Caps)]) -> Result<Option<Places>, GatewayError> {
        let of: Vec<(ScopeId, u32)> =
            scopes.iter().filter_map(|(who, caps)| Some((who.clone(), caps.concurrent_streams?))).collect();
        let streams = &self.shared().streams;
        if of.is_empty() && !streams.is_limited() {
            return Ok(None);
        }
        let named = of.clone();
        streams.take(of).map(Some).map_err(|full| match (full, named.into_iter()) {
            (Full::Gateway(most), _) => GatewayError::TooManyStreams(most),
            (Full::At(at), mut named) => match named.nth(at) {
                Some((who, most)) => {
                    let (most, used) = (most.to_string(), streams.of(&who).to_string());
                    let reached = Reached::new(&who, "concurrent_streams", most, used, Free::Soon);
                    GatewayError::CapReached(Box::new(reached))
                }
                None => GatewayError::TooManyStreams(0),
            },
        })
    }

    fn judges(&self, scopes: Vec<(ScopeId, Caps)>) -> Option<JudgeCalls> {
        let turn = scopes
            .iter()
            .filter_map(|(who, caps)| Some((who.clone(), caps.judge_calls_per_turn?)))
            .min_by_key(|(_, most)| *most);
        let remembered = scopes.into_iter().filter(|(_, caps)| caps.remembers());
        let who: Vec<_> = remembered.map(|(who, caps)| (who, caps.judge_calls_per_day)).collect();
        (turn.is_some() || !who.is_empty()).then(|| JudgeCalls {
            caps: self.clone(),
            who,
            turn,
            asked: AtomicU32::new(0),
        })
    }
}

/// The least that any of them allows stands in front of the policies.
fn plan(scopes: &[(ScopeId, Caps)]) -> Option<Plan> {
    let caps = scopes.iter().filter_map(|(who, caps)| Some((caps.tool_calls_per_turn?, who.kind())));
    caps.min_by_key(|(most, _)| *most).map(|(most, kind)| tool_calls::plan(most, kind.name()))
}

fn until_tomorrow(now: Timestamp) -> Free {
    let at = next_day(now);
    Free::At(at, Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

impl Charge {
    /// The model that is asked is this one. A model without a price cannot be counted against a cap in dollars.
    pub(crate) fn price(&mut self, model: &str) -> Result<(), GatewayError> {
        if !self.money {
            return Ok(());
        }
        self.price = self.caps.price(model);
        if self.price.is_some() {
            return Ok(());
        }
        let file = self.caps.price_file();
        Err(GatewayError::CapForbids(if model.is_empty() {
            format!(
                "a cap in dollars is set, and this request names no model: what it costs cannot be counted by the price file, {file}"
            )
        } else {
            let model: String = model.chars().filter(|c| !c.is_control()).take(200).collect();
            format!(
                "a cap in dollars is set, and the model `{model}` has no price: the gateway's operator can add one to the price file, {file}"
            )
        }))
    }

    /// Charges what was used. Says what it cost, in billionths of a dollar, where that is counted.
    pub(crate) fn settle(self, usage: Usage, at: Timestamp) -> Option<u64> {
        let cost = self.price.map(|price| price.of(usage));
        let spent = Spent { tokens: usage.total(), nanodollars: cost.unwrap_or(0), judge_calls: 0 };
        for who in &self.who {
            self.caps.shared().ledger.add(who, day_of(at), spent);
        }
        cost
    }
}

impl JudgeCalls {
    /// Counts a question to a judge, or says which cap it has reached.
    pub(crate) fn ask(&self, now: Timestamp) -> Result<(), Box<Reached>> {
        if let Some((who, most)) = &self.turn {
            let more = |asked: u32| (asked < *most).then(|| asked + 1);
            if let Err(asked) = self.asked.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
                let (most, asked) = (most.to_string(), asked.to_string());
                return Err(Box::new(Reached::new(who, "judge_calls_per_turn", most, asked, Free::Never)));
            }
        }
        self.caps.shared().ledger.add_judge_call(&self.who, day_of(now)).map_err(|(at, used)| {
            let (who, most) = self.who.get(at).cloned().unwrap_or((ScopeId::User("".into()), None));
            let most = most.unwrap_or_default().to_string();
            Box::new(Reached::new(&who, "judge_calls_per_day", most, used.to_string(), until_tomorrow(now)))
        })
    }

    /// By whose caps questions are counted.
    pub(crate) fn caps(&self) -> &CapsState {
        &self.caps
    }
}
