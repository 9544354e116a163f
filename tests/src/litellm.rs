//! A real LiteLLM proxy.
