//! Who is connected, and the ways that stand: written by the network's thread, read by all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use libp2p::Multiaddr;
use tokio::sync::watch;

use super::lane::Lane;
use super::link::{Link, Traffic};
use super::peer::Peer;

/// One lane, all peers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneView {
    /// Which.
    pub lane: Lane,
    /// Links on which a stream stands.
    pub up: u64,
    /// Links on which none stands.
    pub down: u64,
    /// Bytes that wait to be written.
    pub waiting: u64,
    /// What has gone over it since the start.
    pub traffic: Traffic,
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    /// Connections by peer; a peer without any is left out once nobody waits for it.
    connected: Mutex<HashMap<Peer, watch::Sender<usize>>>,
    links: RwLock<HashMap<(Peer, Lane), Link>>,
    /// What went over links that are forgotten.
    past: Mutex<BTreeMap<Lane, Traffic>>,
    /// Where this node is reached, as far as it knows.
    pub(super) addresses: watch::Sender<Vec<Multiaddr>>,
}

impl Table {
    pub(super) fn new() -> Self {
        let addresses = watch::channel(Vec::new()).0;
        Self { connected: Mutex::default(), links: RwLock::default(), past: Mutex::default(), addresses }
    }

    /// Notes how many connections with a peer there are.
    pub(super) fn connections(&self, peer: Peer, count: usize) {
        let mut connected = self.connected();
        match connected.get(&peer) {
            Some(known) if count == 0 && known.is_closed() => drop(connected.remove(&peer)),
            Some(known) => drop(known.send_replace(count)),
            None if count > 0 => drop(connected.insert(peer, watch::channel(count).0)),
            None => {}
        }
    }

    /// Whether there is a connection with the peer.
    pub(super) fn is_connected(&self, peer: Peer) -> bool {
        self.connected().get(&peer).is_some_and(|count| *count.borrow() > 0)
    }

    /// How many peers are connected.
    pub(super) fn peers(&self) -> usize {
        self.connected().values().filter(|count| *count.borrow() > 0).count()
    }

    /// Returns once there is a connection with the peer, or none.
    pub(super) async fn until(&self, peer: Peer, connected: bool) {
        let mut count = {
            let mut all = self.connected();
            all.entry(peer).or_insert_with(|| watch::channel(0).0).subscribe()
        };
        // It fails only when the table is gone.
        drop(count.wait_for(|count| (*count > 0) == connected).await);
    }

    /// The way to a peer on a lane.
    pub(super) fn link(&self, peer: Peer, lane: Lane) -> Option<Link> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(&(peer, lane)).cloned()
    }

    /// Keeps a way, so that it can be found.
    pub(super) fn keep(&self, lane: Lane, link: Link) {
        self.links.write().unwrap_or_else(PoisonError::into_inner).insert((link.peer(), lane), link);
    }

    /// Forgets the ways to a peer.
    pub(super) fn forget(&self, peer: Peer) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, lane), link) in links.extract_if(|(known, _), _| *known == peer) {
            *past.entry(lane).or_default() += link.traffic();
        }
    }

    /// The lanes, with what goes over all links of each.
    pub(super) fn lanes(&self) -> Vec<LaneView> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let view = |(lane, traffic)| (lane, LaneView { lane, up: 0, down: 0, waiting: 0, traffic });
        let mut lanes: BTreeMap<_, _> = past.into_iter().map(view).collect();
        for ((_, lane), link) in &*links {
            let lane = lanes.entry(*lane).or_insert_with(|| view((*lane, Traffic::default())).1);
            *(if link.is_up() { &mut lane.up } else { &mut lane.down }) += 1;
            lane.waiting += link.waiting() as u64;
            lane.traffic += link.traffic();
        }
        lanes.into_values().collect()
    }

    /// The lanes on which no stream to a peer stands, although one is to.
    pub(super) fn down(&self, peer: Peer) -> Vec<Lane> {
        let links = self.links.read().unwrap_or_else(PoisonError::into_inner);
        let down = links.iter().filter(|((of, _), link)| *of == peer && !link.is_up());
        let mut down: Vec<_> = down.map(|((_, lane), _)| *lane).collect();
        down.sort_unstable();
        down
    }

    fn connected(&self) -> MutexGuard<'_, HashMap<Peer, watch::Sender<usize>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
