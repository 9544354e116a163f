//! The built-in policies, one module each.

pub(crate) mod all_caps;
pub(crate) mod branch;
pub(crate) mod client_api_key_auth;
pub(crate) mod conversation_link;
pub(crate) mod debug_logging;
pub(crate) mod demo_force_tool;
pub(crate) mod dogfood_safety;
mod first_turn;
pub(crate) mod guard;
pub(crate) mod leaked_api_key_detection;
pub(crate) mod model_name_replacement;
pub(crate) mod no_op;
pub(crate) mod onboarding;
pub(crate) mod parallel;
pub(crate) mod pipeline;
pub(crate) mod python;
pub(crate) mod rules;
pub(crate) mod sending;
pub(crate) mod serial;
pub(crate) mod shadow;
pub(crate) mod simple_judge;
pub(crate) mod simple_llm;
pub(crate) mod string_replacement;
pub(crate) mod template;
pub(crate) mod tool_call_judge;
pub(crate) mod tx_logging;
pub(crate) mod webhook;

#[cfg(test)]
mod tests;
