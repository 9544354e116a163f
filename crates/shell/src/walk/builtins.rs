//! Commands of the shell itself that change what later ones mean.

use super::{Call, Context, Program, Walker, variables::joined};
use crate::{
    analysis::{Kind, Object, Unknown, Via, Word},
    flow::Flow,
    syntax,
};

/// Variables that say whether a shell remembers what it ran.
const HISTORY: &[&str] = &["HISTFILE", "HISTSIZE", "HISTFILESIZE", "SAVEHIST"];

/// Whether setting a variable makes the shell forget what it runs.
pub(super) fn forgets(name: &str, value: &str) -> bool {
    match name {
        "HISTFILE" => matches!(value, "" | "/dev/null"),
        "HISTSIZE" | "HISTFILESIZE" | "SAVEHIST" => value == "0",
        "HISTCONTROL" => value.contains("ignore"),
        "HISTIGNORE" => value == "*",
        _ => false,
    }
}

impl Walker {
    /// Follows a builtin. Gives the call back where the command is none.
    pub(super) fn builtin(&mut self, program: Program<'_>, call: Call, context: &Context) -> Result<Flow, Call> {
        let Program { name, arguments, .. } = program;
        match name {
            "cd" | "pushd" => self.change_folder(arguments),
            "export" | "declare" | "typeset" | "local" | "readonly" | "setenv" => self.declare(arguments, context),
            "read" | "mapfile" | "readarray" => self.read(arguments, context),
            "set" => self.set(arguments),
            "shift" => self.shift(),
            "unset" => {}
            "eval" => return Ok(self.eval(program, call, context)),
            "source" | "." if !arguments.is_empty() => return Ok(self.source(program, call, context)),
            "trap" => {
                let flow = self.plain(program, call, context);
                if let Some(action) = arguments.iter().find(|word| word.text != "--") {
                    self.hook(action, context);
                }
                return Ok(flow);
            }
            "alias" => {
                let flow = self.plain(program, call, context);
                for word in arguments {
                    if let Some((_, value)) = word.text.split_once('=') {
                        self.hook(&Word { text: value.to_owned(), ..word.clone() }, context);
                    }
                }
                return Ok(flow);
            }
            "printf" if arguments.first().is_some_and(|word| word.text == "-v") => {
                let value = crate::decoders::output(name, arguments.get(2..).unwrap_or_default(), &context.stdin);
                if let (Some(variable), Some(value)) = (arguments.get(1), value) {
                    self.assign(&variable.text.clone(), value.word(), context);
                }
            }
            _ => return Err(call),
        }
        self.plain(program, call, context);
        self.declare_effects(name, arguments);
        Ok(Flow::nothing())
    }

    fn declare_effects(&mut self, name: &str, arguments: &[Word]) {
        let sets = |word: &Word| word.text.split_once('=').is_some_and(|(name, value)| forgets(name, value));
        let forgets = match name {
            "set" => {
                arguments.iter().any(|word| word.text == "+o") && arguments.iter().any(|word| word.text == "history")
            }
            "unset" => arguments.iter().any(|word| HISTORY.contains(&word.text.as_str())),
            _ => arguments.iter().any(sets),
        };
        if forgets && let Some(index) = self.out.commands.len().checked_sub(1) {
            self.add(index, Kind::Weaken, Object::Log, None, false);
        }
    }

    fn change_folder(&mut self, arguments: &[Word]) {
        let target = arguments.iter().find(|word| !word.text.starts_with('-'));
        self.folder = match target {
            None => Some("~".to_owned()),
            Some(word) if word.dynamic && word.text.is_empty() => None,
            Some(word) => Some(self.path(&word.text)),
        };
    }

    fn declare(&mut self, arguments: &[Word], context: &Context) {
        for word in arguments {
            if let Some((name, value)) = syntax::assignment(&word.text) {
                let bare = word.bare.split_once('=').map(|(_, value)| value.to_owned()).unwrap_or_default();
                self.assign(name, Word { text: value.to_owned(), bare, ..word.clone() }, context);
            }
        }
    }

    /// `read x` takes what comes in.
    fn read(&mut self, arguments: &[Word], context: &Context) {
        let mut values = context.stdin.divided();
        self.at_most(&mut values, crate::limits::LOOP);
        if let Some(text) =
            context.stdin.text.as_deref().map(|text| text.trim_end_matches('\n')).filter(|text| !text.contains('\n'))
        {
            values = vec![Word { from: context.stdin.from.clone(), ..Word::fixed(text) }];
        }
        if values.is_empty() {
            values.push(Word { dynamic: true, ..Word::default() });
        }
        for word in arguments.iter().filter(|word| syntax::is_name(&word.text)) {
            self.variables.insert(word.text.clone(), values.clone());
        }
        if !arguments.iter().any(|word| syntax::is_name(&word.text)) {
            self.variables.insert("REPLY".to_owned(), values);
        }
    }

    fn set(&mut self, arguments: &[Word]) {
        if let Some(at) = arguments.iter().position(|word| word.text == "--") {
            self.parameters = Some(arguments.get(at + 1..).unwrap_or_default().to_vec());
        }
    }

    fn shift(&mut self) {
        if let Some(parameters) = self.parameters.as_mut().filter(|parameters| !parameters.is_empty()) {
            parameters.remove(0);
        }
    }

    fn eval(&mut self, program: Program<'_>, call: Call, context: &Context) -> Flow {
        let arguments = program.arguments;
        let text = joined(arguments);
        if text.known().trim().is_empty() {
            return self.unknown_code(program, call, context);
        }
        if text.dynamic {
            self.unknown_code(program, call, context);
        }
        let inner = context.wrapped("eval").inside(Via::Eval);
        self.script(&text.script(), &inner)
    }

    /// Runs a command whose script is not known.
    pub(super) fn unknown_code(&mut self, program: Program<'_>, call: Call, context: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        self.add(index, Kind::Execute, Object::Code, None, true);
        self.note(Unknown::Code { command: index });
        Flow::unknown(vec![index])
    }

    fn source(&mut self, program: Program<'_>, call: Call, context: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        let Some((file, rest)) = arguments.split_first() else { return Flow::nothing() };
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        self.run_file(index, file, rest, context);
        Flow::unknown(vec![index])
    }

    /// Text that a shell runs later.
    fn hook(&mut self, action: &Word, context: &Context) {
        if !action.dynamic && action.text.len() > 1 {
            self.maybe += 1;
            self.script(&action.text, &context.inside(Via::Hook));
            self.maybe -= 1;
        }
    }
}
