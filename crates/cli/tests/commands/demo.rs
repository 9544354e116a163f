//! `luthien demo` as a newcomer runs it.

use crate::support::Home;

#[test]
fn the_demo_blocks_and_leaves_a_record_that_can_be_read() {
    let home = Home::new();
    let demo = home.luthien(&["demo"]);
    assert_eq!(demo.code, 0, "{}\n{}", demo.out, demo.err);
    assert!(!demo.out.contains('\u{1b}'), "colours without a terminal");
    for part in [
        "calls Bash: rm -rf build ~/ --no-preserve-root",
        "BLOCKED it, score 0.97",
        "Checked: none of the ",
        "agent     gets the call Bash: rm -rf build\n",
        "the answer was changed:",
    ] {
        assert!(demo.out.contains(part), "{part:?} is not in\n{}", demo.out);
    }
    let line = demo.out.lines().find(|line| line.contains("luthien sessions --data-dir")).unwrap();
    let folder = line.split_whitespace().last().unwrap();

    let sessions = home.luthien(&["sessions", "--data-dir", folder]);
    assert!(sessions.out.contains("The disk is full."), "{}", sessions.out);
    let json = home.luthien(&["sessions", "--json", "--data-dir", folder]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["sessions"][0]["turn_count"], 4);
    assert_eq!(json["sessions"][0]["policy_interventions"], 1);
    let id = json["sessions"][0]["session_id"].as_str().unwrap();

    let show = home.luthien(&["show", id, "--data-dir", folder]);
    assert!(show.out.contains("\u{2716} blocked the call of Bash (tool_call_judge, score 0.97"), "{}", show.out);
    let start = home.luthien(&["show", &id[..8], "--data-dir", folder]);
    assert_eq!(start.out, show.out);
    let json = home.luthien(&["show", id, "--json", "--data-dir", folder]);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let call = json["turns"][1]["call_id"].as_str().unwrap();
    let raw = home.luthien(&["show", call, "--raw", "--data-dir", folder]);
    assert!(raw.out.contains("event: message_start"), "{}", raw.out);
    let unknown = home.luthien(&["show", "ffff", "--data-dir", folder]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains(id), "{}", unknown.err);
}
