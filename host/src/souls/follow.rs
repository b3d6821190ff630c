//! Following where Souls live: what came here is taken up, what left is let go, and messages find the rest. The leader
//! gives the Souls of dead and draining nodes to others.

use std::sync::PoisonError;
use std::time::Duration;

use futures::stream::StreamExt as _;

use super::error::SoulError;
use super::fleet::Fleet;
use super::placed::{self, Placed};
use super::records;
use crate::ids::SoulName;
use crate::kv::{ChangeKind, Expect, KvError, Swap, Watch};
use crate::realm::{NodeState, Nodes};
use crate::tasks::Tasks;
use crate::transport::envelope::Address;

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often the leader looks for Souls that should live elsewhere, while nothing tells it to.
const LOOK: Duration = Duration::from_secs(2);
/// Souls that are moved off a draining node at a time.
const MOVES_AT_ONCE: usize = 16;

/// Starts following; returns once all that is known has been seen.
pub(super) async fn start(fleet: &Fleet, tasks: &Tasks) {
    let watch = until_caught_up(fleet).await;
    let (following, placing) = (fleet.clone(), fleet.clone());
    let stop = tasks.stopping();
    tasks.spawn("souls.follow", async move { stop.run_until_cancelled(follow(following, watch)).await });
    let stop = tasks.stopping();
    tasks.spawn("souls.place", async move { stop.run_until_cancelled(place(placing)).await });
}

/// Reads where all Souls live, and watches from there on.
async fn catch_up(fleet: &Fleet) -> Result<Watch, KvError> {
    let kv = fleet.0.realm.kv();
    let (all, revision) = placed::load_all(kv).await?;
    let known: Vec<SoulName> = {
        let placed = fleet.0.placed.read().unwrap_or_else(PoisonError::into_inner);
        placed.keys().filter(|soul| !all.contains_key(*soul)).cloned().collect()
    };
    for soul in known {
        fleet.note(&soul, None).await;
    }
    for (soul, placed) in all {
        fleet.note(&soul, Some(placed)).await;
    }
    let watch = kv.watch(placed::BUCKET, b"", Some(revision + 1));
    watch.map_err(|error| KvError::Unavailable(error.to_string()))
}

fn name(key: &[u8]) -> Option<SoulName> {
    std::str::from_utf8(key).ok()?.parse().ok()
}

async fn follow(fleet: Fleet, mut watch: Watch) {
    let mut holds = fleet.0.realm.holds_lease();
    let gate = fleet.0.souls.host().gate.clone();
    let mut open = true;
    loop {
        let again = tokio::select! {
            change = watch.next() => match change {
                None => return,
                // Some were missed.
                Some(Err(_)) => true,
                Some(Ok(change)) => {
                    let now = match &change.kind {
                        ChangeKind::Put(entry) => serde_json::from_slice(&entry.value).ok(),
                        ChangeKind::Deleted => None,
                    };
                    if let Some(soul) = name(&change.path.key()) {
                        fleet.note(&soul, now).await;
                    }
                    false
                }
            },
            changed = holds.changed() => {
                if changed.is_err() {
                    return;
                }
                let held = *holds.borrow_and_update();
                if !held {
                    tracing::warn!("this node's Souls wait: they may be taken up elsewhere");
                    gate.set_open(false);
                    open = false;
                }
                // What happened meanwhile is looked at before anybody goes on.
                held && !open
            }
        };
        if again {
            watch = until_caught_up(&fleet).await;
            open = *holds.borrow();
            gate.set_open(open);
        }
    }
}

