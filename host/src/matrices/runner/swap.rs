//! Other rules take over, between two ticks.
//!
//! The new rules prove themselves on a copy of the old ones' state before anything is changed. Then the switch is
//! written: from there on it is the run's, whatever becomes of the node. The Matrix's record follows the log, and names
//! the new component before (as claimed) and after it: a component that a log needs is never one that nobody needs.

use serde_json::json;

use super::Runner;
use crate::ids::Digest;
use crate::matrices::error::MatrixError;
use crate::matrices::host::report;
use crate::matrices::replay::Replay;
use crate::matrices::switches::{Estate, SWITCHES_MAX, Switch, estate, heir};
use crate::matrices::world::World;

impl<W: World> Runner<W> {
    /// Lets the rules of a component take over. Where they do not, those before go on, and the inner error says why;
    /// the outer one ends the run.
    pub(super) async fn swap(&mut self, rules: Digest) -> Result<Result<(), MatrixError>, MatrixError> {
        // What the old rules did is written, and told, before there is anything that others did.
        self.publish().await?;
        let left = match self.leave().await? {
            Ok(left) => left,
            Err(why) => return Ok(Err(why)),
        };
        let world = self.table.world.clone();
        let (mut new, state) = match heir(&*world, rules, left).await {
            Ok(new) => new,
            Err(error) => return Ok(Err(self.refused(&format!("{rules} does not take over: {error}")))),
        };
        let (tick, before) = (self.course.figures.tick, self.course.rules(self.first));
        let switch = Switch { tick, before, after: rules, state };
        match world.claim(&switch).await {
            Ok(()) => {}
            Err(error @ MatrixError::Moved(_)) => return Err(error),
            Err(error) => return Ok(Err(error)),
        }
        if let Err(error) = self.log.switch(&switch) {
            return Ok(Err(error.into()));
        }
        // What may be cut off by a stop begins here: the log and what is in memory say the same.
        world.hear(&mut new);
        self.rules = new;
        self.course.switch(switch);
        self.log.sync().await?;
        self.copies.settle(self.log.end_offset()).await?;
        self.show();
        world.file(&self.course.switches).await?;
        self.metrics.swaps.add("swapped", 1);
        report(&self.lines.bus, "matrix.swapped", &self.table.matrix, &detail(&switch));
        Ok(Ok(()))
    }

    /// What the rules leave. Rules that crash over it are brought back from the log: they go on.
    async fn leave(&mut self) -> Result<Result<Estate, MatrixError>, MatrixError> {
        if self.course.switches.len() >= SWITCHES_MAX {
            let why = format!("they were swapped {SWITCHES_MAX} times, and that is the most of one run");
            return Ok(Err(self.refused(&why)));
        }
        let error = match estate(&mut self.rules).await {
            Ok(left) => return Ok(Ok(left)),
            Err(error) => error,
        };
        let why = self.refused(&format!("those that run do not give their state: {error}"));
        if matches!(error, MatrixError::Crashed(_)) {
            let world = self.table.world.clone();
            let (replay, ..) = Replay::to_end(&*world, self.log.path()).await?;
            self.rules = replay.rules;
            world.hear(&mut self.rules);
        }
        Ok(Err(why))
    }

    /// Lets everyone see which rules the run has had.
    pub(super) fn show_switches(&self) {
        self.lines.progress.send_if_modified(|progress| {
            let news = progress.switches[..] != self.course.switches[..];
            if news {
                progress.switches = self.course.switches.as_slice().into();
                progress.figures.state_hash = self.course.figures.state_hash;
            }
            news
        });
    }

    fn refused(&self, why: &str) -> MatrixError {
        MatrixError::NotSwapped { matrix: self.table.matrix.clone(), why: why.to_owned() }
    }
}

/// What is told of a switch.
pub(crate) fn detail(switch: &Switch) -> serde_json::Value {
    json!({
        "tick": switch.tick,
        "before": switch.before.to_string(),
        "after": switch.after.to_string(),
        "state_hash": switch.state.to_string(),
    })
}
