//! How people talk.

use serde::{Deserialize, Serialize};

/// The most speakers.
pub const SPEAKERS_MAX: usize = 50;
/// The most turns.
pub const TURNS_MAX: u32 = 1000;
/// The most characters of an utterance.
pub const CHARS_MAX: u32 = 2000;
/// The most utterances that are shown.
pub const SHOWN_MAX: u32 = 50;
/// The most words and patterns of each list.
const LIST_MAX: usize = 200;
/// The most characters of a topic, of a word, and of a pattern.
const TEXT_MAX: usize = 1000;

/// How a talk goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What it is about, as speakers are shown it.
    pub topic: String,
    /// How many turns it has, lost ones counted; from 1 to [`TURNS_MAX`].
    pub turns: u32,
    /// Who speaks next.
    pub order: Order,
    /// How many of the last utterances are shown, up to [`SHOWN_MAX`].
    pub shown: u32,
    /// The most characters of an utterance, from 1 to [`CHARS_MAX`].
    pub chars_max: u32,
    /// The largest share of pairs of words that a speaker may have said before, from 0 to 1.
    pub repetition_max: f64,
    /// What must not be said: words in a row, in which `*` stands for any letters.
    pub banned: Vec<String>,
    /// Words by which one agrees.
    pub agreement: Vec<String>,
    /// Words by which one does not.
    pub disagreement: Vec<String>,
}

/// Who speaks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// One after the other.
    Round,
    /// Any but the last one, each as likely.
    Drawn,
}

impl Default for Settings {
    fn default() -> Self {
        let words = |words: &str| words.split(' ').map(str::to_owned).collect();
        Self {
            topic: String::new(),
            turns: 20,
            order: Order::Round,
            shown: 8,
            chars_max: 500,
            repetition_max: 0.7,
            banned: Vec::new(),
            agreement: words("yes agree agreed right true exactly indeed"),
            disagreement: words("no disagree wrong false never doubt"),
        }
    }
}

impl Settings {
    /// Whether one can talk by them.
    ///
    /// # Errors
    /// Names what is wrong, and its bounds.
    pub fn check(&self) -> Result<(), String> {
        let numbers = [
            ("turns", self.turns, 1, TURNS_MAX),
            ("shown", self.shown, 0, SHOWN_MAX),
            ("chars_max", self.chars_max, 1, CHARS_MAX),
        ];
        for (name, number, min, max) in numbers {
            if !(min..=max).contains(&number) {
                return Err(format!("`{name}` is {number}: it must be from {min} to {max}"));
            }
        }
        if !(0.0..=1.0).contains(&self.repetition_max) {
            return Err(format!("`repetition_max` is {}: it must be from 0 to 1", self.repetition_max));
        }
        if self.topic.chars().count() > TEXT_MAX {
            return Err(format!("`topic` has more than {TEXT_MAX} characters"));
        }
        let lists =
            [("banned", &self.banned), ("agreement", &self.agreement), ("disagreement", &self.disagreement)];
        for (name, list) in lists {
            let sound = |text: &String| !text.trim().is_empty() && text.chars().count() <= TEXT_MAX;
            if list.len() > LIST_MAX || !list.iter().all(sound) {
                return Err(format!(
                    "`{name}` must be at most {LIST_MAX} texts of 1 to {TEXT_MAX} characters, none of them blank"
                ));
            }
        }
        Ok(())
    }
}