/// Reads anew where all Souls live, as soon as that can be known.
async fn until_caught_up(fleet: &Fleet) -> Watch {
    loop {
        match catch_up(fleet).await {
            Ok(watch) => return watch,
            Err(error) => tracing::info!(%error, "where Souls live is not known at the moment"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

impl Fleet {
    /// Takes note of where a Soul lives by now; `None`: nowhere.
    pub(super) async fn note(&self, soul: &SoulName, now: Option<Placed>) {
        let (souls, router, me) = (&self.0.souls, &self.0.souls.host().router, self.0.realm.me());
        let before = {
            let mut placed = self.0.placed.write().unwrap_or_else(PoisonError::into_inner);
            let before = placed.get(soul).copied();
            // News that come late change nothing.
            if let (Some(before), Some(now)) = (before, now)
                && now.generation < before.generation
            {
                return;
            }
            match now {
                Some(now) => drop(placed.insert(soul.clone(), now)),
                None => drop(placed.remove(soul)),
            }
            before
        };
        match now {
            Some(now) if now.node == me => {
                if let Err(error) = souls.adopt(soul, now).await {
                    tracing::error!(%soul, %error, "a Soul that came here cannot be taken up");
                }
            }
            Some(now) => {
                souls.evict(soul, now).await;
                if before != Some(now) {
                    router.place(Address::Soul(soul.clone()), now.node);
                }
            }
            None => router.directory().remove_remote(&Address::Soul(soul.clone())),
        }
    }
}

/// While this node leads: gives Souls of dead and draining nodes to others.
async fn place(fleet: Fleet) {
    let mut nodes = fleet.0.realm.nodes();
    loop {
        let now = nodes.borrow_and_update().clone();
        if now.members.is_leader() {
            replace_all(&fleet, &now).await;
        }
        tokio::select! {
            changed = nodes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn replace_all(fleet: &Fleet, nodes: &Nodes) {
    let state = |node: u64| nodes.nodes.get(&node).map(|view| (view.is_alive, view.record.state));
    let placed = fleet.0.placed.read().unwrap_or_else(PoisonError::into_inner).clone();
    let (mut dead, mut draining) = (Vec::new(), Vec::new());
    for (soul, placed) in placed {
        match state(placed.node) {
            Some((true, NodeState::Member)) => {}
            Some((true, NodeState::Draining)) => draining.push((soul, placed)),
            _ => dead.push((soul, placed)),
        }
    }
    let count = dead.len();
    for (soul, placed) in dead {
        match replace(fleet, &soul, placed).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%soul, %error, "a Soul of a dead node has no other yet"),
        }
    }
    if count > 0 {
        tracing::info!(souls = count, "Souls of dead nodes were given to others");
    }
    futures::stream::iter(draining)
        .for_each_concurrent(MOVES_AT_ONCE, |(soul, placed)| async move {
            if let Err(error) = relocate(fleet, &soul, placed).await {
                tracing::warn!(%soul, %error, "a Soul could not be moved off a node that is being drained");
            }
        })
        .await;
}

/// Gives a Soul whose node is dead to another: it goes on from its last checkpoint.
async fn replace(fleet: &Fleet, soul: &SoulName, before: Placed) -> Result<(), SoulError> {
    let kv = fleet.0.realm.kv();
    let Some(record) = records::load(kv, soul).await? else { return Ok(()) };
    let node = fleet.choose_except(&record.manifest, Some(before.node)).await?;
    let next = Placed::after(Some(before), node);
    let (key, expect) = (soul.as_str().as_bytes(), Expect::Value(before.value()));
    let swap = kv.compare_and_swap(placed::BUCKET, key, expect, Some(next.value()), None).await?;
    if swap.value == Swap::Swapped {
        // Counted at once, so that the next one sees it.
        fleet.note(soul, Some(next)).await;
    }
    Ok(())
}

/// Moves a Soul off a node that is being drained.
async fn relocate(fleet: &Fleet, soul: &SoulName, before: Placed) -> Result<(), SoulError> {
    let Some(record) = records::load(fleet.0.realm.kv(), soul).await? else { return Ok(()) };
    let node = fleet.choose_except(&record.manifest, Some(before.node)).await?;
    fleet.move_to(soul, node).await.map(drop)
}
