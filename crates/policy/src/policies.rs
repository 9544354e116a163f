//! The built-in policies, one module each.

pub(crate) mod all_caps;
pub(crate) mod client_api_key_auth;
pub(crate) mod debug_logging;
pub(crate) mod dogfood_safety;
pub(crate) mod leaked_api_key_detection;
pub(crate) mod model_name_replacement;
pub(crate) mod no_op;
pub(crate) mod parallel;
pub(crate) mod pipeline;
pub(crate) mod rules;
pub(crate) mod sending;
pub(crate) mod serial;
pub(crate) mod shadow;
pub(crate) mod simple_llm;
pub(crate) mod string_replacement;
pub(crate) mod tool_call_judge;
pub(crate) mod webhook;

#[cfg(test)]
mod tests;
