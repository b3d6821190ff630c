//! Going through a run again: fresh rules, given what the run log says they were given.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::course::{self, Course, Next};
use super::error::{MatrixError, refused};
use super::runlog::reader::Reader;
use super::runlog::record::{Header, Record, Tick};
use super::status::ReplayProgress;
use super::world::{Rules, World, setup};
use crate::ids::StateHash;
use crate::runtime::rules::Outcome;

/// A run that is gone through again.
#[derive(Debug)]
pub(crate) struct Replay<R> {
    pub(crate) header: Header,
    pub(crate) rules: R,
    /// The log says that the run is over, and that its players have been told.
    pub(crate) ended: bool,
    reader: Reader<BufReader<File>>,
}

impl<R: Rules> Replay<R> {
    /// Opens a log, and starts `world`'s rules as it says; what they want first is returned as well.
    pub(crate) async fn open<W>(world: &W, path: &Path, live: bool) -> Result<(Self, Outcome), MatrixError>
    where
        W: World<Rules = R>,
    {
        let (header, reader) = Reader::open(path)?;
        let mut rules = world.rules(live).await?;
        let outcome = rules.start(setup(&header)).await?.map_err(refused)?;
        Ok((Self { header, rules, ended: false, reader }, outcome))
    }

    /// The next tick of the log; messages before it are given to the rules. None: the log ends here. The
    /// first tick, 0, is the rules' `start`, which has been done.
    pub(crate) async fn next(&mut self) -> Result<Option<Tick>, MatrixError> {
        loop {
            // A long log must not keep its thread from other tasks.
            tokio::task::yield_now().await;
            match self.reader.next()? {
                None => return Ok(None),
                Some(Record::Tick(tick)) => return Ok(Some(tick)),
                Some(Record::Message(message)) => {
                    // What the rules answered was sent when it was new.
                    let _ = self.rules.receive(&message).await?;
                }
                Some(Record::End) => self.ended = true,
            }
        }
    }

    /// Takes the step that `tick` recorded.
    pub(crate) async fn step(&mut self, tick: Tick) -> Result<Outcome, MatrixError> {
        self.rules.step(tick.actions).await?.map_err(refused)
    }

    /// Where the whole records end that were read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Goes to the end of the log, and finds again what came of the run and what the rules want next. Errors:
    /// `Differs` where a state is not what it was.
    pub(crate) async fn finish(&mut self, start: Outcome) -> Result<(Course, Next), MatrixError> {
        let mut course = Course::new(self.header.players.len());
        let (mut next, _) = course.absorb(start)?;
        while let Some(tick) = self.next().await? {
            let (number, expected) = (tick.tick, tick.state);
            if let Some(asked) = number.checked_sub(1) {
                let missed = tick.actions.iter().filter(|action| action.choice.is_none()).count();
                course.figures.missed_actions += missed as u64;
                course.tell_all(&next, asked);
                (next, _) = course.absorb(self.step(tick).await?)?;
            }
            course.figures.tick = number;
            course.figures.state_hash = state_hash(&mut self.rules).await?;
            if course.figures.state_hash != expected {
                return Err(MatrixError::Differs(number));
            }
        }
        Ok((course, next))
    }

    /// Goes through at most `ticks` ticks and compares the hash of the state after each with the log's;
    /// `tell` hears after each how it goes.
    pub(crate) async fn compare(
        &mut self,
        ticks: u64,
        mut tell: impl FnMut(&ReplayProgress),
    ) -> Result<ReplayProgress, MatrixError> {
        let start = state_hash(&mut self.rules).await?;
        let mut progress =
            ReplayProgress { tick: 0, ticks, done: false, first_difference: None, state_hash: start };
        while let Some(tick) = self.next().await? {
            let (number, expected) = (tick.tick, tick.state);
            if number > ticks {
                break;
            }
            if number > 0 {
                self.step(tick).await?;
                progress.state_hash = state_hash(&mut self.rules).await?;
            }
            progress.tick = number;
            if progress.state_hash != expected {
                progress.first_difference.get_or_insert(number);
            }
            tell(&progress);
        }
        progress.done = true;
        Ok(progress)
    }
}

/// The hash of the rules' present state.
pub(crate) async fn state_hash<R: Rules>(rules: &mut R) -> Result<StateHash, MatrixError> {
    Ok(course::hash(&rules.snapshot().await?.map_err(refused)?))
}
