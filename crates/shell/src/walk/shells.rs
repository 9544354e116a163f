//! Shells: the text, file or input that they run.

use super::{Call, Context, Program, Walker};
use crate::{
    analysis::{Kind, Object, Redirect, Unknown, Via, Word},
    flow::Flow,
    options::{self, Reading},
};

const SHELLS: &[&str] =
    &["sh", "bash", "zsh", "dash", "ksh", "ksh93", "mksh", "ash", "fish", "rbash", "csh", "tcsh", "yash"];
const VALUES: &[&str] = &["-c", "-o", "-O", "--rcfile", "--init-file", "--command"];

impl Walker {
    /// Follows a shell. Gives the call back where the command is none.
    pub(super) fn shell(&mut self, program: Program<'_>, call: Call, context: &Context) -> Result<Flow, Call> {
        let Program { name, first, arguments } = program;
        if !SHELLS.contains(&name) {
            return Err(call);
        }
        let given = options::read(arguments, &Reading { values: [VALUES, &[]], long: false, most: 0 });
        let rest = arguments.get(given.rest..).unwrap_or_default();
        if let Some(text) = given.values("-c").next().or_else(|| given.values("--command").next()) {
            let word = text.part();
            return Ok(self.text_of(program, &word, rest, call, context));
        }
        let stdin = given.has("-s");
        match rest.split_first() {
            Some((file, parameters)) if !stdin && file.text != "-" => {
                let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
                self.run_file(index, file, parameters, context);
                Ok(Flow::unknown(vec![index]))
            }
            _ => Ok(self.input_of(program, rest, call, context)),
        }
    }

    /// A shell that is given text.
    fn text_of(
        &mut self,
        program: Program<'_>,
        text: &Word,
        parameters: &[Word],
        call: Call,
        context: &Context,
    ) -> Flow {
        let Program { name, first, arguments } = program;
        if text.dynamic || !call.redirects.is_empty() {
            let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
            if text.dynamic {
                self.add(index, Kind::Execute, Object::Code, None, true);
                self.note(Unknown::Code { command: index });
            }
        }
        if text.known().trim().is_empty() {
            return Flow::unknown(Vec::new());
        }
        // The first argument after the text is `$0`.
        let (zero, parameters) =
            parameters.split_first().map_or((None, parameters), |(zero, rest)| (Some(zero.clone()), rest));
        let before = std::mem::replace(&mut self.zero, zero);
        let flow = self.shell_text(&text.script(), parameters, Via::ShellText, &context.wrapped(name));
        self.zero = before;
        flow
    }

    /// A shell that runs what it reads.
    fn input_of(&mut self, program: Program<'_>, parameters: &[Word], call: Call, context: &Context) -> Flow {
        let Program { name, first, arguments } = program;
        let feeds = |redirect: &Redirect| {
            redirect.operator.contains('<')
                || redirect.target.text.starts_with("/dev/tcp/")
                || redirect.target.text.starts_with("/dev/udp/")
        };
        let fed = context.stdin.words.is_some() || !context.stdin.from.is_empty() || call.redirects.iter().any(feeds);
        let index = self.push(name.to_owned(), first.text.clone(), arguments, call, context);
        let Some(text) = context.stdin.text.clone() else {
            if fed {
                self.add(index, Kind::Execute, Object::Code, None, true);
                self.note(Unknown::Code { command: index });
            }
            return Flow::unknown(vec![index]);
        };
        let via = if self.sources_decode(index) { Via::Decoded } else { Via::Input };
        let mut inner = context.wrapped(name);
        inner.stdin = std::rc::Rc::new(Flow::unknown(Vec::new()));
        self.add(index, Kind::Execute, Object::Code, Some(text.clone()), false);
        self.shell_text(&text, parameters, via, &inner)
    }

    /// Whether what a command reads was decoded on its way.
    fn sources_decode(&self, index: usize) -> bool {
        let sources = self.out.sources(index);
        sources
            .iter()
            .filter_map(|&source| self.out.commands.get(source))
            .any(|source| crate::decoders::decodes(&source.name))
    }

    /// A script that is a file: known if this script wrote it.
    pub(super) fn run_file(&mut self, index: usize, file: &Word, parameters: &[Word], context: &Context) {
        let content = match file.text.as_str() {
            "/dev/stdin" | "-" | "/proc/self/fd/0" | "/dev/fd/0" => (*context.stdin).clone(),
            _ => self.content(file),
        };
        let substituted = file.text.starts_with("<(") || file.text.starts_with("/dev/");
        if substituted {
            self.add(index, Kind::Execute, Object::Code, None, content.text.is_none());
        } else {
            self.effect_on(index, Kind::Execute, Object::File, file);
        }
        match content.text {
            Some(text) => {
                self.shell_text(&text, parameters, Via::File, context);
            }
            None if substituted || file.dynamic => self.note(Unknown::Code { command: index }),
            None => {}
        }
    }

    /// Follows shell text with its positional parameters.
    pub(crate) fn shell_text(&mut self, text: &str, parameters: &[Word], via: Via, context: &Context) -> Flow {
        let before = self.parameters.replace(parameters.to_vec());
        let folder = self.folder.clone();
        let flow = self.script(text, &context.inside(via));
        self.folder = folder;
        self.parameters = before;
        flow
    }
}
