//! Answers of every vendor in every client's dialect.

mod golden;
mod meaning;
mod splits;
mod streams;
mod support;
