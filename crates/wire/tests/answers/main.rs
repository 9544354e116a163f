//! Answers of every vendor in every client's dialect.

mod calls;
mod details;
mod golden;
mod items;
mod late;
mod logprobs;
mod meaning;
mod next_turn;
mod round_trip;
mod searches;
mod splits;
mod streams;
mod support;
mod usage;
