//! The Matrices of this node: created, told what to do, deleted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::checkpoint;
use super::copies::Copies;
use super::copies::holder::Holder;
use super::copies::keeping::Keeping;
use super::deed::Deed;
use super::error::MatrixError;
use super::handle::{Handle, Live};
use super::host::{MatrixHost, report};
use super::launch::{Launch, Ready, set_up};
use super::lines::{Command, Kept, Lines};
use super::manifest::MatrixManifest;
use super::records::{Filed, Record, Wanted};
use super::status::{MatrixState, MatrixView, Progress};
use crate::ids::MatrixName;
use crate::kv::RequestId;
use crate::p2p::rpc::Rpc;
use crate::runtime::usage::Usage;
use crate::transport::directory::Route;
use crate::transport::envelope::Address;
use crate::transport::mailbox::Mailbox;

/// The most ticks of one [`Matrices::step`].
pub const STEP_TICKS_MAX: u32 = 100_000;
/// Commands that wait for one Matrix; whoever has one more waits.
const COMMANDS_MAX: usize = 16;

/// The registry. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Matrices(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) host: Arc<MatrixHost>,
    /// Those that run here, or ran here last.
    pub(super) table: RwLock<BTreeMap<MatrixName, Handle>>,
    /// The records of all Matrices of the realm, as far as this node has heard.
    pub(super) known: RwLock<BTreeMap<MatrixName, Filed>>,
    /// One mutation a Matrix at a time.
    pub(super) locks: Mutex<HashMap<MatrixName, Arc<tokio::sync::Mutex<()>>>>,
    pub(super) replays: Arc<Semaphore>,
    /// Allows whole copies of run logs to be made.
    pub(super) copying: Arc<Semaphore>,
    pub(super) holder: Arc<Holder>,
    pub(super) rpc: Rpc,
}

