//! [`Realm`], the handle that the node works with.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::error::RealmError;
use super::hello::HelloDoor;
use super::identity::Identity;
use super::join::JoinDoor;
use super::records::{self, Invitation, NodeRecord, NodeState, RealmId};
use super::token::{CONTACTS_MAX, Token};
use super::{follow, hello, join, lease, membership};
use crate::clock;
use crate::ids::StateHash;
use crate::kv::{Consistency, Expect, Kv, LeaseId, Members, OnFatal, Roster, Swap};
use crate::p2p::{Contact, P2p};
use crate::tasks::Tasks;

/// Tries at a record that others change at the same time.
const TRIES_MAX: usize = 16;
/// How long a node that starts waits between two tries to reach the realm.
const RETRY: Duration = Duration::from_millis(200);
/// Within what an invitation's time may lie.
const TTL: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);

/// What the operator may set: the table `[realm]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RealmConfig {
    /// What people call this node; empty: its number.
    pub name: String,
    /// What this node is, for placement: `zone = "a"`, `gpu = "yes"`.
    pub labels: BTreeMap<String, String>,
    /// The most nodes that decide over the KV; all others follow. An even number counts as one less.
    pub voters_max: usize,
    /// How long a node that is silent still counts as alive, in milliseconds (500 to 60,000).
    pub lease_ms: u64,
    /// After how many seconds a dead node's vote is given to another, if one can take it.
    pub replace_seconds: u64,
}

impl Default for RealmConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            labels: BTreeMap::new(),
            voters_max: 5,
            lease_ms: 2_000,
            replace_seconds: 60,
        }
    }
}

impl RealmConfig {
    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms.clamp(500, 60_000))
    }
}

/// A node, as this one sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// What there is to know of it.
    pub record: NodeRecord,
    /// Whether it holds its lease.
    pub is_alive: bool,
}

impl NodeView {
    /// Whether it may be given work.
    pub fn takes_work(&self) -> bool {
        self.is_alive && self.record.state == NodeState::Member
    }
}

/// All nodes, and who takes part in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nodes {
    /// By number; those that were removed too.
    pub nodes: BTreeMap<u64, NodeView>,
    /// Who leads, decides and follows.
    pub members: Members,
}

impl Nodes {
    /// The nodes that may be given work, by number.
    pub fn takers(&self) -> impl Iterator<Item = u64> {
        self.nodes.values().filter(|view| view.takes_work()).map(|view| view.record.node)
    }
}

/// These nodes in the order in which they are to hold what `key` names. It is said by the key and the nodes alone
/// (rendezvous hashing, Thaler and Ravishankar 1998): each node knows it without asking, and where one comes or goes,
/// the others keep their order.
pub fn ranked(key: &str, nodes: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut nodes: Vec<_> = nodes.into_iter().collect();
    nodes.sort_by_cached_key(|node| Reverse(*StateHash::of(format!("{key}/{node}").as_bytes()).as_bytes()));
    nodes
}

/// The realm. Clones are the same.
#[derive(Debug, Clone)]
pub struct Realm(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) identity: Identity,
    pub(super) folder: PathBuf,
    pub(super) config: RealmConfig,
    pub(super) kv: Kv,
    pub(super) network: P2p,
    pub(super) roster: Roster,
    pub(super) nodes: watch::Sender<Arc<Nodes>>,
    pub(super) holds_lease: watch::Sender<bool>,
    pub(super) lease: Mutex<Option<LeaseId>>,
    /// Called when this node may no longer take part; it must end the process.
    pub(super) on_fatal: OnFatal,
}

/// What a realm stands on.
#[derive(Debug)]
pub struct Ground {
    /// Who this node is.
    pub identity: Identity,
    /// Its data folder.
    pub folder: PathBuf,
    /// What the operator set.
    pub config: RealmConfig,
    /// The KV.
    pub kv: Kv,
    /// The network.
    pub network: P2p,
    /// Who is who.
    pub roster: Roster,
    /// Called when this node may no longer take part; it must end the process.
    pub on_fatal: OnFatal,
}

