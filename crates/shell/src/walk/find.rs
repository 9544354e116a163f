//! `find`: the commands that it runs, and what it deletes.

use super::{Call, Context, Program, Walker};
use crate::{
    analysis::{Kind, Object, Via, Word},
    flow::Flow,
    limits,
};

impl Walker {
    pub(super) fn find(&mut self, program: Program<'_>, call: Call, context: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        let (mut roots, mut names) = (roots(arguments), names(arguments));
        self.at_most(&mut roots, limits::LOOP);
        self.at_most(&mut names, limits::LOOP);
        let found = found(name, &roots, &names);
        for path in &found {
            self.effect_on(index, Kind::Search, Object::File, path);
        }
        for path in &found {
            if arguments.iter().any(|word| word.text == "-delete") {
                self.add_with(index, Kind::Delete, Object::File, path, true, true);
            }
        }
        if let Some(file) = after(arguments, &["-fprint", "-fprintf", "-fls", "-fprint0"]) {
            self.effect_on(index, Kind::Write, Object::File, file);
        }
        for command in commands(name, arguments) {
            let words: Vec<Word> = command.iter().flat_map(|word| self.replaced(word, "{}", &found)).collect();
            let mut place = context.wrapped(name);
            place.via = Via::Find;
            self.invoke(&words, Call::default(), &place);
        }
        Flow { text: None, words: Some(found), from: vec![index] }
    }
}

/// The words after `-exec` and its like, up to `;` or `+`.
fn commands<'a>(name: &str, arguments: &'a [Word]) -> Vec<&'a [Word]> {
    let marks: &[&str] = if name.contains("fd") {
        &["-x", "-X", "--exec", "--exec-batch"]
    } else {
        &["-exec", "-execdir", "-ok", "-okdir"]
    };
    let mut out = Vec::new();
    for (at, _) in arguments.iter().enumerate().filter(|(_, word)| marks.contains(&word.text.as_str())) {
        let rest = arguments.get(at + 1..).unwrap_or_default();
        let end = rest.iter().position(|word| matches!(word.text.as_str(), ";" | "+")).unwrap_or(rest.len());
        out.push(rest.get(..end).unwrap_or_default());
    }
    out
}

/// The folders in which is looked.
fn roots(arguments: &[Word]) -> Vec<Word> {
    let is_test =
        |word: &&Word| word.text.starts_with(['-', '(', '!', ',']) && !matches!(word.text.as_str(), "-L" | "-H" | "-P");
    arguments.iter().take_while(|word| !is_test(word)).filter(|word| !word.text.starts_with('-')).cloned().collect()
}

/// The names that are looked for.
fn names(arguments: &[Word]) -> Vec<Word> {
    let name = |pair: &[Word]| match pair {
        [test, value] if matches!(test.text.as_str(), "-name" | "-iname" | "-path" | "-ipath" | "-wholename") => {
            Some(value.clone())
        }
        _ => None,
    };
    arguments.windows(2).filter_map(name).collect()
}

/// What is found, as patterns: below the folders, by the names that are asked for.
fn found(program: &str, roots: &[Word], names: &[Word]) -> Vec<Word> {
    if program.contains("fd") {
        return vec![Word { glob: true, ..Word::fixed("./**") }];
    }
    let here = [Word::fixed(".")];
    let roots = if roots.is_empty() { &here } else { roots };
    let mut out = Vec::new();
    for root in roots {
        let base = root.text.trim_end_matches('/');
        let pattern = |text: String| Word { glob: true, bare: text.clone(), text, ..root.clone() };
        if names.is_empty() {
            out.push(pattern(format!("{base}/**")));
        }
        for name in names {
            let name = name.text.trim_start_matches("*/").trim_start_matches('/');
            out.push(pattern(format!("{base}/**/{name}")));
        }
    }
    out
}

fn after<'a>(arguments: &'a [Word], marks: &[&str]) -> Option<&'a Word> {
    let at = arguments.iter().position(|word| marks.contains(&word.text.as_str()))?;
    arguments.get(at + 1)
}
