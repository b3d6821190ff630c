//! Keeping copies of one run, on the node that runs it: as many holders as are wanted and can be had, each handed what
//! the log grows by.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use matrix_proto::wire::runs_question::Kind;
use matrix_proto::wire::{RunFile, RunPiece, RunStand};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::Copies;
use super::wire::{OPENING, PIECE_BYTES, ask, digest};
use crate::matrices::checkpoint;
use crate::matrices::deed::Deed;
use crate::matrices::error::MatrixError;
use crate::p2p::Peer;
use crate::p2p::rpc::Rpc;
use crate::realm::{Nodes, Realm, ranked};

/// How long a node that failed is passed over.
const SHUN: Duration = Duration::from_secs(5);
/// How often a copy that grows is brought to disk, as the log itself is.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How often a checkpoint goes to a holder at most: one costs as much as the rules' state is long.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// One run whose copies are kept.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    pub(crate) realm: Realm,
    pub(crate) rpc: Rpc,
    pub(crate) copies: Copies,
    pub(crate) deed: Arc<Deed>,
    pub(crate) run: Arc<str>,
    pub(crate) log: PathBuf,
    /// How many nodes are to hold the log, this one counted.
    pub(crate) wanted: usize,
    /// Allows whole copies to be compared and made, so that not all are at once.
    pub(crate) turns: Arc<Semaphore>,
}

/// Why a node holds a copy no more.
enum Gone {
    /// The Matrix was taken from this node.
    Taken,
    /// The node cannot be used.
    Failed(String),
}

type Holding<'a> = FuturesUnordered<BoxFuture<'a, (u64, Gone)>>;

impl Keeping {
    /// Keeps copies until the Matrix is taken from this node.
    pub(crate) async fn keep(self) {
        let mut nodes = self.realm.nodes();
        let (mut holding, mut held) = (Holding::new(), BTreeSet::new());
        let mut shunned: HashMap<u64, Instant> = HashMap::new();
        for node in self.copies.in_sync() {
            held.insert(node);
            holding.push(self.hold_while_alive(node).boxed());
        }
        let mut asked = self.copies.0.asked.subscribe();
        loop {
            let now = nodes.borrow_and_update().clone();
            shunned.retain(|_, since| since.elapsed() < SHUN);
            let others = self.wanted_now(&now).saturating_sub(1);
            while held.len() < others
                && let Some(node) =
                    self.choose(&now, |node| held.contains(&node) || shunned.contains_key(&node))
            {
                held.insert(node);
                holding.push(self.hold_while_alive(node).boxed());
            }
            let wish = *asked.borrow_and_update();
            if let Some(node) = wish.filter(|node| *node != self.realm.me() && held.insert(*node)) {
                holding.push(self.hold_while_alive(node).boxed());
            }
            tokio::select! {
                _ = asked.changed() => {}
                Some((node, gone)) = holding.next() => {
                    self.copies.0.asked.send_if_modified(|asked| asked.take_if(|asked| *asked == node).is_some());
                    held.remove(&node);
                    shunned.insert(node, Instant::now());
                    if let Gone::Failed(why) = &gone {
                        tracing::info!(run = %self.run, node, why, "a node holds no copy of a run any more");
                    }
                    if matches!(gone, Gone::Taken) || self.copies.strike(&self.deed, node).await.is_err() {
                        return self.copies.set_taken();
                    }
                }
                changed = nodes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(SHUN), if held.len() < others => {}
            }
        }
    }

    /// A node that is drained gives its Matrices away, and for that somebody must have a copy.
    fn wanted_now(&self, nodes: &Nodes) -> usize {
        let drained = nodes.nodes.get(&self.realm.me()).is_some_and(|view| !view.takes_work());
        self.wanted.max(if drained { 2 } else { 1 })
    }

    /// The node that should have a copy: each run has an order of its own, so that copies are spread.
    fn choose(&self, nodes: &Nodes, passed_over: impl Fn(u64) -> bool) -> Option<u64> {
        let fit = nodes.takers().filter(|node| *node != self.realm.me() && !passed_over(*node));
        ranked(&self.run, fit).first().copied()
    }

    async fn hold_while_alive(&self, node: u64) -> (u64, Gone) {
        let mut nodes = self.realm.nodes();
        let dead = nodes.wait_for(|nodes| !nodes.nodes.get(&node).is_some_and(|view| view.is_alive));
        let gone = tokio::select! {
            _ = dead => Gone::Failed("it is not alive".to_owned()),
            Err(gone) = self.hold(node) => gone,
        };
        (node, gone)
    }

    async fn hold(&self, node: u64) -> Result<std::convert::Infallible, Gone> {
        let peer =
            self.realm.roster().peer(node).ok_or_else(|| Gone::Failed("it is no member".to_owned()))?;
        self.rpc.until_up(peer, OPENING).await;
        let mut written = self.copies.0.written.subscribe();
        // The copies hold the sender, so there is always one.
        let length = written.wait_for(Option::is_some).await.ok().and_then(|written| *written).unwrap_or(0);
        let turn =
            self.turns.acquire().await.map_err(|_| Gone::Failed("this node is stopping".to_owned()))?;
        let file = File::open(&self.log).map_err(|error| Gone::Failed(error.to_string()))?;
        let has = self.compare(peer, &file, length).await?;
        let now = Instant::now();
        let mut copy = Copy {
            keeping: self,
            node,
            peer,
            file,
            has,
            in_sync: self.copies.in_sync().contains(&node),
            unsynced: None,
            checkpoint: None,
            checkpoint_at: now,
        };
        copy.catch_up(length).await?;
        drop(turn);
        copy.go_on(written).await
    }

