//! Variables with fields, each field built when it is asked for.

use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelString, Type};
use cel::common::value::{CowVal, Val};
use luthien_wire::turn::Block;

use super::{About, Scope, args_of, command};
use crate::rules::values::{self, Boxed};

static VIEW: Type = Type::new_unspecified_type("object");

/// Which variable it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Root {
    Tool,
    Request,
    History,
    Turn,
    Earlier,
}

/// A variable with fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'b, 'a> {
    scope: &'b Scope<'a>,
    root: Root,
}

impl<'b, 'a> View<'b, 'a> {
    pub(super) fn new(scope: &'b Scope<'a>, root: Root) -> Self {
        Self { scope, root }
    }

    fn field(&self, field: &str) -> Result<CowVal<'b, 'b>, ExecutionError> {
        let scope = self.scope;
        match self.root {
            Root::Tool => scope.tool(field),
            Root::Request => scope.request_field(field),
            Root::History => scope.history(field),
            Root::Turn => match scope.about {
                About::Turn(blocks) => blocks_field(blocks.iter(), field),
                _ => Err(ExecutionError::no_such_key(field)),
            },
            Root::Earlier => blocks_field(scope.around.earlier.iter().map(Arc::as_ref), field),
        }
    }
}

impl Val for View<'_, '_> {
    fn get_type(&self) -> &Type {
        &VIEW
    }

    fn cel_type() -> &'static Type {
        &VIEW
    }

    fn as_indexer<'x, 'v>(&'x self) -> Option<&'x (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }
}

impl Indexer for View<'_, '_> {
    fn get<'x, 'v>(&'x self, key: &dyn Val) -> Result<CowVal<'x, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = key.downcast_ref::<CelString<'_>>().ok_or_else(|| ExecutionError::no_such_key("no text"))?;
        self.field(name.inner())
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

/// A field of an answer's blocks.
fn blocks_field<'b>(blocks: impl Iterator<Item = &'b Block>, field: &str) -> Result<CowVal<'b, 'b>, ExecutionError> {
    let texts = |block: &'b Block| match block {
        Block::Text(text) => Some(text.as_str()),
        _ => None,
    };
    match field {
        "texts" => Ok(CowVal::Owned(values::list(blocks.filter_map(texts).map(values::text)))),
        "text" => {
            let joined = blocks.filter_map(texts).collect::<Vec<_>>().join("\n\n");
            Ok(CowVal::owned(CelString::from(joined)))
        }
        "calls" => Ok(CowVal::Owned(values::list(blocks.filter_map(call)))),
        _ => Err(ExecutionError::no_such_key(field)),
    }
}

fn call(block: &Block) -> Option<Boxed<'_>> {
    let Block::ToolCall(call) = block else { return None };
    let mut members = vec![("name", values::text(&call.name)), ("args", args_of(call))];
    if let Some(command) = command::of(call) {
        members.push(("command", Box::new(CelString::from(command))));
    }
    Some(values::map(members.into_iter()))
}
