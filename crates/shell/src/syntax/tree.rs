//! The grammar's tree as commands.

use std::{borrow::Cow, cell::RefCell, ops::ControlFlow, rc::Rc};

use tree_sitter::{Node as Tree, ParseOptions, Parser};

use super::{Node, Redirection, Simple};
use crate::limits;

thread_local! {
    /// One for each thread: making one costs more than a typical parse.
    static PARSER: RefCell<Option<Parser>> = RefCell::new(parser());
}

fn parser() -> Option<Parser> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
    Some(parser)
}

/// Reads a text. `None` where the grammar finds a fault, or takes too long.
pub(super) fn read(text: &str) -> Option<Vec<Node>> {
    if text.len() > limits::GRAMMAR || text.matches("<<").count() > limits::GRAMMAR_HEREDOCS {
        return None;
    }
    let tree = PARSER.with_borrow_mut(|parser| parse(parser.as_mut()?, text))?;
    let root = tree.root_node();
    if root.has_error() {
        return None;
    }
    let mut reader = Reader { text, too_deep: false };
    let nodes = reader.statements(root, 0);
    (!reader.too_deep).then_some(nodes)
}

/// The tree, within a number of steps: some texts take the parser time that grows with their square.
fn parse(parser: &mut Parser, text: &str) -> Option<tree_sitter::Tree> {
    let mut left = limits::GRAMMAR_STEPS + text.len() / limits::GRAMMAR_BYTES_A_STEP;
    let mut progress = |_: &tree_sitter::ParseState| {
        left = left.saturating_sub(1);
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let bytes = plain(text.as_bytes());
    let options = ParseOptions::new().progress_callback(&mut progress);
    let tree = parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options));
    if tree.is_none() {
        parser.reset();
    }
    tree
}

/// A part with redirections, which belong to its last command.
fn attached(node: Node, words: Vec<String>, redirections: Vec<Redirection>) -> Node {
    let last = |mut nodes: Vec<Node>, words, redirections| {
        if let Some(last) = nodes.pop() {
            nodes.push(attached(last, words, redirections));
        }
        nodes
    };
    match node {
        Node::Simple(mut simple) => {
            simple.words.extend(words);
            simple.redirections.extend(redirections);
            Node::Simple(simple)
        }
        Node::Pipeline(stages) => Node::Pipeline(last(stages, words, redirections)),
        Node::Either(first, second) => Node::Either(first, Box::new(attached(*second, words, redirections))),
        other => Node::Redirected(Box::new(other), redirections),
    }
}

/// The text with each byte that is not ASCII as an ordinary one. The grammar's scanner asks C's `isdigit` about characters, which is only defined up to
/// 255 and reads outside of its table for others; to the grammar they are all letters of a word anyway.
fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.is_ascii() {
        return Cow::Borrowed(bytes);
    }
    bytes.iter().map(|&byte| if byte.is_ascii() { byte } else { b'%' }).collect()
}

struct Reader<'a> {
    text: &'a str,
    too_deep: bool,
}