    /// How much of a node's copy is what this node's log begins with.
    async fn compare(&self, peer: Peer, file: &File, length: u64) -> Result<u64, Gone> {
        let rules = self.deed.record().await.manifest.rules.to_string();
        let generation = self.deed.generation();
        let stand = RunStand { run: self.run.to_string(), generation, length, rules };
        let answer = ask(&self.rpc, peer, Kind::Stand(stand)).await;
        let answer = answer.map_err(|error| Gone::Failed(error.to_string()))?;
        if answer.length == 0 || answer.length > length {
            return Ok(0);
        }
        let file = file.try_clone().map_err(|error| Gone::Failed(error.to_string()))?;
        let hashed = tokio::task::spawn_blocking(move || digest(&file, answer.length));
        match hashed.await {
            Ok(Ok(hash)) => Ok(if hash == answer.digest { answer.length } else { 0 }),
            Ok(Err(error)) => Err(Gone::Failed(error.to_string())),
            Err(_) => Err(Gone::Failed("this node is stopping".to_owned())),
        }
    }
}

/// A copy on another node.
struct Copy<'a> {
    keeping: &'a Keeping,
    node: u64,
    peer: Peer,
    /// This node's own log.
    file: File,
    /// Bytes that the node has.
    has: u64,
    in_sync: bool,
    /// When the node should bring what it has to disk.
    unsynced: Option<Instant>,
    /// A checkpoint on its way, and how much of it is there.
    checkpoint: Option<(Bytes, u64)>,
    /// When the next may go.
    checkpoint_at: Instant,
}

impl Copy<'_> {
    /// Hands the node what it lacks of the log's first `length` bytes.
    async fn catch_up(&mut self, length: u64) -> Result<(), Gone> {
        self.tell();
        while self.has < length {
            let mut data = vec![0; PIECE_BYTES.min(length - self.has) as usize];
            self.file.read_exact_at(&mut data, self.has).map_err(|error| Gone::Failed(error.to_string()))?;
            let seals = self.unsynced.is_some_and(|due| due <= Instant::now());
            self.has = self.send(RunFile::Log, self.has, data.into(), seals).await?;
            match seals {
                true => self.unsynced = None,
                false => self.unsynced = self.unsynced.or_else(|| Some(Instant::now() + SYNC_EVERY)),
            }
            self.tell();
        }
        Ok(())
    }

    /// Hands the node what the log grows by, for as long as it takes it.
    async fn go_on(
        &mut self,
        mut written: tokio::sync::watch::Receiver<Option<u64>>,
    ) -> Result<std::convert::Infallible, Gone> {
        let mut checkpoints = self.keeping.copies.0.checkpoints.subscribe();
        checkpoints.mark_changed();
        loop {
            let length = written.borrow_and_update().unwrap_or(0);
            if self.has < length {
                self.catch_up(length).await?;
            } else if !self.in_sync {
                self.join().await?;
            } else if self.checkpoint.is_some() {
                self.hand_checkpoint().await?;
            } else {
                let (node_syncs, next) = (self.unsynced, self.checkpoint_at);
                tokio::select! {
                    biased;
                    changed = written.changed() => if changed.is_err() { std::future::pending().await },
                    () = until(node_syncs) => {
                        self.send(RunFile::Log, self.has, Bytes::new(), true).await?;
                        self.unsynced = None;
                    }
                    Ok(()) = async { tokio::time::sleep_until(next).await; checkpoints.changed().await } => {
                        self.take_checkpoint().await;
                    }
                }
            }
        }
    }

    /// The node has everything: from now on it is waited for, and then it is named in the record.
    async fn join(&mut self) -> Result<(), Gone> {
        self.keeping.copies.0.stand.send_modify(|stand| _ = stand.holders.insert(self.node, self.has));
        let node = self.node;
        match self.keeping.deed.change(None, |record| _ = record.copies.insert(node)).await {
            Ok(()) => {
                self.in_sync = true;
                Ok(())
            }
            Err(MatrixError::Moved(_)) => Err(Gone::Taken),
            Err(error) => Err(Gone::Failed(error.to_string())),
        }
    }

    fn tell(&self) {
        self.keeping.copies.0.stand.send_if_modified(|stand| match stand.holders.get_mut(&self.node) {
            Some(has) => std::mem::replace(has, self.has) != self.has,
            None => false,
        });
    }

    async fn take_checkpoint(&mut self) {
        self.checkpoint_at = Instant::now() + CHECKPOINT_EVERY;
        let [newest, _] = checkpoint::files(&self.keeping.log);
        // There need not be one.
        if let Ok(bytes) = tokio::fs::read(newest).await {
            self.checkpoint = Some((bytes.into(), 0));
        }
    }

    async fn hand_checkpoint(&mut self) -> Result<(), Gone> {
        let Some((bytes, sent)) = self.checkpoint.take() else { return Ok(()) };
        let end = (sent + PIECE_BYTES).min(bytes.len() as u64);
        let (piece, whole) = (bytes.slice(sent as usize..end as usize), end == bytes.len() as u64);
        self.send(RunFile::Checkpoint, sent, piece, whole).await?;
        self.checkpoint = (!whole).then_some((bytes, end));
        Ok(())
    }

    async fn send(&self, file: RunFile, offset: u64, data: Bytes, seals: bool) -> Result<u64, Gone> {
        let expected = offset + data.len() as u64;
        let keeping = self.keeping;
        let (run, generation) = (keeping.run.to_string(), keeping.deed.generation());
        let piece = RunPiece { run, generation, file: file.into(), offset, data, seals };
        let answer = ask(&keeping.rpc, self.peer, Kind::Piece(piece)).await;
        let length = answer.map_err(|error| Gone::Failed(error.to_string()))?.length;
        if length == expected {
            Ok(length)
        } else {
            Err(Gone::Failed(format!("it says it has {length} bytes")))
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
