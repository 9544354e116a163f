//! Commands that run the command in their arguments: `sudo`, `xargs`, `find -exec`, `ssh`…

use super::{Call, Context, Pending, Program, Walker, variables::joined};
use crate::{
    analysis::{Assignment, Kind, Object, Via, Word},
    flow::Flow,
    limits,
    options::{self, Arguments},
    syntax,
    tables::{self, Form, Wrap},
};

impl Walker {
    /// Follows a wrapper. Gives the call back where the command is none, or wraps nothing here.
    pub(super) fn wrapper(&mut self, program: Program<'_>, call: Call, context: &Context) -> Result<Flow, Call> {
        let Program { name, arguments, .. } = program;
        if matches!(name, "find" | "fd" | "fdfind" | "gfind") {
            return Ok(self.find(program, call, context));
        }
        let Some(entry) = tables::entry(name) else { return Err(call) };
        if !entry.wraps {
            return Err(call);
        }
        let operands = options::read(arguments, &entry.reading(&[], usize::MAX)).operands;
        for rule in entry.rules.iter().filter(|rule| rule.matches(&operands).is_some()) {
            for wrap in rule.wraps() {
                let most =
                    rule.sub.len() + if let Form::Skip(count) | Form::Join(count) = wrap.form { count } else { 0 };
                let reading = entry.reading(
                    &rule.values,
                    if matches!(wrap.form, Form::Skip(_) | Form::Join(_)) { most } else { usize::MAX },
                );
                let given = options::read(arguments, &reading);
                if !wrap.holds(&given) {
                    continue;
                }
                if let Some(inner) = inner(wrap, &given, arguments) {
                    return Ok(self.wrapped(program, wrap, inner, &given, call, context));
                }
            }
        }
        Err(call)
    }

    fn wrapped(
        &mut self,
        program: Program<'_>,
        wrap: &Wrap,
        inner: Inner,
        given: &Arguments<'_>,
        mut call: Call,
        context: &Context,
    ) -> Flow {
        let Program { name, first, arguments } = program;
        let mut place = context.wrapped(name);
        if wrap.privilege {
            let user =
                wrap.users.iter().find_map(|option| given.values(option).next()).map_or("root", |value| value.text);
            self.pending.push(Pending {
                kind: Kind::Privilege,
                object: Object::Account,
                target: Some(user.to_owned()),
            });
        }
        let mut from = Vec::new();
        if wrap.keep {
            let index = self.push(name.to_owned(), first.text.clone(), arguments, std::mem::take(&mut call), context);
            let own = arguments.iter().position(|word| word.text == "--").unwrap_or(arguments.len()).min(given.rest);
            self.table_effects(index, name, arguments.get(..own).unwrap_or_default(), context);
            self.settings(name, arguments.get(..own).unwrap_or_default(), context);
            from.push(index);
        }
        place.via = match (wrap.remote, wrap.input) {
            (true, _) => Via::Remote,
            (_, true) => Via::Xargs,
            _ => place.via,
        };
        let folder = self.folder.clone();
        if wrap.remote {
            self.folder = None;
        }
        let flow = match inner {
            Inner::Words(words) => self.inner_words(words, wrap, given, call, &place),
            Inner::Text(text) => self.inner_text(program, &text, call, &place),
        };
        self.folder = folder;
        if from.is_empty() { flow } else { Flow { from, ..flow } }
    }

    fn inner_words(
        &mut self,
        mut words: Vec<Word>,
        wrap: &Wrap,
        given: &Arguments<'_>,
        mut call: Call,
        place: &Context,
    ) -> Flow {
        if wrap.sets {
            let count =
                words.iter().take_while(|word| word.text == "-" || syntax::assignment(&word.text).is_some()).count();
            for word in words.drain(..count) {
                if let Some((name, value)) = syntax::assignment(&word.text) {
                    let value = Word { text: value.to_owned(), ..word.clone() };
                    self.assign_maybe(name, value.clone(), place);
                    call.assignments.push(Assignment { name: name.to_owned(), value });
                }
            }
        }
        if wrap.input {
            words = self.with_input(words, given, place);
        }
        if words.is_empty() {
            return Flow::nothing();
        }
        self.invoke(&words, call, place)
    }

