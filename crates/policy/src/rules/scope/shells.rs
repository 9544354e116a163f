//! Commands that were analysed already, for all rules and calls of one request.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cel::common::types::Type;
use cel::common::value::{StaticVal, Val};

use crate::rules::effects::Effects;

/// The most commands that are remembered.
const MOST: usize = 256;

static SHELLS: Type = Type::new_unspecified_type("shells");

/// What commands do, each analysed once. Clones remember in one place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shells(Arc<Mutex<HashMap<String, Arc<Effects>>>>);

impl Shells {
    /// What the command does.
    pub(crate) fn effects(&self, command: &str) -> Arc<Effects> {
        let locked = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = locked().get(command) {
            return Arc::clone(known);
        }
        let effects = Arc::new(Effects::of_command(command));
        let mut known = locked();
        if known.len() < MOST {
            known.insert(command.to_owned(), Arc::clone(&effects));
        }
        effects
    }
}

impl StaticVal for Shells {}

impl Val for Shells {
    fn get_type(&self) -> &Type {
        &SHELLS
    }

    fn cel_type() -> &'static Type {
        &SHELLS
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
