//! The list of sessions.

use super::*;

fn session(id: &str, title: Option<&str>, models: &[&str], interventions: u64) -> SessionSummary {
    SessionSummary {
        session_id: id.to_owned(),
        key: None,
        first_timestamp: "2026-11-20T10:00:00Z".parse().unwrap(),
        last_timestamp: "2026-11-20T10:05:00Z".parse().unwrap(),
        turn_count: 3,
        total_events: 12,
        policy_interventions: interventions,
        models_used: models.iter().map(|&m| m.to_owned()).collect(),
        preview_message: title.map(str::to_owned),
        user_ids: Vec::new(),
    }
}

#[test]
fn a_line_for_each_session() {
    let sessions = vec![
        session("a1b2", Some("clean up the\nbuild folder \u{1b}[31m please"), &["claude-opus-5-5"], 1),
        session("c3", None, &["gpt-5", "gpt-6"], 0),
    ];
    let page = Sessions { sessions, total: 7, offset: 0, has_more: true };
    let shown = table(&page, &TimeZone::UTC, 200, Palette::plain());
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "LAST              TURNS  CHANGED  MODEL            SESSION  TITLE",
            "2026-11-20 10:05  3      1        claude-opus-5-5  a1b2     clean up the\u{23ce}build folder \u{241b}[31m please",
            "2026-11-20 10:05  3      0        gpt-5 +1         c3       (no title)",
            "2 of 7; more with --limit or --offset",
            "Look at one with: luthien show SESSION",
        ]
    );
}

#[test]
fn long_titles_are_cut() {
    let page =
        Sessions { sessions: vec![session("a", Some(&"x".repeat(300)), &[], 0)], total: 1, offset: 0, has_more: false };
    let shown = table(&page, &TimeZone::UTC, 80, Palette::plain());
    let row = shown.lines().nth(1).unwrap();
    assert!(row.ends_with("xxx\u{2026}"), "{row}");
    assert!(row.width() <= 80, "{row}");
}
