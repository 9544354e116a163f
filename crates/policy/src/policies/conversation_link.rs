//! `conversation_link`: the first answer of a session begins with a link to its live page.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use luthien_wire::turn::BlockId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::first_turn::FirstTurn;
use crate::catalogue::{LoadError, Loading, range};
use crate::contract::{OnError, Policy, Review, ReviewContext, TextWatch, Watch};
use crate::tree::Tree;

/// Where the gateway is unless somebody says otherwise.
pub(super) const HERE: &str = "http://127.0.0.1:8000";

/// The configuration of `conversation_link`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The gateway as a browser reaches it.
    #[serde(deserialize_with = "range::web_address")]
    base_url: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { base_url: HERE.to_owned() }
    }
}

#[derive(Debug)]
struct Link {
    base: Arc<str>,
}

struct Linking {
    line: Option<String>,
    /// The block that begins with the link.
    block: OnceLock<BlockId>,
    shown: AtomicBool,
}

impl Policy for Link {
    fn name(&self) -> &'static str {
        "conversation_link"
    }

    fn watches(&self) -> Watch {
        Watch { text: TextWatch::Streamed, ..Watch::default() }
    }

    fn on_error(&self) -> OnError {
        OnError::Pass
    }

    fn review(&self, context: &Arc<ReviewContext>) -> Box<dyn Review> {
        let link = |session: &String| format!("Luthien: {}/conversation/live/{}", self.base, escaped(session));
        let line = context.session_id.as_ref().map(link);
        Box::new(Linking { line, block: OnceLock::new(), shown: AtomicBool::new(false) })
    }
}

impl Review for Linking {
    fn text_delta(&self, block: BlockId, text: &str) -> Option<String> {
        let line = self.line.as_ref()?;
        let first = *self.block.get_or_init(|| block) == block && !self.shown.swap(true, Ordering::Relaxed);
        first.then(|| format!("{line}\n\n{text}"))
    }

    /// An answer without text has the link in front of its calls, where there is room for it.
    fn closing(&self) -> Vec<String> {
        let left = !self.shown.swap(true, Ordering::Relaxed);
        self.line.iter().filter(|_| left).cloned().collect()
    }
}

/// A session's name as it may stand in a URL. Clients name their sessions as they like.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Only for requests that begin a conversation.
pub(crate) fn build(loading: &Loading<'_>) -> Result<Tree, LoadError> {
    let config: Config = loading.read()?;
    let link = Tree::of(Link { base: config.base_url.trim_end_matches('/').into() });
    Ok(Tree::Branch(vec![(Arc::new(FirstTurn), link)], Box::new(Tree::none())))
}
