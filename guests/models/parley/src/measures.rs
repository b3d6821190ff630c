//! What is measured.

use serde::{Deserialize, Serialize};

/// Over how many of the last utterances means are taken.
const RECENT: usize = 10;

/// How a talk goes, as figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measures {
    /// How evenly the words are spread over the speakers: the square of all words by the sum of each speaker's squared,
    /// as a share of the number of speakers (Simpson's evenness). 1 where all said as much, one by their number where
    /// only one spoke; 0 before anybody did.
    pub evenness: f64,
    /// The share of pairs of words that nobody had said before, on average over the last ten utterances.
    pub novelty: f64,
    /// An utterance agrees, 1, where it has a word of agreement and none of disagreement; -1 the other way round; else 0.
    /// The mean of the last ten.
    pub agreement: f64,
    /// The share of words that an utterance and the one before have in common, of all different words of both (Jaccard's
    /// index); the mean of the last ten.
    pub overlap: f64,
}

/// One utterance's figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) novelty: f64,
    pub(crate) agreement: f64,
    pub(crate) overlap: f64,
}

/// Keeps the last ones.
pub(crate) fn keep(recent: &mut Vec<Figures>, figures: Figures) {
    if recent.len() >= RECENT {
        recent.remove(0);
    }
    recent.push(figures);
}

impl Measures {
    /// Of how many words each speaker said, and of the last utterances.
    pub(crate) fn of(words: &[u64], recent: &[Figures]) -> Self {
        let squares: f64 = words.iter().map(|count| (*count as f64) * (*count as f64)).sum();
        let all = words.iter().map(|count| *count as f64).sum::<f64>();
        let evenness = if squares > 0.0 { all * all / squares / words.len() as f64 } else { 0.0 };
        let mean = |of: fn(&Figures) -> f64| recent.iter().map(of).sum::<f64>() / recent.len().max(1) as f64;
        Self {
            evenness,
            novelty: mean(|figures| figures.novelty),
            agreement: mean(|figures| figures.agreement),
            overlap: mean(|figures| figures.overlap),
        }
    }
}
