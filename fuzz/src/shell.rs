//! Shell commands: no text makes the analysis panic, overflow or run on; the same text gives the same analysis, and nothing that
//! comes after a command hides it.

use luthien_shell::{Analysis, Kind, analyze, analyze_argv};

/// A command that no input has by chance.
const CANARY: &str = "rm -rf /canary/of/ours\n";

/// Checks one input.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let analysis = analyze(&text);
    consistent(&analysis);
    assert_eq!(analysis, analyze(&text));
    let argv: Vec<String> = text.split('\n').map(str::to_owned).collect();
    consistent(&analyze_argv(&argv));

    let after = analyze(&format!("{CANARY}{text}"));
    let deletes = |analysis: &Analysis| {
        let canary = |target: Option<&str>| target == Some("/canary/of/ours");
        analysis.effects.iter().any(|effect| effect.kind == Kind::Delete && canary(effect.target.as_deref()))
    };
    assert!(deletes(&after), "a command is hidden by what follows it");
}

/// Every number names a command.
fn consistent(analysis: &Analysis) {
    let count = analysis.commands.len();
    assert!(analysis.effects.iter().all(|effect| effect.command < count));
    for (index, command) in analysis.commands.iter().enumerate() {
        assert!(command.reads_from.iter().chain(&command.writes_to).all(|&other| other < count));
        assert!(command.args.iter().flat_map(|word| &word.from).all(|&source| source < count));
        assert!(analysis.sources(index).iter().all(|&source| source < count && source != index));
    }
}
