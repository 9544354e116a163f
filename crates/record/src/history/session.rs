//! One session, turn by turn.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::alike;
use super::messages::{self, Message, MessageType};
use super::notes::annotations;
use super::reader::Reader;
use crate::model::{Evaluation, Status};
use crate::store::{Store, StoreError, TransactionDetail};

/// A session in full.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Conversation {
    /// The id.
    pub session_id: String,
    /// Its first turn.
    pub first_timestamp: Timestamp,
    /// Its last turn.
    pub last_timestamp: Timestamp,
    /// The turns, in order.
    pub turns: Vec<Turn>,
    /// Turns in which a policy intervened.
    pub total_policy_interventions: u64,
    /// The models asked for, sorted.
    pub models_used: Vec<String>,
    /// The users, sorted.
    pub user_ids: Vec<String>,
    /// The names of those that have one.
    pub user_labels: BTreeMap<String, String>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Turn {
    /// The transaction.
    pub call_id: String,
    /// When it began.
    pub timestamp: Timestamp,
    /// The model asked for.
    pub model: String,
    /// The user, where known.
    pub user_id: Option<String>,
    /// The whole request as the policies left it: what the upstream got, in the client's dialect.
    pub request_messages: Vec<Message>,
    /// The answer as the client got it.
    pub response_messages: Vec<Message>,
    /// What policies did and said.
    pub annotations: Vec<Annotation>,
    /// A policy intervened.
    pub had_policy_intervention: bool,
    /// Policies changed the client's request. That it was converted for the upstream is no change.
    pub request_was_modified: bool,
    /// The answer that the client got says something else than the upstream's.
    pub response_was_modified: bool,
    /// The client's request, where it was changed.
    pub original_request_messages: Option<Vec<Message>>,
    /// The upstream's answer, where it was changed.
    pub original_response_messages: Option<Vec<Message>>,
    /// The request's other members (temperature and the like), large ones left out.
    #[schema(value_type = Object)]
    pub request_params: Map<String, Value>,
    /// The index in `request_messages` of the first message that is new in this turn.
    pub new_from: usize,
    /// How the transaction ended.
    pub status: Status,
    /// What went wrong.
    pub error: Option<String>,
}

/// What a policy or the gateway did or said in a turn.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Annotation {
    /// The policy; `gateway` for what the gateway did by itself.
    pub policy_name: String,
    /// The event's type.
    pub event_type: String,
    /// One line.
    pub summary: String,
    /// All of it.
    pub details: Value,
}

/// The session with this id, whole; none if it is unknown. A long one is large: exports read it turn by turn.
pub async fn session(store: &Store, id: &str) -> Result<Option<Conversation>, StoreError> {
    let Some(mut reader) = Reader::open(store, id).await? else { return Ok(None) };
    let mut turns = Vec::new();
    while let Some(turn) = reader.next().await? {
        turns.push(turn);
    }
    let summary = reader.summary();
    let user_labels = store.labels_of(&summary.user_ids).await?;
    Ok(Some(Conversation {
        session_id: reader.session().session_id.clone(),
        turns,
        first_timestamp: summary.first_timestamp,
        last_timestamp: summary.last_timestamp,
        total_policy_interventions: summary.total_policy_interventions,
        models_used: summary.models_used,
        user_ids: summary.user_ids,
        user_labels,
    }))
}

/// The turn of a transaction, after those that have been seen.
pub(super) fn turn(call: &TransactionDetail, seen: &mut Seen) -> Turn {
    let (request_messages, begins) = messages::of_request(call.dialect, call.final_request());
    let request_was_modified = call.edited_request.is_some();
    let response_messages = messages::of_answer(call.dialect, call.client_response());
    // A client may get other bytes that mean the same, such as pings while it waited.
    let upstreams = || messages::of_answer(call.upstream_dialect(), &call.upstream_response);
    let original = call.own_response.is_some().then(upstreams);
    let original_response_messages = original.filter(|original| {
        if call.converted() { !alike::messages(original, &response_messages) } else { *original != response_messages }
    });
    let new_from = seen.add(call, &request_messages, &begins);
    Turn {
        call_id: call.id.to_string(),
        timestamp: call.at,
        model: call.model.clone(),
        user_id: call.user_id.clone(),
        annotations: annotations(call),
        had_policy_intervention: call.evaluation == Evaluation::Intervened,
        request_was_modified,
        response_was_modified: original_response_messages.is_some(),
        original_request_messages: request_was_modified.then(|| messages::of_request(call.dialect, &call.request).0),
        original_response_messages,
        request_params: messages::parameters(call.final_request()),
        new_from,
        status: call.status,
        error: call.error.clone(),
        request_messages,
        response_messages,
    }
}

/// The histories of the turns so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Every message with all before it.
    histories: HashSet<[u8; 32]>,
    /// The last message of each turn, with all before it.
    ends: HashSet<[u8; 32]>,
}

impl Seen {
    /// Adds a turn; gives the index of its first message that no turn before it had. The answer to an earlier turn is not new.
    fn add(&mut self, call: &TransactionDetail, flat: &[Message], begins: &[usize]) -> usize {
        let known = call.identities.iter().take_while(|identity| self.histories.contains(*identity)).count();
        let answered = known > 0 && self.ends.contains(&call.identities[known - 1]);
        self.histories.extend(&call.identities);
        self.ends.extend(call.identities.last());
        if known == 0 {
            return 0;
        }
        let at = |index: usize| begins.get(index).copied().unwrap_or(flat.len());
        let of_model = |message: &Message| {
            matches!(message.message_type, MessageType::Assistant | MessageType::ToolCall | MessageType::Unknown)
        };
        // In Responses an answer is several items, each of which stands for a message.
        let said = |index: &usize| flat[at(*index)..at(index + 1)].iter().all(of_model);
        let answer = if answered { (known..begins.len()).take_while(said).count() } else { 0 };
        at(known + answer)
    }
}
