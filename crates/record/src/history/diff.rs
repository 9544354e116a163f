//! What the gateway changed in a call: original beside final.

use luthien_wire::conversation::Part;
use luthien_wire::request::Request;
use luthien_wire::turn::Block;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{alike, messages};
use crate::model::TransactionId;
use crate::store::{Store, StoreError, TransactionDetail};

/// A call's differences.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Diff {
    /// The transaction.
    pub call_id: String,
    /// The client's request and the one sent.
    pub request: RequestDiff,
    /// The upstream's answer and the one the client got.
    pub response: ResponseDiff,
    /// The answer block by block, tool calls included.
    pub blocks: Vec<BlockDiff>,
    /// Where its trace is shown; none yet.
    pub trace_url: Option<String>,
}

/// The request's differences.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RequestDiff {
    /// The models differ.
    pub model_changed: bool,
    /// The model asked for.
    pub original_model: Option<String>,
    /// The model sent.
    pub final_model: Option<String>,
    /// The token limits differ.
    pub max_tokens_changed: bool,
    /// The limit asked for.
    pub original_max_tokens: Option<u64>,
    /// The limit sent.
    pub final_max_tokens: Option<u64>,
    /// Message by message.
    pub messages: Vec<MessageDiff>,
}

/// One message of the request.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MessageDiff {
    /// Its index.
    pub index: usize,
    /// Its role.
    pub role: String,
    /// What the client sent.
    pub original_content: String,
    /// What went upstream.
    pub final_content: String,
    /// They differ.
    pub changed: bool,
}

/// The answer's differences.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ResponseDiff {
    /// The texts differ.
    pub content_changed: bool,
    /// The upstream's text.
    pub original_content: String,
    /// The client's text.
    pub final_content: String,
    /// The stop reasons differ.
    pub finish_reason_changed: bool,
    /// The upstream's stop reason.
    pub original_finish_reason: Option<String>,
    /// The client's stop reason.
    pub final_finish_reason: Option<String>,
}

/// One block of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BlockDiff {
    /// `unchanged`, `changed`, `added` or `removed`.
    pub change: &'static str,
    /// The upstream's block.
    #[schema(value_type = Option<Object>)]
    pub original: Option<Map<String, Value>>,
    /// The client's block.
    #[serde(rename = "final")]
    #[schema(value_type = Option<Object>)]
    pub last: Option<Map<String, Value>>,
}

/// A call's differences; none if the id is unknown.
pub async fn diff(store: &Store, id: TransactionId) -> Result<Option<Diff>, StoreError> {
    Ok(store.transaction(id).await?.map(|call| Diff {
        call_id: call.id.to_string(),
        request: request_diff(&call),
        response: response_diff(&call),
        blocks: block_diffs(&call),
        trace_url: None,
    }))
}

fn request_diff(call: &TransactionDetail) -> RequestDiff {
    let before = messages::request(call.dialect, &call.request);
    let after = messages::request(call.dialect, call.final_request());
    let sent = call.upstream_request.as_ref().map(|sent| messages::request(sent.dialect, &sent.body));
    let sent = sent.unwrap_or_else(|| after.clone());
    let model = |request: &Option<Request>| request.as_ref().map(|request| request.model().to_owned());
    let limit = |request: &Option<Request>| request.as_ref().and_then(Request::max_tokens);
    RequestDiff {
        model_changed: model(&before) != model(&sent),
        original_model: model(&before),
        final_model: model(&sent),
        max_tokens_changed: limit(&before) != limit(&sent),
        original_max_tokens: limit(&before),
        final_max_tokens: limit(&sent),
        messages: message_diffs(&spoken(before.as_ref()), &spoken(after.as_ref())),
    }
}

/// Role and content of each message, instructions first.
fn spoken(request: Option<&Request>) -> Vec<(String, String)> {
    let messages = request.map(Request::conversation).unwrap_or_default();
    messages.iter().map(|message| (message.role.name().to_owned(), content(&message.parts))).collect()
}

