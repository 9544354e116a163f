//! How fast the record is read when it is large, and how fast it is written, on SQLite and on PostgreSQL.
//!
//! `history TURNS ROUNDS` or `write TRANSACTIONS ROUNDS`. Prints a line of JSON for each thing measured.

mod history;
mod place;
mod write;

use std::error::Error;

use tokio::runtime::Builder;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong is printed and ends the program.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u32| args.get(at).map_or(Ok(default), |text| text.parse());
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match args.first().map(String::as_str) {
        Some("history") => runtime.block_on(history::run(number(1, 1_000_000)?, number(2, 7)?)),
        Some("write") => runtime.block_on(write::run(number(1, 5_000)?, number(2, 3)?)),
        _ => Err("history TURNS ROUNDS, or write TRANSACTIONS ROUNDS".into()),
    }
}
