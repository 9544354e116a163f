//! Answers of every vendor in every client's dialect.

mod details;
mod golden;
mod meaning;
mod splits;
mod streams;
mod support;
