//! The list of models, where rules have a part in it: what the caller's own upstream lists, and the names that rules serve.
//!
//! A name is listed if a request for it would be served. Without rules the list is the upstream's and passes as it comes.

mod entry;
mod fetch;

use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use luthien_wire::Dialect;
use serde_json::json;

use self::entry::{Entry, page};
use self::fetch::{Asker, Failed, Fetched};
use crate::answer::{self, Answer};
use crate::config::ModelRoute;
use crate::credentials::Caller;
use crate::errors::GatewayError;
use crate::routes::Route;
use crate::transaction::Transaction;
use crate::upstream::{Upstream, Upstreams};
use crate::way::Core;

/// The path asks for models.
pub(crate) fn is_list(path: &str) -> bool {
    path == "/models" || path.starts_with("/models/")
}

/// The gateway's own answer to a request for models; `None` where it is the upstream's to answer, or for something else.
pub(crate) async fn answer(
    core: &Core,
    transaction: &Transaction,
    route: &Route,
    caller: &Caller,
    head: &http::request::Parts,
) -> Result<Option<Answer>, GatewayError> {
    let dialect = route.dialect;
    let id = match route.path.strip_prefix("/models") {
        Some("") => None,
        Some(rest) => match rest.strip_prefix('/') {
            Some(id) => Some(unescaped(id)),
            None => return Ok(None),
        },
        None => return Ok(None),
    };
    let default = core.upstreams.default_for(dialect);
    let id = id.as_deref();
    let rule = id.and_then(|id| core.upstreams.rule(id));
    if default.is_some() && (core.upstreams.rules().is_empty() || (id.is_some() && rule.is_none())) {
        return Ok(None);
    }
    let listed = match listed(core, transaction, dialect, caller, &head.headers).await {
        Ok(listed) => listed,
        Err(Failed::Gateway(error)) => return Err(error),
        Err(Failed::Answered(head, body)) => return Ok(Some(answer::refused(transaction, *head, body))),
    };
    let Some(id) = id else {
        let list = page(dialect, &listed, head.uri.query().unwrap_or_default());
        return Ok(Some(answer::own_json(transaction, &list)));
    };
    let found = listed.into_iter().find(|entry| entry.id() == id);
    // A rule that takes any name for one model knows more names than any list.
    let found = found.or_else(|| rule.filter(|rule| serves_any(rule)).map(|rule| Entry::named(id, first_of(rule))));
    let found = found.ok_or_else(|| GatewayError::NotFound(format!("there is no model `{id}`")))?;
    Ok(Some(answer::own_json(transaction, &found.written(dialect))))
}

