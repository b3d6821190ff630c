//! Who is connected, and the ways that stand: written by the network's thread, read by all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use libp2p::Multiaddr;
use tokio::sync::watch;

use super::lane::Lane;
use super::link::Link;
use super::peer::Peer;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    /// Connections by peer; a peer without any is left out once nobody waits for it.
    connected: Mutex<HashMap<Peer, watch::Sender<usize>>>,
    links: RwLock<HashMap<(Peer, Lane), Link>>,
    /// Where this node is reached, as far as it knows.
    pub(super) addresses: watch::Sender<Vec<Multiaddr>>,
}

impl Table {
    pub(super) fn new() -> Self {
        let addresses = watch::channel(Vec::new()).0;
        Self { connected: Mutex::default(), links: RwLock::default(), addresses }
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
        self.links.write().unwrap_or_else(PoisonError::into_inner).retain(|(known, _), _| *known != peer);
    }

    fn connected(&self) -> MutexGuard<'_, HashMap<Peer, watch::Sender<usize>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
