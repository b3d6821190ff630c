//! Finds what was taught of something: Okapi BM25 over the sentences of the text, in integers.

use std::collections::BTreeMap;

use crate::logistic::cost;
use crate::text;

/// Words that say nothing of what is asked.
const STOPS: &str = " a about am an and are as at be been but by can could did do does for from had has have he her him \
    his how i if in is it its may me might must my of on or our ours please say shall she should so some tell than that \
    the their them then there these they this those to us was we were what when where which while who whom whose why \
    will with would you your yours ";

/// The longest question that is looked at, in words; more words of it are left out.
const WORDS_MAX: usize = 64;

/// What was taught of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// In one line.
    pub text: String,
    /// How much of what was asked it has, in hundredths: each word counts as much as it is rare.
    pub share: u32,
    /// How well it fits, beside others.
    pub score: u64,
}

/// The words of a text, as they are compared.
fn words(text: &str) -> impl Iterator<Item = String> {
    let pieces =
        text.split(|letter: char| !letter.is_alphanumeric() && letter != '\'' && letter != '\u{2019}');
    pieces.map(stem).filter(|word| !word.is_empty())
}

/// A word without what its place in the sentence adds.
fn stem(word: &str) -> String {
    let lower = word.replace('\u{2019}', "'").trim_matches('\'').to_lowercase();
    let base = lower.strip_suffix("'s").unwrap_or(&lower);
    let without = |ending: &str, least: usize| {
        base.strip_suffix(ending).filter(|stem| stem.chars().count() >= least && !stem.ends_with(['s', 'u']))
    };
    match (without("ies", 3), without("es", 3), without("s", 3)) {
        (Some(stem), _, _) => format!("{stem}y"),
        (_, Some(stem), _) if stem.ends_with(['x', 'h', 'z']) => stem.to_owned(),
        (_, _, Some(stem)) => stem.to_owned(),
        _ => base.to_owned(),
    }
}

/// One sentence, or an answer and what it answers.
struct Unit<'a> {
    asked: &'a str,
    said: &'a str,
}

/// All that may be found. A paragraph that begins with lines after `>` answers them, and is one piece.
fn units(taught: &str) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for paragraph in text::paragraphs(taught) {
        let mut asked = 0;
        while paragraph[asked..].starts_with('>') {
            asked += paragraph[asked..].find('\n').map_or(paragraph.len() - asked, |end| end + 1);
        }
        let (asked, said) = paragraph.split_at(asked);
        if asked.is_empty() {
            units.extend(text::sentences(said).into_iter().map(|said| Unit { asked, said }));
        } else if !said.trim().is_empty() {
            units.push(Unit { asked, said });
        }
    }
    units
}

/// The passage that fits a question best, if any has a word of it. Of two that fit as well, the later.
#[must_use]
pub fn find(taught: &str, question: &str) -> Option<Passage> {
    let mut asked: Vec<String> =
        words(question).filter(|word| !STOPS.contains(&format!(" {word} "))).collect();
    asked.sort();
    asked.dedup();
    asked.truncate(WORDS_MAX);
    let units = units(taught);
    let (mut lengths, mut all) = (Vec::with_capacity(units.len()), 0_u64);
    let mut hits: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut holders = vec![0_u64; asked.len()];
    for (at, unit) in units.iter().enumerate() {
        let mut length = 0;
        let mut counts = vec![0; asked.len()];
        for word in words(unit.asked).chain(words(unit.said)) {
            length += 1;
            if let Ok(place) = asked.binary_search(&word) {
                counts[place] += 1;
            }
        }
        lengths.push(length);
        all += length;
        if counts.iter().any(|&count| count > 0) {
            for (holders, &count) in holders.iter_mut().zip(&counts) {
                *holders += u64::from(count > 0);
            }
            hits.insert(at, counts);
        }
    }
    let rarities: Vec<u64> = holders.iter().map(|&holders| rarity(holders, units.len() as u64)).collect();
    let whole: u64 = rarities.iter().sum();
    let mean = (all / (units.len() as u64).max(1)).max(1);
    let best = hits.iter().map(|(&at, counts)| {
        // k1 = 1.2 and b = 0.75, in hundredths.
        let damp = 120 * (25 * mean + 75 * lengths[at]) / (100 * mean);
        let scores =
            counts.iter().zip(&rarities).map(|(&count, rare)| rare * count * 220 / (100 * count + damp));
        let score: u64 = scores.sum();
        // What only asks, or says no more than was asked, answers little.
        let asks = units[at].said.trim_end_matches(['"', '\'', '\u{201d}']).ends_with('?');
        let more = lengths[at] > counts.iter().sum::<u64>() + 1;
        (score / if asks || !more { 3 } else { 1 }, at)
    });
    let (score, at) = best.max()?;
    let have =
        hits[&at].iter().zip(&rarities).filter(|(count, _)| **count > 0).map(|(_, rare)| rare).sum::<u64>();
    let share = u32::try_from(have * 100 / whole.max(1)).unwrap_or(100);
    Some(Passage { text: text::closed(text::in_one_line(units[at].said)), share, score })
}

/// How much a word says that `holders` of `all` sentences have, in 2^-16 bits.
fn rarity(holders: u64, all: u64) -> u64 {
    let p = (2 * holders + 1) * 65_536 / (2 * all + 2).max(2 * holders + 2);
    cost(i32::try_from(p).unwrap_or(i32::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAUGHT: &str = "I was born in Zion. My favourite colour is green, and always was.\n\nThe ship is called\n\
        Nebuchadnezzar. Ships are cold.\n\n> What do you eat?\nMostly porridge. It tastes of nothing.\n\nI like the cold.";

    fn found(question: &str) -> Option<(String, u32)> {
        find(TAUGHT, question).map(|passage| (passage.text, passage.share))
    }

    #[test]
    fn finds_what_was_taught() {
        assert_eq!(
            found("What is your favourite colour?").unwrap().0,
            "My favourite colour is green, and always was."
        );
        assert_eq!(
            found("how is the SHIP called").unwrap(),
            ("The ship is called Nebuchadnezzar.".to_owned(), 100)
        );
        assert_eq!(found("what do you eat").unwrap().0, "Mostly porridge. It tastes of nothing.");
        assert_eq!(found("Do you like the cold?").unwrap().0, "I like the cold.");
    }

    #[test]
    fn says_how_much_of_the_question_it_has() {
        assert!(found("What is your favourite dish, and who cooks it for you?").unwrap().1 < 60);
        assert_eq!(found("Who are you?"), None);
        assert_eq!(find("", "anything"), None);
    }

    #[test]
    fn words_are_compared_without_their_endings() {
        let stems: Vec<String> =
            words("Ships' boxes, the Allens\u{2019} ladies; James's glass kiss").collect();
        assert_eq!(stems, ["ship", "box", "the", "allen", "lady", "jame", "glass", "kiss"]);
    }
}
