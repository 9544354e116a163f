//! What policies leave to persons: each question waits here until somebody answers, its time is over, or nobody needs it any more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use luthien_policy::contract::{OnError, ReviewContext, Target};
use luthien_policy::people::{Asked, People, Ruling};
use luthien_record::redact::Redactor;
use luthien_wire::conversation::Part;
use luthien_wire::turn::Block;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::activity::Activity;
use crate::clock::Clock;
use crate::notify::{About, Kind, Notice, Notifier};

/// How many questions may wait at once. More than that nobody reads; the policies' own choice decides then.
const MOST_WAITING: usize = 1000;

/// How many settled questions are still shown.
const MOST_SETTLED: usize = 200;

/// What has become of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalState)]
pub enum State {
    /// Nobody has answered yet.
    Waiting,
    /// Somebody said yes.
    Allowed,
    /// Somebody said no.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// Nobody needs the answer any more: the client went.
    Withdrawn,
}

/// A question as people see it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Approval {
    /// By which it is answered.
    pub id: String,
    /// The transaction that waits for it.
    pub transaction_id: String,
    /// Its session.
    pub session_id: Option<String>,
    /// Its user.
    pub user_id: Option<String>,
    /// The model that the client asked for.
    pub model: String,
    /// What it is about.
    pub target: Target,
    /// `{policy, why}` for each policy that asks.
    #[schema(value_type = Vec<Object>)]
    pub policies: Vec<Value>,
    /// What goes out if the answer is yes.
    #[schema(value_type = Vec<Object>)]
    pub shown: Vec<Value>,
    /// Since when it waits.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// What happens then.
    pub unanswered: OnError,
    /// What has become of it.
    pub state: State,
    /// Who answered.
    pub answered_by: Option<String>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// What the one who said no had to say to the client.
    pub message: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Yes or no.
    pub allow: bool,
    /// What the client is told in place of the policy's own words, with a no.
    pub message: Option<String>,
    /// Who says so.
    pub by: String,
}

/// Why an answer did not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// There is no such question.
    #[error("there is no such question; GET /api/admin/approvals lists those that wait")]
    Unknown,
    /// It is settled.
    #[error("this question is settled: {0}")]
    Settled(&'static str),
}

/// The questions. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Approvals {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    activity: Activity,
    notifier: Notifier,
    redactor: Redactor,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Table {
    /// By id, which is also the order in which they came.
    waiting: BTreeMap<String, (Approval, oneshot::Sender<Ruling>)>,
    settled: VecDeque<Approval>,
}

impl Approvals {
    /// No questions yet; those that come are told to `activity`.
    pub fn new(activity: Activity, clock: Clock) -> Self {
        Self::telling(activity, clock, Notifier::default(), Redactor::default())
    }

    /// The same, those that come are told to `notifier` too, and without what `redactor` finds.
    pub fn telling(activity: Activity, clock: Clock, notifier: Notifier, redactor: Redactor) -> Self {
        Self { inner: Arc::new(Inner { table: Mutex::default(), activity, notifier, redactor, clock }) }
    }

    /// Those that wait, oldest first, and those that were settled, latest first.
    pub fn list(&self) -> (Vec<Approval>, Vec<Approval>) {
        let table = self.inner.table();
        let waiting = table.waiting.values().map(|(approval, _)| approval.clone()).collect();
        (waiting, table.settled.iter().rev().cloned().collect())
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<Approval> {
        let table = self.inner.table();
        let waiting = table.waiting.get(id).map(|(approval, _)| approval.clone());
        waiting.or_else(|| table.settled.iter().find(|approval| approval.id == id).cloned())
    }

    /// Answers one. The first answer counts.
    pub fn answer(&self, id: &str, reply: Reply) -> Result<Approval, ReplyError> {
        let mut table = self.inner.table();
        let Some((mut approval, waits)) = table.waiting.remove(id) else {
            let settled = table.settled.iter().find(|approval| approval.id == id);
            return Err(settled.map_or(ReplyError::Unknown, |approval| ReplyError::Settled(word(approval.state))));
        };
        let Reply { allow, message, by } = reply;
        let ruling = if allow {
            Ruling::Allowed { by: by.clone() }
        } else {
            Ruling::Denied { by: by.clone(), message: message.clone() }
        };
        // Whoever waited may have gone at this moment: then nothing was let out or withheld by it.
        let state = match (waits.send(ruling), allow) {
            (Err(_), _) => State::Withdrawn,
            (Ok(()), true) => State::Allowed,
            (Ok(()), false) => State::Denied,
        };
        approval.answered_by = Some(by);
        approval.message = message.filter(|_| !allow);
        let approval = self.inner.settle(&mut table, approval, state);
        if state == State::Withdrawn { Err(ReplyError::Settled(word(state))) } else { Ok(approval) }
    }
}

impl Inner {
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, table: &mut Table, mut approval: Approval, state: State) -> Approval {
        let now = self.clock.now();
        approval.state = state;
        approval.settled_at = Some(now);
        if table.settled.len() == MOST_SETTLED {
            table.settled.pop_front();
        }
        table.settled.push_back(approval.clone());
        let data =
            json!({"approval": approval.id, "state": state, "by": approval.answered_by, "target": approval.target});
        self.activity.tell(&approval.transaction_id, "policy.ask.settled", now, data);
        approval
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "it waits",
        State::Allowed => "it was allowed",
        State::Denied => "it was denied",
        State::Expired => "nobody answered in time",
        State::Withdrawn => "nobody waits for it any more",
    }
}

