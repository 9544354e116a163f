//! Sessions as files: every turn is in them, and names of users.

use rstest::rstest;

use super::*;

/// The pieces of an export.
pub(super) async fn pieces(recorder: &Recorder, id: &str, format: Format) -> Vec<String> {
    let mut export = Export::of(recorder.store(), id, format).await.expect("a query").expect("a session");
    let mut out = Vec::new();
    while let Some(piece) = export.next().await.expect("a piece") {
        out.push(piece);
    }
    out
}

#[rstest]
#[tokio::test]
async fn exports_hold_every_turn(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let user = |start: Start| Start { user_id: Some("u-1".into()), ..start };
    let first = start(1, Some("s"), body(&[super::user("say ```")]));
    answered(&recorder, user(first), &answer("<b>*ok*</b>")).finish(end(1));
    let second = body(&[super::user("say ```"), assistant("<b>*ok*</b>"), super::user("do")]);
    blocked(&recorder, user(start(2, Some("s"), second)));
    recorder.settled().await;
    recorder.store().set_label("u-1", "Ada_L", crate::testing::second(1)).await.expect("a name");

    let shown = session(recorder.store(), "s").await.expect("a query").expect("a session");
    let whole: Value = serde_json::from_str(&pieces(&recorder, "s", Format::Json).await.concat()).expect("JSON");
    let mut expected = serde_json::to_value(&shown).expect("JSON");
    expected["user_labels"] = json!({"u-1": "Ada_L"});
    assert_eq!(whole, expected);
    assert_eq!(whole["turns"][1]["original_response_messages"][1]["tool_name"], "Bash");
    assert_eq!((&whole["user_ids"], &whole["turns"][0]["user_id"]), (&json!(["u-1"]), &json!("u-1")));

    let lines = pieces(&recorder, "s", Format::Jsonl).await.concat();
    let turns: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(turns.len(), 2);
    assert_eq!((&turns[1]["session_id"], &turns[1]["user_label"]), (&json!("s"), &json!("Ada_L")));
    assert_eq!(turns[1]["response_messages"], whole["turns"][1]["response_messages"]);

    let text = pieces(&recorder, "s", Format::Markdown).await.concat();
    assert!(text.starts_with("# Session s\n\n- From "), "{text}");
    assert!(text.contains("- Users: Ada\\_L (u-1)\n- Turns: 2\n- Turns with a policy intervention: 1\n"), "{text}");
    assert!(text.contains("\n````text\nsay ```\n````\n"), "{text}");
    assert_eq!(text.matches("say ```").count(), 1, "only what is new: {text}");
    assert!(text.contains("As the model gave it") && text.contains("rm -rf /"), "{text}");
}

#[rstest]
#[tokio::test]
async fn a_long_session_comes_turn_by_turn(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let mut history = Vec::new();
    for number in 1..=120 {
        history.push(user(&format!("ask {number}")));
        answered(&recorder, start(number, Some("s"), body(&history)), &answer("yes")).finish(end(number));
        history.push(assistant("yes"));
    }
    recorder.settled().await;
    let pieces = pieces(&recorder, "s", Format::Jsonl).await;
    let turns: Vec<Value> = pieces
        .iter()
        .filter(|piece| !piece.is_empty())
        .map(|piece| serde_json::from_str(piece).expect("JSON"))
        .collect();
    assert_eq!(turns.len(), 120);
    assert_eq!(
        (&turns[119]["new_from"], turns[119]["request_messages"].as_array().map(Vec::len)),
        (&json!(238), Some(239))
    );
    assert_eq!(turns[119]["request_messages"][238]["content"], "ask 120");
}

#[rstest]
#[tokio::test]
async fn a_session_without_turns_is_a_whole_document(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let (_home, recorder) = recorder_on(db).await;
    let count = Start { conversation: false, ..start(1, Some("s"), body(&[user("x")])) };
    answered(&recorder, count, &answer("y")).finish(end(1));
    recorder.settled().await;
    let whole: Value = serde_json::from_str(&pieces(&recorder, "s", Format::Json).await.concat()).expect("JSON");
    assert_eq!((&whole["turns"], &whole["first_timestamp"]), (&json!([]), &json!(second(1))));
    assert!(Export::of(recorder.store(), "t", Format::Json).await.expect("a query").is_none());
}
