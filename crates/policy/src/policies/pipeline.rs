//! The pipeline's own steps as policies: they load, and do nothing more than is done. What luthien_control's `BackendCallPolicy`
//! says about its call is carried out by the policies that there are for it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use luthien_wire::request::Request;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::sending::{keyed, known, sent_to};
use crate::catalogue::{LoadError, Loading, NoConfig};
use crate::contract::{Policy, PolicyError, RequestAction, RequestAnswer, Review, ReviewContext, Watch};
use crate::tree::Tree;

/// The configuration of luthien_control's `BackendCallPolicy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackendCall {
    backend_call_spec: Option<CallSpec>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallSpec {
    model: Option<String>,
    api_endpoint: Option<String>,
    api_key_env_var: Option<String>,
    #[serde(default)]
    request_args: Map<String, Value>,
}

/// Sends every request to this model.
#[derive(Clone, Debug)]
struct Model(Arc<str>);

impl Policy for Model {
    fn name(&self) -> &'static str {
        "model_name_replacement"
    }

    fn watches(&self) -> Watch {
        Watch { request: true, ..Watch::default() }
    }

    fn review(&self, _context: &Arc<ReviewContext>) -> Box<dyn Review> {
        Box::new(self.clone())
    }
}

impl Review for Model {
    fn request<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<RequestAnswer, PolicyError>> {
        Box::pin(async {
            let other = request.model() != &*self.0;
            let action = if other { RequestAction::Replace(request.with_model(&self.0)) } else { RequestAction::Pass };
            Ok(RequestAnswer { action, ..RequestAnswer::default() })
        })
    }
}

/// A step that is taken anyway.
pub(crate) fn step(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    if loading.class == "BackendCallPolicy" {
        return backend_call(loading);
    }
    let NoConfig {} = loading.read()?;
    Ok(Tree::none())
}

fn backend_call(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    const SPEC: &str = "backend_call_spec";
    let BackendCall { backend_call_spec } = loading.read()?;
    let Some(spec) = backend_call_spec else { return Ok(Tree::none()) };
    if let Some(name) = spec.request_args.keys().next() {
        return Err(loading.refuse(&[SPEC, "request_args", name], "other fields of a request cannot be set"));
    }
    let mut trees = Vec::new();
    let upstream = match &spec.api_endpoint {
        Some(url) => Some(known(loading, &[SPEC, "api_endpoint"], url)?),
        None => None,
    };
    if let Some(variable) = &spec.api_key_env_var {
        trees.push(keyed(loading, &[SPEC, "api_key_env_var"], variable, upstream.clone())?);
    }
    trees.extend(upstream.map(sent_to));
    trees.extend(spec.model.filter(|model| !model.is_empty()).map(|model| Tree::of(Model(model.into()))));
    Ok(Tree::Serial(trees))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::catalogue::{LoadEnv, PolicySpec, Variables, load};

    fn env() -> LoadEnv {
        LoadEnv {
            providers: Some(vec!["openai".to_owned()]),
            base_urls: vec!["https://api.openai.com/v1".to_owned()],
            variables: Variables::Given(BTreeMap::from([("KEY".to_owned(), "sk-of-openai".to_owned())])),
            ..LoadEnv::default()
        }
    }

    #[test]
    fn a_call_is_made_of_the_policies_that_do_its_parts() {
        let spec = json!({"model": "gpt-5", "api_endpoint": "https://api.openai.com/v1/", "api_key_env_var": "KEY"});
        let config = json!({"name": "call", "backend_call_spec": spec});
        let loaded = load(&PolicySpec::new("BackendCallPolicy", config), &env()).unwrap();
        let names: Vec<_> = loaded.tree.policies().iter().map(|policy| policy.name()).collect();
        assert_eq!(names, ["add_api_key_header", "set_backend", "model_name_replacement"]);
    }

    #[test]
    fn what_a_call_cannot_do_is_refused_by_path() {
        let refused = |spec: Value| {
            let spec = PolicySpec::new("BackendCallPolicy", json!({"backend_call_spec": spec}));
            load(&spec, &env()).unwrap_err().to_string()
        };
        let args = refused(json!({"request_args": {"temperature": 1}}));
        assert_eq!(args, "backend_call_spec.request_args.temperature: other fields of a request cannot be set");
        assert!(
            refused(json!({"api_endpoint": "http://x"})).starts_with("backend_call_spec.api_endpoint: no upstream")
        );
        assert!(
            refused(json!({"api_key_env_var": "X"})).starts_with("backend_call_spec.api_key_env_var: the environment")
        );
    }
}
