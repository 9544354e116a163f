//! Expressions: what is refused and where, what they see, and what becomes of what is not there.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Expression, Failure};
use crate::rules::config::On;
use crate::rules::examples::Example;

fn ask(on: On, source: &str, example: &Value) -> Result<bool, Failure> {
    let expression = Expression::compile(source, on).unwrap_or_else(|refused| panic!("{refused}"));
    Example::read(on, example).unwrap().ask(&expression)
}

fn call(source: &str, name: &str, args: &Value) -> Result<bool, Failure> {
    ask(On::ToolCall, source, &json!({"tool": {"name": name, "args": args}}))
}

#[rstest]
#[case("tol.name == 'a'", "column 1: unknown variable `tol`; did you mean `tool`?")]
#[case("tool.nam == 'a'", "column 5: `tool` has no `nam`; did you mean `name`?")]
#[case("true &&\n  tool.nam == 'a'", "line 2, column 7: `tool` has no `nam`; did you mean `name`?")]
#[case("text == 'a'", "column 1: `text` is there with `on: text`, and this rule has `on: tool_call`")]
#[case("lowr(tool.name) == 'a'", "column 5: unknown function `lowr`; did you mean `lower`?")]
#[case("tool.name.startWith('a')", "column 20: unknown function `startWith`; did you mean `startsWith`?")]
#[case("tool.name.re('a')", "column 13: `re` is called as `re(value)`")]
#[case("startsWith(tool.name)", "column 11: `startsWith` is called as `value.startsWith()`")]
#[case("re(tool.name, '(')", "column 15: not a regular expression")]
#[case("re(tool.name, tool.raw)", "column 3: `re` takes its pattern in quotes")]
#[case("re(tool.name)", "column 3: `re` takes a value and a pattern")]
#[case("glob(tool.name, [])", "the list of patterns is empty")]
#[case("size(tool.name, 1) == 1", "column 5: `size` takes one argument")]
#[case("tool.effects.does('delte')", "column 19: unknown effect `delte`; did you mean `delete`?")]
#[case("tool.effects.does('delete', 'fil')", "unknown object `fil`; did you mean `file`?")]
#[case("tool.effects.network", "column 13: `network` is called: `network()`")]
#[case("shell('ls').comands == []", "effects have no `comands`; did you mean `commands`?")]
#[case("optional.of(1) == 1", "unknown variable `optional`")]
#[case("tool.name ==", "column 13: ")]
#[case("  ", "the expression is empty")]
#[case("int{a: 1} == 1", "there are no types to make values of")]
fn refused(#[case] source: &str, #[case] starts: &str) {
    let refused = Expression::compile(source, On::ToolCall).unwrap_err().to_string();
    assert!(refused.contains(starts), "{refused}");
}

#[test]
fn too_long_and_too_deep_are_refused() {
    assert!(Expression::compile(&format!("'{}' == ''", "a".repeat(9000)), On::ToolCall).is_err());
    assert!(Expression::compile(&format!("{}true{}", "(".repeat(2000), ")".repeat(2000)), On::ToolCall).is_err());
    for deep in [format!("1{} > 0", "+1".repeat(4000)), format!("tool{} == 1", ".a".repeat(4000))] {
        assert!(Expression::compile(&deep, On::ToolCall).is_err());
    }
}

#[rstest]
#[case("tool.name == 'Bash' && tool.args.command == 'ls -l'")]
#[case("tool.command.startsWith('ls')")]
#[case("re(tool.command, '^l.$|-l') && matches(tool.command, 'ls') && tool.command.matches('ls')")]
#[case("glob(tool.name, 'B*', 'X') && glob(tool.name, ['B?sh'])")]
#[case("contains_any(tool.command, ['rm', '-l'])")]
#[case("lower(tool.name) == 'bash' && path('/a/../b/') == '/b'")]
#[case("size(tool.args) == 2 && tool.args.n == 3 && tool.args['n'] < 4 && 'n' in tool.args")]
#[case("['ls', 'cat'].exists(c, tool.command.startsWith(c))")]
#[case("has(tool.args.n) && !has(tool.args.m) && has(tool.command)")]
#[case("tool.effects.runs('ls *') && tool.effects.executes('ls') && !tool.effects.network()")]
#[case("tool.effects.commands[0].args == ['-l'] && tool.effects.kinds == []")]
#[case("shell('rm -rf /etc/x').deletes('/etc') && shell('rm -rf /').deletes('/etc') && !shell('ls').deletes()")]
#[case("shell('rm x').does('delete') && shell('rm x').does('delete', 'file', 'x') && !shell('rm x').does('read')")]
#[case("dialect == 'messages' && model == 'a-model' && session == '' && user == ''")]
#[case("request.model == model && request.max_tokens == 1024 && !request.stream && request.body.max_tokens == 1024")]
#[case("request.last == 'hello' && request.messages[0].role == 'user' && request.tools == [] && request.system == ''")]
#[case("earlier.texts == [] && earlier.calls.size() == 0 && history.calls == [] && history.results == []")]
#[case("tool.raw.contains('ls -l') && tool.form == 'client'")]
fn true_of_a_call(#[case] source: &str) {
    assert_eq!(call(source, "Bash", &json!({"command": "ls -l", "n": 3})), Ok(true), "{source}");
}

