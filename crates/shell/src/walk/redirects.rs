//! Redirections: what a command reads besides pipes, and where its output goes.

use super::{Call, Context, Walker};
use crate::{
    analysis::{Kind, Object, Redirect, Word},
    flow::Flow,
    syntax::{Node, Redirection},
};

/// What a command's redirections come to.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) redirects: Vec<Redirect>,
    pub(super) stdin: Option<Flow>,
    /// The file that its output goes to, and whether at the end of it.
    pub(super) out: Option<(Word, bool)>,
}

impl Walker {
    pub(super) fn streams(&mut self, redirections: &[Redirection], context: &Context) -> Streams {
        let mut streams = Streams::default();
        for redirection in redirections {
            match redirection {
                Redirection::File { operator, target } => {
                    let target = self.word(target, context);
                    let sign = operator.trim_start_matches(|c: char| c.is_ascii_digit());
                    let number = operator.get(..operator.len() - sign.len()).unwrap_or_default();
                    match sign {
                        "<" => streams.stdin = Some(self.content(&target)),
                        ">" | ">>" | ">|" | "&>" | "&>>" if matches!(number, "" | "1") => {
                            streams.out = Some((target.clone(), sign.ends_with(">>")));
                        }
                        _ => {}
                    }
                    streams.redirects.push(Redirect { operator: operator.clone(), target });
                }
                Redirection::Here { text, quoted } => {
                    let text = if *quoted { Word::fixed(text.as_str()) } else { self.quoted(text, context) };
                    streams.stdin = Some(here(text, ""));
                }
                Redirection::HereWord(word) => {
                    let text = self.word(word, context);
                    streams.stdin = Some(here(text, "\n"));
                }
            }
        }
        streams
    }

    /// What a file holds: what the script wrote into it, or `<(…)`.
    pub(crate) fn content(&mut self, file: &Word) -> Flow {
        if let Some(text) = self.given.take() {
            return Flow::known(&text, file.from.clone());
        }
        match self.files.get(&self.path(&file.text)) {
            Some(flow) => flow.clone(),
            None => Flow::unknown(file.from.clone()),
        }
    }

    /// Remembers what went into a file; gives what is left for the pipe.
    pub(super) fn written(&mut self, out: Option<(Word, bool)>, flow: Flow) -> Flow {
        let Some((file, append)) = out else { return flow };
        self.store(&file, flow, append);
        Flow::nothing()
    }

    /// Remembers what a file holds from now on.
    pub(super) fn store(&mut self, file: &Word, flow: Flow, append: bool) {
        if file.text.starts_with("/dev/") {
            return;
        }
        let path = self.path(&file.text);
        // Whether an earlier part ran may not be known: then the file may hold both, or either.
        let append = append || self.maybe > 0;
        let before = self.files.remove(&path).filter(|_| append).unwrap_or_else(Flow::nothing);
        let from = [before.from.as_slice(), &flow.from].concat();
        let both = match (before.text.is_some(), flow.text.is_some()) {
            (true, true) => before.then(flow),
            (true, false) => before,
            (false, _) => flow,
        };
        self.files.insert(path, Flow { from, ..both });
    }

    /// Keeps who wrote a file, and joins who reads it to them.
    pub(crate) fn through_file(&mut self, command: usize, kind: Kind, path: &str) {
        match kind {
            Kind::Write | Kind::Append => {
                let flow = self.files.entry(path.to_owned()).or_default();
                if !flow.from.contains(&command) {
                    flow.from.push(command);
                }
            }
            Kind::Read | Kind::Execute => {
                let from = self.files.get(path).map(|flow| flow.from.clone()).unwrap_or_default();
                for source in from.into_iter().filter(|source| *source != command) {
                    self.join(source, command);
                }
            }
            _ => {}
        }
    }

    /// Says that the output of one command reaches another.
    fn join(&mut self, source: usize, reader: usize) {
        if let Some(command) = self.out.commands.get_mut(reader)
            && !command.reads_from.contains(&source)
        {
            command.reads_from.push(source);
            if let Some(command) = self.out.commands.get_mut(source) {
                command.writes_to.push(reader);
            }
        }
    }

    /// Redirections around more than one command.
    pub(super) fn redirected(&mut self, inner: &Node, redirections: &[Redirection], context: &Context) -> Flow {
        let streams = self.streams(redirections, context);
        let place = match streams.stdin {
            Some(flow) => context.reading(flow),
            None => context.clone(),
        };
        let flow = self.node(inner, &place);
        if !streams.redirects.is_empty() {
            let reading = context.reading(flow.clone());
            self.push(
                String::new(),
                String::new(),
                &[],
                Call { redirects: streams.redirects, ..Call::default() },
                &reading,
            );
        }
        self.written(streams.out, flow)
    }

    /// The effects of a command's redirections.
    pub(super) fn redirect_effects(&mut self, index: usize, redirects: &[Redirect]) {
        for redirect in redirects {
            let sign = redirect.operator.trim_start_matches(|c: char| c.is_ascii_digit());
            let (kinds, target): (&[Kind], &Word) = match sign {
                "<" => (&[Kind::Read], &redirect.target),
                ">>" | "&>>" => (&[Kind::Append], &redirect.target),
                "<>" => (&[Kind::Read, Kind::Write], &redirect.target),
                ">" | ">|" | "&>" => (&[Kind::Write], &redirect.target),
                ">&" if !redirect.target.text.chars().all(|c| c.is_ascii_digit() || c == '-') => {
                    (&[Kind::Write], &redirect.target)
                }
                _ => continue,
            };
            if target.text.starts_with("<(") || target.text.starts_with(">(") {
                continue;
            }
            for &kind in kinds {
                self.effect_on(index, kind, Object::File, target);
            }
        }
    }
}

/// A text as input.
fn here(text: Word, end: &str) -> Flow {
    if text.dynamic { Flow::unknown(text.from) } else { Flow::known(&(text.text + end), text.from) }
}
