//! The words of several turns of one session, as PostgreSQL keeps them: each word once, with the turns that have it.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use super::Search;
use crate::body::pack::{Packer, put_number, take_number, unpack};

/// A turn, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) transaction: Uuid,
    /// Which part it is, from 0.
    pub(crate) part: u64,
    /// So many of its request's messages are found by an earlier turn; with none the whole request was read.
    pub(crate) known: u64,
    /// And so many came after them.
    pub(crate) fresh: u64,
}

/// Turns and their words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WordBlock {
    pub(crate) entries: Vec<Entry>,
    /// In the order of their bytes, as PostgreSQL's `tsvector` has them.
    words: Vec<String>,
    /// A bit for each word and entry: whether it has the word.
    bits: Vec<u8>,
}

impl WordBlock {
    /// Of entries, each with its words, which have single spaces between them.
    pub(crate) fn of(turns: &[(Entry, &str)]) -> Self {
        let entries = turns.iter().map(|(entry, _)| *entry).collect();
        let said = turns.iter().enumerate().flat_map(|(at, (_, text))| text.split(' ').map(move |word| (at, word)));
        Self::new(entries, said.filter(|(_, word)| !word.is_empty()))
    }

    fn new<'w>(entries: Vec<Entry>, said: impl Iterator<Item = (usize, &'w str)>) -> Self {
        let mut by_word = BTreeMap::<&str, Vec<usize>>::new();
        for (entry, word) in said {
            let entries = by_word.entry(word).or_default();
            if entries.last() != Some(&entry) {
                entries.push(entry);
            }
        }
        let mut bits = vec![0; (by_word.len() * entries.len()).div_ceil(8)];
        for (word, having) in by_word.values().enumerate() {
            for entry in having {
                let at = word * entries.len() + entry;
                bits[at / 8] |= 1 << (at % 8);
            }
        }
        Self { entries, words: by_word.into_keys().map(str::to_owned).collect(), bits }
    }

    /// Several as one.
    pub(crate) fn joined(blocks: &[Self]) -> Self {
        let entries: Vec<Entry> = blocks.iter().flat_map(|block| block.entries.iter().copied()).collect();
        let mut before = 0;
        let said = blocks.iter().flat_map(|block| {
            let first = before;
            before += block.entries.len();
            block.said().map(move |(entry, word)| (first + entry, word))
        });
        Self::new(entries, said)
    }

    /// What is left of it without these transactions; `None` if that is nothing.
    pub(crate) fn without(&self, transactions: &HashSet<Uuid>) -> Option<Self> {
        let mut left = Vec::new();
        let places: Vec<Option<usize>> = self
            .entries
            .iter()
            .map(|entry| {
                let stays = !transactions.contains(&entry.transaction);
                stays.then(|| {
                    left.push(*entry);
                    left.len() - 1
                })
            })
            .collect();
        let said = self.said().filter_map(|(entry, word)| Some((places[entry]?, word)));
        let said: Vec<_> = said.collect();
        (!left.is_empty()).then(|| Self::new(left, said.into_iter()))
    }

    /// Its entries' words: of each word the entries in their order.
    fn said(&self) -> impl Iterator<Item = (usize, &str)> {
        self.words.iter().enumerate().flat_map(move |(at, word)| {
            (0..self.entries.len()).filter(move |entry| self.bit(at, *entry)).map(move |entry| (entry, word.as_str()))
        })
    }

    fn bit(&self, word: usize, entry: usize) -> bool {
        let at = word * self.entries.len() + entry;
        self.bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    }

    /// All its words, with spaces between them.
    pub(crate) fn words(&self) -> String {
        self.words.join(" ")
    }

    /// How it is stored beside its words.
    pub(crate) fn packed(&self, packer: &mut Packer) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() * 20 + self.bits.len() + 2);
        put_number(&mut out, self.entries.len() as u64);
        for entry in &self.entries {
            out.extend_from_slice(entry.transaction.as_bytes());
            for number in [entry.part, entry.known, entry.fresh] {
                put_number(&mut out, number);
            }
        }
        // A single entry has all the words.
        if self.entries.len() > 1 {
            out.extend_from_slice(&self.bits);
        }
        packer.pack(&out)
    }

    /// What was stored; `None` if it is damaged.
    pub(crate) fn unpacked(words: &str, packed: &[u8]) -> Option<Self> {
        let bytes = unpack(packed)?;
        let mut rest = bytes.as_slice();
        let count = usize::try_from(take_number(&mut rest)?).ok().filter(|count| *count <= bytes.len())?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let (id, after) = rest.split_at_checked(16)?;
            rest = after;
            let transaction = Uuid::from_slice(id).ok()?;
            let [part, known, fresh] = [take_number(&mut rest)?, take_number(&mut rest)?, take_number(&mut rest)?];
            entries.push(Entry { transaction, part, known, fresh });
        }
        let words: Vec<String> = words.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let size = (words.len() * count).div_ceil(8);
        let bits = if count == 1 { ones(words.len()) } else { rest.to_vec() };
        (bits.len() == size).then_some(Self { entries, words, bits })
    }

    /// The entries that may have what is searched for, and whether they certainly do: which words follow each other is not known here.
    pub(crate) fn fitting(&self, search: &Search) -> Vec<(Entry, bool)> {
        let has = |entry: usize, word: &str, open: bool| {
            let first = self.words.partition_point(|other| other.as_str() < word);
            let these = self.words[first..].iter().zip(first..);
            let mut these = these.take_while(|(other, _)| if open { other.starts_with(word) } else { *other == word });
            these.any(|(_, at)| self.bit(at, entry))
        };
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(at, entry)| Some((*entry, search.among(|word, open| has(at, word, open))?))).collect()
    }
}

/// So many bits that are one.
fn ones(count: usize) -> Vec<u8> {
    let mut bits = vec![0xff; count.div_ceil(8)];
    if let Some(last) = bits.last_mut().filter(|_| !count.is_multiple_of(8)) {
        *last = (1 << (count % 8)) - 1;
    }
    bits
}

#[cfg(test)]
mod tests;
