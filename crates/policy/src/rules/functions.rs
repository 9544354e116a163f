//! The functions that expressions call, beside CEL's own.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelList, CelString, DYN_TYPE, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError, extensions};

use super::effects::EffectsValue;
use super::pattern::{Pattern, normalised};
use super::scope::Shells;

type Args<'b, 'v> = Vec<CowVal<'b, 'v>>;
type Result<'b, 'v> = std::result::Result<CowVal<'b, 'v>, ExecutionError>;

static PATTERN: Type = Type::new_unspecified_type("pattern");
static BUDGET: Type = Type::new_unspecified_type("budget");

/// What all expressions are compiled and evaluated with.
pub(super) fn environment() -> &'static Arc<Env> {
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
        let mut env = Env::stdlib().with_optional_support(false);
        // Nothing is declared twice here, and the tests call each function.
        let declared = declare(&mut env);
        debug_assert!(declared.is_ok(), "{declared:?}");
        Arc::new(env)
    });
    &ENVIRONMENT
}

fn declare(env: &mut Env) -> std::result::Result<(), cel::DeclarationError> {
    env.add_extension(extensions::strings)?;
    let text = || STRING_TYPE;
    let pattern = || PATTERN.to_owned();
    env.add_overload("@bounded", "bounded", vec![DYN_TYPE, BUDGET.to_owned()], bounded)?;
    for name in ["re", "glob", "matches", "contains_any"] {
        env.add_overload(name, &format!("{name}_text"), vec![text(), pattern()], |args| matches(&args))?;
    }
    env.add_member_overload("matches", "text_matches", text(), vec![pattern()], |args| matches(&args))?;
    env.add_overload("path", "path_text", vec![text()], |args| path(&args))?;
    env.add_overload("lower", "lower_text", vec![text()], |args| lower(&args))?;
    env.add_overload("shell", "shell_text", vec![text(), Shells::cel_type().to_owned()], |args| shell(&args))?;
    super::effects::declare(env, &PATTERN)
}

/// A pattern that stands in an expression.
#[derive(Clone, Debug)]
pub(crate) struct PatternValue(Arc<Pattern>);

impl PatternValue {
    pub(super) fn new(pattern: Pattern) -> Self {
        Self(Arc::new(pattern))
    }

    pub(super) fn pattern(&self) -> &Pattern {
        &self.0
    }
}

impl StaticVal for PatternValue {}

impl Val for PatternValue {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// How many more elements the loops of one evaluation may go through.
#[derive(Debug)]
pub(super) struct Budget(AtomicU64);

impl Budget {
    const EXHAUSTED: u64 = u64::MAX;

    pub(super) fn new(elements: u64) -> Self {
        Self(AtomicU64::new(elements))
    }

    /// More was asked for than there was.
    pub(super) fn exhausted(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::EXHAUSTED
    }

    /// Whether so many more may be gone through.
    fn take(&self, elements: u64) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        let next = if left == Self::EXHAUSTED { None } else { left.checked_sub(elements) };
        self.0.store(next.unwrap_or(Self::EXHAUSTED), Ordering::Relaxed);
        next.is_some()
    }
}

impl StaticVal for Budget {}

impl Val for Budget {
    fn get_type(&self) -> &Type {
        &BUDGET
    }

    fn cel_type() -> &'static Type {
        &BUDGET
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(Self(AtomicU64::new(self.0.load(Ordering::Relaxed))))
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

/// The range of a loop; an empty one where the budget does not reach.
fn bounded<'b, 'v>(args: Args<'b, 'v>) -> Result<'b, 'v> {
    let mut args = args.into_iter();
    let (Some(range), Some(budget)) = (args.next(), args.next()) else { return Err(absent("@bounded")) };
    let elements = range.as_sizer().map_or(0, |sizer| u64::try_from(*sizer.size().inner()).unwrap_or(0));
    // An empty range costs something, too: a loop around it may be long.
    match budget.downcast_ref::<Budget>() {
        Some(budget) if budget.take(elements + 1) => Ok(range),
        _ => Ok(CowVal::owned(CelList::from(Vec::new()))),
    }
}

fn matches<'b, 'v>(args: &[CowVal<'_, '_>]) -> Result<'b, 'v> {
    let found = pattern(args, 1)?.matches(text(args)?);
    Ok(truth(found))
}

fn path<'b, 'v>(args: &[CowVal<'_, '_>]) -> Result<'b, 'v> {
    Ok(owned(normalised(text(args)?).into_owned()))
}

fn lower<'b, 'v>(args: &[CowVal<'_, '_>]) -> Result<'b, 'v> {
    Ok(owned(text(args)?.to_lowercase()))
}

fn shell<'b, 'v>(args: &[CowVal<'_, '_>]) -> Result<'b, 'v> {
    let shells = args.get(1).and_then(|arg| arg.downcast_ref::<Shells>()).ok_or_else(|| absent("shell"))?;
    Ok(CowVal::owned(EffectsValue(shells.effects(text(args)?))))
}

/// The first argument, a text.
fn text<'a>(args: &'a [CowVal<'_, '_>]) -> std::result::Result<&'a str, ExecutionError> {
    let text = args.first().and_then(|arg| arg.downcast_ref::<CelString<'_>>());
    text.map(CelString::inner).ok_or_else(|| absent("a text"))
}

/// A pattern among the arguments.
pub(super) fn pattern<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> std::result::Result<&'a Pattern, ExecutionError> {
    let found = args.get(at).and_then(|arg| arg.downcast_ref::<PatternValue>());
    found.map(PatternValue::pattern).ok_or_else(|| absent("a pattern"))
}

pub(super) fn truth<'b, 'v>(truth: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(truth))
}

fn owned<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

/// The types are checked before a function is called.
pub(super) fn absent(what: &str) -> ExecutionError {
    ExecutionError::InternalError(format!("{what} is not there"))
}
