//! `find`: the commands that it runs, and what it deletes.

use super::{Call, Context, Program, Walker, wrappers::replaced};
use crate::{
    analysis::{Kind, Object, Via, Word},
    flow::Flow,
};

impl Walker {
    pub(super) fn find(&mut self, program: Program<'_>, call: Call, context: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        let found = found(name, arguments);
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
            let words: Vec<Word> = command.iter().flat_map(|word| replaced(word, "{}", &found)).collect();
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
    for (at, _) in arguments.iter().enumerate().filter(|(_, word)| marks.contains(&word.text.as_str())).take(16) {
        let rest = arguments.get(at + 1..).unwrap_or_default();
        let end = rest.iter().position(|word| matches!(word.text.as_str(), ";" | "+")).unwrap_or(rest.len());
        out.push(rest.get(..end).unwrap_or_default());
    }
    out
}

/// What is found, as patterns: below the folders, by the names that are asked for.
fn found(name: &str, arguments: &[Word]) -> Vec<Word> {
    if name.contains("fd") {
        return vec![Word { glob: true, ..Word::fixed("./**") }];
    }
    let is_test =
        |word: &&Word| word.text.starts_with(['-', '(', '!', ',']) && !matches!(word.text.as_str(), "-L" | "-H" | "-P");
    let mut roots: Vec<&Word> =
        arguments.iter().take_while(|word| !is_test(word)).filter(|word| !word.text.starts_with('-')).take(8).collect();
    let here = Word::fixed(".");
    if roots.is_empty() {
        roots.push(&here);
    }
    let names: Vec<&str> = arguments
        .windows(2)
        .filter_map(|pair| match pair {
            [test, value] if matches!(test.text.as_str(), "-name" | "-iname" | "-path" | "-ipath" | "-wholename") => {
                Some(value.text.as_str())
            }
            _ => None,
        })
        .take(8)
        .collect();
    let mut out = Vec::new();
    for root in roots {
        let base = root.text.trim_end_matches('/');
        let pattern = |text: String| Word { glob: true, bare: text.clone(), text, ..root.clone() };
        if names.is_empty() {
            out.push(pattern(format!("{base}/**")));
        }
        for name in &names {
            let name = name.trim_start_matches("*/").trim_start_matches('/');
            out.push(pattern(format!("{base}/**/{name}")));
        }
    }
    out
}

fn after<'a>(arguments: &'a [Word], marks: &[&str]) -> Option<&'a Word> {
    let at = arguments.iter().position(|word| marks.contains(&word.text.as_str()))?;
    arguments.get(at + 1)
}
