//! Answers of every vendor in every client's dialect.

mod streams;
mod support;
