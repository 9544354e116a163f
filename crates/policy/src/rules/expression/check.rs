//! Checks the names in an expression, builds its patterns, and puts bounds into its loops.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};

use super::Refused;
use super::names::{FUNCTIONS, Function, TYPES, Takes, VARIABLES};
use crate::rules::config::On;
use crate::rules::effects::{Deed, FIELDS};
use crate::rules::functions::PatternValue;
use crate::rules::pattern::{Globs, Pattern};

/// What an expression is about.
pub(crate) type Subject = On;

/// The deepest nesting of an expression, so that its evaluation needs little stack.
const DEPTH: usize = 100;

/// The most patterns in one expression.
const PATTERNS: usize = 100;

const OPERATORS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::NOT_STRICTLY_FALSE,
    operators::IN,
];

/// Checks `ast` and makes it ready. Gives the patterns that it refers to by number.
pub(super) fn check(ast: &mut IdedExpr, info: &SourceInfo, subject: Subject) -> Result<Vec<PatternValue>, Refused> {
    let mut checker = Checker { info, subject, patterns: Vec::new(), bound: Vec::new(), depth: 0 };
    checker.expression(ast)?;
    Ok(checker.patterns)
}

struct Checker<'a> {
    info: &'a SourceInfo,
    subject: Subject,
    patterns: Vec<PatternValue>,
    /// The variables of the macros around.
    bound: Vec<String>,
    depth: usize,
}

