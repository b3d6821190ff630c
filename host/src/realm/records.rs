//! What the KV holds of the realm.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::p2p::{Contact, Peer};

/// The bucket of one record a node.
pub(crate) const NODES: &str = "sys/nodes";
/// The bucket of one key a node that is alive: its value is an [`Alive`], and it goes with the node's lease.
pub(crate) const ALIVE: &str = "sys/alive";
/// The bucket of invitations.
pub(crate) const INVITATIONS: &str = "sys/invitations";
/// The bucket of what there is one of.
pub(crate) const REALM: &str = "sys/realm";
/// The key in [`REALM`] of the realm's id.
pub(crate) const REALM_ID: &str = "id";
/// The key in [`REALM`] of the highest number that a node was given: none is given twice.
pub(crate) const LAST_NODE: &str = "last-node";

/// Every bucket that tells of the nodes of a realm, and means nothing in another.
pub const BUCKETS: [&str; 4] = [NODES, ALIVE, INVITATIONS, REALM];

/// Names a realm: 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RealmId(pub [u8; 16]);

impl fmt::Display for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RealmId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
        number.map(|number| Self(number.to_be_bytes())).ok_or_else(|| "a realm's id has 32 digits".to_owned())
    }
}

impl TryFrom<String> for RealmId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RealmId> for String {
    fn from(id: RealmId) -> String {
        id.to_string()
    }
}

/// What is wanted of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// It takes part, and takes work.
    Member,
    /// It takes part; what it runs goes elsewhere, and nothing new comes.
    Draining,
    /// It is taken out, and never comes back under its number.
    Removed,
}

/// What there is to know of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its number.
    pub node: u64,
    /// Its peer.
    pub peer: Peer,
    /// Where it is reached: multiaddresses, as it says itself.
    pub addresses: Vec<String>,
    /// What people call it; empty: nothing.
    pub name: String,
    /// What it is, for placement.
    pub labels: BTreeMap<String, String>,
    /// What is wanted of it.
    pub state: NodeState,
    /// The version of its program.
    pub version: String,
    /// How many times its folder has been started; 0: it has not run yet.
    pub boot: u64,
    /// What it drew at that start.
    pub nonce: u64,
    /// Milliseconds since the Unix epoch at which it was let in.
    pub joined_at_ms: u64,
}

impl NodeRecord {
    /// The key of a node's records: in the order of numbers.
    pub fn key(node: u64) -> String {
        format!("{node:010}")
    }

    /// How the node is reached. An address that is none is left out.
    pub(crate) fn contact(&self) -> Contact {
        Contact::from_texts(self.peer, self.addresses.iter().map(String::as_str))
    }
}

/// Who holds a node's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alive {
    /// Which start of the node.
    pub(crate) boot: u64,
    /// What it drew then.
    pub(crate) nonce: u64,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// BLAKE3 of its secret, in hexadecimal digits.
    pub(crate) hash: String,
    /// Milliseconds since the Unix epoch at which it expires.
    pub(crate) expires_at_ms: u64,
    /// Who used it, and what node that is now.
    pub(crate) used: Option<(Peer, u64)>,
}

impl Invitation {
    /// The key of an invitation.
    pub(crate) fn key(number: u64) -> String {
        format!("{number:016x}")
    }
}
