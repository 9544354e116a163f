//! Interpreters: the code in their arguments or input is looked through for what it calls.

mod calls;

use crate::{
    analysis::{Kind, Object, Unknown, Via, Word},
    flow::Flow,
    options::{self, Reading},
    walk::{Call, Context, Program, Walker},
};

/// An interpreter's way of taking code.
struct Interpreter {
    names: &'static [&'static str],
    /// Options whose value is code.
    code: &'static [&'static str],
    values: &'static [&'static str],
    /// Whether the first operand is code and not a file.
    first: bool,
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter { names: &["python", "pypy", "jython"], code: &["-c"], values: &["-m", "-W", "-X"], first: false },
    Interpreter { names: &["perl"], code: &["-e", "-E"], values: &["-I", "-M"], first: false },
    Interpreter { names: &["ruby", "jruby"], code: &["-e"], values: &["-I", "-r"], first: false },
    Interpreter {
        names: &["node", "nodejs", "bun"],
        code: &["-e", "--eval", "-p", "--print"],
        values: &["-r", "--require"],
        first: false,
    },
    Interpreter { names: &["deno"], code: &[], values: &[], first: false },
    Interpreter { names: &["php"], code: &["-r"], values: &["-d", "-c", "-f"], first: false },
    Interpreter { names: &["lua", "luajit", "Rscript"], code: &["-e"], values: &["-l"], first: false },
    Interpreter { names: &["osascript"], code: &["-e"], values: &["-l"], first: false },
    Interpreter {
        names: &["awk", "gawk", "mawk", "nawk"],
        code: &["-e", "--source"],
        values: &["-F", "-v", "-f"],
        first: true,
    },
    Interpreter { names: &["pwsh", "powershell"], code: &["-c", "-Command", "-command"], values: &[], first: false },
    Interpreter { names: &["tclsh", "expect"], code: &["-c"], values: &[], first: false },
    Interpreter {
        names: &["vim", "vi", "nvim", "ex", "emacs"],
        code: &["-c", "--cmd", "--eval"],
        values: &["-u"],
        first: false,
    },
    Interpreter { names: &["gdb"], code: &["-ex", "-eval-command"], values: &[], first: false },
];

fn interpreter(name: &str) -> Option<&'static Interpreter> {
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.iter().find(|known| known.names.contains(&name) || known.names.contains(&plain))
}

/// `python` for `python3.11`.
fn unnumbered(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.')
}

impl Walker {
    /// Follows an interpreter. Gives the call back where the command is none.
    pub(crate) fn interpreter(&mut self, program: Program<'_>, call: Call, context: &Context) -> Result<Flow, Call> {
        let Program { name, first, arguments } = program;
        let Some(known) = interpreter(name) else { return Err(call) };
        let given =
            options::read(arguments, &Reading { values: [known.code, known.values], long: name == "gdb", most: 0 });
        let rest = arguments.get(given.rest..).unwrap_or_default();
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        self.table_effects(index, name, arguments, context);
        let mut codes: Vec<Word> = known
            .code
            .iter()
            .flat_map(|option| given.values(option))
            .map(|value| Word { text: value.text.to_owned(), ..value.word.clone() })
            .collect();
        let code_first = known.first && codes.is_empty() && !given.has("-f");
        if let (true, Some(code)) = (code_first, rest.first()) {
            codes.push(code.clone());
        }
        if let (Some(module), "python" | "pypy") = (given.values("-m").next(), unnumbered(name)) {
            let words: Vec<Word> = [module.part()].into_iter().chain(rest.iter().cloned()).collect();
            return Ok(self.invoke(&words, Call::default(), &context.wrapped(name)));
        }
        if !codes.is_empty() {
            let code = crate::walk::joined_lines(&codes);
            self.code(index, name, &code, context);
        } else if let Some(file) = rest.first().filter(|file| file.text != "-" && !given.has("-m") && !known.first) {
            self.program_file(index, name, file, context);
        } else if !known.first && !given.has("-m") && !given.has("--version") && !given.has("-V") {
            self.code_from_input(index, name, context);
        }
        Ok(Flow::unknown(vec![index]))
    }

    /// A program in a file, which this script may have written.
    fn program_file(&mut self, index: usize, name: &str, file: &Word, context: &Context) {
        // `bun add x`: the first operand is a file only where it looks like one.
        if matches!(name, "bun" | "deno") && !file.text.contains(['.', '/']) {
            return;
        }
        if matches!(name, "vim" | "vi" | "nvim" | "ex" | "emacs" | "gdb") {
            self.effect_on(index, Kind::Read, Object::File, file);
            return;
        }
        let content = self.content(file);
        if file.text.starts_with("<(") || file.text.starts_with("/dev/") {
            self.add(index, Kind::Execute, Object::Code, None, true);
        } else {
            self.effect_on(index, Kind::Execute, Object::File, file);
        }
        if let Some(text) = content.text {
            self.code(index, name, &Word { from: content.from, ..Word::fixed(text) }, context);
        } else if file.dynamic {
            self.note(Unknown::Code { command: index });
        }
    }

    fn code_from_input(&mut self, index: usize, name: &str, context: &Context) {
        match &context.stdin.text {
            Some(text) => {
                let word = Word::fixed(text.as_str());
                self.code(index, name, &word, context);
            }
            None if !context.stdin.from.is_empty() => {
                self.add(index, Kind::Execute, Object::Code, None, true);
                self.note(Unknown::Code { command: index });
            }
            None => {}
        }
    }

    /// Looks code through.
    fn code(&mut self, index: usize, name: &str, code: &Word, context: &Context) {
        let target = (!code.text.is_empty()).then(|| code.text.clone());
        self.add(index, Kind::Execute, Object::Code, target, code.dynamic);
        if code.dynamic {
            self.note(Unknown::Code { command: index });
        }
        if !self.spend(code.text.len()) {
            return;
        }
        let language = unnumbered(name);
        for found in calls::find(language, &code.text) {
            match found {
                calls::Found::Shell(Some(text)) => {
                    self.shell_text(&text, &[], Via::Code, &context.wrapped(name));
                }
                calls::Found::Shell(None) => {
                    self.add(index, Kind::Execute, Object::Process, None, true);
                    self.note(Unknown::Code { command: index });
                }
                calls::Found::Does(kind, object, target, recursive) => {
                    let dynamic = target.is_none();
                    let word = Word { dynamic, ..Word::fixed(target.unwrap_or_default()) };
                    self.add_with(index, kind, object, &word, recursive, false);
                }
            }
        }
    }
}