impl Checker<'_> {
    fn expression(&mut self, node: &mut IdedExpr) -> Result<(), Refused> {
        if self.depth == DEPTH {
            return Err(self.refused(node.id, format!("nested deeper than {DEPTH}")));
        }
        self.depth += 1;
        let checked = self.node(node);
        self.depth -= 1;
        checked
    }

    fn node(&mut self, node: &mut IdedExpr) -> Result<(), Refused> {
        let id = node.id;
        match &mut node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Unspecified => Err(self.refused(id, "cannot be read".to_owned())),
            Expr::Struct(_) => Err(self.refused(id, "there are no types to make values of".to_owned())),
            Expr::Ident(name) => self.ident(id, name),
            Expr::Select(select) => {
                match &select.operand.expr {
                    Expr::Ident(name) => self.field(id, name, &select.field)?,
                    operand if self.are_effects(operand) => self.effects_field(id, &select.field)?,
                    _ => {}
                }
                self.expression(&mut select.operand)
            }
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.expression(element)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&mut entry.key)?;
                    self.expression(&mut entry.value)
                }
                EntryExpr::StructField(field) => self.expression(&mut field.value),
            }),
            Expr::Comprehension(fold) => {
                self.expression(&mut fold.iter_range)?;
                bound(&mut fold.iter_range);
                self.expression(&mut fold.accu_init)?;
                let before = self.bound.len();
                self.bound.push(fold.iter_var.clone());
                self.bound.extend(fold.iter_var2.clone());
                self.bound.push(fold.accu_var.clone());
                self.expression(&mut fold.loop_cond)?;
                self.expression(&mut fold.loop_step)?;
                self.expression(&mut fold.result)?;
                self.bound.truncate(before);
                Ok(())
            }
        }
    }

    fn ident(&self, id: u64, name: &str) -> Result<(), Refused> {
        if self.is_bound(name) || TYPES.contains(&name) {
            return Ok(());
        }
        match VARIABLES.iter().find(|variable| variable.name == name) {
            Some(variable) if variable.on.is_empty() || variable.on.contains(&self.subject) => Ok(()),
            Some(variable) => {
                let places: Vec<String> = variable.on.iter().map(|on| format!("`on: {}`", on.name())).collect();
                Err(self.refused(
                    id,
                    format!(
                        "`{name}` is there with {}, and this rule has `on: {}`",
                        places.join(" or "),
                        self.subject.name()
                    ),
                ))
            }
            None => {
                let known: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
                Err(self.refused(id, format!("unknown variable `{name}`; {}", hint(name, &known))))
            }
        }
    }

    fn field(&self, id: u64, name: &str, field: &str) -> Result<(), Refused> {
        if self.is_bound(name) {
            return Ok(());
        }
        let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) else { return Ok(()) };
        if variable.fields.is_empty() || variable.fields.contains(&field) {
            return Ok(());
        }
        Err(self.refused(id, format!("`{name}` has no `{field}`; {}", hint(field, variable.fields))))
    }

    fn are_effects(&self, operand: &Expr) -> bool {
        match operand {
            Expr::Call(call) => call.target.is_none() && call.func_name == "shell",
            Expr::Select(select) => {
                let of_tool =
                    matches!(&select.operand.expr, Expr::Ident(name) if name == "tool" && !self.is_bound(name));
                of_tool && select.field == "effects"
            }
            _ => false,
        }
    }

    fn effects_field(&self, id: u64, field: &str) -> Result<(), Refused> {
        if FIELDS.contains(&field) {
            return Ok(());
        }
        let msg = if FUNCTIONS.iter().any(|function| function.member && function.name == field) {
            format!("`{field}` is called: `{field}()`")
        } else {
            format!("effects have no `{field}`; {}", hint(field, FIELDS))
        };
        Err(self.refused(id, msg))
    }

    fn is_bound(&self, name: &str) -> bool {
        self.bound.iter().any(|bound| bound == name)
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Result<(), Refused> {
        if let Some(target) = &mut call.target {
            self.expression(target)?;
        }
        if call.target.is_none() && OPERATORS.contains(&call.func_name.as_str()) {
            return call.args.iter_mut().try_for_each(|arg| self.expression(arg));
        }
        let member = call.target.is_some();
        let named = |f: &&Function| f.name == call.func_name && f.member == member;
        let Some(function) = FUNCTIONS.iter().find(named) else {
            return Err(self.unknown_function(id, &call.func_name, member));
        };
        self.arguments(id, call, function)?;
        if function.name == "shell" && !member {
            call.args.push(internal("@shells"));
        }
        Ok(())
    }

    /// Checks the number of arguments, and puts patterns in place of texts in quotes.
    fn arguments(&mut self, id: u64, call: &mut CallExpr, function: &Function) -> Result<(), Refused> {
        let wrong = |what: &str| format!("`{}` takes {what}", function.name);
        let values = usize::from(!function.member);
        let patterns = match function.takes {
            Takes::Values(least, most) => {
                if !(least..=most).contains(&call.args.len()) {
                    let what = match (least, most) {
                        (0, 0) => "no arguments".to_owned(),
                        (1, 1) => "one argument".to_owned(),
                        (least, most) => format!("{least} or {most} arguments"),
                    };
                    return Err(self.refused(id, wrong(&what)));
                }
                return call.args.iter_mut().try_for_each(|arg| self.expression(arg));
            }
            Takes::AnyGlobs if call.args.is_empty() => return Ok(()),
            Takes::AnyGlobs => call.args.split_off(0),
            _ if call.args.len() <= values => return Err(self.refused(id, wrong("a value and a pattern"))),
            _ => call.args.split_off(values),
        };
        call.args.iter_mut().try_for_each(|arg| self.expression(arg))?;
        let texts = literals(&patterns)
            .ok_or_else(|| self.refused(id, wrong("its pattern in quotes, so that it is compiled once")))?;
        let pattern = match function.takes {
            Takes::Regex if texts.len() == 1 => Pattern::regex(&texts[0]),
            Takes::Regex => Err(wrong("one regular expression")),
            Takes::Words => Pattern::words(&texts),
            Takes::Deed => Deed::new(&texts).map(Pattern::Deed),
            _ if texts.is_empty() => Err("the list of patterns is empty".to_owned()),
            Takes::Lines => Globs::lines(&texts).map(Pattern::Globs),
            _ => Globs::paths(&texts).map(Pattern::Globs),
        };
        let pattern = pattern.map_err(|why| self.refused(patterns.first().map_or(id, |p| p.id), why))?;
        if self.patterns.len() == PATTERNS {
            return Err(self.refused(id, format!("more than {PATTERNS} patterns")));
        }
        call.args.push(internal(&format!("@{}", self.patterns.len())));
        self.patterns.push(PatternValue::new(pattern));
        Ok(())
    }

    fn unknown_function(&self, id: u64, name: &str, member: bool) -> Refused {
        let known: Vec<&str> = FUNCTIONS.iter().filter(|f| f.member == member).map(|f| f.name).collect();
        let other = FUNCTIONS.iter().any(|f| f.name == name);
        let why = match (other, member) {
            (true, true) => format!("`{name}` is called as `{name}(value)`"),
            (true, false) => format!("`{name}` is called as `value.{name}()`"),
            (false, _) => format!("unknown function `{name}`; {}", hint(name, &known)),
        };
        self.refused(id, why)
    }

    fn refused(&self, id: u64, message: String) -> Refused {
        let start = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        let before: String = self.info.source.chars().take(start).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        Refused { line, column, message }
    }
}

/// The texts of these arguments, if all are texts in quotes or lists of them.
fn literals(args: &[IdedExpr]) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for arg in args {
        match &arg.expr {
            Expr::Literal(LiteralValue::String(text)) => texts.push(text.inner().to_owned()),
            Expr::List(list) => texts.extend(literals(&list.elements)?),
            _ => return None,
        }
    }
    Some(texts)
}

/// A name that only the gateway can write.
fn internal(name: &str) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Ident(name.to_owned()) }
}

/// Counts the elements that a loop goes through.
fn bound(range: &mut IdedExpr) {
    let counted = std::mem::take(range);
    let args = vec![counted, internal("@budget")];
    *range = IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: "@bounded".to_owned(), target: None, args }) };
}

fn hint(name: &str, known: &[&str]) -> String {
    match similar::get_close_matches(name, known, 1, 0.6).first() {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}
