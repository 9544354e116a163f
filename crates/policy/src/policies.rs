//! The built-in policies, one module each.

pub(crate) mod all_caps;
pub(crate) mod no_op;
pub(crate) mod serial;
