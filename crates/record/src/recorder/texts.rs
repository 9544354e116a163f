//! What a transaction is found by: what is said in it for the first time.

use luthien_wire::Dialect;
use uuid::Uuid;

use crate::body::split::Outline;
use crate::sql::texts::TextRow;
use crate::words;

/// What was said in a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    /// What the client speaks.
    pub(crate) dialect: Dialect,
    pub(crate) request: &'a [u8],
    pub(crate) outline: &'a Outline,
    /// So many of the first messages are found by an earlier transaction of the session.
    pub(crate) known: usize,
    /// What the upstream speaks.
    pub(crate) upstream: Dialect,
    pub(crate) answer: &'a [u8],
    /// What the client got, where it is something else.
    pub(crate) own: Option<&'a [u8]>,
}

impl Said<'_> {
    /// The rows of the full-text index. What the model said comes back in the next request, where it is not indexed again.
    pub(crate) fn rows(&self, transaction: Uuid, session: Uuid) -> Vec<TextRow> {
        let (known, fresh) = (self.known, self.outline.messages.len().saturating_sub(self.known));
        let parts = words::parts(&self.text()).into_iter().zip(0..);
        parts.map(|(words, part)| TextRow { transaction, session, part, words, known, fresh }).collect()
    }

    /// What was said for the first time.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if self.known == 0 {
            words::of_outline(self.request, self.outline, &mut text);
        }
        let messages = self.outline.messages.iter().skip(self.known).filter_map(|span| self.request.get(span.clone()));
        for message in messages.filter(|message| message.len() <= words::MOST_UNDERSTOOD) {
            if self.known == 0 {
                words::of_message(self.dialect, message, &mut text);
            } else {
                words::of_message_to_model(self.dialect, message, &mut text);
            }
        }
        words::of_answer(self.upstream, self.answer, &mut text);
        if let Some(own) = self.own {
            words::of_answer(self.dialect, own, &mut text);
        }
        text
    }
}
