//! Which answer a request gets.

use std::fmt;
use std::sync::Arc;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::reply::Reply;

/// How many rounds of tools a script allows before it ends the conversation, unless told otherwise.
const TOOL_ROUNDS: usize = 25;

/// What is played for one request.
#[derive(Clone, Debug)]
pub enum Play {
    /// A model's answer, put into the dialect and form that the request asks for.
    Answer(Answer),
    /// Exactly this.
    Reply(Reply),
}

impl From<Answer> for Play {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Reply> for Play {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

type Choice = Arc<dyn Fn(&Asked) -> Play + Send + Sync>;

/// The answers to a series of requests.
#[derive(Clone)]
pub struct Script {
    choose: Choice,
    rounds: usize,
}

impl Script {
    /// Whatever the closure makes of the request.
    pub fn new<P: Into<Play>>(choose: impl Fn(&Asked) -> P + Send + Sync + 'static) -> Self {
        Self { choose: Arc::new(move |asked| choose(asked).into()), rounds: TOOL_ROUNDS }
    }

    /// The same for every request.
    pub fn always(play: impl Into<Play>) -> Self {
        let play = play.into();
        Self::new(move |_| play.clone())
    }

    /// One for each request in the order in which they come; the last for all that follow.
    pub fn in_turn<P: Into<Play>>(plays: impl IntoIterator<Item = P>) -> Self {
        let plays: Vec<Play> = plays.into_iter().map(Into::into).collect();
        Self::new(move |asked| pick(&plays, asked.number))
    }

    /// One for each round of an agent's loop: the first before any tool has run, the next after the first results, and
    /// so on; the last for all that follow. Depends on the conversation alone, so retries get the same answer again.
    pub fn rounds<P: Into<Play>>(plays: impl IntoIterator<Item = P>) -> Self {
        let plays: Vec<Play> = plays.into_iter().map(Into::into).collect();
        Self::new(move |asked| pick(&plays, asked.tool_rounds()))
    }

    /// Ends conversations in which tools have run so often with a text in place of another tool call.
    #[must_use]
    pub fn limit(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }

    /// The answer to this request.
    pub fn play(&self, asked: &Asked) -> Play {
        match (self.choose)(asked) {
            Play::Answer(answer) if answer.has_tools() && asked.tool_rounds() >= self.rounds => {
                Answer::text("That was the last tool call of this script.").into()
            }
            play => play,
        }
    }
}

fn pick(plays: &[Play], number: usize) -> Play {
    let play = plays.get(number).or_else(|| plays.last());
    play.cloned().unwrap_or_else(|| Answer::text("The script is empty.").into())
}

impl<P: Into<Play>> From<P> for Script {
    fn from(play: P) -> Self {
        Self::always(play)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}
