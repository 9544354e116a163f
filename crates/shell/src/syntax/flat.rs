//! A reader for text that the grammar refuses: it finds commands, pipes and redirections and forgives the rest.
//!
//! A shell runs what stands in front of a mistake, and models make mistakes that another shell takes. Structure (loops, conditions, functions) is left aside: every command counts as one that may run.

use super::{Node, Redirection, Simple, assignments, scan};

/// Words in front of a command that are no part of it.
const RESERVED: &[&str] = &[
    "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "esac", "!", "{", "}", "coproc", "((", "in",
    "time",
];

/// Reads a text. What it gives may run or not, in the order of the text.
pub(super) fn read(text: &str) -> Vec<Node> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, ..Reader::default() };
    reader.run();
    vec![Node::Maybe(reader.nodes)]
}

#[derive(Default)]
struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stages: Vec<Node>,
    current: Simple,
    /// Heredocs whose lines come after this one: the place of their redirection in `current`, then in `stages`.
    heredocs: Vec<scan::Mark>,
    parens: usize,
    /// How many words of `current` are reserved ones in front of the command.
    leading: usize,
    /// Whether a group has just ended: only a pipe joins what follows to it.
    closed: bool,
}

impl Reader<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            let next = self.bytes.get(self.at + 1).copied();
            match (byte, next) {
                (b' ' | b'\t' | b'\r', _) => self.at += 1,
                (b'\\', Some(b'\n')) => self.at += 2,
                (b'\n', _) => self.line(),
                (b'#', _) => self.at = self.line_end(),
                (b'&', Some(b'>')) | (b'<' | b'>', _) if !(byte != b'&' && next == Some(b'(')) => {
                    self.redirection(String::new());
                }
                (b';' | b'&', _) => self.separate(),
                (b'|', Some(b'|')) => {
                    self.at += 1;
                    self.separate();
                }
                (b'|', _) => {
                    self.closed = false;
                    self.at += 1 + usize::from(next == Some(b'&'));
                    self.end_stage();
                }
                (b'(', _) => self.open(),
                (b')', _) => self.close(),
                _ => self.word(),
            }
        }
        self.end_heredocs();
        self.end_command();
    }

    fn line_end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
    }

    fn line(&mut self) {
        self.at += 1;
        self.end_heredocs();
        // A pipe at the end of a line goes on in the next one.
        if self.current == Simple::default() && !self.stages.is_empty() {
            return;
        }
        self.end_command();
    }

    /// Reads the lines of the heredocs that are open. Which command of the line they belong to does not matter much: the last.
    fn end_heredocs(&mut self) {
        for mark in std::mem::take(&mut self.heredocs) {
            let (end, after) = scan::heredoc(self.bytes, self.at, &mark);
            let text = self.text.get(self.at..end).unwrap_or_default().to_owned();
            let here = Redirection::Here { text, quoted: mark.quoted };
            match self.stages.first_mut() {
                Some(Node::Simple(first)) => first.redirections.push(here),
                _ => self.current.redirections.push(here),
            }
            self.at = (after + 1).min(self.bytes.len());
        }
    }

    fn separate(&mut self) {
        self.at += 1;
        self.end_command();
    }

    fn open(&mut self) {
        self.at += 1;
        let words =
            self.current.words.iter().filter(|word| !RESERVED.contains(&word.as_str()) && *word != "function").count();
        let arithmetic = words == 0 || self.current.words.last().is_some_and(|word| word == "for");
        if self.bytes.get(self.at) == Some(&b'(') && arithmetic {
            let end = scan::close(self.bytes, self.at + 1, scan::Open::Arithmetic).min(self.bytes.len());
            let text = self.text.get(self.at + 1..end).unwrap_or_default().to_owned();
            self.nodes.push(Node::Text(text));
            self.at = (end + 2).min(self.bytes.len());
            self.forget();
            return;
        }
        if self.bytes.get(self.at) == Some(&b')') && words == 1 {
            // A function: its body counts as commands.
            self.at += 1;
            self.forget();
            return;
        }
        self.parens += 1;
        self.end_command();
    }

    fn close(&mut self) {
        self.at += 1;
        if self.parens == 0 {
            // A pattern of `case`.
            self.forget();
        } else {
            self.parens -= 1;
            self.end_stage();
            self.closed = true;
        }
    }

    /// Drops what was read of a command.
    fn forget(&mut self) {
        self.current = Simple::default();
        self.leading = 0;
    }

    /// Whether no word of the command itself has come.
    fn begins(&self) -> bool {
        self.current.words.len() == self.leading
    }

    fn word(&mut self) {
        if std::mem::take(&mut self.closed) {
            self.end_command();
        }
        let start = self.at;
        let end = scan::word_end(self.bytes, start).min(self.bytes.len()).max(start + 1);
        self.at = end;
        let Some(word) = self.text.get(start..end) else { return };
        if word == "[[" && self.begins() {
            let rest = self.text.get(end..).unwrap_or_default();
            let length = rest.find("]]").map_or(rest.len(), |length| length + 2);
            self.nodes.push(Node::Text(rest.get(..length).unwrap_or_default().to_owned()));
            self.at = end + length;
            self.forget();
            return;
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) && matches!(self.bytes.get(end), Some(b'<' | b'>')) {
            self.redirection(word.to_owned());
        } else if let (true, Some(assignments)) = (self.begins(), assignments(word)) {
            self.current.assignments.extend(assignments);
        } else {
            self.leading += usize::from(self.begins() && RESERVED.contains(&word));
            self.current.words.push(word.to_owned());
        }
    }

    fn redirection(&mut self, mut operator: String) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = [&b"<<<"[..], b"&>>", b"<<", b">>", b"<>", b">|", b">&", b"<&", b"&>"]
            .iter()
            .find(|known| rest.starts_with(known))
            .map_or(1, |known| known.len());
        let sign = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
        self.at += length;
        if sign == "<<" {
            let mark = scan::mark(self.bytes, self.at);
            self.at = mark.end.max(self.at);
            self.heredocs.push(mark);
            return;
        }
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let start = self.at;
        self.at = scan::word_end(self.bytes, start).min(self.bytes.len());
        let target = self.text.get(start..self.at).unwrap_or_default().to_owned();
        operator.push_str(&sign);
        self.current.redirections.push(match sign.as_str() {
            "<<<" => Redirection::HereWord(target),
            _ => Redirection::File { operator, target },
        });
    }

    /// Ends a command whose output may go on to the next.
    fn end_stage(&mut self) {
        let leading = std::mem::take(&mut self.leading);
        let mut simple = std::mem::take(&mut self.current);
        simple.words.drain(..leading.min(simple.words.len()));
        if let Some(first) = simple.words.first() {
            match first.as_str() {
                "for" | "select" if simple.words.len() > 1 => {
                    let mut words = simple.words.drain(1..);
                    let variable = words.next().unwrap_or_default();
                    let values = words.skip(1).collect();
                    self.nodes.push(Node::For(variable, values, Vec::new()));
                    return;
                }
                "case" | "[[" => {
                    self.nodes.push(Node::Text(simple.words.join(" ")));
                    return;
                }
                "function" if simple.words.len() > 1 => drop(simple.words.drain(..2)),
                _ => {}
            }
        }
        if simple != Simple::default() {
            self.stages.push(Node::Simple(simple));
        }
    }

    fn end_command(&mut self) {
        self.end_stage();
        match self.stages.len() {
            0 => {}
            1 => self.nodes.append(&mut self.stages),
            _ => self.nodes.push(Node::Pipeline(std::mem::take(&mut self.stages))),
        }
    }
}