impl Realm {
    /// Takes this node's place among the others. Returns once it holds its lease, which takes a leader and a quorum;
    /// until then it tries.
    pub async fn start(ground: Ground, tasks: &Tasks) -> Realm {
        let Ground { identity, folder, config, kv, network, roster, on_fatal } = ground;
        let (nodes, holds_lease) = (watch::channel(Arc::default()).0, watch::channel(false).0);
        let lease = Mutex::default();
        let inner =
            Inner { identity, folder, config, kv, network, roster, nodes, holds_lease, lease, on_fatal };
        let realm = Realm(Arc::new(inner));
        let Inner { network, .. } = &*realm.0;
        network.open(hello::DOOR, Arc::new(HelloDoor(Arc::downgrade(&realm.0)))).await;
        network.open(join::DOOR, Arc::new(JoinDoor(Arc::downgrade(&realm.0)))).await;
        let stopping = tasks.stopping();
        // A network holds its doors, and the realm its network: held weakly, so that both can end.
        let followed = realm.clone();
        let stop = stopping.clone();
        tasks.spawn("realm.follow", async move { stop.run_until_cancelled(follow::run(followed)).await });
        realm.report_until_heard().await;
        let (member, held) = (realm.clone(), realm.clone());
        let stop = stopping.clone();
        tasks.spawn("realm.members", async move { stop.run_until_cancelled(membership::run(member)).await });
        tasks.spawn("realm.lease", async move { lease::run(held, stopping).await });
        // It fails only when the realm is gone.
        drop(realm.holds_lease().wait_for(|holds| *holds).await);
        realm
    }

    /// The realm's id.
    pub fn id(&self) -> RealmId {
        self.0.identity.realm
    }

    /// This node's number.
    pub fn me(&self) -> u64 {
        self.0.identity.node
    }

    /// All nodes; changes are told.
    pub fn nodes(&self) -> watch::Receiver<Arc<Nodes>> {
        self.0.nodes.subscribe()
    }

    /// Whether this node holds its lease: if not, others may do its work.
    pub fn holds_lease(&self) -> watch::Receiver<bool> {
        self.0.holds_lease.subscribe()
    }

    /// What ends this node when it can no longer keep its promises.
    pub fn on_fatal(&self) -> OnFatal {
        self.0.on_fatal.clone()
    }

    /// The KV that its nodes share.
    pub fn kv(&self) -> &Kv {
        &self.0.kv
    }

    /// Who is who.
    pub fn roster(&self) -> &Roster {
        &self.0.roster
    }

    /// The network.
    pub fn network(&self) -> &P2p {
        &self.0.network
    }

    /// Makes an invitation that one node can use within `ttl` (1 second to 30 days).
    ///
    /// # Errors
    /// `Ttl`, `NoAddress`, `NoChance`, `Kv`.
    pub async fn invite(&self, ttl: Duration) -> Result<Token, RealmError> {
        if !TTL.contains(&ttl) {
            return Err(RealmError::Ttl);
        }
        let mut chance = [0; 24];
        getrandom::fill(&mut chance).map_err(|_| RealmError::NoChance)?;
        let (secret, number) = chance.split_at(16);
        let secret: [u8; 16] = secret.try_into().map_err(|_| RealmError::NoChance)?;
        let number = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let here =
            Contact { peer: self.0.network.me(), addresses: self.0.network.addresses().borrow().clone() };
        if here.addresses.is_empty() {
            return Err(RealmError::NoAddress);
        }
        let nodes = self.0.nodes.borrow().clone();
        let others = nodes.nodes.values().filter(|node| node.is_alive && node.record.node != self.me());
        let contacts = std::iter::once(here).chain(others.map(|node| node.record.contact()));
        let contacts = contacts.take(CONTACTS_MAX).collect();
        let expires_at_ms = clock::now_ms() + u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        let invitation =
            Invitation { hash: blake3::hash(&secret).to_hex().to_string(), expires_at_ms, used: None };
        self.0.kv.put_record(records::INVITATIONS, &Invitation::key(number), &invitation, None).await?;
        Ok(Token { realm: self.id(), number, secret, contacts })
    }