impl Reader<'_> {
    fn slice(&self, node: Tree<'_>) -> String {
        self.text.get(node.byte_range()).unwrap_or_default().to_owned()
    }

    /// The statements among a node's children.
    fn statements(&mut self, node: Tree<'_>, depth: usize) -> Vec<Node> {
        let mut cursor = node.walk();
        let children: Vec<Tree<'_>> = node.named_children(&mut cursor).collect();
        children.into_iter().filter_map(|child| self.statement(child, depth + 1)).collect()
    }

    fn statement(&mut self, node: Tree<'_>, depth: usize) -> Option<Node> {
        if depth > limits::DEPTH {
            self.too_deep = true;
            return None;
        }
        Some(match node.kind() {
            "command" | "declaration_command" | "unset_command" | "variable_assignments" => {
                Node::Simple(self.command(node))
            }
            "variable_assignment" => {
                let mut simple = Simple::default();
                self.assignment(node, &mut simple);
                Node::Simple(simple)
            }
            "pipeline" => Node::Pipeline(self.statements(node, depth)),
            "subshell" => Node::Subshell(self.statements(node, depth)),
            "if_statement" | "while_statement" | "case_statement" | "case_item" | "elif_clause" | "else_clause" => {
                Node::Maybe(self.mixed(node, depth))
            }
            "list" => self.list(node, depth),
            "for_statement" => self.for_loop(node, depth),
            "c_style_for_statement" => Node::Maybe(self.mixed(node, depth)),
            "function_definition" => {
                let name = node.child_by_field_name("name").map(|name| self.slice(name)).unwrap_or_default();
                let body = self.statements(node, depth);
                Node::Function(name, Rc::new(Node::List(body)))
            }
            "redirected_statement" => self.redirected(node, depth),
            "program" | "compound_statement" | "do_group" | "negated_command" => Node::List(self.mixed(node, depth)),
            "test_command" => Node::Text(self.slice(node)),
            _ => return None,
        })
    }

    /// Statements, and what stands between them as text: the words of a condition, a `case`, arithmetic.
    fn mixed(&mut self, node: Tree<'_>, depth: usize) -> Vec<Node> {
        let mut cursor = node.walk();
        let children: Vec<Tree<'_>> = node.named_children(&mut cursor).collect();
        let mut out = Vec::new();
        for child in children {
            match self.statement(child, depth + 1) {
                Some(statement) => out.push(statement),
                None if child.kind() != "comment" => out.push(Node::Text(self.slice(child))),
                None => {}
            }
        }
        out
    }

    /// What stands behind `||` or `&&` may not run, but then something before it has failed: both are followed.
    fn list(&mut self, node: Tree<'_>, depth: usize) -> Node {
        let mut cursor = node.walk();
        let either = node.children(&mut cursor).any(|child| child.kind() == "||");
        let mut parts = self.statements(node, depth);
        match (either, parts.pop(), parts.pop()) {
            (true, Some(second), Some(first)) => Node::Either(Box::new(first), Box::new(second)),
            (_, second, first) => Node::List(parts.into_iter().chain(first).chain(second).collect()),
        }
    }

    fn for_loop(&mut self, node: Tree<'_>, depth: usize) -> Node {
        let variable = node.child_by_field_name("variable").map(|name| self.slice(name)).unwrap_or_default();
        let mut cursor = node.walk();
        let values: Vec<String> =
            node.children_by_field_name("value", &mut cursor).map(|word| self.slice(word)).collect();
        let body = node.child_by_field_name("body").map(|body| self.statements(body, depth)).unwrap_or_default();
        Node::For(variable, values, body)
    }

    fn redirected(&mut self, node: Tree<'_>, depth: usize) -> Node {
        let mut redirections = Vec::new();
        let mut extra = Vec::new();
        let mut after = Vec::new();
        let mut cursor = node.walk();
        let children: Vec<Tree<'_>> = node.named_children(&mut cursor).collect();
        let mut body = None;
        for child in children {
            match child.kind() {
                "file_redirect" | "herestring_redirect" => self.redirection(child, &mut redirections, &mut extra),
                "heredoc_redirect" => self.heredoc(child, &mut redirections, &mut extra, &mut after, depth),
                _ => body = self.statement(child, depth + 1).or(body),
            }
        }
        let first = match body {
            Some(body) => attached(body, extra, redirections),
            None => Node::Simple(Simple { words: extra, redirections, ..Simple::default() }),
        };
        // What follows a heredoc's mark on its line is inside of it in the grammar.
        let mut stages = vec![first];
        let mut rest = Vec::new();
        for (piped, node) in after {
            match node {
                Node::Pipeline(more) if piped => stages.extend(more),
                node if piped => stages.push(node),
                node => rest.push(node),
            }
        }
        let first = if stages.len() == 1 { stages.remove(0) } else { Node::Pipeline(stages) };
        if rest.is_empty() {
            return first;
        }
        rest.insert(0, first);
        Node::List(rest)
    }

    fn heredoc(
        &mut self,
        node: Tree<'_>,
        redirections: &mut Vec<Redirection>,
        extra: &mut Vec<String>,
        after: &mut Vec<(bool, Node)>,
        depth: usize,
    ) {
        let mut cursor = node.walk();
        let children: Vec<Tree<'_>> = node.children(&mut cursor).collect();
        let mut quoted = false;
        let mut tabs = false;
        let mut text = String::new();
        for child in children {
            match child.kind() {
                "<<-" => tabs = true,
                "heredoc_start" => quoted = self.slice(child).contains(['"', '\'', '\\']),
                "heredoc_body" => text = self.slice(child),
                "file_redirect" | "herestring_redirect" => self.redirection(child, redirections, extra),
                "heredoc_redirect" => self.heredoc(child, redirections, extra, after, depth),
                "pipeline" => {
                    let stages = self.statements(child, depth);
                    after.push((true, Node::Pipeline(stages)));
                }
                kind if child.is_named() && !matches!(kind, "heredoc_end" | "file_descriptor") => {
                    match self.statement(child, depth + 1) {
                        Some(statement) => after.push((false, statement)),
                        None => extra.push(self.slice(child)),
                    }
                }
                _ => {}
            }
        }
        if tabs {
            text = text.lines().map(|line| line.trim_start_matches('\t')).collect::<Vec<_>>().join("\n");
        }
        redirections.push(Redirection::Here { text, quoted });
    }

    /// A redirection. The grammar takes words that follow one for more of its targets: they belong to the command.
    fn redirection(&self, node: Tree<'_>, out: &mut Vec<Redirection>, extra: &mut Vec<String>) {
        let mut cursor = node.walk();
        let mut operator = String::new();
        let mut words = Vec::new();
        let mut end = usize::MAX;
        for child in node.children(&mut cursor) {
            if child.kind() == "file_descriptor" {
                operator.insert_str(0, &self.slice(child));
            } else if child.is_named() {
                self.join(&mut words, &mut end, child);
            } else {
                operator.push_str(&self.slice(child));
            }
        }
        let mut words = words.into_iter();
        let target = words.next().unwrap_or_default();
        // `>& a 2>&1`: the next one's descriptor is taken for a word, too.
        let joined = self.text.as_bytes().get(node.end_byte()).is_some_and(|next| b"<>".contains(next));
        let last = words.len();
        let word = |(at, text): (usize, &String)| {
            !(joined && at + 1 == last && text.bytes().all(|byte| byte.is_ascii_digit()))
        };
        extra.extend(words.enumerate().filter(|(at, text)| word((*at, text))).map(|(_, text)| text));
        out.push(match operator.as_str() {
            "<<<" => Redirection::HereWord(target),
            _ => Redirection::File { operator, target },
        });
    }

    fn command(&self, node: Tree<'_>) -> Simple {
        let mut simple = Simple::default();
        let mut extra = Vec::new();
        let mut end = usize::MAX;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                "variable_assignment" if simple.words.is_empty() => self.assignment(child, &mut simple),
                "file_redirect" | "herestring_redirect" => {
                    self.redirection(child, &mut simple.redirections, &mut extra);
                }
                "comment" => {}
                _ => self.join(&mut simple.words, &mut end, child),
            }
        }
        simple.words.extend(extra);
        simple
    }

    /// Adds a word. The grammar divides some words (`{a,b}`, `{}`) into several.
    fn join(&self, words: &mut Vec<String>, end: &mut usize, node: Tree<'_>) {
        let text = self.slice(node);
        match words.last_mut() {
            Some(last) if *end == node.start_byte() => last.push_str(&text),
            _ => words.push(text),
        }
        *end = node.end_byte();
    }

    fn assignment(&self, node: Tree<'_>, simple: &mut Simple) {
        let text = self.slice(node);
        if let Some(assignments) = super::assignments(&text) {
            simple.assignments.extend(assignments);
        }
    }
}