/// Takes a question off the table if nobody has answered it when its asker stops waiting.
struct Waiting<'a> {
    inner: &'a Inner,
    id: String,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut table = self.inner.table();
        if let Some((approval, _)) = table.waiting.remove(&self.id) {
            let expired = self.inner.clock.now() >= approval.expires_at;
            self.inner.settle(&mut table, approval, if expired { State::Expired } else { State::Withdrawn });
        }
    }
}

impl People for Approvals {
    fn ask(&self, asked: Asked, context: &ReviewContext) -> BoxFuture<'_, Ruling> {
        let now = self.inner.clock.now();
        let patience = SignedDuration::try_from(asked.timeout).unwrap_or(SignedDuration::MAX);
        let mut approval = Approval {
            id: self.inner.clock.transaction_id().to_string(),
            transaction_id: context.transaction_id.clone(),
            session_id: context.session_id.clone(),
            user_id: context.user_id.clone(),
            model: context.request.model().to_owned(),
            target: asked.target.clone(),
            policies: asked.policies.iter().map(|(policy, why)| json!({"policy": policy, "why": why})).collect(),
            shown: match asked.target {
                Target::Request => vec![last_words(context)],
                _ => asked.shown.iter().map(|block| shown(block)).collect(),
            },
            created_at: now,
            expires_at: now.saturating_add(patience).unwrap_or(Timestamp::MAX),
            unanswered: asked.unanswered,
            state: State::Waiting,
            answered_by: None,
            settled_at: None,
            message: None,
        };
        for told in approval.shown.iter_mut().chain(&mut approval.policies) {
            self.inner.redactor.value(told);
        }
        Box::pin(self.wait(approval))
    }
}

impl Approvals {
    async fn wait(&self, approval: Approval) -> Ruling {
        let (send, receive) = oneshot::channel();
        let waiting = Waiting { inner: &self.inner, id: approval.id.clone() };
        {
            let mut table = self.inner.table();
            if table.waiting.len() >= MOST_WAITING {
                return Ruling::Unreachable { why: format!("{MOST_WAITING} questions wait for people already") };
            }
            let data = json!({
                "approval": approval.id, "target": approval.target, "policies": approval.policies,
                "session_id": approval.session_id, "model": approval.model, "expires_at": approval.expires_at,
            });
            if self.inner.notifier.wants(Kind::PolicyAsk) {
                self.inner.notifier.tell(|| notice(&approval, data.clone()));
            }
            self.inner.activity.tell(&approval.transaction_id, "policy.ask.waiting", approval.created_at, data);
            let (id, transaction) = (&approval.id, &approval.transaction_id);
            tracing::warn!(%id, %transaction, "a policy asks a person: `luthien approvals` shows the question and answers it");
            table.waiting.insert(approval.id.clone(), (approval, send));
        }
        let answer = receive.await;
        drop(waiting);
        answer.unwrap_or_else(|_| Ruling::Unreachable { why: "the question was lost".to_owned() })
    }
}

/// What people who are not watching are told of a question.
fn notice(approval: &Approval, data: Value) -> Notice {
    let asks = approval.policies.iter().filter_map(|asks| asks["policy"].as_str()).collect::<Vec<_>>().join(", ");
    let what = serde_json::to_value(&approval.target).unwrap_or_default();
    let what =
        what["name"].as_str().map_or_else(|| "a request or text".to_owned(), |name| format!("the call of {name}"));
    let about = About::Named {
        transaction_id: approval.transaction_id.clone(),
        session_id: approval.session_id.clone(),
        user_id: approval.user_id.clone(),
        model: approval.model.clone(),
    };
    let text = format!("{asks} asks a person about {what}; answer until {}", approval.expires_at);
    Notice { kind: Kind::PolicyAsk, at: approval.created_at, text, about, data }
}

/// A block as people see it: a call's arguments as they are, or raw where they cannot be read.
fn shown(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::ToolCall(call) => {
            let arguments = call.arguments.clone().unwrap_or_else(|_| Value::String(call.raw.clone()));
            json!({"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments})
        }
        Block::Thinking(_) => json!({"type": "thinking"}),
        Block::Opaque { kind, .. } => json!({"type": kind}),
    }
}

/// What a request says last, as far as a person reads.
fn last_words(context: &ReviewContext) -> Value {
    const MOST: usize = 4000;
    let conversation = context.request.conversation();
    let texts = conversation.last().into_iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Text(text) | Part::ToolResult { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let said = texts.collect::<Vec<_>>().join("\n");
    let shown: String = said.chars().take(MOST).collect();
    // Padding must not hide the rest unseen.
    let left_out = said.chars().count().saturating_sub(MOST);
    json!({"type": "request", "messages": context.request.message_count(), "last": shown, "characters_left_out": left_out})
}

#[cfg(test)]
mod tests;
