//! What of the demo is shown, and how.

use super::*;

#[test]
fn the_scene_ends_with_the_check() {
    let printed = "before\n── turn 1\n  user      Go.\n\nChecked: nothing\nThat turn in the record:\n";
    assert_eq!(scene(printed).unwrap(), ["── turn 1", "  user      Go.", "", "Checked: nothing"]);
    assert_eq!(scene("── turn 1\n"), None);
}

#[test]
fn a_line_keeps_its_text_and_no_mark_up_of_its_own() {
    assert_eq!(painted("  tool      <b>&"), "<tspan fill=\"#8b949e\">  tool     </tspan> &lt;b&gt;&amp;");
    assert_eq!(painted("            user goes on"), "            user goes on");
    assert!(painted("  gateway   held the call, BLOCKED it").starts_with("<tspan fill=\"#ff7b72\">"));
}
