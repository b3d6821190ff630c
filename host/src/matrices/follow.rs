//! Following where Matrices run: what came to this node is taken up, what left it is let go, and messages find the rest.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::stream::StreamExt as _;
use tokio::sync::Semaphore;

use super::checkpoint;
use super::copies;
use super::copies::holder::{Holder, Server};
use super::deed::Deed;
use super::error::MatrixError;
use super::handle::Handle;
use super::host::{MatrixHost, report};
use super::lines::Kept;
use super::records::{self, BUCKET, Filed};
use super::registry::{Inner, Matrices};
use super::runlog;
use super::sweep::sweep;
use crate::ids::MatrixName;
use crate::kv::{ChangeKind, KvError, Watch};
use crate::transport::envelope::Address;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// Whole copies that are compared or made at a time.
const COPYING_MAX: usize = 4;

impl Matrices {
    /// Brings back every Matrix of this node that the KV knows, and follows where all others run. Those that ran go on
    /// where they were, as soon as their run logs have been gone through, which happens in the background.
    pub async fn start(host: MatrixHost) -> Result<Self, MatrixError> {
        let dir = host.config.runs_dir.clone();
        runlog::blocking(move || {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
            made.map_err(runlog::failed("make the folder", &dir))
        })
        .await?;
        let (filed, revision) = records::load_all(&host.kv).await?;
        let named: HashSet<_> = filed.iter().map(|filed| filed.record.run.clone()).collect();
        sweep(&host.config.runs_dir, named).await?;
        let (folder, bytes_max) = (host.config.runs_dir.clone(), host.config.run_log_bytes_max);
        let holder = Arc::new(Holder::new(folder, bytes_max, host.disk()));
        // Before anybody may ask: a node that ran a Matrix long ago must not cut off what came since.
        filed.iter().for_each(|filed| holder.seal(&filed.record.run, filed.record.generation));
        let (components, tasks) = (host.components.clone(), host.background.clone());
        let server = Server { holder: holder.clone(), components, tasks };
        let rpc = copies::open(host.realm.network(), server).await;
        let matrices = Self(Arc::new(Inner {
            replays: Arc::new(Semaphore::new(host.config.replays_max.max(1))),
            copying: Arc::new(Semaphore::new(COPYING_MAX)),
            host: Arc::new(host),
            table: RwLock::default(),
            known: RwLock::default(),
            locks: Mutex::default(),
            holder,
            rpc,
        }));
        for filed in filed {
            matrices.note(filed.record.manifest.name.clone(), Some(filed)).await;
        }
        let background = &matrices.0.host.background;
        let (following, placing, stop) = (matrices.clone(), matrices.clone(), background.stopping());
        background.spawn("matrices.follow", async move {
            stop.run_until_cancelled(following.follow(revision)).await;
        });
        let stop = background.stopping();
        background.spawn("matrices.place", async move { stop.run_until_cancelled(placing.place()).await });
        Ok(matrices)
    }

    async fn follow(self, revision: u64) {
        let mut watch = self.0.host.kv.watch(BUCKET, b"", Some(revision + 1)).ok();
        loop {
            let Some(next) = &mut watch else {
                watch = Some(self.until_caught_up().await);
                continue;
            };
            match next.next().await {
                None => return,
                // Some were missed.
                Some(Err(_)) => watch = None,
                Some(Ok(change)) => {
                    let Some(name) = name(&change.path.key()) else { continue };
                    let now = match change.kind {
                        ChangeKind::Put(entry) => match Filed::read(name.as_str(), entry.value) {
                            Ok(filed) => Some(filed),
                            Err(error) => {
                                tracing::error!(%error, "a record of a Matrix cannot be read");
                                continue;
                            }
                        },
                        ChangeKind::Deleted => None,
                    };
                    self.note(name, now).await;
                }
            }
        }
    }

