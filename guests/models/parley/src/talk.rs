//! A talk as it stands.

use std::collections::BTreeSet;

use chance::Chance;
use serde::{Deserialize, Serialize};

use crate::measures::{Figures, Measures, keep};
use crate::settings::{Order, SPEAKERS_MAX, Settings};
use crate::words::{occurs, pairs, words};

/// What somebody said, and was let stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// Who said it, a number.
    pub speaker: u32,
    /// What.
    pub text: String,
}

/// What became of what a speaker said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It stands.
    Said,
    /// Nothing was said, and the turn is over.
    Silence,
    /// It does not stand, for this reason, and the speaker may say something else.
    Warned(String),
    /// It does not stand either, and the turn is lost.
    Lost(String),
}

/// One speaker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Speaker {
    words: u64,
    warnings: u32,
    lost: u32,
    /// The pairs of words that it said.
    pairs: BTreeSet<u64>,
}

/// A talk as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Talk(Saved);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Saved {
    settings: Settings,
    chance: Chance,
    speakers: Vec<Speaker>,
    /// How many turns are over.
    turn: u32,
    /// Whose turn it is.
    at: u32,
    /// Why it was warned in this turn.
    warning: Option<String>,
    /// What was said last, as much as is shown, and at least the last utterance.
    said: Vec<Utterance>,
    recent: Vec<Figures>,
}

impl Talk {
    /// A talk of so many speakers before its first turn.
    ///
    /// # Errors
    /// Where the settings are wrong.
    pub fn new(settings: Settings, speakers: usize, seed: u64) -> Result<Self, String> {
        settings.check()?;
        let (chance, speakers) = (Chance::new(seed), vec![Speaker::default(); speakers]);
        let (warning, said, recent) = (None, Vec::new(), Vec::new());
        let mut saved = Saved { settings, chance, speakers, turn: 0, at: 0, warning, said, recent };
        if saved.settings.order == Order::Drawn {
            saved.at = saved.chance.below(saved.speakers.len() as u32);
        }
        Self::try_from(saved)
    }

    /// How it goes.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How many turns are over.
    #[must_use]
    pub fn turn(&self) -> u32 {
        self.0.turn
    }

    /// Whether all are.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.turn >= self.0.settings.turns
    }

    /// Whose turn it is, a number.
    #[must_use]
    pub fn speaker(&self) -> u32 {
        self.0.at
    }

    /// Why what the speaker said in this turn does not stand, where it may say something else.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.0.warning.as_deref()
    }

    /// What was said last, as much of it as is shown.
    #[must_use]
    pub fn said(&self) -> &[Utterance] {
        let hidden = self.0.said.len().saturating_sub(self.0.settings.shown as usize);
        &self.0.said[hidden..]
    }

    /// How it goes, as figures.
    #[must_use]
    pub fn measures(&self) -> Measures {
        let words: Vec<u64> = self.0.speakers.iter().map(|speaker| speaker.words).collect();
        Measures::of(&words, &self.0.recent)
    }

    /// How many words a speaker said, how often it was warned, and how many turns it lost; nothing of one that does not
    /// exist.
    #[must_use]
    pub fn record(&self, speaker: usize) -> (u64, u32, u32) {
        let speaker = self.0.speakers.get(speaker);
        speaker.map_or((0, 0, 0), |Speaker { words, warnings, lost, .. }| (*words, *warnings, *lost))
    }

    /// Whose turn it is says something, or nothing; in a talk that is not over.
    pub fn hear(&mut self, text: Option<&str>) -> Heard {
        let said = text.map(str::trim).filter(|text| !text.is_empty());
        let Some(text) = said else {
            self.next();
            return Heard::Silence;
        };
        let at = self.0.at as usize;
        let words = words(text);
        if let Some(why) = self.objection(text, &words) {
            let speaker = &mut self.0.speakers[at];
            if self.0.warning.is_some() {
                speaker.lost = speaker.lost.saturating_add(1);
                self.next();
                return Heard::Lost(why);
            }
            speaker.warnings = speaker.warnings.saturating_add(1);
            self.0.warning = Some(why.clone());
            return Heard::Warned(why);
        }
        self.stands(text, &words);
        self.next();
        Heard::Said
    }

    /// Why a text cannot stand.
    fn objection(&self, text: &str, words: &[String]) -> Option<String> {
        let Settings { chars_max, repetition_max, banned, .. } = &self.0.settings;
        let length = text.chars().count();
        if length > *chars_max as usize {
            return Some(format!("it has {length} characters: at most {chars_max} are allowed"));
        }
        if let Some(pattern) = banned.iter().find(|pattern| occurs(pattern, words)) {
            return Some(format!("`{pattern}` must not be said"));
        }
        let (pairs, own) = (pairs(words), &self.0.speakers[self.0.at as usize].pairs);
        let again = pairs.iter().filter(|pair| own.contains(pair)).count();
        let share = again as f64 / pairs.len().max(1) as f64;
        (share > *repetition_max).then(|| format!("{:.0} % of it was said before", share * 100.0))
    }

    /// Takes up a text.
    fn stands(&mut self, text: &str, words: &[String]) {
        let saved = &mut self.0;
        let pairs = pairs(words);
        let fresh = |pair: &&u64| !saved.speakers.iter().any(|speaker| speaker.pairs.contains(pair));
        let novelty = pairs.iter().filter(fresh).count() as f64 / pairs.len().max(1) as f64;
        let has = |list: &[String]| list.iter().any(|like| occurs(like, words));
        let agreement =
            f64::from(i8::from(has(&saved.settings.agreement)) - i8::from(has(&saved.settings.disagreement)));
        let before = saved.said.last().map(|said| crate::words::words(&said.text)).unwrap_or_default();
        let [now, before] = [words, &before[..]].map(|words| words.iter().collect::<BTreeSet<_>>());
        let overlap = now.intersection(&before).count() as f64 / now.union(&before).count().max(1) as f64;
        keep(&mut saved.recent, Figures { novelty, agreement, overlap });
        let speaker = &mut saved.speakers[saved.at as usize];
        speaker.words = speaker.words.saturating_add(words.len() as u64);
        speaker.pairs.extend(pairs);
        if saved.said.len() >= saved.settings.shown.max(1) as usize {
            saved.said.remove(0);
        }
        saved.said.push(Utterance { speaker: saved.at, text: text.to_owned() });
    }

    /// The turn is over.
    fn next(&mut self) {
        let saved = &mut self.0;
        saved.warning = None;
        saved.turn += 1;
        let count = saved.speakers.len() as u32;
        let step = match saved.settings.order {
            Order::Round => 1,
            Order::Drawn => 1 + saved.chance.below(count - 1),
        };
        saved.at = (saved.at + step) % count;
    }
}