    /// The words that `xargs` and `parallel` put together.
    fn with_input(&mut self, mut words: Vec<Word>, given: &Arguments<'_>, place: &Context) -> Vec<Word> {
        let mut input = place.stdin.divided();
        // `parallel cmd ::: a b`
        if let Some(at) = words.iter().position(|word| matches!(word.text.as_str(), ":::" | ":::+" | "::::")) {
            input = words.split_off(at).into_iter().skip(1).collect();
        }
        let mark = given
            .values("-I")
            .chain(given.values("-J"))
            .chain(given.values("--replace"))
            .next()
            .map_or("{}", |value| value.text);
        if words.iter().any(|word| word.text.contains(mark)) {
            if let (Some(text), true) =
                (&place.stdin.text, given.has("-I") || given.has("-i") || given.has("--replace"))
            {
                let lines = text.lines().filter(|line| !line.is_empty());
                input = lines.map(|line| Word { from: place.stdin.from.clone(), ..Word::fixed(line) }).collect();
            }
            self.at_most(&mut input, limits::LOOP);
            return words.into_iter().flat_map(|word| self.replaced(&word, mark, &input)).collect();
        }
        self.at_most(&mut input, limits::COMMANDS);
        words.extend(input);
        words
    }

    fn inner_text(&mut self, program: Program<'_>, text: &Word, call: Call, place: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        if text.dynamic {
            self.unknown_code(program, call, place);
        } else if !call.redirects.is_empty() {
            self.push(name.to_owned(), first.text.clone(), arguments, call, place);
        }
        let via = if place.via == Via::Remote { Via::Remote } else { Via::ShellText };
        self.shell_text(&text.script(), &[], via, place)
    }
}

/// What a wrapper runs.
enum Inner {
    Words(Vec<Word>),
    Text(Word),
}

fn inner(wrap: &Wrap, given: &Arguments<'_>, arguments: &[Word]) -> Option<Inner> {
    let words = |from: usize| arguments.get(from..).filter(|words| !words.is_empty());
    match &wrap.form {
        Form::Skip(_) => words(given.rest).map(|words| Inner::Words(words.to_vec())),
        Form::Dashes => {
            let at = arguments.iter().position(|word| word.text == "--")?;
            words(at + 1).map(|words| Inner::Words(words.to_vec()))
        }
        Form::Join(_) => words(given.rest).map(|words| Inner::Text(joined(words))),
        Form::Text(options) => options.iter().find_map(|option| given.values(option).next()).map(|value| {
            let text = value.part();
            // `env -S` puts the other words behind the text.
            let own = arguments.iter().position(|word| std::ptr::eq(word, value.word)).unwrap_or(arguments.len());
            let more = if wrap.sets { arguments.get(own + 1..).unwrap_or_default() } else { &[] };
            Inner::Text(joined(&[text].into_iter().chain(more.iter().cloned()).collect::<Vec<_>>()))
        }),
        Form::After(options) => {
            let at = arguments.iter().position(|word| options.contains(&word.text.as_str()))?;
            words(at + 1).map(|words| Inner::Words(words.to_vec()))
        }
    }
}

impl Walker {
    /// A word with its mark replaced: where it is all of the word, by each of the inputs.
    pub(super) fn replaced(&mut self, word: &Word, mark: &str, input: &[Word]) -> Vec<Word> {
        if !word.text.contains(mark) {
            return vec![word.clone()];
        }
        let count = word.text.matches(mark).count();
        let bytes = input.iter().map(|value| word.text.len() + count * (value.text.len() + value.from.len()));
        if !self.work(bytes.sum()) {
            return vec![Word { dynamic: true, ..word.clone() }];
        }
        if word.text == mark {
            return input.to_vec();
        }
        let one = |value: &Word| Word {
            text: word.text.replace(mark, &value.text),
            bare: word.bare.replace(mark, &value.bare),
            dynamic: word.dynamic || value.dynamic,
            glob: word.glob || value.glob,
            from: [word.from.as_slice(), &value.from].concat(),
        };
        input.iter().map(one).collect()
    }
}
