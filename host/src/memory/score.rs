//! How well episodes fit a cue, and how much they are worth: the same for the same episodes, on every machine.
//!
//! Relevance is BM25 over the words that Unicode finds in a text, in lower case, or the cosine of two embeddings, or the
//! mean of both. Recency falls by the hour. All three lie between 0 and 1, and are added by their weights: so do Park et
//! al. (Generative Agents, 2023), who stretch each over that whole range by the least and the greatest there is. That is
//! not done here, or milliseconds would weigh more than meaning where all that is remembered is of one day; only BM25,
//! which has no scale, is measured by the best. BM25 is written here, because what there is of it fixes the mean length of
//! texts once, where episodes come and go, and leaves ties to the order of a hash table. Logarithms and powers are
//! `libm`'s: those of the system may differ in the last bit from one machine to the other.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use unicode_segmentation::UnicodeSegmentation as _;

use super::{Cue, Weights};

/// The most distinct words of a cue that count.
pub const CUE_WORDS_MAX: usize = 32;

/// How fast more of the same word counts less.
const K1: f64 = 1.2;
/// How much longer texts count less.
const B: f64 = 0.75;
/// Milliseconds in an hour.
const HOUR_MS: f64 = 3_600_000.0;

/// A word, by its hash: 64 bits are enough for the words of one Soul.
type Word = u64;

/// The words of a text, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// In order.
    words: Box<[Word]>,
    /// How often each occurs.
    counts: Box<[u16]>,
    length: u32,
}

impl Document {
    /// Counts the words of some texts together.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut counted, mut length) = (BTreeMap::<Word, u16>::new(), 0_u32);
        for word in texts.into_iter().flat_map(words) {
            let count = counted.entry(word).or_default();
            *count = count.saturating_add(1);
            length = length.saturating_add(1);
        }
        let (words, counts): (Vec<_>, Vec<_>) = counted.into_iter().unzip();
        Self { words: words.into(), counts: counts.into(), length }
    }

    /// How much of two texts they have in common: of all words, as often as they occur.
    fn shared(&self, other: &Self) -> f64 {
        let all = u64::from(self.length) + u64::from(other.length);
        let (mut here, mut there) = (0, 0);
        let mut both = 0_u64;
        while let (Some(one), Some(two)) = (self.words.get(here), other.words.get(there)) {
            if one == two {
                both += u64::from(self.counts[here].min(other.counts[there]));
            }
            (here, there) = (here + usize::from(one <= two), there + usize::from(two <= one));
        }
        if both == 0 { 0.0 } else { both as f64 / (all - both) as f64 }
    }

    fn count(&self, word: Word) -> u16 {
        self.words.binary_search(&word).map_or(0, |place| self.counts[place])
    }
}

fn words(text: &str) -> impl Iterator<Item = Word> {
    text.unicode_words().map(|word| {
        let mut hasher = DefaultHasher::new();
        word.to_lowercase().hash(&mut hasher);
        hasher.finish()
    })
}

/// What of an episode counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// When it was remembered or recalled last, in milliseconds since the Unix epoch.
    pub fresh_at_ms: u64,
    /// From 0 to 1.
    pub importance: f32,
    /// Its words.
    pub document: Document,
    /// Its place in a space of meanings; empty: none.
    pub embedding: Box<[f32]>,
}

impl Trace {
    /// How much there is of it to compare.
    pub fn size(&self) -> usize {
        self.document.words.len() + self.embedding.len()
    }
}

/// How alike two episodes are, from 0 to 1: by what part of their words they share, and where both have a place in one
/// space of meanings, by the mean of that and of the cosine.
pub fn likeness(one: &Trace, other: &Trace) -> f64 {
    let shared = one.document.shared(&other.document);
    if one.embedding.is_empty() || one.embedding.len() != other.embedding.len() {
        return shared;
    }
    f64::midpoint(shared, cosine(&one.embedding, &other.embedding).clamp(0.0, 1.0))
}

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    words: Vec<Word>,
    embedding: Vec<f32>,
}