/// What was saved may have been damaged since: a turn of nobody is refused.
impl TryFrom<Saved> for Talk {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        saved.settings.check()?;
        let count = saved.speakers.len();
        if !(2..=SPEAKERS_MAX).contains(&count) {
            return Err(format!("{count} speakers: there must be 2 to {SPEAKERS_MAX}"));
        }
        let known =
            saved.said.iter().map(|said| said.speaker).chain([saved.at]).all(|who| (who as usize) < count);
        if !known || saved.turn > saved.settings.turns {
            return Err("a saved talk with a turn of nobody".to_owned());
        }
        Ok(Self(saved))
    }
}

impl From<Talk> for Saved {
    fn from(talk: Talk) -> Self {
        talk.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(settings: Settings) -> Talk {
        Talk::new(settings, 2, 1).unwrap()
    }

    #[test]
    fn a_warning_comes_before_the_turn_is_lost() {
        let mut talk =
            talk(Settings { banned: vec!["spam*".to_owned()], chars_max: 20, ..Settings::default() });
        assert_eq!(talk.hear(Some("Spammers!")), Heard::Warned("`spam*` must not be said".to_owned()));
        assert_eq!((talk.speaker(), talk.turn(), talk.warning().is_some()), (0, 0, true));
        assert_eq!(talk.hear(Some("sorry then")), Heard::Said);
        assert_eq!((talk.speaker(), talk.turn(), talk.warning()), (1, 1, None));
        let long = "a long word after another";
        assert!(matches!(talk.hear(Some(long)), Heard::Warned(why) if why.contains("25 characters")));
        assert!(matches!(talk.hear(Some(long)), Heard::Lost(_)));
        assert_eq!((talk.speaker(), talk.turn(), talk.said().len()), (0, 2, 1));
        assert!(matches!(talk.hear(Some("sorry then")), Heard::Warned(why) if why.starts_with("100 %")));
        assert_eq!(talk.hear(Some("  ")), Heard::Silence);
        assert_eq!(talk.hear(None), Heard::Silence);
        assert_eq!([0, 1].map(|speaker| talk.record(speaker)), [(2, 2, 0), (0, 1, 1)]);
    }

    #[test]
    fn figures_are_those_by_hand() {
        let mut talk = talk(Settings::default());
        assert_eq!(talk.measures(), Measures::default());
        talk.hear(Some("bees like red flowers"));
        let Measures { evenness, novelty, .. } = talk.measures();
        assert_eq!((evenness, novelty), (0.5, 1.0));
        // One of its three pairs is new, three of five words are those before.
        talk.hear(Some("yes, bees like red"));
        let found = talk.measures();
        assert_eq!(found.evenness, 1.0);
        assert!((found.novelty - (1.0 + 1.0 / 3.0) / 2.0).abs() < 1e-12, "{found:?}");
        assert_eq!((found.agreement, found.overlap), (0.5, 0.3));
        talk.hear(Some("no"));
        assert_eq!(talk.measures().agreement, 0.0);
    }

    #[test]
    fn turns_are_taken_as_told_and_what_is_shown_is_bounded() {
        let settings = Settings { turns: 60, order: Order::Drawn, shown: 3, ..Settings::default() };
        let mut talk = Talk::new(settings, 4, 9).unwrap();
        let (mut turns, mut last) = ([0; 4], u32::MAX);
        while !talk.is_over() {
            assert_ne!(talk.speaker(), last, "nobody speaks twice in a row");
            last = talk.speaker();
            turns[last as usize] += 1;
            let text = format!("number {} of {last}", talk.turn());
            assert_eq!(talk.hear(Some(&text)), Heard::Said);
            assert!(talk.said().len() <= 3);
        }
        assert!(turns.iter().all(|turns| *turns > 5), "{turns:?}");
        assert!(
            Talk::new(Settings::default(), 1, 0).is_err() && Talk::new(Settings::default(), 51, 0).is_err()
        );
    }

    #[test]
    fn wrong_settings_are_named() {
        let usual = Settings::default;
        let wrong = [
            (Settings { turns: 0, ..usual() }, "turns"),
            (Settings { shown: 51, ..usual() }, "shown"),
            (Settings { chars_max: 0, ..usual() }, "chars_max"),
            (Settings { repetition_max: f64::NAN, ..usual() }, "repetition_max"),
            (Settings { topic: "x".repeat(1001), ..usual() }, "topic"),
            (Settings { banned: vec![" ".to_owned()], ..usual() }, "banned"),
            (Settings { agreement: vec!["x".to_owned(); 201], ..usual() }, "agreement"),
        ];
        for (settings, name) in wrong {
            assert!(settings.check().is_err_and(|why| why.starts_with(&format!("`{name}`"))), "{name}");
        }
    }
}
