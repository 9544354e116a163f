//! Blocks are what was put in, and say which turns may have what is searched for.

use proptest::prelude::*;

use super::super::tokens::{parts, words};
use super::*;

fn entry(number: usize) -> Entry {
    let number = number as u64;
    Entry { transaction: Uuid::from_u128(number.into()), part: number % 2, known: number * 300, fresh: number + 1 }
}

fn block(texts: &[String], first: usize) -> WordBlock {
    let said: Vec<String> = texts.iter().map(|text| parts(text).concat()).collect();
    let turns: Vec<_> = said.iter().enumerate().map(|(at, words)| (entry(first + at), words.as_str())).collect();
    WordBlock::of(&turns)
}

fn again(block: &WordBlock) -> Option<WordBlock> {
    WordBlock::unpacked(&block.words(), &block.packed(&mut Packer::new()))
}

proptest! {
    #[test]
    fn blocks_are_joined_stored_and_parted_again(
        one in proptest::collection::vec("([abé测]{1,2} ){0,6}", 1..9),
        other in proptest::collection::vec("([abé测]{1,2} ){0,6}", 1..9),
    ) {
        let (first, second) = (block(&one, 0), block(&other, one.len()));
        prop_assert!(again(&first).is_some_and(|again| again == first));
        let both = WordBlock::joined(&[first.clone(), second.clone()]);
        prop_assert_eq!(&both, &block(&[one.as_slice(), &other].concat(), 0));
        prop_assert!(again(&both).is_some_and(|again| again == both));
        let these = |block: &WordBlock| block.entries.iter().map(|entry| entry.transaction).collect::<HashSet<_>>();
        prop_assert!(both.without(&these(&second)).is_some_and(|left| left == first));
        prop_assert!(both.without(&these(&first)).is_some_and(|left| left == second));
        prop_assert_eq!(both.without(&these(&both)), None);
        let packed = both.packed(&mut Packer::new());
        prop_assert_eq!(WordBlock::unpacked(&both.words(), &packed[..packed.len() - 1]), None);
    }

    #[test]
    fn what_has_the_words_is_found(
        texts in proptest::collection::vec("([aAbé测]{1,2}[ ,]){0,8}", 1..8),
        query in "(-?([abé测]{1,2}|\"[ab] [abé]\")\\*? ){1,4}",
    ) {
        let Ok(search) = Search::parse(&query) else { return Ok(()) };
        let fitting = block(&texts, 0).fitting(&search);
        for (at, text) in texts.iter().enumerate() {
            let words = words(text);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let found = fitting.iter().find(|(found, _)| *found == entry(at)).map(|(_, certain)| *certain);
            match found {
                Some(true) => prop_assert!(search.fits(&words), "{} {}", query, text),
                Some(false) => prop_assert!(search.has_phrases()),
                None => prop_assert!(!search.fits(&words), "{} {}", query, text),
            }
        }
    }
}
