//! The Souls of the whole realm: each lives on one node, and is reached from all.
//!
//! What is asked of a Soul is done where it lives: here by the registry, elsewhere by a call to that node. Where a new
//! one lives is chosen ([`placing`](super::placing)); where it lives by now is followed ([`follow`](super::follow)).

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::batching::Batches;
use super::error::SoulError;
use super::jobs::{ActError, ActRequest};
use super::manifest::{Manifest, ManifestError};
use super::placed::{self, Placed};
use super::placing::{self, Candidate};
use super::records;
use super::registry::Souls;
use super::swap;
use super::wire;
use super::{Saved, SoulView};
use crate::ids::{Digest, SoulName};
use crate::kv::RequestId;
use crate::p2p::Lane;
use crate::p2p::rpc::Rpc;
use crate::realm::Realm;
use crate::tasks::Tasks;

/// The lane of calls about Souls.
const LANE: Lane = Lane::new("/matrix/souls/1");
/// How long a node may take to answer what waits for no guest.
const QUICK: Duration = Duration::from_secs(5);
/// How long a node that is alive may take to open its lanes.
const OPENING: Duration = Duration::from_secs(3);
/// How long a Soul whose node is gone is left alone.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a node may take to bring a Soul to life, stop, save or move it: its component may have to be fetched and
/// compiled there.
const SLOW: Duration = Duration::from_secs(60);

/// The Souls of the realm. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fleet(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) souls: Souls,
    pub(super) realm: Realm,
    /// Where each Soul lives, as far as this node has heard.
    pub(super) placed: RwLock<BTreeMap<SoulName, Placed>>,
    rpc: OnceCell<Rpc>,
    batches: Batches,
}

impl Fleet {
    /// Follows where Souls live, and answers the other nodes about those that live here.
    pub async fn start(souls: Souls, realm: Realm, tasks: &Tasks) -> Self {
        let (rpc, placed, batches) = (OnceCell::new(), RwLock::default(), Batches::default());
        let fleet = Self(Arc::new(Inner { souls, realm, placed, rpc, batches }));
        let server = wire::Server::new(fleet.0.souls.clone(), tasks.clone());
        let network = fleet.0.realm.network().clone();
        // Set here alone.
        let _ = fleet.0.rpc.set(Rpc::open(&network, LANE, Arc::new(server)).await);
        super::follow::start(&fleet, tasks).await;
        fleet
    }

    /// The Souls of this node.
    pub fn here(&self) -> &Souls {
        &self.0.souls
    }

    /// Makes a Soul run as its manifest says, where it lives; a new one on the node that suits it best.
    pub async fn spawn(&self, manifest: Manifest, request: Option<RequestId>) -> Result<SoulView, SoulError> {
        let kv = self.0.realm.kv();
        let node = match placed::load(kv, &manifest.name).await? {
            Some(placed) => placed.node,
            None => {
                self.sweep(&manifest.name).await?;
                self.choose_except(&manifest, None).await?
            }
        };
        if node == self.0.realm.me() {
            return self.0.souls.spawn(manifest, request).await;
        }
        let answer = self.ask(node, &wire::spawn(&manifest)?, SLOW).await?;
        wire::view(answer, node)
    }

    /// One Soul.
    pub async fn get(&self, soul: &SoulName) -> Result<SoulView, SoulError> {
        match self.node_to_ask(soul).await? {
            None => self.0.souls.get(soul),
            Some(node) => wire::view(self.ask(node, &wire::get(soul), QUICK).await?, node),
        }
    }

    /// At most `limit` Souls of the realm after `after`, in the order of their names, whose names start with
    /// `prefix`. Those of a node that does not answer are left out.
    pub async fn list(&self, after: Option<&SoulName>, prefix: &str, limit: usize) -> Vec<SoulView> {
        let mut found = self.0.souls.list(after, prefix, limit);
        let question = wire::list(after, prefix, limit);
        let nodes = self.0.realm.nodes().borrow().clone();
        let others =
            nodes.nodes.values().filter(|view| view.is_alive && view.record.node != self.0.realm.me());
        let asked = others.map(|view| {
            let (node, question) = (view.record.node, &question);
            async move { self.ask(node, question, QUICK).await.and_then(|answer| wire::views(answer, node)) }
        });
        for answer in join_all(asked).await {
            match answer {
                Ok(views) => found.extend(views),
                Err(error) => tracing::warn!(%error, "the Souls of a node are left out of a list"),
            }
        }
        found.sort_by(|a, b| a.manifest.name.cmp(&b.manifest.name));
        // One that is moving may be on both.
        found.dedup_by(|later, earlier| later.manifest.name == earlier.manifest.name);
        found.truncate(limit);
        found
    }

