//! New code for all Souls that use a component: a few first, who are watched, then batch by batch; taken back from all
//! where too many fail.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;

use super::super::error::SoulError;
use super::super::fleet::Fleet;
use super::super::records::{self, Wanted};
use crate::ids::{Digest, SoulName};

/// The most Souls that are swapped at the same time.
pub const BATCH_MAX: usize = 1_024;
/// The longest that those that come first are watched.
pub const WATCH_MAX: Duration = Duration::from_secs(3_600);

/// What is to be rolled out, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The code that the Souls have now: all of these.
    pub from: BTreeSet<Digest>,
    /// The code that they are to have.
    pub to: Digest,
    /// How many in a hundred come first; at least one Soul.
    pub canary_percent: u32,
    /// How long those that came last are watched before the next ones follow the first, and at the end.
    pub watch: Duration,
    /// How many are swapped at the same time; at most [`BATCH_MAX`].
    pub batch: usize,
    /// How many may fail, in their swap or by a crash while they are watched, before all is taken back.
    pub failures_max: usize,
    /// How long a turn under way may take before what it waits for is given up.
    pub turn: Duration,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Souls that are concerned.
    pub total: usize,
    /// Souls that have the new code.
    pub swapped: usize,
    /// Souls that failed.
    pub failed: usize,
    /// Souls that have the old code again.
    pub rolled_back: usize,
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// So far it has come.
    Progress(Tally),
    /// A Soul failed: its swap, or afterwards; or it could not be given its old code again.
    Failed(SoulName, String),
    /// Too many failed: all is taken back.
    TakingBack(String),
    /// The end. True: all have the new code.
    Ended(bool, Tally),
}

/// A Soul that was swapped, and how often it had crashed before.
struct Renewed {
    soul: SoulName,
    crashes: u64,
}

/// A rollout under way.
struct Rollout {
    fleet: Fleet,
    plan: Plan,
    tell: mpsc::Sender<Step>,
    tally: Tally,
    renewed: Vec<Renewed>,
}

impl Fleet {
    /// Rolls new code out, and tells how it goes. It stops before the next batch once nobody listens: each Soul has
    /// the old code or the new, and the same again goes on from there.
    ///
    /// # Errors
    /// `Kv`: nothing was done.
    pub async fn roll_out(&self, plan: Plan, tell: mpsc::Sender<Step>) -> Result<(), SoulError> {
        let records = records::load_all(&self.here().host().kv).await?;
        let concerned = records.into_iter().filter(|record| {
            plan.from.contains(&record.manifest.component) && record.wanted != Wanted::Deleted
        });
        let souls: Vec<_> = concerned.map(|record| record.manifest.name).collect();
        let tally = Tally { total: souls.len(), ..Tally::default() };
        let rollout = Rollout { fleet: self.clone(), plan, tell, tally, renewed: Vec::new() };
        rollout.run(&souls).await;
        Ok(())
    }
}

impl Rollout {
    async fn run(mut self, souls: &[SoulName]) {
        let share = souls.len() * self.plan.canary_percent.min(100) as usize / 100;
        let (first, rest) = souls.split_at(share.max(1).min(souls.len()));
        if !self.say(Step::Progress(self.tally)).await {
            return;
        }
        let batch = self.plan.batch.clamp(1, BATCH_MAX);
        let stages: Vec<&[SoulName]> = first.chunks(batch).chain(rest.chunks(batch)).collect();
        let canaries = first.chunks(batch).count();
        let mut checked = 0;
        for (number, stage) in (1..).zip(&stages) {
            self.renew(stage).await;
            if number == canaries || number == stages.len() {
                tokio::time::sleep(self.plan.watch).await;
            }
            checked = self.check(checked).await;
            if self.tally.failed > self.plan.failures_max {
                return self.take_back().await;
            }
            if !self.say(Step::Progress(self.tally)).await {
                return;
            }
        }
        self.say(Step::Ended(self.tally.failed == 0, self.tally)).await;
    }

    /// False: nobody listens any more.
    async fn say(&self, step: Step) -> bool {
        self.tell.send(step).await.is_ok()
    }

    async fn renew(&mut self, souls: &[SoulName]) {
        let swaps = souls.iter().cloned().map(|soul| {
            let (fleet, to, turn) = (self.fleet.clone(), self.plan.to, self.plan.turn);
            async move {
                let crashes = fleet.get(&soul).await.map_or(0, |view| view.crashes);
                let swapped = fleet.swap(&soul, to, turn).await;
                (soul, crashes, swapped)
            }
        });
        for (soul, crashes, swapped) in join_all(swaps).await {
            match swapped {
                Ok(_) => {
                    self.tally.swapped += 1;
                    self.renewed.push(Renewed { soul, crashes });
                }
                // It was deleted meanwhile: that is no failure of the code's.
                Err(SoulError::Unknown(_)) => self.tally.total -= 1,
                Err(error) => {
                    self.tally.failed += 1;
                    self.say(Step::Failed(soul, error.to_string())).await;
                }
            }
        }
    }

    /// Looks for crashes of those that came after the first `from`; returns how many have been looked at.
    async fn check(&mut self, from: usize) -> usize {
        for place in from..self.renewed.len() {
            let Renewed { soul, crashes } = &self.renewed[place];
            let Ok(view) = self.fleet.get(soul).await else { continue };
            if view.crashes > *crashes {
                self.tally.failed += 1;
                let (soul, reason) = (soul.clone(), format!("its new code crashed: {}", view.reason));
                self.say(Step::Failed(soul, reason)).await;
            }
        }
        self.renewed.len()
    }

    /// Gives all their old code again, the last one first: with the present state where that code takes it up,
    /// otherwise with the one in which it was left.
    async fn take_back(mut self) {
        let reason = format!("{} Souls failed, and {} may", self.tally.failed, self.plan.failures_max);
        self.say(Step::TakingBack(reason)).await;
        for Renewed { soul, .. } in std::mem::take(&mut self.renewed).into_iter().rev() {
            let turn = self.plan.turn;
            let mut back = self.fleet.roll_back(&soul, false, turn).await;
            if back.is_err() {
                back = self.fleet.roll_back(&soul, true, turn).await;
            }
            match back {
                Ok(_) => self.tally.rolled_back += 1,
                Err(error) => drop(self.say(Step::Failed(soul, error.to_string())).await),
            }
            if self.tally.rolled_back.is_multiple_of(self.plan.batch.max(1)) {
                self.say(Step::Progress(self.tally)).await;
            }
        }
        self.say(Step::Ended(false, self.tally)).await;
    }
}
