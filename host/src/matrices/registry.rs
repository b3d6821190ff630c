//! All Matrices of this node: created, found, told what to do, brought back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::checkpoint;
use super::error::MatrixError;
use super::handle::{Handle, Live};
use super::host::{MatrixHost, report};
use super::launch::{Launch, Ready, set_up, stage};
use super::manifest::MatrixManifest;
use super::records::{self, Wanted};
use super::replay::Replay;
use super::runlog;
use super::runner::{Command, Lines, view};
use super::status::{MatrixState, MatrixView, Progress, ReplayProgress};
use super::sweep::sweep;
use crate::ids::{Digest, MatrixName};
use crate::kv::RequestId;
use crate::transport::envelope::{Address, Content};
use crate::transport::mailbox::Mailbox;

/// The most ticks of one [`Matrices::step`].
pub const STEP_TICKS_MAX: u32 = 100_000;
/// Commands that wait for one Matrix; whoever has one more waits.
const COMMANDS_MAX: usize = 16;
/// Reports of a replay that wait to be read; what comes beyond is left out, but for the last.
const REPORTS_MAX: usize = 16;

/// The registry. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Matrices(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: Arc<MatrixHost>,
    table: RwLock<BTreeMap<MatrixName, Handle>>,
    /// One mutation a Matrix at a time.
    locks: Mutex<HashMap<MatrixName, Arc<tokio::sync::Mutex<()>>>>,
    replays: Arc<Semaphore>,
}

impl Matrices {
    /// Brings back every Matrix that the KV knows. Those that ran go on where they were, as soon as their run
    /// logs have been gone through, which happens in the background.
    pub async fn start(host: MatrixHost) -> Result<Self, MatrixError> {
        let dir = host.config.runs_dir.clone();
        runlog::blocking(move || {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(runlog::failed("make the folder", &dir))
        })
        .await?;
        let replays = Arc::new(Semaphore::new(host.config.replays_max.max(1)));
        let matrices = Self(Arc::new(Inner {
            host: Arc::new(host),
            table: RwLock::default(),
            locks: Mutex::default(),
            replays,
        }));
        let records = records::load_all(&matrices.0.host.kv).await?;
        sweep(&matrices.0.host.config.runs_dir, records.iter().map(|record| record.run.clone()).collect())
            .await?;
        for record in records.into_iter().filter(|record| record.node == matrices.0.host.node) {
            let progress = record.wanted.progress();
            let goes_on = !progress.state.is_over();
            let handle = Handle {
                manifest: Arc::new(record.manifest),
                run: record.run.into(),
                progress: Arc::new(watch::channel(progress).0),
                live: None,
            };
            matrices.insert(if goes_on { matrices.launch(handle, None) } else { handle });
        }
        Ok(matrices)
    }

    /// Creates a Matrix, and lets it run if `start` says so. The same manifest again changes nothing.
    ///
    /// # Errors
    /// `Field`, `Limit`, `TooMany`, `Exists`, `MissingPlayer`, `Players`, `Component`, `WrongWorld`;
    /// `Refused` with the rules' own reason, `Crashed` or `Contract` where they do not come to life; `Log`,
    /// `Kv`.
    pub async fn create(
        &self,
        manifest: MatrixManifest,
        start: bool,
        request: Option<RequestId>,
    ) -> Result<MatrixView, MatrixError> {
        // Rules run on the threads that are for guests, and what was begun is done, whoever stops waiting.
        let this = self.clone();
        let creating = async move { this.create_here(manifest, start, request).await };
        self.0.host.tasks.spawn("matrix.create", creating).await.map_err(|_| MatrixError::Stopping)?
    }

    async fn create_here(
        &self,
        manifest: MatrixManifest,
        start: bool,
        request: Option<RequestId>,
    ) -> Result<MatrixView, MatrixError> {
        let host = &self.0.host;
        let limits = manifest.check(&host.config, &host.limits)?;
        let lock = self.lock(&manifest.name);
        let _only = lock.lock().await;
        match self.handle(&manifest.name) {
            Ok(known) if *known.manifest == manifest => return Ok(known.view()),
            Ok(known) => return Err(MatrixError::Exists(known.manifest.name.clone())),
            Err(_) if self.count() >= host.config.matrices_max => {
                return Err(MatrixError::TooMany(host.config.matrices_max));
            }
            Err(_) => {}
        }
        let manifest = Arc::new(manifest);
        let run: Arc<str> = host.router.next_id().to_string().into();
        let ready = set_up(host, &manifest, &limits, &run).await?;
        let state = if start { MatrixState::Running } else { MatrixState::Paused };
        let progress = Progress { state, reason: String::new(), figures: ready.figures().clone() };
        let saved = records::save(&host.kv, &manifest, &run, host.node, Wanted::of(&progress), request).await;
        if let Err(error) = saved {
            checkpoint::remove(host.run_log(&run)).await?;
            return Err(error.into());
        }
        let detail = json!({ "rules": manifest.rules.to_string(), "run": &*run });
        report(&host.bus, "matrix.created", &manifest.name, &detail);
        let progress = Arc::new(watch::channel(progress).0);
        let handle = self.launch(Handle { manifest, run, progress, live: None }, Some(ready));
        let view = handle.view();
        self.insert(handle);
        Ok(view)
    }

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

