//! Following the records: whom this node connects with, whom it refuses, and what others in the house see of the nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt as _;
use serde::de::DeserializeOwned;

use super::handle::{Inner, NodeView, Nodes, Realm};
use super::identity::Identity;
use super::records::{self, Alive, NodeRecord, NodeState};
use crate::kv::{Consistency, KvError, Watch};
use crate::p2p::{Contact, Standing};

/// The most nodes that are read: others are not seen by this one.
pub const NODES_MAX: usize = 10_000;
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Follows until it is dropped.
pub(super) async fn run(realm: Realm) {
    let mut followed = Followed::default();
    loop {
        match follow(&realm, &mut followed).await {
            Ok(()) | Err(KvError::Closed) => return,
            Err(error) => tracing::warn!(%error, "the realm's nodes cannot be followed; it is tried again"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// What has been done for the records seen.
#[derive(Debug, Default)]
struct Followed {
    records: BTreeMap<u64, NodeRecord>,
}

async fn follow(realm: &Realm, followed: &mut Followed) -> Result<(), KvError> {
    let Inner { kv, network, .. } = &*realm.0;
    // Opened before the first look: what happens in between wakes this.
    let watch =
        |bucket: &str| kv.watch(bucket, b"", None).map_err(|error| KvError::Unavailable(error.to_string()));
    let (mut nodes, mut alive) = (watch(records::NODES)?, watch(records::ALIVE)?);
    let mut addresses = network.addresses();
    loop {
        let now = look(realm).await?;
        let (members, own) = (now.members.clone(), now.nodes.get(&realm.me()).cloned());
        act(realm, followed, &now).await;
        realm.0.nodes.send_if_modified(|before| {
            let changed = **before != now;
            *before = Arc::new(now);
            changed
        });
        if let Some(own) = own {
            check_own(realm, &own.record);
        }
        tokio::select! {
            more = changed(&mut nodes) => if !more { return Ok(()) },
            more = changed(&mut alive) => if !more { return Ok(()) },
            seen = kv.members_other_than(&members) => drop(seen?),
            moved = addresses.changed() => {
                if moved.is_err() {
                    return Ok(());
                }
                // Tried again with the next change; a node that starts reports by itself.
                if let Err(error) = realm.report().await {
                    tracing::debug!(%error, "new addresses are not told yet");
                }
            }
        }
    }
}

/// Waits for a change; false: the store is closed. That some were missed is a change like any other.
async fn changed(watch: &mut Watch) -> bool {
    watch.next().await.is_some()
}

/// The nodes, by what this node knows.
async fn look(realm: &Realm) -> Result<Nodes, KvError> {
    let kv = &realm.0.kv;
    let records: Vec<NodeRecord> = read_all(realm, records::NODES).await?.into_values().collect();
    let alive: BTreeMap<String, Alive> = read_all(realm, records::ALIVE).await?;
    let nodes = records.into_iter().map(|record| {
        let is_alive =
            alive.get(&NodeRecord::key(record.node)).is_some_and(|alive| alive.boot == record.boot);
        (record.node, NodeView { record, is_alive })
    });
    Ok(Nodes { nodes: nodes.collect(), members: kv.members_told() })
}

/// All records of a bucket that can be read, from this node's own state.
async fn read_all<T: DeserializeOwned>(realm: &Realm, bucket: &str) -> Result<BTreeMap<String, T>, KvError> {
    let (mut found, mut start) = (BTreeMap::new(), Vec::new());
    loop {
        let page = realm.0.kv.range(bucket, &start, None, NODES_MAX, Consistency::Local).await?;
        for (key, entry) in &page.entries {
            if let (Ok(key), Ok(record)) = (std::str::from_utf8(key), serde_json::from_slice(&entry.value)) {
                found.insert(key.to_owned(), record);
            }
        }
        match page.next {
            Some(next) if found.len() < NODES_MAX => start = next.to_vec(),
            _ => return Ok(found),
        }
    }
}

/// Brings connections in line with the records.
async fn act(realm: &Realm, followed: &mut Followed, now: &Nodes) {
    let Inner { network, roster, .. } = &*realm.0;
    let mut changed = false;
    for view in now.nodes.values().filter(|view| view.record.node != realm.me()) {
        let record = &view.record;
        if followed.records.get(&record.node) == Some(record) {
            continue;
        }
        changed = true;
        // A peer that was removed may have come back under a new number.
        let other = now
            .nodes
            .values()
            .any(|other| other.record.peer == record.peer && other.record.state != NodeState::Removed);
        match record.state {
            NodeState::Member | NodeState::Draining => {
                roster.set(record.node, record.peer);
                network.admission().set(record.peer, Standing::Member);
                network.know(record.contact()).await;
                network.keep(record.peer).await;
            }
            NodeState::Removed if !other => {
                roster.remove(record.node);
                let reason = format!("node {} was removed from the realm", record.node);
                network.admission().set(record.peer, Standing::Refused(reason));
                network.forget(record.peer).await;
            }
            NodeState::Removed => {}
        }
        followed.records.insert(record.node, record.clone());
    }
    if changed {
        remember(realm, now);
    }
}

/// Keeps the others' addresses for the next start.
fn remember(realm: &Realm, now: &Nodes) {
    let others = now
        .nodes
        .values()
        .filter(|view| view.record.node != realm.me() && view.record.state != NodeState::Removed);
    let others: Vec<(u64, Contact)> = others.map(|view| (view.record.node, view.record.contact())).collect();
    let identity = Identity { others, ..realm.0.identity.clone() };
    if let Err(error) = identity.save(&realm.0.folder) {
        tracing::warn!(%error, "the other nodes' addresses cannot be kept for the next start");
    }
}

/// Ends this node where the realm says that it may not take part.
fn check_own(realm: &Realm, own: &NodeRecord) {
    let identity = &realm.0.identity;
    if own.state == NodeState::Removed {
        realm.fail(format!("node {} was removed from realm {}", own.node, identity.realm));
    } else if own.boot > identity.boot || (own.boot == identity.boot && own.nonce != identity.nonce) {
        realm.fail(format!("node {} was started elsewhere, on a copy of this data folder", own.node));
    }
}
