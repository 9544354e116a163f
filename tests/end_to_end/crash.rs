//! The gateway is killed: what was in flight is on the record when it starts again.

use std::path::Path;
use std::time::Duration;

use luthien_testkit::client::post;
use luthien_testkit::{Answer, Gate, Upstream};
use luthien_tests::gateway::{Gateway, Setup};
use serde_json::json;

const SAID: &str = "These words were on their way";

/// The journal holds these bytes.
fn kept(folder: &Path, words: &str) -> bool {
    let files = std::fs::read_dir(folder.join("journal")).expect("the journal");
    let mut contents = files.filter_map(|file| std::fs::read(file.ok()?.path()).ok());
    contents.any(|bytes| bytes.windows(words.len()).any(|window| window == words.as_bytes()))
}

#[tokio::test]
async fn a_stream_that_a_kill_cut_off_is_recorded_as_interrupted() {
    let gate = Gate::new();
    let upstream = Upstream::start().await.expect("an upstream");
    upstream.default_script(Answer::new().say(SAID).hold(&gate).say("and these never came"));
    let setup = Setup { upstream: upstream.base_url(), policy: None };
    let gateway = Gateway::start(&setup).await;
    let turn =
        json!({"model": "m", "max_tokens": 16, "stream": true, "messages": [{"role": "user", "content": "Speak."}]});
    let url = format!("{}/v1/messages", gateway.url());
    let answer = post(&url, &[("x-api-key", "k")], turn.to_string()).await.expect("an answer");
    let id = answer.header("x-luthien-transaction-id").expect("an id").to_owned();
    // The journal promises to be at most a second late; the test waits for what it needs, however long that takes.
    while !kept(&gateway.data(), "on their way") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let folder = gateway.kill().await;
    let mut gateway = Gateway::start_in(&setup, &[], folder).await;

    assert_eq!(gateway.recorded(1).await[0]["call_id"], id);
    let shown = gateway.command(&["show", &id]).await;
    for words in ["Speak.", SAID, "the gateway stopped before the end"] {
        assert!(shown.stdout.contains(words), "`{words}` is not shown:\n{}", shown.stdout);
    }
    drop(answer);
    gateway.stop().await;
}