    /// Stops a Soul; its state is kept.
    pub async fn stop(&self, soul: &SoulName, request: Option<RequestId>) -> Result<SoulView, SoulError> {
        match self.node_of(soul).await? {
            None => self.0.souls.stop(soul, request).await,
            Some(node) => wire::view(self.ask(node, &wire::stop(soul), SLOW).await?, node),
        }
    }

    /// Stops a Soul and forgets it.
    pub async fn delete(&self, soul: &SoulName, request: Option<RequestId>) -> Result<(), SoulError> {
        match self.node_of(soul).await? {
            None => self.0.souls.delete(soul, request).await,
            Some(node) => wire::done(self.ask(node, &wire::delete(soul), SLOW).await?),
        }
    }

    /// Saves a Soul's state now.
    pub async fn checkpoint(&self, soul: &SoulName) -> Result<Saved, SoulError> {
        match self.node_of(soul).await? {
            None => self.0.souls.checkpoint(soul).await,
            Some(node) => wire::saved(self.ask(node, &wire::checkpoint(soul), SLOW).await?),
        }
    }

    /// Moves a Soul to another node, with its state and with what waits for it.
    ///
    /// # Errors
    /// `Unknown`, `NoNode`, and whatever keeps it where it is.
    pub async fn move_to(&self, soul: &SoulName, to: u64) -> Result<SoulView, SoulError> {
        let nodes = self.0.realm.nodes().borrow().clone();
        if !nodes.nodes.get(&to).is_some_and(|view| view.is_alive) {
            return Err(SoulError::NoNode(format!(
                "node {to} is not alive: `matrix nodes list` shows those that are"
            )));
        }
        let view = self.get(soul).await?;
        let (component, me) = (view.manifest.component, self.0.realm.me());
        // Fetched and compiled before the Soul is held up.
        self.prepare(component, to).await?;
        match view.placed.node {
            from if from == to => {}
            from if from == me => drop(self.0.souls.hand_over(soul, to).await?),
            from => wire::done(self.ask(from, &wire::hand_over(soul, to), SLOW).await?)?,
        }
        self.note(soul, placed::load(self.0.realm.kv(), soul).await?).await;
        self.get(soul).await
    }

    async fn prepare(&self, component: Digest, node: u64) -> Result<(), SoulError> {
        if node == self.0.realm.me() {
            self.0.souls.host().components.get(component).await?;
            return Ok(());
        }
        wire::done(self.ask(node, &wire::prepare(component), SLOW).await?)
    }

    /// Lets a Soul decide its turns of one tick, wherever it lives. What is asked of one node at the same time goes
    /// there, and comes back, as one. A Soul whose node is gone is asked again, until its answer would come too late:
    /// it comes up elsewhere meanwhile.
    pub async fn act(&self, soul: &SoulName, request: ActRequest) -> Result<Vec<Vec<u8>>, ActError> {
        let me = self.0.realm.me();
        loop {
            let placed = self.heard_of(soul);
            let acted = match placed.filter(|placed| placed.node != me) {
                None => {
                    // It may live here since a moment ago.
                    self.0.souls.expect(soul).await?;
                    return self.0.souls.act(soul, request).await;
                }
                Some(Placed { node, .. }) => self.0.batches.act(self, node, soul, request.clone()).await,
            };
            let waits = request.deadline.is_some_and(|deadline| Instant::now() + AGAIN < deadline);
            match acted {
                Err(ActError::Away) if waits => tokio::time::sleep(AGAIN).await,
                // It may have moved before the question came there.
                Err(ActError::Gone) if waits && self.heard_of(soul) != placed => {}
                acted => return acted,
            }
        }
    }

    /// Tells a Soul that a run is over.
    pub async fn forget_run(&self, soul: &SoulName, run: Arc<str>) {
        let me = self.0.realm.me();
        match self.heard_of(soul).filter(|placed| placed.node != me) {
            None => self.0.souls.forget_run(soul, run).await,
            // A Soul that is gone has forgotten already.
            Some(Placed { node, .. }) => drop(self.ask(node, &wire::forget(soul, &run), QUICK).await),
        }
    }

    /// The component of a Soul, wherever it lives.
    pub async fn component_of(&self, soul: &SoulName) -> Result<Digest, SoulError> {
        let record = records::load(self.0.realm.kv(), soul).await?;
        let record = record.filter(|record| record.wanted != records::Wanted::Deleted);
        record.map(|record| record.manifest.component).ok_or_else(|| SoulError::Unknown(soul.clone()))
    }

    /// How many Souls use a component, or could go back to it, in the whole realm.
    pub async fn users_of(&self, component: Digest) -> Result<usize, SoulError> {
        let kv = self.0.realm.kv();
        let records = records::load_all(kv).await?;
        let users = records.iter().filter(|record| record.manifest.component == component).count();
        Ok(users + swap::kept_by(kv, component).await?)
    }

