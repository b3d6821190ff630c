//! Which peer is which node. Written by whoever knows the realm's members, read at every call.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::p2p::Peer;

/// The roster. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Roster(Arc<RwLock<Both>>);

#[derive(Debug, Default)]
struct Both {
    peers: HashMap<u64, Peer>,
    nodes: HashMap<Peer, u64>,
}

impl Roster {
    /// Says which peer a node is.
    pub fn set(&self, node: u64, peer: Peer) {
        let mut both = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = both.peers.insert(node, peer).filter(|before| *before != peer) {
            both.nodes.remove(&before);
        }
        both.nodes.insert(peer, node);
    }

    /// Takes a node out.
    pub fn remove(&self, node: u64) {
        let mut both = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(peer) = both.peers.remove(&node) {
            both.nodes.remove(&peer);
        }
    }

    /// The peer that a node is.
    pub fn peer(&self, node: u64) -> Option<Peer> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).peers.get(&node).copied()
    }

    /// The node that a peer is.
    pub fn node(&self, peer: Peer) -> Option<u64> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).nodes.get(&peer).copied()
    }

    /// All nodes, in the order of their numbers.
    pub fn all(&self) -> Vec<(u64, Peer)> {
        let both = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = both.peers.iter().map(|(node, peer)| (*node, *peer)).collect();
        all.sort_unstable_by_key(|(node, _)| *node);
        all
    }
}
