//! How fast the recorder stores: transactions of an agent's conversations, each with twenty new content blocks.

use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use luthien_record::model::{End, Evaluation, Start, Status, TransactionId};
use luthien_record::recorder::SentRequest;
use luthien_record::{Recorder, RecorderConfig};
use luthien_wire::Dialect;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Result;
use crate::place::{Place, WITHIN, tell};

/// Turns of a conversation: each request holds all before it.
const TURNS: u32 = 5;

/// Calls of the turn before and their results: ten of each, twenty blocks.
const CALLS: u32 = 10;

/// The bytes of a tool's result.
const RESULT: usize = 1000;

/// Records so many transactions on each database, several times.
pub(crate) async fn run(transactions: u32, rounds: u32) -> Result<()> {
    let sent = traffic(transactions);
    for round in 1..=rounds {
        for place in [Place::sqlite()?, Place::postgres()?] {
            let config = RecorderConfig { queue: transactions as usize + 1, ..place.config() };
            let recorder = Recorder::open(config).await?;
            let empty = place.bytes()?;
            let began = Instant::now();
            for transaction in &sent {
                record(&recorder, transaction)?;
            }
            let taken = began.elapsed().as_secs_f64();
            recorder.settled().await;
            let seconds = began.elapsed().as_secs_f64();
            recorder.shutdown(WITHIN).await;
            tell(&json!({
                "database": place.name, "round": round, "transactions": transactions, "handed over": taken, "seconds": seconds,
                "sent": sent.iter().map(|one| one.start.request.len()).sum::<usize>(),
                "bytes": place.bytes()?.saturating_sub(empty),
            }))?;
        }
    }
    Ok(())
}

/// What one transaction is made of.
struct Transaction {
    start: Start,
    answer: Bytes,
    end: End,
}

fn record(recorder: &Recorder, transaction: &Transaction) -> Result<()> {
    let Transaction { start, answer, end } = transaction;
    let flight = recorder.begin(start.clone())?;
    let (url, body) = ("https://api.example/v1/messages", &start.request);
    let dialect = Dialect::Messages;
    flight.upstream_request(&SentRequest { upstream: "anthropic", method: "POST", url, dialect, edited: body, body });
    flight.upstream_response(200, Vec::new());
    flight.upstream_bytes(answer);
    flight.finish(end.clone());
    Ok(())
}

/// Conversations one after the other.
fn traffic(transactions: u32) -> Vec<Transaction> {
    let mut out = Vec::with_capacity(transactions as usize);
    let mut history: Vec<Value> = Vec::new();
    for number in 0..transactions {
        if number.is_multiple_of(TURNS) {
            history = vec![json!({"role": "user", "content": format!("please do task {number}")})];
        }
        let calls: Vec<Value> = (0..CALLS).map(|call| call_of(number, call)).collect();
        let results: Vec<Value> = (0..CALLS).map(|call| result_of(number, call)).collect();
        history.push(json!({"role": "assistant", "content": calls}));
        history.push(json!({"role": "user", "content": results}));
        out.push(transaction(number, &history));
    }
    out
}

fn transaction(number: u32, history: &[Value]) -> Transaction {
    let at = Timestamp::from_second(1_700_000_000 + i64::from(number)).unwrap_or_default();
    let body = json!({"model": "claude-opus-5-5", "max_tokens": 8000, "stream": false, "messages": history});
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5-5",
        "content": [{"type": "text", "text": filler(u64::from(number), 200)}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 900, "output_tokens": 40}});
    let start = Start {
        id: TransactionId(Uuid::from_u128(
            (u128::from(at.as_millisecond().unsigned_abs()) << 80) | (7 << 76) | u128::from(number),
        )),
        at,
        dialect: Dialect::Messages,
        path: "/v1/messages".into(),
        conversation: true,
        session_id: Some(format!("session-{}", number / TURNS)),
        user_id: Some("user-1".into()),
        credential: Some([7; 16]),
        model: "claude-opus-5-5".into(),
        streamed: false,
        request: Bytes::from(body.to_string()),
        policy: "no_op;v1".into(),
    };
    let evaluation = Evaluation::None;
    let end = End { at, status: Status::Completed, http_status: Some(200), error: None, evaluation };
    Transaction { start, answer: Bytes::from(answer.to_string()), end }
}

fn call_of(number: u32, call: u32) -> Value {
    let command = format!("sed -n '{number},{}p' src/part_{call}.rs", number + 40);
    json!({"type": "tool_use", "id": format!("toolu_{number}_{call}"), "name": "Bash", "input": {"command": command}})
}

fn result_of(number: u32, call: u32) -> Value {
    let text = filler(u64::from(number) * 100 + u64::from(call), RESULT);
    json!({"type": "tool_result", "tool_use_id": format!("toolu_{number}_{call}"), "content": text})
}

/// Text that compresses about as well as source code does.
fn filler(seed: u64, bytes: usize) -> String {
    const WORDS: [&str; 16] = [
        "let", "value", "self.", "match", "return", "(index)", "=> {", "Some(", "});", "pub fn", "error", "\n    ",
        "for", "&mut ", "name:", "0x",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = String::with_capacity(bytes + 16);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [low, high, ..] = state.to_le_bytes();
        out.push_str(WORDS[usize::from(low) % WORDS.len()]);
        out.push(' ');
        if high > 200 {
            let _ = write!(out, "{:x} ", state >> 40);
        }
    }
    out
}
