//! What would come of a swap: other rules are given what the rules of a run were given, beside these, and what they
//! make of it is compared. Nobody hears of it, and nothing is written.

use std::path::Path;

use super::error::{MatrixError, refused};
use super::replay::{Replay, state_hash};
use super::runlog::record::{Message, Record, Tick};
use super::switches::{estate, heir};
use super::world::{Rules, World};
use crate::ids::Digest;
use crate::runtime::rules::Outcome;
use crate::transport::envelope::Content;

/// The most ticks that are gone through.
pub const REHEARSAL_TICKS_MAX: u32 = 1_000;
/// The most differences that are listed.
const DIFFERENCES_MAX: usize = 100;
/// The most characters of what one side did.
const SHOWN_CHARS: usize = 200;

/// How two components differ over the last ticks of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rehearsal {
    /// Ticks done before the first that was compared.
    pub from: u64,
    /// How many were compared.
    pub ticks: u64,
    /// In the order of ticks.
    pub differences: Vec<Difference>,
    /// How many more there were.
    pub left_out: u64,
}

/// Something that two components did differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In which tick: how many were done after it.
    pub tick: u64,
    /// `state`, `prompts`, `events`, `signals`, `finished`, `reply` to a message, or `failure`.
    pub what: &'static str,
    /// The rules that run: the first that differs, shortened.
    pub before: String,
    /// The others.
    pub after: String,
}

impl Rehearsal {
    pub(crate) fn add(&mut self, tick: u64, what: &'static str, before: &str, after: &str) {
        if before == after {
            return;
        }
        if self.differences.len() >= DIFFERENCES_MAX {
            self.left_out += 1;
            return;
        }
        let (before, after) = (shown(before), shown(after));
        self.differences.push(Difference { tick, what, before, after });
    }

    /// Adds how two lists differ: the first place where they do.
    fn add_lists(&mut self, tick: u64, what: &'static str, before: &[String], after: &[String]) {
        let longest = before.len().max(after.len());
        let Some(at) = (0..longest).find(|at| before.get(*at) != after.get(*at)) else { return };
        let side = |list: &[String]| match list.get(at) {
            Some(item) => format!("{at}: {item}"),
            None => format!("{at}: none"),
        };
        self.add(tick, what, &side(before), &side(after));
    }

    fn add_outcomes(&mut self, tick: u64, before: &Outcome, after: &Outcome) {
        let prompts = |outcome: &Outcome| -> Vec<_> {
            outcome.prompts.iter().map(|prompt| format!("{prompt:?}")).collect()
        };
        let events = |outcome: &Outcome| -> Vec<_> {
            let event = |event: &crate::runtime::rules::Event| {
                format!("{} {}", event.kind, content(&event.content.content_type, &event.content.body))
            };
            outcome.events.iter().map(event).collect()
        };
        let signals = |outcome: &Outcome| -> Vec<_> {
            outcome.signals.iter().map(|signal| format!("{} {:?}", signal.name, signal.value)).collect()
        };
        // There may be very many of them.
        if before.prompts != after.prompts {
            self.add_lists(tick, "prompts", &prompts(before), &prompts(after));
        }
        self.add_lists(tick, "events", &events(before), &events(after));
        self.add_lists(tick, "signals", &signals(before), &signals(after));
        self.add(tick, "finished", &before.finished.to_string(), &after.finished.to_string());
    }
}

fn content(media_type: &str, body: &[u8]) -> String {
    format!("{media_type} {}", String::from_utf8_lossy(body))
}

/// What guests wrote becomes one harmless line.
fn shown(text: &str) -> String {
    text.chars().flat_map(char::escape_default).take(SHOWN_CHARS).collect()
}

/// Gives the rules of a component everything that a run's own were given after `from` ticks, as far as the log goes, and
/// at the end the state of these.
///
/// # Errors
/// Those of rules that do not take up a state: that after `from` ticks, or the last; those of a replay.
pub(crate) async fn rehearse<W: World>(
    world: &W,
    log: &Path,
    rules: Digest,
    from: u64,
) -> Result<Rehearsal, MatrixError> {
    let (mut replay, mut course, _) = Replay::open_before(world, log, from).await?;
    let mut found = Rehearsal { from, ..Rehearsal::default() };
    let mut others = Others::Waiting;
    let mut done = course.figures.tick;
    while let Some(record) = replay.record().await? {
        match record {
            Record::Tick(tick) if tick.tick == 0 => {}
            Record::Tick(tick) => {
                done = tick.tick;
                if done > from && matches!(others, Others::Waiting) {
                    others = Others::Play(heir(world, rules, estate(&mut replay.rules).await?).await?.0);
                }
                let given = Tick { actions: tick.actions.clone(), ..tick };
                let before = replay.step(tick).await?;
                let state = state_hash(&mut replay.rules).await?;
                let Others::Play(playing) = &mut others else { continue };
                found.ticks += 1;
                match play(playing, given).await {
                    Ok((after, other)) => {
                        found.add_outcomes(done, &before, &after);
                        found.add(done, "state", &state.to_string(), &other.to_string());
                    }
                    Err(error) => {
                        found.add(done, "failure", "", &error.to_string());
                        others = Others::Failed;
                    }
                }
            }
            Record::Message(message) => {
                let before = answer(&mut replay.rules, &message).await?;
                let Others::Play(playing) = &mut others else { continue };
                match answer(playing, &message).await {
                    Ok(after) => found.add(done + 1, "reply", &before, &after),
                    Err(error) => {
                        found.add(done + 1, "failure", "", &error.to_string());
                        others = Others::Failed;
                    }
                }
            }
            Record::Switch(switch) => replay.switch(switch, &mut course).await?,
            Record::End => {}
        }
    }
    heir(world, rules, estate(&mut replay.rules).await?).await?;
    Ok(found)
}

/// The rules that may take over one day.
enum Others<R> {
    /// Their first tick is to come.
    Waiting,
    Play(R),
    /// They crashed, or refused to go on.
    Failed,
}

async fn play<R: Rules>(rules: &mut R, tick: Tick) -> Result<(Outcome, crate::ids::StateHash), MatrixError> {
    let outcome = rules.step(tick.actions).await?.map_err(refused)?;
    Ok((outcome, state_hash(rules).await?))
}

async fn answer<R: Rules>(rules: &mut R, message: &Message) -> Result<String, MatrixError> {
    Ok(match rules.receive(message).await? {
        Ok(Some(Content { content_type, body })) => content(&content_type, &body),
        Ok(None) => "none".to_owned(),
        Err(reason) => format!("refused: {reason}"),
    })
}