fn content(parts: &[Part]) -> String {
    let texts: Vec<_> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) | Part::Thinking(text) | Part::ToolResult { text, .. } => text.clone(),
            Part::Image => "[image]".to_owned(),
            Part::ToolCall { name, input, .. } => format!("{name}({input})"),
            Part::Other(kind) => format!("[{kind}]"),
        })
        .collect();
    texts.join("\n")
}

fn message_diffs(before: &[(String, String)], after: &[(String, String)]) -> Vec<MessageDiff> {
    (0..before.len().max(after.len()))
        .map(|index| {
            let (was, is) = (before.get(index), after.get(index));
            MessageDiff {
                index,
                role: is.or(was).map(|(role, _)| role.clone()).unwrap_or_default(),
                original_content: was.map(|(_, content)| content.clone()).unwrap_or_default(),
                final_content: is.map(|(_, content)| content.clone()).unwrap_or_default(),
                changed: was != is,
            }
        })
        .collect()
}

fn response_diff(call: &TransactionDetail) -> ResponseDiff {
    let text = |dialect, body: &[u8]| {
        let blocks = messages::blocks(dialect, body);
        let texts: Vec<_> = blocks
            .into_iter()
            .filter_map(|block| if let Block::Text(text) = block { Some(text) } else { None })
            .collect();
        texts.join("\n")
    };
    let (from, to) = (call.upstream_dialect(), call.dialect);
    let (original_content, final_content) = (text(from, &call.upstream_response), text(to, call.client_response()));
    let original_finish_reason = messages::ending(from, &call.upstream_response).stop_reason;
    let final_finish_reason = messages::ending(to, call.client_response()).stop_reason;
    let (same_content, same_reason) = if call.converted() {
        let reasons = (original_finish_reason.as_deref(), final_finish_reason.as_deref());
        (alike::texts(&original_content, &final_content), alike::stops(reasons.0, reasons.1))
    } else {
        (original_content == final_content, original_finish_reason == final_finish_reason)
    };
    ResponseDiff {
        content_changed: !same_content,
        original_content,
        final_content,
        finish_reason_changed: !same_reason,
        original_finish_reason,
        final_finish_reason,
    }
}

fn block_diffs(call: &TransactionDetail) -> Vec<BlockDiff> {
    let before = messages::blocks(call.upstream_dialect(), &call.upstream_response);
    let after = messages::blocks(call.dialect, call.client_response());
    let shown = |block: &Block| messages::block_json(block, "tool_call");
    if call.converted() {
        let read = |blocks| alike::ordered(blocks).iter().map(|block| (alike::gist(block), shown(block))).collect();
        align(read(before), read(after))
    } else {
        let read = |blocks: Vec<Block>| blocks.iter().map(shown).map(|shown| (shown.clone(), shown)).collect();
        align(read(before), read(after))
    }
}

/// A block as it is shown, after what it is compared by.
type Compared<K> = (K, Map<String, Value>);

/// Pairs equal blocks at both ends; between them, what stands at the same place was changed and the rest added or removed.
fn align<K: PartialEq>(before: Vec<Compared<K>>, after: Vec<Compared<K>>) -> Vec<BlockDiff> {
    let same = |(was, is): &(&Compared<K>, &Compared<K>)| was.0 == is.0;
    let head = before.iter().zip(&after).take_while(same).count();
    let most = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev()).take(most).take_while(same).count();
    let pairs_between = (before.len() - head - tail).min(after.len() - head - tail);
    let (removed, added) = (before.len() - head - tail - pairs_between, after.len() - head - tail - pairs_between);
    let shown = |(_, shown): Compared<K>| shown;
    let (mut before, mut after) = (before.into_iter().map(shown), after.into_iter().map(shown));
    let mut out = Vec::new();
    let mut take = |change, count, old: bool, new: bool| {
        for _ in 0..count {
            let original = if old { before.next() } else { None };
            let last = if new { after.next() } else { None };
            out.push(BlockDiff { change, original, last });
        }
    };
    take("unchanged", head, true, true);
    take("changed", pairs_between, true, true);
    take("removed", removed, true, false);
    take("added", added, false, true);
    take("unchanged", tail, true, true);
    out
}
