//! From one node to another: a Matrix goes where an operator says, leaves a node that is drained, and comes up where a
//! copy of its run log is when its node is dead.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use super::error::MatrixError;
use super::handle::Handle;
use super::records::{self, BUCKET, Filed};
use super::registry::Matrices;
use super::status::{Home, MatrixView};
use crate::ids::MatrixName;
use crate::kv::{Expect, Kv, KvError, RequestId, Swap};
use crate::realm::{NodeState, Nodes};

/// How often a node looks for Matrices that should run elsewhere, while nothing tells it to.
const LOOK: Duration = Duration::from_secs(2);

/// How long a node may take to get a copy of a run log before a Matrix moves there.
const COPYING: Duration = Duration::from_secs(50);

impl Matrices {
    /// While this node leads: gives Matrices of dead nodes to others. While it is drained: gives its own away.
    pub(super) async fn place(self) {
        let mut nodes = self.0.host.realm.nodes();
        loop {
            let now = nodes.borrow_and_update().clone();
            if now.members.is_leader() {
                self.replace_all(&now).await;
            }
            let drained =
                |node: u64| now.nodes.get(&node).is_some_and(|view| view.record.state == NodeState::Draining);
            if drained(self.0.host.node) {
                self.give_all_away(&now).await;
            }
            tokio::select! {
                changed = nodes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Whether the node of a Matrix is dead, as far as this one has heard.
    pub fn is_orphan(&self, matrix: &MatrixName) -> bool {
        let nodes = self.0.host.realm.nodes().borrow().clone();
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(matrix).is_some_and(|filed| !lives(&nodes, filed.record.node))
    }

    /// Forgets a Matrix whose node is dead. Who has something of its run deletes it on hearing that.
    pub(super) async fn delete_orphan(
        &self,
        matrix: &MatrixName,
        request: Option<RequestId>,
    ) -> Result<(), MatrixError> {
        let (host, key) = (&self.0.host, matrix.as_str().as_bytes());
        let Some(filed) = records::load(&host.kv, matrix).await? else { return Ok(()) };
        let swap = host.kv.compare_and_swap(BUCKET, key, Expect::Value(filed.value), None, request).await?;
        match swap.value {
            Swap::Swapped | Swap::Conflict { current: None } => Ok(()),
            Swap::Conflict { current: Some(_) } => Err(MatrixError::Moved(matrix.clone())),
        }
    }

    async fn replace_all(&self, nodes: &Nodes) {
        let lives = |node: u64| lives(nodes, node);
        let orphans: Vec<_> = {
            let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
            known.values().filter(|filed| !lives(filed.record.node)).cloned().collect()
        };
        for filed in orphans {
            let (matrix, dead) = (filed.record.manifest.name.clone(), filed.record.node);
            let takes = |node: &&u64| nodes.nodes.get(*node).is_some_and(|view| view.takes_work());
            let copies = filed.record.copies.iter();
            let Some(next) = copies.clone().find(takes).or_else(|| copies.clone().find(|node| lives(**node)))
            else {
                tracing::debug!(%matrix, node = dead, "a Matrix of a dead node has no copy on one that is alive");
                continue;
            };
            match replace(&self.0.host.kv, &filed, *next).await {
                Ok(true) => {
                    tracing::info!(%matrix, from = dead, to = next, "a Matrix of a dead node goes on")
                }
                // Somebody else was first.
                Ok(false) => {}
                Err(error) => tracing::warn!(%matrix, %error, "a Matrix of a dead node has no other yet"),
            }
        }
    }

    async fn give_all_away(&self, nodes: &Nodes) {
        let all: Vec<_> = {
            let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
            table.values().cloned().collect()
        };
        for handle in all {
            let takes = |node: &u64| nodes.nodes.get(node).is_some_and(|view| view.takes_work());
            // One that has no copy yet gets one, and goes at the next look.
            let Some(to) = handle.copies.in_sync().into_iter().find(takes) else { continue };
            let matrix = handle.manifest.name.clone();
            if let Err(error) = self.give(&matrix, to).await {
                tracing::warn!(%matrix, to, %error, "a Matrix could not leave a node that is being drained");
            }
        }
    }

    /// Lets another node go on with a Matrix of this node, as soon as it has a copy of its run log.
    ///
    /// # Errors
    /// `Unknown`; `CannotMove` if the node is not alive, or cannot have a copy; `Moved`, `Kv`.
    pub async fn move_to(&self, matrix: &MatrixName, to: u64) -> Result<MatrixView, MatrixError> {
        let handle = self.handle(matrix)?;
        let view = handle.view();
        if to == self.0.host.node {
            return Ok(view);
        }
        let nodes = self.0.host.realm.nodes().borrow().clone();
        let cannot = |why| MatrixError::CannotMove { matrix: matrix.clone(), node: to, why };
        if !nodes.nodes.get(&to).is_some_and(|view| view.is_alive) {
            return Err(cannot("it is not alive: `matrix nodes list` shows those that are"));
        }
        let reached = tokio::time::timeout(COPYING, handle.copies.reach(to)).await;
        reached.map_err(|_| cannot("it could not be given a copy of the run log in time"))?;
        self.give(matrix, to).await?;
        let (generation, copies) = (view.home.generation + 1, BTreeSet::from([self.0.host.node]));
        Ok(MatrixView { home: Home { node: to, generation, copies }, ..view })
    }

    /// Lets another node, which has a copy of its run log, go on with a Matrix of this node: at its next tick.
    ///
    /// # Errors
    /// `Unknown`; `CannotMove` if the node has no copy that is in sync; `Moved`, `Kv`.
    pub(super) async fn give(&self, matrix: &MatrixName, to: u64) -> Result<(), MatrixError> {
        let lock = self.lock(matrix);
        let _only = lock.lock().await;
        let handle = self.handle(matrix)?;
        if !handle.copies.in_sync().contains(&to) {
            return Err(no_copy(matrix, to));
        }
        handle.let_go().await;
        let given = self.hand_over(&handle, to).await;
        match &given {
            Ok(()) => self.let_go(matrix, &handle, Some((to, handle.deed.generation() + 1))).await,
            // Somebody else was first.
            Err(MatrixError::Moved(_)) => self.align(matrix).await,
            // It stays, and goes on.
            Err(_) if handle.state().is_over() => {}
            Err(_) => self.insert(self.launch(handle, None)),
        }
        given
    }

    /// This node's log has all that there is of the run: it becomes a copy.
    async fn hand_over(&self, handle: &Handle, to: u64) -> Result<(), MatrixError> {
        let (me, others) = (self.0.host.node, self.0.host.config.copies.saturating_sub(2));
        let given = handle.deed.change(None, |record| {
            // It may have been struck off meanwhile.
            if record.copies.remove(&to) {
                record.copies = record.copies.iter().copied().take(others).chain([me]).collect();
                (record.node, record.generation) = (to, record.generation + 1);
            }
        });
        given.await?;
        if handle.deed.record().await.node == to { Ok(()) } else { Err(no_copy(&handle.manifest.name, to)) }
    }
}

/// Gives a Matrix whose node is dead to one that has a copy, unless its record has changed since it was read: false then.
pub(super) async fn replace(kv: &Kv, before: &Filed, node: u64) -> Result<bool, KvError> {
    let mut record = before.record.clone();
    (record.node, record.generation) = (node, record.generation + 1);
    record.copies.remove(&node);
    let (next, expect) = (Filed::of(record)?, Expect::Value(before.value.clone()));
    let key = before.record.manifest.name.as_str().as_bytes();
    let swap = kv.compare_and_swap(BUCKET, key, expect, Some(next.value), None).await?;
    Ok(swap.value == Swap::Swapped)
}

fn lives(nodes: &Nodes, node: u64) -> bool {
    let view = nodes.nodes.get(&node);
    view.is_some_and(|view| view.is_alive && view.record.state != NodeState::Removed)
}

fn no_copy(matrix: &MatrixName, node: u64) -> MatrixError {
    let why = "it has no copy of the run log that is in sync";
    MatrixError::CannotMove { matrix: matrix.clone(), node, why }
}
