//! Whether a request begins a conversation.

use luthien_wire::conversation::{Part, Role};
use luthien_wire::request::Request;

use crate::contract::{PolicyError, ReviewContext};
use crate::tree::Condition;

/// The request is a conversation's first: somebody asks, and no model or tool has said anything yet.
#[derive(Debug)]
pub(super) struct FirstTurn;

impl Condition for FirstTurn {
    fn holds(&self, request: &Request, _context: &ReviewContext) -> Result<bool, PolicyError> {
        let goes_on = ["previous_response_id", "conversation"]
            .iter()
            .any(|field| request.raw(field).is_some_and(|raw| raw != "null"));
        // Agents ask for one token to see whether they may ask at all.
        if goes_on || request.max_tokens() == Some(1) {
            return Ok(false);
        }
        let conversation = request.conversation();
        let said = conversation.iter().any(|message| {
            matches!(message.role, Role::Assistant | Role::Tool)
                || message.parts.iter().any(|part| matches!(part, Part::ToolCall { .. } | Part::ToolResult { .. }))
        });
        Ok(!said && conversation.iter().any(|message| message.role == Role::User))
    }
}
