//! What holds for every text.

use proptest::prelude::*;

use super::effects;
use crate::analyze;

/// Pieces that shell text is made of, so that what is put together at random means something now and then.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "rm ",
            "-rf ",
            "/",
            " ",
            "\n",
            "\"",
            "'",
            "`",
            "$(",
            ")",
            "${",
            "}",
            "$x",
            "x=",
            "(",
            "{ ",
            ";",
            "&&",
            "||",
            "|",
            "&",
            ">",
            "<",
            "<<E\n",
            "E\n",
            "<<<",
            "<(",
            "if ",
            "then ",
            "fi",
            "for i in ",
            "do ",
            "done",
            "case x in ",
            "esac",
            "eval ",
            "sh -c ",
            "sudo ",
            "xargs ",
            "f() ",
            "find / -exec ",
            "\\",
            "$'",
            "{a,b}",
            "$((",
            "))",
            "é",
            "python -c ",
            "os.system(",
            "echo ",
            "base64 -d ",
            "#",
            "!",
            "[[ ",
            "]]",
            "trap ",
            "cd ",
            "1..9",
            "*",
            "~",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_hides_what_stands_in_front(text in text()) {
        let analysis = analyze(&format!("rm -rf /canary\n{text}"));
        let deleted = effects(&analysis).contains(&"delete file /canary -r -f".to_owned());
        prop_assert!(deleted);
    }

    #[test]
    fn numbers_name_commands(text in text()) {
        let analysis = analyze(&text);
        let count = analysis.commands.len();
        prop_assert!(analysis.effects.iter().all(|effect| effect.command < count));
        for command in &analysis.commands {
            prop_assert!(command.reads_from.iter().chain(&command.writes_to).all(|&other| other < count));
        }
        prop_assert_eq!(analyze(&text), analysis);
    }
}
