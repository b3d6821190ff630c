//! The course of a run: what came of it so far, and what its players have been told. Pure.

use super::error::MatrixError;
use super::prompts;
use super::status::Figures;
use super::switches::Switch;
use crate::capabilities::events::KIND_BYTES_MAX;
use crate::capabilities::types;
use crate::ids::{Digest, StateHash};
use crate::runtime::rules::{Outcome, Prompt};
use crate::runtime::stateful::Snapshot;
use crate::transport::bus::TOO_LARGE_TYPE;
use crate::transport::envelope::Content;

/// The most events of one tick that are told: a quarter of what the bus keeps.
const EVENTS_MAX: usize = 4096;
/// The most signals of a Matrix: a person looks at a few, a plot at some dozens.
const SIGNALS_MAX: usize = 256;
/// The most bytes in the name of a signal.
const SIGNAL_NAME_BYTES_MAX: usize = 64;
/// The longest result, in bytes: it is kept in the KV, and 64 KiB is what the bus keeps of an event.
const RESULT_BYTES_MAX: usize = 64 * 1024;
/// How the kind of an event ends that carries a result.
const RESULT_SUFFIX: &str = ".finished";

/// The longest state that is copied behind its layout's name to be hashed: BLAKE3 takes many pieces of 1 KiB at a
/// time only where it has them all, and that saves more than the copy costs.
const JOINED_BYTES_MAX: usize = 256 * 1024;

/// The hash by which two states are compared: over the layout's name, with its length in front, and the
/// bytes.
pub(crate) fn hash(state: &Snapshot) -> StateHash {
    let schema = state.schema.as_bytes();
    let length = (schema.len() as u64).to_le_bytes();
    if state.bytes.len() <= JOINED_BYTES_MAX {
        return StateHash::of(&[&length[..], schema, &state.bytes].concat());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length).update(schema).update(&state.bytes);
    StateHash::from_bytes(hasher.finalize().into())
}

/// What the rules want next.
#[derive(Debug)]
pub(crate) struct Next {
    /// Whom to ask before the next step.
    pub(crate) prompts: Vec<Prompt>,
    /// There is no next step: the prompts are final ones.
    pub(crate) finished: bool,
}

/// What an outcome tells the world, bounded.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    /// The rules' events, in order.
    pub(crate) events: Vec<(String, Content)>,
    /// New values of signals.
    pub(crate) signals: Vec<(String, f64)>,
    /// How many events and signals were dropped: too many, a wrong name, not a number.
    pub(crate) dropped: usize,
}

/// What a player has been told of its present games.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The tick of its first turn since all its games were over.
    pub(crate) first: Option<u64>,
    /// The tick of its last turn since then.
    pub(crate) previous: Option<u64>,
}

/// The course of a run.
#[derive(Debug, Default)]
pub(crate) struct Course {
    pub(crate) figures: Figures,
    pub(crate) told: Vec<Told>,
    /// Other rules that took over, in order.
    pub(crate) switches: Vec<Switch>,
}

impl Course {
    /// For so many players.
    pub(crate) fn new(players: usize) -> Self {
        Self { told: vec![Told::default(); players], ..Self::default() }
    }

    /// The component of the rules by now; `first` is what the run began with.
    pub(crate) fn rules(&self, first: Digest) -> Digest {
        self.switches.last().map_or(first, |switch| switch.after)
    }

    /// Other rules have taken over, with a state of their own.
    pub(crate) fn switch(&mut self, switch: Switch) {
        self.figures.state_hash = switch.state;
        self.switches.push(switch);
    }

    /// How many players there are.
    pub(crate) fn players(&self) -> usize {
        self.told.len()
    }

    /// What a player has been told.
    pub(crate) fn told(&self, player: u32) -> Told {
        self.told.get(player as usize).copied().unwrap_or_default()
    }

    /// A player had its turn at `tick`; `last`: no game of its goes on.
    pub(crate) fn tell(&mut self, player: u32, tick: u64, last: bool) {
        if let Some(told) = self.told.get_mut(player as usize) {
            *told = match last {
                true => Told::default(),
                false => Told { first: told.first.or(Some(tick)), previous: Some(tick) },
            };
        }
    }

    /// A player has played this run up to `previous`, as it says itself.
    pub(crate) fn heard(&mut self, player: u32, previous: Option<u64>) {
        if let Some(told) = self.told.get_mut(player as usize) {
            let first = previous.and(told.first.or(previous));
            *told = Told { first, previous };
        }
    }

    /// Every player who is prompted had its turn at `tick`: how a run log is gone through again.
    pub(crate) fn tell_all(&mut self, next: &Next, tick: u64) {
        let finished = next.finished;
        let mut turns: Vec<_> = next.prompts.iter().map(|p| (p.player, p.final_ || finished)).collect();
        // A player's turns stand together, those that are not final first: these decide.
        turns.sort_unstable();
        turns.dedup_by_key(|(player, _)| *player);
        for (player, last) in turns {
            self.tell(player, tick, last);
        }
    }