impl Query {
    /// What a cue looks for.
    pub fn of(cue: &Cue) -> Self {
        let mut query = Self { words: Vec::new(), embedding: cue.embedding.clone() };
        for word in words(&cue.text) {
            if query.words.len() == CUE_WORDS_MAX {
                break;
            }
            if !query.words.contains(&word) {
                query.words.push(word);
            }
        }
        query
    }
}

/// How well each episode fits the query at `now_ms`, from 0 to 1; without one, how much it is worth.
pub fn scores(traces: &[&Trace], query: Option<&Query>, now_ms: u64, weights: &Weights) -> Vec<f32> {
    let relevance = query.and_then(|query| relevance(traces, query));
    let asked = if query.is_some() { f64::from(weights.relevance) } else { 0.0 };
    let (of_recency, of_importance) = (f64::from(weights.recency), f64::from(weights.importance));
    let all = asked + of_recency + of_importance;
    let score = |place: usize| {
        let relevance = relevance.as_ref().map_or(0.0, |relevance| relevance[place]);
        let trace = traces[place];
        let recency = recency(trace.fresh_at_ms, now_ms, weights.decay);
        let sum = asked * relevance + of_recency * recency + of_importance * f64::from(trace.importance);
        // A score of fewer bits than the sum: it says no more than it knows.
        if all > 0.0 { (sum / all) as f32 } else { 0.0 }
    };
    (0..traces.len()).map(score).collect()
}

/// What is left of freshness. Times that lie ahead count as now: clocks differ.
pub fn recency(fresh_at_ms: u64, now_ms: u64, decay: f32) -> f64 {
    let hours = now_ms.saturating_sub(fresh_at_ms) as f64 / HOUR_MS;
    libm::pow(f64::from(decay), hours)
}

/// By words, by embeddings, or by the mean of both; none: the query asks for nothing.
fn relevance(traces: &[&Trace], query: &Query) -> Option<Vec<f64>> {
    let by_words = (!query.words.is_empty()).then(|| by_the_best(bm25(traces, &query.words)));
    let by_meaning = (!query.embedding.is_empty()).then(|| {
        let cosines = traces.iter().map(|trace| cosine(&trace.embedding, &query.embedding));
        // What is meant the other way round is no more to the point than what is not about it.
        cosines.map(|cosine| cosine.clamp(0.0, 1.0)).collect::<Vec<_>>()
    });
    match (by_words, by_meaning) {
        (Some(words), Some(meaning)) => {
            Some(words.iter().zip(&meaning).map(|(one, other)| f64::midpoint(*one, *other)).collect())
        }
        (words, meaning) => words.or(meaning),
    }
}

fn bm25(traces: &[&Trace], query: &[Word]) -> Vec<f64> {
    let total = traces.len() as f64;
    let lengths: u64 = traces.iter().map(|trace| u64::from(trace.document.length)).sum();
    let mean = (lengths as f64 / total).max(1.0);
    let mut scores = vec![0.0; traces.len()];
    let mut found = Vec::new();
    for word in query {
        found.clear();
        let counts = traces.iter().map(|trace| trace.document.count(*word)).enumerate();
        found.extend(counts.filter(|(_, count)| *count > 0));
        let with = found.len() as f64;
        let rare = libm::log(1.0 + (total - with + 0.5) / (with + 0.5));
        for (place, count) in &found {
            let (count, length) = (f64::from(*count), f64::from(traces[*place].document.length));
            scores[*place] += rare * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean));
        }
    }
    scores
}

/// The cosine of two places, from -1 to 1; 0 where they are not of one space, or one of them is nowhere.
fn cosine(one: &[f32], other: &[f32]) -> f64 {
    if one.len() != other.len() {
        return 0.0;
    }
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    let lengths = product(one, one).sqrt() * product(other, other).sqrt();
    if lengths > 0.0 { product(one, other) / lengths } else { 0.0 }
}

