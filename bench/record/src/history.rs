//! Lists and searches in a large record, which is made in bulk.

use std::time::Instant;

use luthien_record::history::sessions;
use luthien_record::store::{Search, SessionFilter};
use luthien_record::{Recorder, Store};
use serde_json::json;

use self::made::Made;
use crate::Result;
use crate::place::{Place, WITHIN, tell};

mod made;
mod postgres;
mod sqlite;

/// How many rows a page has.
const ROWS: u32 = 50;

/// Fills a record on each database with so many turns, and measures.
pub(crate) async fn run(turns: u32, rounds: u32) -> Result<()> {
    for place in [Place::sqlite()?, Place::postgres()?] {
        let began = Instant::now();
        let store = fill(&place, turns).await?;
        let seconds = began.elapsed().as_secs_f64();
        tell(&json!({"database": place.name, "filled": turns, "seconds": seconds, "bytes": place.bytes()?}))?;
        for (name, filter) in asked()? {
            measure(&store, place.name, name, &filter, rounds).await?;
        }
        store.close().await;
    }
    Ok(())
}

async fn fill(place: &Place, turns: u32) -> Result<Store> {
    let config = place.config();
    // Makes the schema.
    let recorder = Recorder::open(config.clone()).await?;
    recorder.shutdown(WITHIN).await;
    let made = Made::new(turns);
    if place.is_postgres() {
        postgres::fill(&config.database, made).await?;
    } else {
        sqlite::fill(&config.database, made).await?;
    }
    Ok(Store::open(&config.database, config.options).await?)
}

/// What is measured, by name; the first two have a target.
fn asked() -> Result<Vec<(&'static str, SessionFilter)>> {
    let page = || SessionFilter { limit: ROWS, ..SessionFilter::default() };
    let search =
        |text: &str| Ok::<_, Box<dyn std::error::Error>>(SessionFilter { q: Some(Search::parse(text)?), ..page() });
    Ok(vec![
        ("list", page()),
        ("search", search(made::RARE)?),
        ("list, far back", SessionFilter { offset: 10_000, ..page() }),
        ("list, one user", SessionFilter { user_id: Some(made::user(3)), ..page() }),
        ("search, two words", search(&format!("{} {}", made::RARE, made::word(40)))?),
        ("search, phrase", search(&format!("\"{} {}\"", made::word(7), made::RARE))?),
        ("search, word in a tenth", search(made::COMMON)?),
    ])
}

/// Milliseconds, after a first time that warms the caches.
async fn measure(store: &Store, database: &str, name: &str, filter: &SessionFilter, rounds: u32) -> Result<()> {
    let mut millis = Vec::new();
    let mut total = 0;
    for round in 0..=rounds {
        let began = Instant::now();
        let page = sessions(store, filter).await?;
        let taken = began.elapsed().as_secs_f64() * 1e3;
        total = page.total;
        if round > 0 {
            millis.push(taken);
        }
    }
    tell(&json!({"database": database, "asked": name, "total": total, "millis": millis}))
}