    /// Lets a Matrix run. One that runs or is finished stays as it is; one that failed is tried again from
    /// the end of its run log.
    ///
    /// # Errors
    /// `Unknown`, `State` if it was stopped, `Kv`.
    pub async fn run(
        &self,
        matrix: &MatrixName,
        request: Option<RequestId>,
    ) -> Result<MatrixView, MatrixError> {
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let handle = self.handle(matrix)?;
        match handle.state() {
            MatrixState::Running | MatrixState::Finished => return Ok(handle.view()),
            MatrixState::Stopped => return Err(handle.over("create it anew under another name")),
            MatrixState::Paused | MatrixState::Failed => {}
        }
        self.save(&handle, Wanted::Running, request).await?;
        if handle.state() == MatrixState::Paused {
            handle.command(Command::Start).await?;
            return Ok(handle.view());
        }
        handle.end().await;
        handle.progress.send_modify(|progress| {
            progress.state = MatrixState::Running;
            progress.reason.clear();
        });
        let handle = self.launch(handle, None);
        let view = handle.view();
        self.insert(handle);
        Ok(view)
    }

    /// Halts a Matrix before its next tick. One that does not run stays as it is.
    pub async fn pause(
        &self,
        matrix: &MatrixName,
        request: Option<RequestId>,
    ) -> Result<MatrixView, MatrixError> {
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let handle = self.handle(matrix)?;
        if !handle.state().is_over() {
            self.save(&handle, Wanted::Paused, request).await?;
            handle.command(Command::Pause).await?;
            let progress = handle.progress.borrow().clone();
            if progress.state.is_over() {
                // It ended on its own before it heard: that is what is kept.
                self.save(&handle, Wanted::of(&progress), None).await?;
            }
        }
        Ok(handle.view())
    }

    /// Advances a Matrix that does not run by `ticks` ticks, at most [`STEP_TICKS_MAX`], 0 meaning 1; answers
    /// when they are done, or the run is over.
    ///
    /// # Errors
    /// `Unknown`, `Field`, `State` if it runs or is over.
    pub async fn step(&self, matrix: &MatrixName, ticks: u32) -> Result<MatrixView, MatrixError> {
        if ticks > STEP_TICKS_MAX {
            let problem = format!("must be at most {STEP_TICKS_MAX}");
            return Err(MatrixError::Field { field: "ticks", problem });
        }
        let handle = self.handle(matrix)?;
        if handle.state().is_over() {
            return Err(handle.over("it takes no more steps"));
        }
        handle.command(|reply| Command::Step(ticks.max(1).into(), reply)).await?;
        Ok(handle.view())
    }

    /// Ends a Matrix for good; its run log is kept. One that is over stays as it is.
    pub async fn stop(
        &self,
        matrix: &MatrixName,
        request: Option<RequestId>,
    ) -> Result<MatrixView, MatrixError> {
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let handle = self.handle(matrix)?;
        if handle.state().is_over() {
            return Ok(handle.view());
        }
        handle.end().await;
        // It may have ended on its own meanwhile.
        if !handle.state().is_over() {
            let stopped = Progress { state: MatrixState::Stopped, ..handle.progress.borrow().clone() };
            self.save(&handle, Wanted::of(&stopped), request).await?;
            report(&self.0.host.bus, "matrix.stopped", matrix, &stopped.detail());
            handle.progress.send_replace(stopped);
        }
        Ok(handle.view())
    }