/// As shares of the greatest: 1 for the best, 0 for what scores nothing.
fn by_the_best(mut values: Vec<f64>) -> Vec<f64> {
    let greatest = values.iter().copied().fold(0.0, f64::max);
    if greatest > 0.0 {
        values.iter_mut().for_each(|value| *value /= greatest);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(values: &[f64], expected: &[f64]) {
        assert_eq!(values.len(), expected.len());
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{values:?}, not {expected:?}");
        }
    }

    fn trace(text: &str) -> Trace {
        Trace { document: Document::of([text]), ..Trace::default() }
    }

    fn found(texts: &[&str], cue: &str) -> Vec<f64> {
        let traces: Vec<_> = texts.iter().map(|text| trace(text)).collect();
        let query = Query::of(&Cue { text: cue.into(), ..Cue::default() });
        bm25(&traces.iter().collect::<Vec<_>>(), &query.words)
    }

    /// By the formula, calculated by hand in another language (Python's `math`), with 3 texts of 4, 2 and 6 words.
    #[test]
    fn bm25_is_that_of_the_formula() {
        let texts = ["the cat sat down", "a dog", "the dog and the other dog"];
        close(&found(&texts, "dog"), GOLDEN_DOG);
        close(&found(&texts, "the cat"), GOLDEN_THE_CAT);
        close(&found(&texts, "bird"), &[0.0, 0.0, 0.0]);
        close(&found(&texts, ""), &[0.0, 0.0, 0.0]);
    }

    const GOLDEN_DOG: &[f64] = &[0.0, 0.5908617053374963, 0.5665797174469143];
    const GOLDEN_THE_CAT: &[f64] = &[1.4508328822574619, 0.0, 0.5665797174469143];

    #[test]
    fn words_are_those_of_unicode_in_any_case() {
        let same = |one: &str, other: &str| assert_eq!(Document::of([one]), Document::of([other]), "{one}");
        same("Grüße, ÄRZTE!", "grüße ärzte");
        same("ΟΔΟΣ", "οδος".to_uppercase().to_lowercase().as_str());
        same("don't", "DON'T");
        assert_eq!(Document::of(["可以 кот 3.14"]).length, 4, "each ideograph is a word");
        assert_eq!(Document::of(["… — !?", ""]).length, 0);
        assert_eq!(Document::of(["dog dog", "dog"]).counts[..], [3]);
    }

    #[test]
    fn only_the_first_words_of_a_cue_count() {
        let text: String = (0..1_000).map(|word| format!("w{} ", word % 500)).collect();
        assert_eq!(Query::of(&Cue { text, ..Cue::default() }).words.len(), CUE_WORDS_MAX);
    }

    #[test]
    fn freshness_falls_by_the_hour_and_not_ahead_of_time() {
        let hour = 3_600_000;
        assert!((recency(0, hour, 0.995) - f64::from(0.995_f32)).abs() < 1e-15);
        assert!((recency(0, 10 * hour, 0.995) - f64::from(0.995_f32).powi(10)).abs() < 1e-12);
        assert_eq!((recency(5, 5, 0.5), recency(9 * hour, hour, 0.5)), (1.0, 1.0));
    }

    #[test]
    fn cosines_are_those_of_one_space_alone() {
        assert_eq!(cosine(&[1.0, 0.0], &[2.0, 0.0]), 1.0);
        assert_eq!(cosine(&[1.0, 0.0], &[-3.0, 0.0]), -1.0);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 1.0]), 0.0);
        assert_eq!(cosine(&[1.0], &[1.0, 0.0]), 0.0);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
        assert!(cosine(&[f32::MAX; 1024], &[f32::MAX; 1024]).is_finite());
    }

    #[test]
    fn alike_is_what_shares_words_and_meaning() {
        let placed = |text: &str, embedding: &[f32]| Trace { embedding: embedding.into(), ..trace(text) };
        let of = |one: &Trace, other: &Trace| {
            assert_eq!(likeness(one, other), likeness(other, one));
            likeness(one, other)
        };
        assert_eq!(of(&trace("Rain again"), &trace("again, RAIN!")), 1.0);
        assert_eq!(of(&trace("rain rain rain"), &trace("rain")), 1.0 / 3.0);
        assert_eq!(of(&trace("a b c d"), &trace("a b c e")), 3.0 / 5.0);
        assert_eq!(of(&trace("rain"), &trace("snow")), 0.0);
        assert_eq!(of(&trace("…"), &trace("…")), 0.0, "what has no words shares none");
        assert_eq!(of(&placed("rain", &[1.0, 0.0]), &placed("rain", &[0.0, 1.0])), 0.5);
        assert_eq!(of(&placed("rain", &[1.0, 0.0]), &placed("rain", &[-1.0, 0.0])), 0.5);
        assert_eq!(of(&placed("rain", &[1.0, 0.0]), &placed("drizzle", &[2.0, 0.0])), 0.5);
        assert_eq!(of(&placed("rain", &[1.0]), &placed("rain", &[1.0, 0.0])), 1.0, "of other spaces");
    }

    #[test]
    fn the_three_are_weighed() {
        let hour = 3_600_000;
        let old = Trace { fresh_at_ms: 0, importance: 1.0, ..trace("the harbour at dawn") };
        let new = Trace { fresh_at_ms: 10 * hour, importance: 0.0, ..trace("the market at noon") };
        let weighed = |relevance, recency, importance| {
            let weights = Weights { relevance, recency, importance, ..Weights::default() };
            let query = Query::of(&Cue { text: "harbour".into(), ..Cue::default() });
            scores(&[&old, &new], Some(&query), 10 * hour, &weights)
        };
        assert_eq!(weighed(1.0, 0.0, 0.0), [1.0, 0.0]);
        let faded = recency(0, 10 * hour, 0.995);
        assert_eq!(weighed(0.0, 1.0, 0.0), [faded as f32, 1.0]);
        assert_eq!(weighed(1.0, 1.0, 2.0), [((3.0 + faded) / 4.0) as f32, 0.25]);
        let worth = scores(&[&old, &new], None, 10 * hour, &Weights::default());
        assert_eq!(worth, [f64::midpoint(1.0, faded) as f32, 0.5], "without a cue relevance does not count");
        let close = Trace { fresh_at_ms: 10 * hour - 1, importance: 0.0, ..trace("the harbour at dusk") };
        let asked = Query::of(&Cue { text: "harbour".into(), ..Cue::default() });
        let [about, other] = scores(&[&close, &new], Some(&asked), 10 * hour, &Weights::default())[..] else {
            panic!("two scores")
        };
        assert!(about > other + 0.3, "a millisecond weighs nothing: {about} {other}");
        assert_eq!(scores(&[], None, 0, &Weights::default()), [0.0_f32; 0]);
    }

    #[test]
    fn words_and_meaning_count_the_same() {
        let placed = |text: &str, embedding: &[f32]| Trace { embedding: embedding.into(), ..trace(text) };
        let (by_word, by_meaning) = (placed("harbour", &[0.0, 1.0]), placed("port", &[1.0, 0.0]));
        let query = |text: &str, embedding: &[f32]| {
            Query::of(&Cue { text: text.into(), embedding: embedding.into() })
        };
        let weights = Weights { recency: 0.0, importance: 0.0, ..Weights::default() };
        let of = |query: &Query| scores(&[&by_word, &by_meaning], Some(query), 0, &weights);
        assert_eq!(of(&query("harbour", &[])), [1.0, 0.0]);
        assert_eq!(of(&query("", &[1.0, 0.0])), [0.0, 1.0]);
        assert_eq!(of(&query("harbour", &[1.0, 0.0])), [0.5, 0.5]);
        assert_eq!(of(&query("", &[])), [0.0, 0.0]);
    }
}
