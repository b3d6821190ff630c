//! The realm: the nodes that share one KV. Who belongs to it, who is alive, how one comes in and goes out.
//!
//! What there is to know of a node is a record in the KV ([`records`]), and so the same everywhere. Each node follows
//! these records ([`follow`]): it connects with whom they name and refuses whom they refuse. The leader makes Raft's
//! members what they say ([`membership`]). A node that runs holds a [`lease`]; when it is over, others take up its
//! work. [`identity`] is what a node remembers of itself in its data folder, [`join`] how it gets one by an invitation
//! ([`token`]), and [`hello`] how it is told, when it starts, that it may not take part.

mod error;
mod follow;
mod handle;
pub mod hello;
mod identity;
mod join;
mod lease;
mod membership;

mod records;
mod token;

pub use error::RealmError;
pub use follow::NODES_MAX;
pub use handle::{Ground, NodeView, Nodes, Realm, RealmConfig, ranked};
pub use identity::{FILE as IDENTITY_FILE, Identity, IdentityError, meet};
pub use join::ask_to_join;
pub use lease::RENEWALS;
pub use records::{BUCKETS, NodeRecord, NodeState, RealmId};
pub use token::{Token, TokenError};

#[cfg(test)]
pub(crate) mod testing {
    //! A realm for tests.

    use std::collections::BTreeMap;
    use std::path::Path;

    use super::{Ground, Identity, NodeRecord, NodeState, NodeView, Realm, RealmConfig};
    use crate::kv::{Kv, KvConfig, OnFatal, Roster};
    use crate::p2p::{Admission, Key, P2p, P2pConfig};
    use crate::tasks::Tasks;

    /// A realm of one node, on a folder of its own.
    pub(crate) async fn alone(folder: &Path, tasks: &Tasks) -> Realm {
        let key = Key::load_or_create(&folder.join("key")).expect("a folder of its own");
        let network =
            P2p::start(P2pConfig::default(), key, Admission::default(), None).await.expect("loopback");
        let kv_config = KvConfig { dir: folder.join("kv"), disk_reserve_bytes: 0, ..KvConfig::default() };
        let roster = Roster::default();
        let kv = Kv::open_in_realm(kv_config, &network, &roster, true, tasks).await.expect("the KV opens");
        let mut identity = Identity::found().expect("random bytes");
        identity.begin().expect("random bytes");
        identity.save(folder).expect("a folder of its own");
        let (config, on_fatal) = (RealmConfig::default(), OnFatal::default());
        Realm::start(
            Ground { identity, folder: folder.to_owned(), config, kv, network, roster, on_fatal },
            tasks,
        )
        .await
    }

    /// A node of a realm that is nowhere.
    pub(crate) fn view(node: u64, state: NodeState, is_alive: bool) -> NodeView {
        let record = NodeRecord {
            node,
            peer: "12D3KooWK3hKXVqa5yDezTdL6LFtgeZVv5JAEM8HkRXkvTt3cYpA".parse().expect("a peer"),
            addresses: Vec::new(),
            name: String::new(),
            labels: BTreeMap::new(),
            state,
            version: String::new(),
            boot: 1,
            nonce: 1,
            joined_at_ms: 0,
        };
        NodeView { record, is_alive }
    }
}