    /// Stops a Matrix, forgets it, and deletes its run log. Forgetting one that is not there is no error.
    pub async fn delete(&self, matrix: &MatrixName, request: Option<RequestId>) -> Result<(), MatrixError> {
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let host = &self.0.host;
        if let Ok(handle) = self.handle(matrix) {
            handle.end().await;
            records::delete(&host.kv, matrix, request).await?;
            checkpoint::remove(host.run_log(&handle.run)).await?;
            self.0.table.write().unwrap_or_else(PoisonError::into_inner).remove(matrix);
            report(&host.bus, "matrix.deleted", matrix, &json!({}));
        }
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for the lock must find it again: only one that the table and this call hold is
        // dropped.
        if Arc::strong_count(&lock) == 2 {
            locks.remove(matrix);
        }
        Ok(())
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
            let (world, log) = stage(&this.0.host, &handle.run).await?;
            let (mut replay, course, _) = Replay::to_end(&world, &log).await?;
            Ok((course.figures.tick, view(&mut replay.rules).await?))
        };
        self.0.host.tasks.spawn("matrix.view", seeing).await.map_err(|_| MatrixError::Stopping)?
    }

    /// Runs the rules again from the run log, as far as it goes now, and compares the state's hash after
    /// every tick. The last report has `done` set; some before it are left out where nobody reads them in
    /// time.
    pub fn replay(
        &self,
        matrix: &MatrixName,
    ) -> Result<mpsc::Receiver<Result<ReplayProgress, MatrixError>>, MatrixError> {
        let handle = self.handle(matrix)?;
        let (reports, reader) = mpsc::channel(REPORTS_MAX);
        let this = self.clone();
        self.0.host.tasks.spawn("matrix.replay", async move {
            let stopping = this.0.host.tasks.stopping();
            let replayed = tokio::select! {
                biased;
                () = stopping.cancelled() => Err(MatrixError::Stopping),
                () = reports.closed() => return,
                replayed = this.compare(&handle, &reports) => replayed,
            };
            // A reader who is gone wants no report.
            let _ = reports.send(replayed).await;
        });
        Ok(reader)
    }

    async fn compare(
        &self,
        handle: &Handle,
        reports: &mpsc::Sender<Result<ReplayProgress, MatrixError>>,
    ) -> Result<ReplayProgress, MatrixError> {
        let _turn = self.0.replays.acquire().await.map_err(|_| MatrixError::Stopping)?;
        let (world, log) = stage(&self.0.host, &handle.run).await?;
        let path = log.clone();
        let ticks = runlog::blocking(move || runlog::reader::count_ticks(&path)).await?;
        let (mut replay, ..) = Replay::open(&world, &log).await?;
        replay
            .compare(ticks, |progress| {
                // A reader who is slow learns the rest from the next report.
                let _ = reports.try_send(Ok(progress.clone()));
            })
            .await
    }

    /// How many Matrices are known.
    pub fn count(&self) -> usize {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many Matrices use a component as their rules.
    pub fn users_of(&self, rules: Digest) -> usize {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().filter(|handle| handle.manifest.rules == rules).count()
    }

    /// Starts a task for a Matrix; it runs if its state says so.
    fn launch(&self, handle: Handle, ready: Option<Ready>) -> Handle {
        let host = &self.0.host;
        let (mailbox, inbox) = Mailbox::new(host.limits.default.mailbox_messages as usize);
        let (commands, told) = mpsc::channel(COMMANDS_MAX);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        host.router.directory().insert(Address::Matrix(handle.manifest.name.clone()), mailbox);
        let launch = Launch {
            host: host.clone(),
            manifest: handle.manifest.clone(),
            run: handle.run.clone(),
            running: handle.state() == MatrixState::Running,
            lines: Lines {
                commands: told,
                inbox,
                progress: handle.progress.clone(),
                router: host.router.clone(),
                bus: host.bus.clone(),
                stop: stop.clone(),
                stopping: host.tasks.stopping(),
            },
            replays: self.0.replays.clone(),
        };
        host.tasks.spawn("matrix", launch.live(ready, ended.clone()));
        Handle { live: Some(Live { commands, stop, ended }), ..handle }
    }

    async fn save(
        &self,
        handle: &Handle,
        wanted: Wanted,
        request: Option<RequestId>,
    ) -> Result<(), MatrixError> {
        Ok(records::save(&self.0.host.kv, &handle.manifest, &handle.run, self.0.host.node, wanted, request)
            .await?)
    }

    fn handle(&self, matrix: &MatrixName) -> Result<Handle, MatrixError> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(matrix).cloned().ok_or_else(|| MatrixError::Unknown(matrix.clone()))
    }

    fn insert(&self, handle: Handle) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(handle.manifest.name.clone(), handle);
    }

    fn lock(&self, matrix: &MatrixName) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(matrix.clone()).or_default().clone()
    }
}
