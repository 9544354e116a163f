//! The engine's facts: what goes out, in which order, byte for byte.

mod adversary;
mod chat;
mod logprobs;
mod messages;
mod numbered;
mod property;
mod responses;
mod support;
mod texts;
mod wholes;
