//! What a command ends with when it cannot do its work: one message for a person.

use std::fmt;

use luthien_record::store::StoreError;

/// A command failed. Prints as the message alone; the exit code is 1.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// `message` says what happened and what to do.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        Self(e.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self(e.to_string())
    }
}