    /// Reads anew where all Matrices run, as soon as that can be known.
    async fn until_caught_up(&self) -> Watch {
        loop {
            match self.catch_up().await {
                Ok(watch) => return watch,
                Err(error) => tracing::info!(%error, "where Matrices run is not known at the moment"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn catch_up(&self) -> Result<Watch, MatrixError> {
        let (filed, revision) = records::load_all(&self.0.host.kv).await?;
        let now: BTreeMap<_, _> =
            filed.into_iter().map(|filed| (filed.record.manifest.name.clone(), filed)).collect();
        let gone: Vec<_> = {
            let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
            known.keys().filter(|name| !now.contains_key(*name)).cloned().collect()
        };
        for name in gone {
            self.note(name, None).await;
        }
        for (name, filed) in now {
            self.note(name, Some(filed)).await;
        }
        let watch = self.0.host.kv.watch(BUCKET, b"", Some(revision + 1));
        watch.map_err(|error| KvError::Unavailable(error.to_string()).into())
    }

    /// Takes note of a record as it is by now; `None`: it was deleted.
    pub(super) async fn note(&self, name: MatrixName, now: Option<Filed>) {
        let before = {
            let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
            match &now {
                Some(now) => known.insert(name.clone(), now.clone()),
                None => known.remove(&name),
            }
        };
        let has = self.handle(&name).is_ok();
        let mine = now.as_ref().is_some_and(|now| now.record.node == self.0.host.node);
        if let Some(now) = &now {
            self.0.holder.seal(&now.record.run, now.record.generation);
            self.prepare(before.as_ref(), now);
        }
        if has || mine {
            self.reconcile(&name).await;
        }
        let address = Address::Matrix(name.clone());
        match now {
            Some(now) if !mine => self.0.host.router.place(address, now.record.node),
            Some(_) => {}
            None => {
                self.0.host.router.directory().remove_remote(&address);
                let Some(before) = before else { return };
                self.0.holder.forget(&before.record.run);
                if let Err(error) = checkpoint::remove(self.0.host.run_log(&before.record.run)).await {
                    tracing::warn!(matrix = %name, %error, "a copy of a deleted run log was not removed");
                }
            }
        }
    }

    /// The other node on which a Matrix runs, or ran, as the KV says; none: there is no such Matrix, or it is here, and is
    /// up by then.
    ///
    /// # Errors
    /// Where the KV fails.
    pub async fn home(&self, name: &MatrixName) -> Result<Option<u64>, KvError> {
        let filed = records::load(&self.0.host.kv, name).await?;
        let node = filed.map(|filed| filed.record.node);
        if node == Some(self.0.host.node) {
            // It has just come here, and this node has not heard of it yet.
            self.reconcile(name).await;
        }
        Ok(node.filter(|node| *node != self.0.host.node))
    }

    /// Runs a Matrix, or not, as its record says now: news may come late, to this node or from it.
    pub async fn reconcile(&self, name: &MatrixName) {
        let lock = self.lock(name);
        let _only = lock.lock().await;
        self.align(name).await;
    }

    /// [`Matrices::reconcile`], by whoever holds the Matrix's lock.
    pub(super) async fn align(&self, name: &MatrixName) {
        let filed = loop {
            match records::load(&self.0.host.kv, name).await {
                Ok(filed) => break filed,
                Err(error) => tracing::info!(matrix = %name, %error, "whose it is cannot be known yet"),
            }
            tokio::time::sleep(RETRY).await;
        };
        let mut kept = Kept::default();
        if let Ok(held) = self.handle(name) {
            let same = |filed: &Filed| {
                *filed.record.run == *held.run && filed.record.generation == held.deed.generation()
            };
            if filed.as_ref().is_some_and(same) {
                return;
            }
            let home = filed.as_ref().map(|filed| (filed.record.node, filed.record.generation));
            self.let_go(name, &held, home).await;
            kept = held.kept;
        }
        if let Some(filed) = filed.filter(|filed| filed.record.node == self.0.host.node) {
            self.take_up(name, filed, kept);
        }
    }

    /// Goes on with a Matrix that this node is to run.
    fn take_up(&self, name: &MatrixName, Filed { record, value }: Filed, kept: Kept) {
        let progress = record.progress();
        let goes_on = !progress.state.is_over();
        let (manifest, run) = (Arc::new(record.manifest.clone()), Arc::from(&*record.run));
        let (copies, generation) = (record.copies.clone(), record.generation);
        let deed = Deed::of(&self.0.host.kv, Filed { record, value });
        let handle = Handle { kept, ..self.hold(manifest, run, progress, deed, &copies) };
        if generation > 1 {
            let detail = serde_json::json!({ "node": self.0.host.node, "generation": generation });
            report(&self.0.host.bus, "matrix.moved", name, &detail);
        }
        if goes_on {
            let handle = self.launch(handle, None);
            return self.insert(handle);
        }
        // Nobody hears messages any more.
        drop(handle.kept.take());
        self.0.host.router.directory().remove_remote(&Address::Matrix(name.clone()));
        if let Ok(metadata) = std::fs::metadata(self.0.host.run_log(&handle.run)) {
            // Nothing is appended any more: what there is, is what copies are to have.
            handle.copies.is_written(metadata.len());
        }
        self.insert(handle);
    }

    /// Lets a Matrix go that is this node's no more, or not as it was; `home` is where it runs by now, and in which
    /// generation. What waits in its mailbox goes there. Whoever calls holds its lock.
    pub(super) async fn let_go(&self, name: &MatrixName, handle: &Handle, home: Option<(u64, u64)>) {
        handle.keeping.cancel();
        handle.let_go().await;
        self.0.table.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        let (router, address) = (&self.0.host.router, Address::Matrix(name.clone()));
        let Some((node, generation)) = home.filter(|(node, _)| *node != self.0.host.node) else {
            return router.directory().remove(&address);
        };
        router.directory().note_left(&address, generation);
        let outpost = router.outpost(node);
        let leave = || {
            router.directory().remove(&address);
            router.place(address.clone(), node);
        };
        match handle.kept.take() {
            Some(inbox) => inbox.redirect(|envelope| router.hand_on(&outpost, envelope), leave),
            None => leave(),
        }
        tracing::info!(matrix = %name, node, "a Matrix goes on on another node");
    }
}

fn name(key: &[u8]) -> Option<MatrixName> {
    std::str::from_utf8(key).ok()?.parse().ok()
}
