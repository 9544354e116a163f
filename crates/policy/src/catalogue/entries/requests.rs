//! The built-in policies about requests: who may ask, where they go, what must not leave.

use serde_json::json;

use super::{nothing, schema};
use crate::catalogue::{Entry, NoConfig};
use crate::policies::{client_api_key_auth, leaked_api_key_detection, model_name_replacement, pipeline, sending};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "leaked_api_key_detection",
        older: &["LeakedApiKeyDetection"],
        display_name: "Leaked keys",
        short_description: "Requests that hold what looks like a secret are not sent.",
        description: "Searches every string of a request, in messages, system prompt and tool results, for the keys, \
                      tokens and private keys of the usual vendors. A request that holds one is blocked before it \
                      leaves. What was found and where is recorded; the secret itself never is.",
        category: "requests",
        badges: &["blocks"],
        schema: schema::<leaked_api_key_detection::Config>,
        example: nothing,
        build: leaked_api_key_detection::build,
    },
    Entry {
        name: "client_api_key_auth",
        older: &["ClientApiKeyAuth"],
        display_name: "Gateway key required",
        short_description: "Only callers with a key of this gateway are served.",
        description: "Answers 401 to every caller who does not bring an active key of the gateway's, whatever the \
                      authentication mode lets in.",
        category: "requests",
        badges: &["blocks"],
        schema: schema::<NoConfig>,
        example: nothing,
        build: client_api_key_auth::build,
    },
    Entry {
        name: "add_api_key_header",
        older: &["AddApiKeyHeader", "AddApiKeyHeaderFromEnv"],
        display_name: "Upstream credential",
        short_description: "Requests carry a key of the operator's.",
        description: "Sends a key from an environment variable in place of the caller's credential, to the one upstream \
                      that it is for. The variable is read when the policy is loaded; without it the policy does not \
                      load.",
        category: "requests",
        badges: &["routes"],
        schema: schema::<sending::Key>,
        example: || json!({"api_key_env_var_name": "OPENAI_API_KEY"}),
        build: sending::key,
    },
    Entry {
        name: "set_backend",
        older: &["SetBackendPolicy"],
        display_name: "Upstream",
        short_description: "Requests go to one configured upstream.",
        description: "Sends requests to a configured upstream, in place of the one that rules for models or the \
                      caller's dialect would choose. Nothing that a client says can lead elsewhere. There is no \
                      fallback.",
        category: "requests",
        badges: &["routes"],
        schema: schema::<sending::Backend>,
        example: || json!({"backend_url": "openai"}),
        build: sending::backend,
    },
    Entry {
        name: "model_name_replacement",
        older: &["ModelNameReplacement"],
        display_name: "Model names",
        short_description: "Models under other names.",
        description: "Sends requests for a model under another name, where the whole name matches. The answer names \
                      the model that the client asked for, streamed and not.",
        category: "requests",
        badges: &["routes"],
        schema: schema::<model_name_replacement::Config>,
        example: || json!({"model_mapping": {"our-model": "claude-haiku-4-5"}}),
        build: model_name_replacement::build,
    },
    Entry {
        name: "prepare_backend_request",
        older: &[],
        display_name: "Prepare the request",
        short_description: "A step that every request takes anyway.",
        description: "Stands for the gateway's own step that makes the upstream's request of the client's. It loads in \
                      chains that name it, and adds nothing.",
        category: "pipeline",
        badges: &[],
        schema: schema::<NoConfig>,
        example: nothing,
        build: pipeline::step,
    },
    Entry {
        name: "execute_backend_request",
        older: &["SendBackendRequest", "BackendCallPolicy"],
        display_name: "Send the request",
        short_description: "A step that every request takes anyway.",
        description: "Stands for the gateway's own step that sends the request. It loads in chains that name it, and \
                      adds nothing. What an older BackendCallPolicy says of endpoint, key and model is carried out by \
                      set_backend, add_api_key_header and a change of the model.",
        category: "pipeline",
        badges: &[],
        schema: schema::<NoConfig>,
        example: nothing,
        build: pipeline::step,
    },
];
