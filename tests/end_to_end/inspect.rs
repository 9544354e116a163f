//! The real Inspect in front of the gateway: an evaluation with a tool in each dialect, with an upstream of each behind it.

use luthien_testkit::{Answer, Asked, Script, Upstream};
use luthien_tests::clients::inspect;
use luthien_tests::gateway::{Gateway, Setup};
use luthien_wire::Dialect;
use serde_json::json;

#[tokio::test]
async fn an_evaluation_with_a_tool_succeeds_whatever_the_upstream_speaks() {
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Script::new(|asked: &Asked| {
        if asked.ends_with_result() {
            Answer::text("It is forty-two.")
        } else {
            Answer::new().say("I will multiply.").call("multiply", &json!({"one": 6, "other": 7}))
        }
    }));
    let mut gateway = Gateway::start_converting(&Setup { upstream: upstream.base_url(), policy: None }).await;
    let ways = Dialect::ALL.into_iter().flat_map(|client| Dialect::ALL.map(|spoken| (client, spoken)));
    let models: Vec<_> = ways.map(|(client, spoken)| (client, format!("{}/a-model", spoken.name()))).collect();

    let outcomes = inspect(gateway.url(), &models).await;

    for (client, model) in &models {
        let outcome = &outcomes[&format!("{} {model}", client.name())];
        let tokens = outcome["tokens"].as_u64();
        assert!(tokens > Some(0), "{} {model}: {outcome}", client.name());
        let said = ["I will multiply.", "It is forty-two."];
        let expected =
            json!({"status": "success", "accuracy": 1.0, "said": said, "tools": ["answer-42"], "tokens": tokens});
        assert_eq!(outcome, &expected, "{} {model}", client.name());
    }
    for spoken in Dialect::ALL {
        let asked = upstream.turns().iter().filter(|turn| turn.path == format!("/v1{}", spoken.path())).count();
        // Once before the tool and once after; and as a client of Responses it greets the model first.
        assert_eq!(asked, 2 * Dialect::ALL.len() + 1, "{}", spoken.name());
    }
    gateway.recorded(21).await;
    gateway.stop().await;
}
