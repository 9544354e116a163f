//! A request body, read where it lies and edited without touching the rest (W-40, W-41).

use bytes::Bytes;

use crate::dialect::Dialect;

/// A request body and what the gateway reads of it.
#[derive(Clone, Debug)]
pub struct Request {
    dialect: Dialect,
    body: Bytes,
}

impl Request {
    /// The dialect.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
    /// The body as it came, or as the last edit left it.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}