#[rstest]
#[case("tool.args.nothing == 1")]
#[case("!tool.args.nothing.contains('x')")]
#[case("tool.args.list[5] == 1")]
#[case("tool.command == 'x'")]
#[case("history.calls[0].name == 'x'")]
fn what_is_not_there_is_missing(#[case] source: &str) {
    assert!(matches!(call(source, "Read", &json!({"list": []})), Err(Failure::Missing(_))), "{source}");
}

#[rstest]
#[case("tool.args.n.contains('x')", "no matching overload")]
#[case("tool.args.n + 'x' == 'x'", "")]
#[case("1 / tool.args.zero == 1", "ivision by zero")]
#[case("tool.args.n", "its value is no bool but int")]
fn what_is_wrong_is_an_error(#[case] source: &str, #[case] says: &str) {
    let Err(Failure::Error(why)) = call(source, "Read", &json!({"n": 1, "zero": 0})) else { panic!("{source}") };
    assert!(why.contains(says), "{why}");
}

#[test]
fn one_side_that_holds_is_enough_beside_what_is_missing() {
    let args = json!({"path": "/etc/passwd"});
    assert_eq!(call("tool.args.file == 'x' || tool.args.path.startsWith('/etc')", "Read", &args), Ok(true));
    assert_eq!(call("tool.args.file == 'x' && tool.args.path == ''", "Read", &args), Ok(false));
}

#[test]
fn free_text_is_the_argument_input() {
    let example = json!({"tool": {"name": "apply_patch", "args": "*** Add File: /etc/x\n+a"}});
    let source = "tool.args.input.startsWith('***') && tool.effects.writes('/etc')";
    assert_eq!(ask(On::ToolCall, source, &example), Ok(true));
}

#[test]
fn loops_end_where_they_go_through_too_much() {
    let many: Vec<u32> = (0..2000).collect();
    let args = json!({"many": many});
    assert_eq!(call("tool.args.many.all(a, a < 2000)", "x", &args), Ok(true));
    let source = "tool.args.many.all(a, tool.args.many.all(b, tool.args.many.exists(c, a + b + c >= 0)))";
    assert_eq!(call(source, "x", &args), Err(Failure::Error("it goes through too many elements".to_owned())));
    let hidden = format!("{source} || true");
    assert!(matches!(call(&hidden, "x", &args), Err(Failure::Error(_))));
}

#[test]
fn the_history_is_the_requests() {
    let request = json!({
        "system": "be kind", "tools": [{"name": "Bash"}, {"type": "web_search"}],
        "messages": [
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "Bash", "input": {"command": "cat k"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "secret", "is_error": true}]},
        ],
    });
    let example = json!({"tool": {"name": "Bash", "command": "ls"}, "request": request, "session": "s", "user": "u",
        "earlier": [{"text": "now"}, {"tool": {"name": "Read", "args": {"path": "a"}}}]});
    for source in [
        "history.calls.exists(c, c.command == 'cat k') && history.calls[0].args.command == 'cat k'",
        "history.results[0] == {'name': 'Bash', 'text': 'secret', 'is_error': true}",
        "request.system == 'be kind' && request.tools == ['Bash', 'web_search'] && request.last == 'look'",
        "earlier.text == 'now' && earlier.calls[0].args.path == 'a' && session == 's' && user == 'u'",
        "history.calls.exists(c, shell(c.command).reads('k'))",
    ] {
        assert_eq!(ask(On::ToolCall, source, &example), Ok(true), "{source}");
    }
}