impl Matrices {
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
            Ok(known) if *known.view().manifest == manifest => return Ok(known.view()),
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
        let (reason, figures, switches) = (String::new(), ready.figures().clone(), Arc::default());
        let progress = Progress { state, reason, figures, switches };
        let record = Record {
            manifest: (*manifest).clone(),
            run: run.to_string(),
            wanted: Wanted::of(&progress),
            node: host.node,
            generation: 1,
            copies: BTreeSet::new(),
            switches: Vec::new(),
            claimed: None,
        };
        let deed = match Deed::make(&host.kv, record, request).await {
            Ok(deed) => deed,
            Err(error) => {
                checkpoint::remove(host.run_log(&run)).await?;
                return Err(error);
            }
        };
        let detail = json!({ "rules": manifest.rules.to_string(), "run": &*run });
        report(&host.bus, "matrix.created", &manifest.name, &detail);
        let handle = self.hold(manifest, run, progress, deed, &BTreeSet::new());
        let handle = self.launch(handle, Some(ready));
        let view = handle.view();
        self.insert(handle);
        Ok(view)
    }

    /// What the rules of each Matrix use that lives here, with what it is doing and how many messages wait for it.
    pub fn usages(&self) -> Vec<(MatrixName, MatrixState, u64, Arc<Usage>)> {
        let host = &self.0.host;
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        let each = host.usages.all().into_iter().filter_map(|(name, usage)| {
            let handle = table.get(&name.parse::<MatrixName>().ok()?)?;
            let name = handle.manifest.name.clone();
            let waiting = match host.router.directory().route(&Address::Matrix(name.clone())) {
                Some(Route::Here(mailbox)) => mailbox.len() as u64,
                _ => 0,
            };
            Some((name, handle.state(), waiting, usage))
        });
        each.collect()
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

    /// Stops a Matrix, forgets it, and deletes its run log. Forgetting one that is not there is no error. One whose node
    /// is dead is forgotten from any node.
    ///
    /// # Errors
    /// `Moved` if another node took it up meanwhile; `Log`, `Kv`.
    pub async fn delete(&self, matrix: &MatrixName, request: Option<RequestId>) -> Result<(), MatrixError> {
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let host = &self.0.host;
        if let Ok(handle) = self.handle(matrix) {
            handle.end().await;
            handle.keeping.cancel();
            handle.deed.delete(request).await?;
            self.0.holder.forget(&handle.run);
            checkpoint::remove(host.run_log(&handle.run)).await?;
            self.0.table.write().unwrap_or_else(PoisonError::into_inner).remove(matrix);
            report(&host.bus, "matrix.deleted", matrix, &json!({}));
        } else if self.is_orphan(matrix) {
            self.delete_orphan(matrix, request).await?;
        }
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits for the lock must find it again: only one that the table and this call hold is
        // dropped.
        if Arc::strong_count(&lock) == 2 {
            locks.remove(matrix);
        }
        Ok(())
    }

    /// What this node has of a Matrix that is its own. From now on there are copies of its run log.
    pub(super) fn hold(
        &self,
        manifest: Arc<MatrixManifest>,
        run: Arc<str>,
        progress: Progress,
        deed: Deed,
        named: &BTreeSet<u64>,
    ) -> Handle {
        let host = &self.0.host;
        let copies = Copies::new(manifest.name.clone(), named, host.tasks.stopping());
        let (deed, keeping) = (Arc::new(deed), CancellationToken::new());
        let task = Keeping {
            realm: host.realm.clone(),
            rpc: self.0.rpc.clone(),
            copies: copies.clone(),
            deed: deed.clone(),
            run: run.clone(),
            log: host.run_log(&run),
            wanted: host.config.copies,
            turns: self.0.copying.clone(),
        };
        let (ended, stopping) = (keeping.clone(), host.background.stopping());
        host.background.spawn("matrix.copies", async move {
            stopping.run_until_cancelled(ended.run_until_cancelled(task.keep())).await;
        });
        let progress = Arc::new(watch::channel(progress).0);
        let kept = Kept::default();
        Handle { manifest, run, node: host.node, progress, deed, copies, keeping, kept, live: None }
    }

    /// Starts a task for a Matrix; it runs if its state says so. A mailbox that was kept for it is its own again.
    pub(super) fn launch(&self, handle: Handle, ready: Option<Ready>) -> Handle {
        let host = &self.0.host;
        let capacity = host.limits.default.mailbox_messages as usize;
        let inbox = handle.kept.take().unwrap_or_else(|| Mailbox::new(capacity).1);
        let (commands, told) = mpsc::channel(COMMANDS_MAX);
        let (stop, moved, ended) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        host.router.settle(Address::Matrix(handle.manifest.name.clone()), inbox.mailbox());
        let launch = Launch {
            host: host.clone(),
            manifest: handle.manifest.clone(),
            run: handle.run.clone(),
            running: handle.state() == MatrixState::Running,
            deed: handle.deed.clone(),
            copies: handle.copies.clone(),
            rpc: self.0.rpc.clone(),
            lines: Lines {
                commands: told,
                inbox,
                progress: handle.progress.clone(),
                router: host.router.clone(),
                bus: host.bus.clone(),
                stop: stop.clone(),
                moved: moved.clone(),
                stopping: host.tasks.stopping(),
                kept: handle.kept.clone(),
            },
            replays: self.0.replays.clone(),
        };
        host.tasks.spawn("matrix", launch.live(ready, ended.clone()));
        Handle { live: Some(Live { commands, stop, moved, ended }), ..handle }
    }

    pub(super) async fn save(
        &self,
        handle: &Handle,
        wanted: Wanted,
        request: Option<RequestId>,
    ) -> Result<(), MatrixError> {
        let progress = handle.progress.borrow().clone();
        handle.deed.change(request, |record| record.keep(&wanted, &progress)).await
    }

    pub(super) fn handle(&self, matrix: &MatrixName) -> Result<Handle, MatrixError> {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        table.get(matrix).cloned().ok_or_else(|| MatrixError::Unknown(matrix.clone()))
    }

    pub(super) fn insert(&self, handle: Handle) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        table.insert(handle.manifest.name.clone(), handle);
    }

    pub(super) fn lock(&self, matrix: &MatrixName) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(matrix.clone()).or_default().clone()
    }
}
