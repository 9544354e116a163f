//! Requests between dialects: what is kept, dropped and refused.