#[test]
fn texts_turns_and_requests_have_their_own_variables() {
    assert_eq!(ask(On::Text, "text.contains('b') && earlier.texts == []", &json!("abc")), Ok(true));
    let turn = json!({"turn": [{"text": "a"}, {"tool": {"name": "Bash", "command": "ls"}}, {"text": "b"}]});
    let source = "turn.texts == ['a', 'b'] && turn.text == 'a\\n\\nb' && turn.calls[0].command == 'ls'";
    assert_eq!(ask(On::Turn, source, &turn), Ok(true));
    assert_eq!(ask(On::Request, "request.last == 'hi' && request.dialect == 'messages'", &json!("hi")), Ok(true));
}

/// Pieces of expressions, in any order.
const PIECES: &[&str] = &[
    "tool", ".args", ".command", ".name", ".effects", ".x", "[0]", "['x']", "(", ")", "[", "]", "{", "}", ",", ":",
    "'a'", "\"\\n\"", "1", "-2", "3u", "1.5", "true", "null", " && ", " || ", " ? ", " == ", " < ", " + ", " in ", "!",
    "-", "has(", "re(", "shell(", "size(", ".all(x, ", ".map(y, ", ".writes(", ".does(", "request", "history",
    ".calls", ".body", "ä", "\0", "b'\\xff'", "type(", "/*", "//", "\n", "?", "@0", "`",
];

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}", pieces in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        for source in [text, pieces.concat()] {
            if let Ok(expression) = Expression::compile(&source, On::ToolCall) {
                let example = json!({"tool": {"name": "Bash", "args": {"command": "ls", "x": [1, {"x": 2}]}}});
                // Any answer will do.
                let _ = Example::read(On::ToolCall, &example).unwrap().ask(&expression);
            }
        }
    }
}

/// Any JSON, with what is at the edges of types.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![json!(i64::MIN), json!(-1), json!(0), json!(u64::MAX), json!(1e308), json!("")]),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-c]{1,2}|command", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Pieces of expressions, so that some of what is put together compiles.
fn any_expression() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "tool.args",
        "tool.args.a",
        "tool.args.b",
        "tool.args['c']",
        "tool.args.a[0]",
        "tool.args.a[-1]",
        "tool.command",
        "tool.raw",
        "tool.name",
        "tool.effects.kinds",
        "shell(tool.args.a).list",
        "-9223372036854775808",
        "0",
        "-1",
        "1u",
        "1.5",
        "''",
        "'\u{e9}'",
        "[]",
        "[1]",
        "{}",
        "{'a': 1}",
        "null",
        "true",
        "request.body",
        "history.calls",
        "b'a'",
        "duration('1s')",
        "tool.args.a.map(x, x)",
        "lower(tool.args.a)",
        "path(tool.args.b)",
        "size(tool.args.a)",
        "int(tool.args.a)",
        "uint(tool.args.a)",
        "double(tool.args.a)",
        "string(tool.args.a)",
        "tool.args.a.split('')",
        "tool.args.a.substring(1, 99)",
        "tool.args.a.substring(-1)",
        "tool.args.a.charAt(tool.args.b)",
        "timestamp(tool.args.a)",
        "tool.args.a.replace('', 'ab', tool.args.b)",
        "tool.args.a.indexOf('', 7)",
        "tool.args.a.lastIndexOf('a', 9)",
        "tool.args.a.join(',')",
        "tool.args.a.format([1, 2])",
        "tool.args.a.trim()",
        "tool.args.a.reverse()",
    ]);
    let operator = prop::sample::select(vec![
        "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&&", "||", "in", "? 1 :",
    ]);
    (prop::collection::vec((value.clone(), operator), 0..4), value, any::<bool>()).prop_map(|(first, last, compare)| {
        let mut source: String = first.into_iter().flat_map(|(value, operator)| [value, " ", operator, " "]).collect();
        source.push_str(last);
        if compare { format!("({source}) == {last}") } else { source }
    })
}

proptest! {
    /// Whatever a call's arguments are, an expression has a value or says why not.
    #[test]
    fn any_value_has_an_answer(source in any_expression(), args in any_json()) {
        if let Ok(expression) = Expression::compile(&source, On::ToolCall) {
            let example = json!({"tool": {"name": "Bash", "args": args}});
            let asked = Example::read(On::ToolCall, &example).map(|example| example.ask(&expression).is_ok());
            prop_assert!(asked.is_ok() || !args.is_object(), "{source}");
        }
    }

    #[test]
    fn any_text_is_compiled_or_refused(source in "[a-z .()'\\[\\]{}0-9=&|!?:,\"\\\\-]{0,60}|\\PC{0,40}") {
        drop(Expression::compile(&source, On::ToolCall));
    }
}
