//! `leaked_api_key_detection`: requests that hold what looks like a secret are not sent. The secret itself is told to nobody.

pub(crate) mod patterns;
mod strings;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use regex::{Regex, RegexSet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::catalogue::{LoadError, Loading};
use crate::contract::{Policy, PolicyError, RequestAnswer, Review, ReviewContext, Watch};
use crate::tree::Tree;

/// The most finds that a message names.
const NAMED: usize = 5;

/// The configuration of `leaked_api_key_detection`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Regular expressions for secrets, in place of the built-in ones, which know the keys of the usual vendors.
    patterns: Option<Vec<String>>,
}

#[derive(Debug)]
struct LeakedKeys(Arc<Secrets>);

#[derive(Debug)]
struct Secrets {
    /// Finds which of them is there in one pass.
    any: RegexSet,
    each: Vec<(String, Regex)>,
}

struct Searching {
    secrets: Arc<Secrets>,
    context: Arc<ReviewContext>,
}

impl Policy for LeakedKeys {
    fn name(&self) -> &'static str {
        "leaked_api_key_detection"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, ..Watch::default() }
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(Searching { secrets: Arc::clone(&self.0), context: Arc::clone(context) })
    }
}

impl Secrets {
    /// What sorts of secrets stand in a text.
    fn kinds(&self, text: &str) -> Vec<&str> {
        let there = self.any.matches(text);
        let found = there.iter().filter_map(|at| self.each.get(at));
        let real = found.filter(|(_, pattern)| pattern.find_iter(text).any(|found| !is_example(found.as_str())));
        real.map(|(kind, _)| kind.as_str()).collect()
    }
}

/// The keys of a vendor's documentation.
fn is_example(secret: &str) -> bool {
    secret.ends_with("EXAMPLE") || secret.ends_with("EXAMPLEKEY")
}

impl Searching {
    /// Each sort of secret with the place where it stands.
    fn found(&self, request: &Request) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        strings::each(request.text(), &mut |place, text| {
            for kind in self.secrets.kinds(text) {
                if !found.iter().any(|(known, at)| known == kind && *at == place.to_string()) {
                    found.push((kind.to_owned(), place.to_string()));
                }
            }
        });
        found
    }
}

impl Review for Searching {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async move {
            let found = self.found(request);
            if found.is_empty() {
                return Ok(RequestAnswer::default());
            }
            let data: Vec<_> = found.iter().map(|(kind, place)| json!({"kind": kind, "place": place})).collect();
            self.context.events.emit("policy.leaked_api_key_detection.blocked", json!({"found": data}));
            let mut named: Vec<String> =
                found.iter().take(NAMED).map(|(kind, place)| format!("{kind} in {place}")).collect();
            if found.len() > NAMED {
                named.push(format!("{} more", found.len() - NAMED));
            }
            let named = named.join(", ");
            let message = format!(
                "[Blocked: this request was not sent, since it seems to hold a secret: {named}. Take it out of the \
                 conversation, and replace the secret if others may have seen it.]"
            );
            Ok(RequestAnswer { reason: Some(named), ..RequestAnswer::block(message) })
        })
    }
}

/// Patterns are compiled here, so that a bad one is refused at load.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let named: Vec<(String, String)> = match config.patterns {
        None => patterns::DEFAULT.iter().map(|(kind, source)| ((*kind).to_owned(), (*source).to_owned())).collect(),
        Some(own) => own.into_iter().enumerate().map(|(at, source)| (format!("pattern {}", at + 1), source)).collect(),
    };
    let mut each = Vec::with_capacity(named.len());
    for (at, (kind, source)) in named.iter().enumerate() {
        let compiled = Regex::new(source).map_err(|error| {
            loading.refuse(&["patterns", &at.to_string()], format!("not a regular expression: {error}"))
        })?;
        if compiled.is_match("") {
            return Err(loading.refuse(&["patterns", &at.to_string()], "finds every text, an empty one included"));
        }
        each.push((kind.clone(), compiled));
    }
    let any = RegexSet::new(named.iter().map(|(_, source)| source))
        .map_err(|error| loading.refuse(&["patterns"], format!("too large together: {error}")))?;
    Ok(Tree::of(LeakedKeys(Arc::new(Secrets { any, each }))))
}

#[cfg(test)]
mod tests;