    /// The other node where a Soul lives, as the KV says; none: it lives nowhere, or here, and is up by then.
    pub async fn home(&self, soul: &SoulName) -> Result<Option<u64>, SoulError> {
        match placed::load(self.0.realm.kv(), soul).await? {
            Some(placed) if placed.node == self.0.realm.me() => {
                self.0.souls.adopt(soul, placed).await?;
                Ok(None)
            }
            placed => Ok(placed.map(|placed| placed.node)),
        }
    }

    /// How many Souls live on each node, as far as this one has heard.
    pub fn load(&self) -> BTreeMap<u64, usize> {
        let mut load = BTreeMap::new();
        for placed in self.0.placed.read().unwrap_or_else(PoisonError::into_inner).values() {
            *load.entry(placed.node).or_default() += 1;
        }
        load
    }

    /// The node, other than `except`, that suits a Soul best.
    pub(super) async fn choose_except(
        &self,
        manifest: &Manifest,
        except: Option<u64>,
    ) -> Result<u64, SoulError> {
        let group = self.group(&manifest.placement.apart).await?;
        let (load, nodes) = (self.load(), self.0.realm.nodes().borrow().clone());
        let candidates =
            nodes.nodes.values().filter(|view| view.takes_work() && Some(view.record.node) != except);
        let candidates: Vec<Candidate<'_>> = candidates
            .map(|view| Candidate {
                node: view.record.node,
                labels: &view.record.labels,
                load: load.get(&view.record.node).copied().unwrap_or(0),
                shares: group.iter().filter(|soul| self.lives_on(soul, view.record.node)).count(),
            })
            .collect();
        placing::choose(&candidates, &manifest.placement, self.0.realm.me())
            .ok_or_else(|| SoulError::NoNode(placing::why_not(&manifest.placement, candidates.len())))
    }

    /// The Souls of a group that stays apart.
    async fn group(&self, apart: &str) -> Result<Vec<SoulName>, SoulError> {
        if apart.is_empty() {
            return Ok(Vec::new());
        }
        let records = records::load_all(self.0.realm.kv()).await?;
        let of_group = records.into_iter().filter(|record| record.manifest.placement.apart == apart);
        Ok(of_group.map(|record| record.manifest.name).collect())
    }

    fn lives_on(&self, soul: &SoulName, node: u64) -> bool {
        self.heard_of(soul).is_some_and(|placed| placed.node == node)
    }

    /// The node where a Soul lives, if that is another one.
    async fn node_of(&self, soul: &SoulName) -> Result<Option<u64>, SoulError> {
        let me = self.0.realm.me();
        let placed = match self.heard_of(soul) {
            Some(placed) => Some(placed),
            None => placed::load(self.0.realm.kv(), soul).await?,
        };
        Ok(placed.map(|placed| placed.node).filter(|node| *node != me))
    }

    /// The node to ask about a Soul; none: this one, which knows of the Soul by now if anybody does.
    pub(super) async fn node_to_ask(&self, soul: &SoulName) -> Result<Option<u64>, SoulError> {
        let node = self.node_of(soul).await?;
        if node.is_none() {
            self.here().expect(soul).await?;
        }
        Ok(node)
    }

    pub(super) fn heard_of(&self, soul: &SoulName) -> Option<Placed> {
        self.0.placed.read().unwrap_or_else(PoisonError::into_inner).get(soul).copied()
    }

    /// Asks another node.
    pub(super) async fn ask(
        &self,
        node: u64,
        question: &bytes::Bytes,
        within: Duration,
    ) -> Result<wire::Answer, SoulError> {
        let away = |why: &dyn std::fmt::Display| SoulError::Away(node, why.to_string());
        let peer = self.0.realm.roster().peer(node).ok_or_else(|| away(&"it is no member any more"))?;
        let rpc = self.0.rpc.get().ok_or_else(|| away(&"this node is starting"))?;
        // A node is alive a moment before all its lanes are open.
        if self.is_alive(node) {
            rpc.until_up(peer, within.min(OPENING)).await;
        }
        let answer = rpc.call(peer, question.clone(), within).await.map_err(|error| away(&error))?;
        wire::answer(answer, node)
    }

    fn is_alive(&self, node: u64) -> bool {
        self.0.realm.nodes().borrow().nodes.get(&node).is_some_and(|view| view.is_alive)
    }
}

impl From<SoulError> for ActError {
    fn from(error: SoulError) -> Self {
        match error {
            SoulError::Manifest(ManifestError::Limit(_)) | SoulError::Start { .. } => {
                ActError::NotStarted(error.to_string())
            }
            _ => ActError::Gone,
        }
    }
}
