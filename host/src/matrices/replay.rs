//! Going through a run again: fresh rules, given what the run log says they were given. From its beginning, or
//! from a checkpoint that fits the log. Where other rules took over, they do again.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::checkpoint::{self, Checkpoint};
use super::course::{self, Course, Next};
use super::error::{MatrixError, refused};
use super::runlog::reader::Reader;
use super::runlog::record::{Record, Tick};
use super::status::ReplayProgress;
use super::switches::{Switch, estate, heir};
use super::world::{Rules, World, setup};
use crate::ids::StateHash;
use crate::runtime::rules::Outcome;
use crate::runtime::stateful::Snapshot;

/// A run that is gone through again. Nobody hears its rules.
#[derive(Debug)]
pub(crate) struct Replay<'a, W: World> {
    world: &'a W,
    pub(crate) rules: W::Rules,
    /// The log says that the run is over, and that its players have been told.
    pub(crate) ended: bool,
    /// The tick of the first switch whose rules took up another state than the log says.
    differs: Option<u64>,
    reader: Reader<BufReader<File>>,
}

/// A replay, what came of the run so far, and what the rules want next.
type Opened<'a, W> = (Replay<'a, W>, Course, Next);

impl<'a, W: World> Replay<'a, W> {
    /// Opens a log, and starts `world`'s rules as it says.
    pub(crate) async fn open(world: &'a W, log: &Path) -> Result<Opened<'a, W>, MatrixError> {
        let (header, reader) = Reader::open(log)?;
        let mut rules = world.rules(header.rules).await?;
        let outcome = rules.start(setup(&header)).await?.map_err(refused)?;
        let mut course = Course::new(header.players.len());
        let (next, _) = course.absorb(outcome)?;
        Ok((Self { world, rules, ended: false, differs: None, reader }, course, next))
    }

    /// Opens a log as late as its checkpoints allow, but not after `tick` ticks.
    pub(crate) async fn open_before(
        world: &'a W,
        log: &Path,
        tick: u64,
    ) -> Result<Opened<'a, W>, MatrixError> {
        for file in checkpoint::files(log) {
            match Self::resume(world, log, &file, tick).await {
                Ok(Some(opened)) => return Ok(opened),
                Ok(None) => {}
                Err(reason) => pass_over(&file, &reason),
            }
        }
        Self::open(world, log).await
    }

    /// Goes to the end of a log, from its latest checkpoint that leads there.
    ///
    /// # Errors
    /// `Differs` where a state is not what it was.
    pub(crate) async fn to_end(world: &'a W, log: &Path) -> Result<Opened<'a, W>, MatrixError> {
        for file in checkpoint::files(log) {
            let (mut replay, mut course, next) = match Self::resume(world, log, &file, u64::MAX).await {
                Ok(Some(opened)) => opened,
                Ok(None) => continue,
                Err(reason) => {
                    pass_over(&file, &reason);
                    continue;
                }
            };
            match replay.finish(&mut course, next).await {
                Ok(next) => return Ok((replay, course, next)),
                Err(error) => pass_over(&file, &error.to_string()),
            }
        }
        let (mut replay, mut course, next) = Self::open(world, log).await?;
        let next = replay.finish(&mut course, next).await?;
        Ok((replay, course, next))
    }

    /// Opens a log after the tick of a checkpoint; none: there is none, or it is of a later tick. The rules must
    /// give again exactly the state that the log knows of. The error says why the checkpoint is of no use.
    async fn resume(
        world: &'a W,
        log: &Path,
        file: &Path,
        tick_max: u64,
    ) -> Result<Option<Opened<'a, W>>, String> {
        let reason = |error: MatrixError| error.to_string();
        let (header, mut reader) = Reader::open(log).map_err(|error| error.to_string())?;
        let Some(checkpoint) = Checkpoint::read(&header.run, file)? else { return Ok(None) };
        let Checkpoint { record, course, next, chance, state } = checkpoint;
        let figures = &course.figures;
        if figures.tick > tick_max {
            return Ok(None);
        }
        reader.skip_to(record).map_err(|error| error.to_string())?;
        let logged = reader.next().map_err(|error| error.to_string())?;
        let Some(Record::Tick(tick)) = logged else { return Err("the log holds no tick there".to_owned()) };
        if (tick.tick, tick.state) != (figures.tick, figures.state_hash) {
            return Err("the log holds another tick there".to_owned());
        }
        if course.players() != header.players.len() {
            return Err("it is of other players".to_owned());
        }
        let mut rules = world.rules(course.rules(header.rules)).await.map_err(reason)?;
        rules.restore(state).await.map_err(|crash| crash.to_string())??;
        if state_hash(&mut rules).await.map_err(reason)? != tick.state {
            return Err("the rules do not give again the state that they were given".to_owned());
        }
        rules.set_chance(chance);
        Ok(Some((Self { world, rules, ended: false, differs: None, reader }, course, next)))
    }

