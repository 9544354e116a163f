//! A real LiteLLM proxy on both sides of the gateway: the upstream of one, and the client of another in front of a real llama.cpp.

use luthien_tests::clients::{Job, Sdk, read_each};
use luthien_tests::gateway::{Gateway, Setup};
use luthien_tests::litellm::LiteLlm;
use luthien_tests::llama::Llama;
use luthien_wire::Dialect;
use serde_json::json;

use crate::llama::{COMMAND, SENTENCE, job};
use crate::said::said;

/// As what the proxy asks the gateway behind it: as a client of Chat (of Responses where it is asked so itself), or of Messages.
const MODELS: [(&str, &str); 2] = [("as-openai", "openai/messages/tiny"), ("as-anthropic", "anthropic/chat/tiny")];

/// A call, streamed, by every kind of client to every side of the proxy.
fn jobs() -> Vec<Job> {
    let ways = Dialect::ALL.into_iter().flat_map(|client| Dialect::ALL.map(|spoken| (client, spoken)));
    let ways =
        ways.flat_map(|(client, spoken)| MODELS.map(|(model, _)| (client, format!("{}/{model}", spoken.name()))));
    ways.map(|(client, model)| job(client, &model, true, true)).collect()
}

#[tokio::test]
async fn calls_come_and_are_blocked_through_a_proxy_between_two_gateways() {
    let llama = Llama::start().await;
    let behind = Gateway::start_converting(&Setup { upstream: llama.url().into(), policy: None }).await;
    let proxy = LiteLlm::start(&MODELS.map(|(name, model)| {
        let version = if model.starts_with("openai") { "/v1" } else { "" };
        (name, json!({"model": model, "api_base": format!("{}{version}", behind.url()), "api_key": "sk-test-dummy"}))
    }))
    .await;
    let front = async |policy| Gateway::start_converting(&Setup { upstream: proxy.url().into(), policy }).await;
    let (passing, blocking) = (front(None).await, front(Some(("dogfood_safety", json!({})))).await);

    let [passed, blocked] = read_each(Sdk::PythonNew, [passing.url(), blocking.url()], &jobs()).await;

    for job in jobs() {
        let (passed, blocked) = (said(&job, &passed[&job.name]), said(&job, &blocked[&job.name]));
        let commands: Vec<_> = passed.calls.iter().map(|call| &call.input["command"]).collect();
        assert_eq!((passed.text.trim(), commands), (SENTENCE, vec![&json!(COMMAND)]), "{}: {}", job.name, proxy.log());
        assert!(blocked.text.trim().starts_with(SENTENCE), "{}: {blocked:?}", job.name);
        assert!(blocked.text.contains("⛔ BLOCKED") && blocked.calls.is_empty(), "{}: {blocked:?}", job.name);
    }
    for gateway in [passing, blocking, behind] {
        gateway.stop().await;
    }
}