    /// Takes up an outcome: checks that whom it names can be asked, and bounds the rest.
    pub(crate) fn absorb(&mut self, outcome: Outcome) -> Result<(Next, News), MatrixError> {
        let next = Next { prompts: outcome.prompts, finished: outcome.finished };
        prompts::check(&next.prompts, self.told.len())?;
        let mut news = News::default();
        let given = outcome.events.len() + outcome.signals.len();
        for event in outcome.events {
            if !is_kind(&event.kind) {
                continue;
            }
            let content = types::content_from_guest(event.content);
            if event.kind.ends_with(RESULT_SUFFIX) {
                self.figures.result = Some(bounded(content.clone()));
            }
            if news.events.len() < EVENTS_MAX {
                news.events.push((event.kind, content));
            }
        }
        for signal in outcome.signals {
            let known = self.figures.signals.contains_key(&signal.name);
            let named = !signal.name.is_empty() && signal.name.len() <= SIGNAL_NAME_BYTES_MAX;
            let room = self.figures.signals.len() < SIGNALS_MAX;
            if signal.value.is_finite() && (known || named && room) && news.signals.len() < SIGNALS_MAX {
                self.figures.signals.insert(signal.name.clone(), signal.value);
                news.signals.push((signal.name, signal.value));
            }
        }
        news.dropped = given - news.events.len() - news.signals.len();
        Ok((next, news))
    }
}

/// The same rule as for the events of Souls.
fn is_kind(kind: &str) -> bool {
    (1..=KIND_BYTES_MAX).contains(&kind.len())
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}

/// A result that can be kept: what is too large is replaced by an empty one that says so.
fn bounded(result: Content) -> Content {
    if result.body.len() <= RESULT_BYTES_MAX {
        return result;
    }
    Content { content_type: TOO_LARGE_TYPE.into(), body: bytes::Bytes::new() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{event, outcome, prompt, signal};
    use super::*;

    #[test]
    fn the_hash_covers_layout_and_bytes() {
        let state = |schema: &str, bytes: &[u8]| Snapshot { schema: schema.into(), bytes: bytes.into() };
        assert_eq!(hash(&state("a/1", b"x")), hash(&state("a/1", b"x")));
        assert_ne!(hash(&state("a/1", b"x")), hash(&state("a/", b"1x")));
        let golden = StateHash::of(b"\x03\0\0\0\0\0\0\0a/1x");
        assert_eq!(hash(&state("a/1", b"x")), golden);
        let long = vec![7; JOINED_BYTES_MAX + 1];
        for bytes in [&long[..], &long[1..]] {
            let golden = StateHash::of(&[b"\x03\0\0\0\0\0\0\0a/1", bytes].concat());
            assert_eq!(hash(&state("a/1", bytes)), golden);
        }
    }

    #[test]
    fn news_are_bounded_and_the_last_result_stays() {
        let mut course = Course::new(1);
        let mut given = outcome(vec![]);
        given.events = vec![
            event("match.finished", "first"),
            event("No Kind", "x"),
            event("tournament.finished", "last"),
            event("match.begun", "other"),
        ];
        given.signals = vec![signal("rate", 0.5), signal("wrong", f64::NAN), signal("", 1.0)];
        given.signals.extend((0..SIGNALS_MAX).map(|number| signal(&number.to_string(), 1.0)));
        let (_, news) = course.absorb(given).expect("nobody is prompted");
        assert_eq!(
            news.events.iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
            ["match.finished", "tournament.finished", "match.begun"]
        );
        assert_eq!((news.signals.len(), news.dropped), (SIGNALS_MAX, 4));
        assert_eq!(course.figures.signals.get("rate"), Some(&0.5));
        assert_eq!(course.figures.result.as_ref().map(|r| &r.body[..]), Some(&b"last"[..]));
        let mut later = outcome(vec![]);
        later.signals = vec![signal("rate", 0.75), signal("one.too.many", 1.0)];
        assert_eq!(course.absorb(later).expect("sound").1.signals, [("rate".to_owned(), 0.75)]);
        assert!(course.absorb(outcome(vec![prompt(1, 0)])).is_err());
    }

    #[test]
    fn a_result_too_large_to_keep_says_so() {
        let mut course = Course::new(0);
        let mut given = outcome(vec![]);
        given.events = vec![event("run.finished", &"x".repeat(RESULT_BYTES_MAX + 1))];
        let (_, news) = course.absorb(given).expect("sound");
        assert_eq!(news.events.len(), 1);
        assert_eq!(course.figures.result.map(|r| r.content_type), Some(TOO_LARGE_TYPE.into()));
    }

    #[test]
    fn turns_are_remembered_until_all_games_of_a_player_are_over() {
        let mut course = Course::new(2);
        let last = |player| Prompt { final_: true, ..prompt(player, 9) };
        let next = |prompts, finished| Next { prompts, finished };
        course.tell_all(&next(vec![prompt(0, 0), last(0), prompt(1, 0)], false), 3);
        course.tell_all(&next(vec![prompt(0, 0), last(1)], false), 5);
        assert_eq!(course.told(0), Told { first: Some(3), previous: Some(5) });
        assert_eq!(course.told(1), Told::default());
        course.tell_all(&next(vec![prompt(0, 0)], true), 6);
        assert_eq!(course.told(0), Told::default());
        course.tell(0, 8, false);
        course.tell(0, 9, false);
        course.heard(0, Some(8));
        assert_eq!(course.told(0), Told { first: Some(8), previous: Some(8) });
        course.heard(0, None);
        assert_eq!(course.told(0), Told::default());
    }
}