/// Every model that this caller can ask for, each name once. Fails where nothing at all can be listed.
async fn listed(
    core: &Core,
    transaction: &Transaction,
    dialect: Dialect,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<Vec<Entry>, Failed> {
    let upstreams = &core.upstreams;
    let wanted = asked(upstreams, dialect);
    let asker = Asker { core, caller, dialect, headers, id: transaction.id.to_string() };
    let fetched = join_all(wanted.iter().map(|upstream| asker.fetch(upstream))).await;
    let mut lists: Vec<(&Upstream, Vec<Entry>)> = Vec::new();
    let (mut first_failure, mut failed) = (None, Vec::new());
    for (upstream, fetched) in wanted.into_iter().zip(fetched) {
        match fetched {
            Fetched::List(entries) => lists.push((upstream, entries)),
            // Whose key is not taken has no models, whatever rules name: some clients check their key so.
            Fetched::Failed(Failed::Answered(head, body))
                if head.status == StatusCode::UNAUTHORIZED && upstreams.is_callers(upstream, dialect) =>
            {
                return Err(Failed::Answered(head, body));
            }
            Fetched::Failed(failure) => {
                tracing::warn!(transaction_id = %transaction.id, upstream = upstream.name, why = %failure, "models not listed");
                failed.push(json!({"upstream": upstream.name, "why": failure.to_string()}));
                first_failure = first_failure.or(Some(failure));
            }
        }
    }
    let names: Vec<&str> = lists.iter().map(|(upstream, _)| upstream.name.as_str()).collect();
    transaction.event("transaction.models_listed", json!({"upstreams": names, "failed": failed}));
    let merged = merged(&asker, &lists);
    match first_failure {
        Some(failure) if merged.is_empty() => Err(failure),
        _ => Ok(merged),
    }
}

/// Whose lists are needed: the default upstream's first, then those whose names rules take up.
fn asked(upstreams: &Upstreams, dialect: Dialect) -> Vec<&Upstream> {
    let mut wanted: Vec<&Upstream> = upstreams.serves(dialect).into_iter().collect();
    for rule in upstreams.rules().iter().filter(|rule| takes_up(rule)) {
        if let Some(upstream) = upstreams.named(first_of(rule))
            && !wanted.iter().any(|known| known.name == upstream.name)
        {
            wanted.push(upstream);
        }
    }
    wanted
}

/// The lists put together: what goes to the default upstream, then what rules serve, in their order.
fn merged(asker: &Asker<'_>, lists: &[(&Upstream, Vec<Entry>)]) -> Vec<Entry> {
    let (upstreams, dialect) = (&asker.core.upstreams, asker.dialect);
    let may = |rule: &ModelRoute| upstreams.named(first_of(rule)).is_some_and(|upstream| asker.may_ask(upstream));
    let of = |name: &str| lists.iter().find(|(upstream, _)| upstream.name == name).map_or(&[][..], |(_, list)| list);
    let default = upstreams.serves(dialect).map_or("", |upstream| upstream.name.as_str());
    let mut out: Vec<Entry> = Vec::new();
    let mut add = |entry: Entry| {
        if !out.iter().any(|known| known.id() == entry.id()) {
            out.push(entry);
        }
    };
    for entry in of(default) {
        if upstreams.rule(entry.id()).is_none_or(|rule| first_of(rule) == default || (serves_any(rule) && may(rule))) {
            add(entry.clone());
        }
    }
    for rule in upstreams.rules().iter().filter(|rule| may(rule)) {
        if let Some(name) = rule.pattern.exact() {
            let known = rule.targets.first().and_then(|target| {
                let there = target.model(name, "");
                of(&target.upstream).iter().find(|entry| entry.id() == there)
            });
            add(known.map_or_else(|| Entry::named(name, first_of(rule)), |entry| entry.renamed(name)));
            continue;
        }
        for entry in of(first_of(rule)) {
            let name = taken_up(rule, entry.id());
            // Another rule before this one may take the name.
            if let Some(name) = name.filter(|name| upstreams.rule(name).is_some_and(|first| first == rule)) {
                add(entry.renamed(&name));
            }
        }
    }
    out
}

/// A model's name as it stands in a path; clients escape slashes and colons.
fn unescaped(id: &str) -> String {
    ["%2F", "%2f"]
        .iter()
        .fold(id.to_owned(), |id, slash| id.replace(slash, "/"))
        .replace("%3A", ":")
        .replace("%3a", ":")
}

/// The name of the upstream that a rule names first.
fn first_of(rule: &ModelRoute) -> &str {
    rule.targets.first().map_or("", |target| target.upstream.as_str())
}

/// The rule gives every name that it matches the same meaning, or is for one name.
fn serves_any(rule: &ModelRoute) -> bool {
    let fixed =
        rule.targets.first().and_then(|target| target.rename.as_deref()).is_some_and(|name| !name.contains('*'));
    fixed || rule.pattern.exact().is_some()
}

/// The rule's names follow from those of its upstream.
fn takes_up(rule: &ModelRoute) -> bool {
    !serves_any(rule)
}

/// The name under which a rule serves what its upstream calls `there`.
fn taken_up(rule: &ModelRoute, there: &str) -> Option<String> {
    match rule.targets.first()?.rename.as_deref() {
        None => rule.pattern.matches(there).map(|_| there.to_owned()),
        Some(rename) => {
            let (before, after) = rename.split_once('*')?;
            let star = there.strip_prefix(before)?.strip_suffix(after)?;
            Some(rule.pattern.filled(star))
        }
    }
}
