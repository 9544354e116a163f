//! The turns of a made record: sessions of twenty, words as unevenly spread as in any language.

use jiff::Timestamp;
use uuid::Uuid;

/// In just under one turn of a hundred.
pub(super) const RARE: &str = "needle";

/// In one turn of ten.
pub(super) const COMMON: &str = "thread";

/// A request as the record keeps a small one: not packed, one piece, its length, its bytes.
pub(super) const REQUEST: &[u8] = b"\x00\x00\x1b{\"model\":\"m\",\"messages\":[]}";

/// How many turns a session has.
const TURNS: u32 = 20;

/// How many words a turn has.
const WORDS: u32 = 80;

/// How many different words there are.
const VOCABULARY: f64 = 50_000.0;

/// How many users there are.
const USERS: u32 = 200;

/// The turns, in the order of their start.
pub(super) struct Made {
    turns: u32,
    next: u32,
    random: Random,
}

/// A session.
pub(super) struct Session {
    pub(super) key: Uuid,
    pub(super) name: String,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) turns: u32,
    pub(super) interventions: u32,
    pub(super) preview: String,
    pub(super) user: String,
    pub(super) model: &'static str,
}

/// A turn.
pub(super) struct Turn {
    /// From 1.
    pub(super) number: u32,
    pub(super) id: Uuid,
    pub(super) session: Uuid,
    pub(super) session_name: String,
    pub(super) at: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) user: String,
    pub(super) model: &'static str,
    pub(super) evaluation: &'static str,
    pub(super) words: Vec<String>,
}

impl Turn {
    /// Its request as the record keeps it. Those with the rare word say their words in it: they are read again where a phrase is looked
    /// for.
    pub(super) fn request(&self) -> Vec<u8> {
        if !self.words.iter().any(|word| word == RARE) {
            return REQUEST.to_vec();
        }
        let text = self.words.join(" ");
        let body = format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}]}}");
        // Not packed, one piece, its length in groups of seven bits.
        let length = body.len();
        let mut out = vec![0, 0];
        out.extend(u8::try_from(length % 128).map(|low| low | 0x80));
        out.extend(u8::try_from(length / 128));
        out.extend_from_slice(body.as_bytes());
        out
    }
}

impl Made {
    pub(super) fn new(turns: u32) -> Self {
        Self { turns, next: 0, random: Random(0x5eed) }
    }

    /// How many sessions there are.
    fn sessions(&self) -> u32 {
        self.turns.div_ceil(TURNS)
    }

    pub(super) fn all_sessions(&self) -> Vec<Session> {
        (0..self.sessions()).map(|number| self.session(number)).collect()
    }

    fn session(&self, number: u32) -> Session {
        let turns = TURNS.min(self.turns - number * TURNS);
        Session {
            key: key(number),
            name: name(number),
            first: at(number, 0),
            last: at(number, turns),
            turns,
            interventions: u32::from(number.is_multiple_of(7)),
            preview: format!("please look at part {number} of the program and tell me why it is slow"),
            user: user(number % USERS),
            model: model(number),
        }
    }
}

impl Iterator for Made {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        if self.next == self.turns {
            return None;
        }
        let turn = self.next;
        self.next += 1;
        let (number, within) = (turn / TURNS, turn % TURNS);
        let mut words: Vec<String> = (0..WORDS).map(|_| word(self.random.rank())).collect();
        for (every, one) in [(101, RARE), (10, COMMON)] {
            if turn.is_multiple_of(every) {
                words.push(one.to_owned());
            }
        }
        let started = at(number, within);
        Some(Turn {
            number: turn + 1,
            id: Uuid::from_u128(
                (u128::from(started.as_millisecond().unsigned_abs()) << 80) | (7 << 76) | u128::from(turn),
            ),
            session: key(number),
            session_name: name(number),
            at: started,
            ended: at(number, within + 1),
            user: user(number % USERS),
            model: model(number),
            evaluation: if number.is_multiple_of(7) && within == 0 { "intervened" } else { "passed" },
            words,
        })
    }
}

/// The word of this rank.
pub(super) fn word(rank: u32) -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "ve"];
    let mut out = String::new();
    let mut left = rank as usize + 1;
    while left > 0 {
        out.push_str(SYLLABLES[left % SYLLABLES.len()]);
        left /= SYLLABLES.len();
    }
    out
}

pub(super) fn user(number: u32) -> String {
    format!("user-{number}@example.com")
}

fn model(session: u32) -> &'static str {
    ["claude-opus-5-5", "claude-haiku-5-5", "gpt-5"][session as usize % 3]
}

/// Spread as hashes are.
fn key(session: u32) -> Uuid {
    let mut random = Random(u64::from(session) + 1);
    Uuid::from_u128((u128::from(random.next()) << 64) | u128::from(random.next()))
}

fn name(session: u32) -> String {
    key(session).to_string()
}

/// When a turn begins: a session every half minute, a turn every ten seconds.
fn at(session: u32, turn: u32) -> Timestamp {
    let seconds = 1_700_000_000 + i64::from(session) * 30 + i64::from(turn) * 10;
    Timestamp::from_second(seconds).unwrap_or_default()
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut out = self.0;
        out = (out ^ (out >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        out = (out ^ (out >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out ^ (out >> 31)
    }

    /// The rank of a word: a word of rank n comes about n times less often than the first.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the size of the vocabulary"
    )]
    fn rank(&mut self) -> u32 {
        let even = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        VOCABULARY.powf(even) as u32 - 1
    }
}
