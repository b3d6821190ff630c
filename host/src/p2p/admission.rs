//! Who may connect. Written by the rooms above, read at every connection and stream.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::peer::Peer;

/// What a peer is to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A node of the realm: all lanes.
    Member,
    /// No node, but known: may exchange messages.
    Client,
    /// Was a node, or claims to be one: nothing, for the reason given.
    Refused(String),
    /// Not known: may ask to be let in.
    Stranger,
}

/// The list. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Admission(Arc<RwLock<HashMap<Peer, Standing>>>);

impl Admission {
    /// What a peer is.
    pub fn standing(&self, peer: Peer) -> Standing {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&peer).cloned().unwrap_or(Standing::Stranger)
    }

    /// Whether a peer is a node of the realm.
    pub fn is_member(&self, peer: Peer) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&peer) == Some(&Standing::Member)
    }

    /// Says what a peer is from now on. True: that is new.
    pub fn set(&self, peer: Peer, standing: Standing) -> bool {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match standing {
            Standing::Stranger => known.remove(&peer).is_some(),
            standing => known.insert(peer, standing.clone()) != Some(standing),
        }
    }
}