    /// Says what is wanted of a node.
    ///
    /// # Errors
    /// `Unknown`, `Removed`, `Last`, `Conflict`, `Kv`.
    pub async fn want(&self, node: u64, state: NodeState) -> Result<NodeRecord, RealmError> {
        self.change(node, |record, nodes| {
            if record.state == NodeState::Removed && state != NodeState::Removed {
                return Err(RealmError::Removed(node));
            }
            let others = nodes.nodes.values().any(|other| other.record.node != node && other.takes_work());
            if state != NodeState::Member && !others {
                return Err(RealmError::Last(node));
            }
            record.state = state;
            Ok(())
        })
        .await
    }

    /// Changes a node's record, by compare and swap.
    pub(super) async fn change(
        &self,
        node: u64,
        change: impl Fn(&mut NodeRecord, &Nodes) -> Result<(), RealmError>,
    ) -> Result<NodeRecord, RealmError> {
        let (kv, key) = (&self.0.kv, NodeRecord::key(node));
        for _ in 0..TRIES_MAX {
            let entry = kv.get(records::NODES, key.as_bytes(), Consistency::Linearizable).await?;
            let entry = entry.ok_or(RealmError::Unknown(node))?;
            let unreadable = |_| RealmError::Unknown(node);
            let before: NodeRecord = serde_json::from_slice(&entry.value).map_err(unreadable)?;
            let mut record = before.clone();
            let nodes = self.0.nodes.borrow().clone();
            change(&mut record, &nodes)?;
            if record == before {
                return Ok(record);
            }
            let value = Bytes::from(serde_json::to_vec(&record).map_err(unreadable)?);
            let expect = Expect::Revision(entry.revision);
            let swap = kv.compare_and_swap(records::NODES, key.as_bytes(), expect, Some(value), None).await?;
            if swap.value == Swap::Swapped {
                return Ok(record);
            }
        }
        Err(RealmError::Conflict(node))
    }

    /// Tells the realm how this node started, and where it is; tries until it is heard.
    async fn report_until_heard(&self) {
        loop {
            match self.report().await {
                Ok(()) => return,
                Err(error) => tracing::info!(%error, "waiting for the realm"),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Writes this node's record.
    pub(super) async fn report(&self) -> Result<(), RealmError> {
        let Inner { identity, config, kv, network, .. } = &*self.0;
        let addresses: Vec<String> = network.addresses().borrow().iter().map(ToString::to_string).collect();
        let own = NodeRecord {
            node: identity.node,
            peer: network.me(),
            addresses,
            name: config.name.clone(),
            labels: config.labels.clone(),
            state: NodeState::Member,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: identity.boot,
            nonce: identity.nonce,
            joined_at_ms: clock::now_ms(),
        };
        let changed = self.change(identity.node, |record, _| {
            let (state, joined_at_ms) = (record.state, record.joined_at_ms);
            *record = NodeRecord { state, joined_at_ms, ..own.clone() };
            Ok(())
        });
        match changed.await {
            // The first node of a realm has nobody who let it in.
            Err(RealmError::Unknown(1)) if identity.node == 1 => {
                kv.put_record(records::REALM, records::REALM_ID, &identity.realm, None).await?;
                kv.increment(records::REALM, records::LAST_NODE.as_bytes(), 1, None).await?;
                kv.put_record(records::NODES, &NodeRecord::key(1), &own, None).await?;
                Ok(())
            }
            changed => changed.map(drop),
        }
    }

    /// This node may no longer take part.
    pub(super) fn fail(&self, reason: String) {
        tracing::error!(reason, "this node ends");
        (self.0.on_fatal.0)(reason);
    }
}
