//! Looking at Matrices: how they stand, what they show, and whether they give the same again.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::PoisonError;

use tokio::sync::mpsc;

use super::copies::fetch::{RunFile, fetch};
use super::error::MatrixError;
use super::launch::stage;
use super::lines::Command;
use super::records::{self, Record};
use super::registry::Matrices;
use super::replay::Replay;
use super::runlog;
use super::runner::view;
use super::status::{MatrixState, MatrixView, ReplayProgress};
use crate::ids::{Digest, MatrixName};
use crate::transport::envelope::Content;

/// Reports of a replay that wait to be read; what comes beyond is left out, but for the last.
const REPORTS_MAX: usize = 16;

impl Matrices {
    /// One Matrix.
    pub fn get(&self, matrix: &MatrixName) -> Result<MatrixView, MatrixError> {
        self.handle(matrix).map(|handle| handle.view())
    }

    /// At most `limit` Matrices after `after`, in the order of their names.
    pub fn list(&self, after: Option<&MatrixName>, limit: usize) -> Vec<MatrixView> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(name.clone()));
        table.range((from, Bound::Unbounded)).take(limit).map(|(_, handle)| handle.view()).collect()
    }

    /// Waits until a Matrix does not run: it is paused, or over.
    pub async fn wait(&self, matrix: &MatrixName) -> Result<MatrixView, MatrixError> {
        let handle = self.handle(matrix)?;
        let mut changes = handle.progress.subscribe();
        // The handle holds the sender, so there is always one.
        let _ = changes.wait_for(|progress| progress.state != MatrixState::Running).await;
        Ok(handle.view())
    }

    /// The present state as people would look at it, drawn by the rules, and its tick. Of a Matrix that is
    /// over, the rules are run again from the log to its end.
    pub async fn view(&self, matrix: &MatrixName) -> Result<(u64, Content), MatrixError> {
        let handle = self.handle(matrix)?;
        if !handle.state().is_over()
            && let Some(seen) = handle.ask(Command::View).await
        {
            return seen;
        }
        let this = self.clone();
        let seeing = async move {
            let _turn = this.0.replays.acquire().await.map_err(|_| MatrixError::Stopping)?;
            let log = this.0.host.run_log(&handle.run);
            let (world, _) = stage(&this.0.host, &log)?;
            let (mut replay, course, _) = Replay::to_end(&world, &log).await?;
            Ok((course.figures.tick, view(&mut replay.rules).await?))
        };
        self.0.host.tasks.spawn("matrix.view", seeing).await.map_err(|_| MatrixError::Stopping)?
    }

    /// Runs the rules again from the run log, as far as it goes now, and compares the state's hash after
    /// every tick. The last report has `done` set; some before it are left out where nobody reads them in
    /// time. The log of a Matrix of another node is fetched first.
    pub fn replay(
        &self,
        matrix: &MatrixName,
    ) -> Result<mpsc::Receiver<Result<ReplayProgress, MatrixError>>, MatrixError> {
        if self.heard_of(matrix).is_none() {
            return Err(MatrixError::Unknown(matrix.clone()));
        }
        let (reports, reader) = mpsc::channel(REPORTS_MAX);
        let (this, matrix) = (self.clone(), matrix.clone());
        self.0.host.tasks.spawn("matrix.replay", async move {
            let replaying = async {
                let log = this.bring(&matrix).await?;
                this.compare(log.path().to_owned(), &reports).await
            };
            let stopping = this.0.host.tasks.stopping();
            let replayed = tokio::select! {
                biased;
                () = stopping.cancelled() => Err(MatrixError::Stopping),
                () = reports.closed() => return,
                replayed = replaying => replayed,
            };
            // A reader who is gone wants no report.
            let _ = reports.send(replayed).await;
        });
        Ok(reader)
    }

    /// The run log of a Matrix of the realm, as long as it is now or longer: fetched where this node has none.
    ///
    /// # Errors
    /// `Unknown`; `Away` if no node that has it answers; `Log`.
    pub async fn bring(&self, matrix: &MatrixName) -> Result<RunFile, MatrixError> {
        let host = &self.0.host;
        let here = |run: &str| Ok(RunFile::Here(host.run_log(run)));
        if let Ok(handle) = self.handle(matrix) {
            return here(&handle.run);
        }
        let record = self.heard_of(matrix).ok_or_else(|| MatrixError::Unknown(matrix.clone()))?;
        match record.node == host.node || record.copies.contains(&host.node) {
            true => here(&record.run),
            false => Ok(RunFile::Fetched(fetch(host, &self.0.rpc, &record).await?)),
        }
    }

    async fn compare(
        &self,
        log: PathBuf,
        reports: &mpsc::Sender<Result<ReplayProgress, MatrixError>>,
    ) -> Result<ReplayProgress, MatrixError> {
        let _turn = self.0.replays.acquire().await.map_err(|_| MatrixError::Stopping)?;
        let (world, _) = stage(&self.0.host, &log)?;
        let path = log.clone();
        let ticks = runlog::blocking(move || runlog::reader::count_ticks(&path)).await?;
        let (mut replay, mut course, _) = Replay::open(&world, &log).await?;
        replay
            .compare(&mut course, ticks, |progress| {
                // A reader who is slow learns the rest from the next report.
                let _ = reports.try_send(Ok(progress.clone()));
            })
            .await
    }

    /// How many Matrices run here, or ran here last.
    pub fn count(&self) -> usize {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many Matrices each node has, as far as this one has heard.
    pub fn load(&self) -> BTreeMap<u64, usize> {
        let mut load = BTreeMap::new();
        for filed in self.0.known.read().unwrap_or_else(PoisonError::into_inner).values() {
            *load.entry(filed.record.node).or_default() += 1;
        }
        load
    }

    /// How many Matrices of the realm need a component as their rules: those that run, those from which they were
    /// swapped, which their run logs need, and those that are about to take over. Read linearizably.
    ///
    /// # Errors
    /// `Kv`.
    pub async fn users_of(&self, rules: Digest) -> Result<usize, MatrixError> {
        let (all, _) = records::load_all(&self.0.host.kv).await?;
        Ok(all.iter().filter(|filed| filed.record.needs(rules)).count())
    }

    fn heard_of(&self, matrix: &MatrixName) -> Option<Record> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(matrix).map(|filed| filed.record.clone())
    }
}