    /// The next tick of the log; messages before it are given to the rules, and other rules take over, which `course`
    /// is told. None: the log ends here. The first tick, 0, is the rules' `start`, which has been done.
    pub(crate) async fn next(&mut self, course: &mut Course) -> Result<Option<Tick>, MatrixError> {
        loop {
            match self.record().await? {
                None => return Ok(None),
                Some(Record::Tick(tick)) => return Ok(Some(tick)),
                Some(Record::Message(message)) => {
                    // What the rules answered was sent when it was new.
                    let _ = self.rules.receive(&message).await?;
                }
                Some(Record::Switch(switch)) => self.switch(switch, course).await?,
                Some(Record::End) => self.ended = true,
            }
        }
    }

    /// The next record of the log, for whoever gives it to the rules. None: the log ends here.
    pub(crate) async fn record(&mut self) -> Result<Option<Record>, MatrixError> {
        // A long log must not keep its thread from other tasks.
        tokio::task::yield_now().await;
        Ok(self.reader.next()?)
    }

    /// Lets other rules take over, as they did when `switch` was recorded.
    pub(crate) async fn switch(&mut self, switch: Switch, course: &mut Course) -> Result<(), MatrixError> {
        let left = estate(&mut self.rules).await?;
        let (rules, state) = heir(self.world, switch.after, left).await?;
        self.rules = rules;
        if state != switch.state {
            self.differs.get_or_insert(switch.tick);
        }
        course.switch(Switch { state, ..switch });
        Ok(())
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
    async fn finish(&mut self, course: &mut Course, mut next: Next) -> Result<Next, MatrixError> {
        while let Some(tick) = self.next(course).await? {
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
        self.differs.map_or(Ok(next), |tick| Err(MatrixError::Differs(tick)))
    }

    /// Goes through at most `ticks` ticks and compares the hash of the state after each with the log's;
    /// `tell` hears after each how it goes.
    pub(crate) async fn compare(
        &mut self,
        course: &mut Course,
        ticks: u64,
        mut tell: impl FnMut(&ReplayProgress),
    ) -> Result<ReplayProgress, MatrixError> {
        let start = state_hash(&mut self.rules).await?;
        let mut progress =
            ReplayProgress { tick: 0, ticks, done: false, first_difference: None, state_hash: start };
        loop {
            let switches = course.switches.len();
            let tick = self.next(course).await?;
            progress.first_difference = progress.first_difference.or(self.differs);
            if let Some(last) = course.switches.get(switches..).and_then(<[Switch]>::last) {
                progress.state_hash = last.state;
            }
            let Some(tick) = tick.filter(|tick| tick.tick <= ticks) else { break };
            let (number, expected) = (tick.tick, tick.state);
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

fn pass_over(checkpoint: &Path, reason: &str) {
    let path = checkpoint.display();
    tracing::warn!(%path, reason, "a checkpoint of a Matrix is passed over: its run log is gone through instead");
}

/// The rules' present state, and its hash.
pub(crate) async fn state<R: Rules>(rules: &mut R) -> Result<(Snapshot, StateHash), MatrixError> {
    let state = rules.snapshot().await?.map_err(refused)?;
    let hash = course::hash(&state);
    Ok((state, hash))
}

/// The hash of the rules' present state.
pub(crate) async fn state_hash<R: Rules>(rules: &mut R) -> Result<StateHash, MatrixError> {
    Ok(state(rules).await?.1)
}
