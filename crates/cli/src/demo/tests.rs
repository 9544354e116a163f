//! What the demo plays.

use super::*;

#[test]
fn the_scenes_hold_one_dangerous_call() {
    let calls: Vec<Call> = SCENES.iter().filter_map(|scene| scene.call).collect();
    let stopped: Vec<&str> = calls.iter().filter(|call| call.verdict.0 >= 0.6).map(|call| call.id).collect();
    let never: Vec<&str> = calls.iter().filter(|call| call.output.is_none()).map(|call| call.id).collect();
    assert_eq!(stopped, ["toolu_demo_wipe"]);
    assert_eq!(never, stopped);
}
