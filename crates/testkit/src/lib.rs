//! What tests, the demo and benchmarks play models with: an upstream that follows scripts, fixtures of every dialect, and
//! readers as strict as the vendors' own.

pub mod accumulate;
pub mod answer;
pub mod asked;
pub mod client;
pub mod coding;
pub mod fixtures;
pub mod gate;
mod gzip;
pub mod reply;
pub mod script;
pub mod upstream;

pub use luthien_servers as servers;

pub use answer::Answer;
pub use asked::Asked;
pub use gate::Gate;
pub use reply::{Chunking, Reply, Step};
pub use script::{Play, Script};
pub use upstream::{Ending, Recorded, Upstream};
