//! Finds the answer to one request.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use luthien_wire::Dialect;
use serde_json::json;

use super::body::Playing;
use super::log::{Ending, Guard, Recorded};
use super::tap::Line;
use super::{MODELS, Shared, Slot};
use crate::asked::Asked;
use crate::coding;
use crate::reply::{Reply, Step};
use crate::script::Play;

/// The largest body taken in, in bytes.
const BODY_LIMIT: usize = 128 << 20;

pub(super) async fn serve(
    shared: &Arc<Shared>,
    line: &Arc<Line>,
    connection: u64,
    request: Request<Incoming>,
) -> io::Result<Response<Playing>> {
    let headers = line.headers();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(io::Error::other)?.to_bytes();
    line.listen();
    let plain = coding::plain(&headers, &body).await;
    let path = head.uri.path_and_query().map_or_else(|| head.uri.path().to_owned(), ToString::to_string);
    let mut guard = shared.log.enter(Recorded {
        method: head.method.to_string(),
        path,
        headers: headers.clone(),
        body,
        plain: plain.clone(),
        connection,
        ending: Ending::Playing,
    });
    let reply = answer(shared, &head.method, &head.uri, headers, plain);
    before(&reply.before, &mut guard, line).await?;
    respond(reply, guard, line.clone())
}

/// What happens in front of the head.
async fn before(steps: &[Step], guard: &mut Guard, line: &Line) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Send(_) => {}
            Step::Wait(gate) => gate.pass().await,
            Step::Stall => std::future::pending::<()>().await,
            Step::Close | Step::Reset => {
                if matches!(step, Step::Reset) {
                    line.reset_at_end();
                }
                guard.end(Ending::BrokenOff);
                return Err(io::Error::other("the script drops the connection here"));
            }
        }
    }
    Ok(())
}

fn respond(reply: Reply, guard: Guard, line: Arc<Line>) -> io::Result<Response<Playing>> {
    let reply = reply.chunked();
    let mut response = Response::builder().status(reply.status);
    if let Some(headers) = response.headers_mut() {
        for (name, value) in &reply.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            headers.append(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
        }
    }
    let length = reply.sized.then(|| reply.length()).flatten();
    response.body(Playing::new(reply.steps, length, guard, line)).map_err(io::Error::other)
}

fn answer(shared: &Shared, method: &Method, uri: &Uri, headers: Vec<(String, String)>, body: Bytes) -> Reply {
    let (name, path) = match uri.path().strip_prefix("/s/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", uri.path().trim_start_matches('/')),
    };
    let path = path.strip_prefix("v1/").unwrap_or(path);
    let (first, below) = path.split_once('/').unwrap_or((path, ""));
    let dialect = match first {
        "chat" => Dialect::Chat,
        "responses" => Dialect::Responses,
        _ => Dialect::Messages,
    };
    let reply = match (method, path) {
        (&Method::POST, "messages" | "chat/completions" | "responses") => turn(shared, name, dialect, headers, body),
        (&Method::POST, "messages/count_tokens") => Reply::json(200, &json!({"input_tokens": body.len() / 4})),
        (&Method::GET, "models") if scripted(shared, MODELS) => {
            turn(shared, MODELS, dialect, headers, Bytes::from_static(b"{}"))
        }
        (&Method::GET, "models") => Reply::json(200, &models(&headers)),
        (&Method::HEAD, _) => Reply { sized: true, ..Reply::new(200, Vec::new()) },
        _ if first == "responses" && !below.is_empty() => {
            shared.stored.answer(method, below, uri.query().unwrap_or_default(), &body)
        }
        _ => Reply::error(dialect, 404, "not_found_error", "no such path on the scripted upstream"),
    };
    let id = dialect.request_id_header();
    let named = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(id));
    if named { reply } else { reply.header(id, "req_scripted") }
}

fn scripted(shared: &Shared, name: &str) -> bool {
    shared.scripts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
}

fn turn(shared: &Shared, name: &str, dialect: Dialect, headers: Vec<(String, String)>, body: Bytes) -> Reply {
    let slot: Option<Slot> = shared.scripts.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
    let Some(slot) = slot else {
        return Reply::error(dialect, 404, "not_found_error", "no script of that name");
    };
    let number = slot.asked.fetch_add(1, Ordering::Relaxed);
    match Asked::new(number, dialect, headers, body) {
        Ok(asked) => match slot.script.play(&asked) {
            Play::Answer(answer) => {
                shared.stored.keep(&answer, &asked);
                answer.reply(&asked)
            }
            Play::Reply(reply) => reply,
        },
        Err(_) => Reply::error(dialect, 400, "invalid_request_error", "the body is not a JSON request"),
    }
}

/// The models, as the vendor that the headers belong to lists them.
fn models(headers: &[(String, String)]) -> serde_json::Value {
    let anthropic = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("anthropic-version"));
    if anthropic {
        let model = |id: &str, name: &str| json!({"type": "model", "id": id, "display_name": name, "created_at": "2026-09-01T00:00:00Z"});
        let data = [model("claude-opus-5-5", "Claude Opus 5.5"), model("claude-haiku-5-5", "Claude Haiku 5.5")];
        json!({"data": data, "has_more": false, "first_id": "claude-opus-5-5", "last_id": "claude-haiku-5-5"})
    } else {
        let model = |id: &str| json!({"id": id, "object": "model", "created": 1_790_000_000, "owned_by": "openai"});
        json!({"object": "list", "data": [model("gpt-5"), model("gpt-5-mini")]})
    }
}
