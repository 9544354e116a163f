//! A policy server that plays a script, for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{Message, Place, PolicyServer, PolicyServers, Program, Reply, ServerError, Unusable};

/// What the server does with one message.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// Answers with 200 and this.
    Says(Value),
    /// Answers with this status and body.
    Status(u16, &'static str),
    /// Fails.
    Fails(ServerError),
    /// Answers with 200 and this after a while.
    Later(Duration, Value),
}

/// Plays its moves in order, then is away. Remembers what it was sent.
#[derive(Debug, Default)]
pub(crate) struct Played {
    moves: Mutex<VecDeque<Move>>,
    sent: Mutex<Vec<(&'static str, Value)>>,
    at: Mutex<Vec<Place>>,
    run: Mutex<Vec<Program>>,
}

impl Played {
    pub(crate) fn new<I: IntoIterator<Item = Move>>(moves: I) -> Arc<Self> {
        Arc::new(Self { moves: Mutex::new(moves.into_iter().collect()), ..Self::default() })
    }

    /// The paths and bodies of the messages so far.
    pub(crate) fn sent(&self) -> Vec<(&'static str, Value)> {
        self.sent.lock().unwrap().clone()
    }

    /// The programs that were started.
    pub(crate) fn programs(&self) -> Vec<Program> {
        self.run.lock().unwrap().clone()
    }

    /// The places that were asked for.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.at.lock().unwrap().clone()
    }
}

/// A failed connection.
pub(crate) fn away() -> Move {
    Move::Fails(ServerError::Unreachable("connection refused".to_owned()))
}

impl PolicyServer for Played {
    fn send(&self, message: Message) -> BoxFuture<'_, Result<Reply, ServerError>> {
        let body = message.body.map_or(Value::Null, |body| serde_json::from_slice(&body).unwrap());
        self.sent.lock().unwrap().push((message.path, body));
        let next = self.moves.lock().unwrap().pop_front().unwrap_or_else(away);
        let reply = |status, body: String| Ok(Reply { status, body: Bytes::from(body) });
        Box::pin(async move {
            match next {
                Move::Says(value) => reply(200, value.to_string()),
                Move::Status(status, body) => reply(status, body.to_owned()),
                Move::Fails(error) => Err(error),
                Move::Later(after, value) => {
                    tokio::time::sleep(after).await;
                    reply(200, value.to_string())
                }
            }
        })
    }
}

/// One server wherever it is asked for.
#[derive(Debug)]
pub(crate) struct Everywhere(pub(crate) Arc<Played>);

impl PolicyServers for Everywhere {
    fn at(&self, place: &Place) -> Result<Arc<dyn PolicyServer>, Unusable> {
        self.0.at.lock().unwrap().push(place.clone());
        Ok(Arc::clone(&self.0) as Arc<dyn PolicyServer>)
    }

    fn run(&self, program: &Program) -> Result<Arc<dyn PolicyServer>, Unusable> {
        self.0.run.lock().unwrap().push(program.clone());
        Ok(Arc::clone(&self.0) as Arc<dyn PolicyServer>)
    }
}
