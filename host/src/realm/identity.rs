//! What a node remembers of itself in its data folder.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::records::RealmId;
use crate::kv::Roster;
use crate::p2p::{Contact, P2p, Standing};

/// The file, in the data folder.
pub const FILE: &str = "realm.json";

/// Who a node is, and whom it knew last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its realm.
    pub realm: RealmId,
    /// Its number.
    pub node: u64,
    /// How many times this folder has been started.
    pub boot: u64,
    /// Drawn at this start: two that run on copies of one folder differ in it.
    #[serde(skip)]
    pub nonce: u64,
    /// Whether it has a log of the realm: a node that had one and has none must not come back under its number.
    pub took_part: bool,
    /// The other nodes, with their numbers.
    pub others: Vec<(u64, Contact)>,
}

/// Why an identity cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("cannot use {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The file is damaged.
    #[error("{0} is damaged ({1}): restore it, or remove this node from its realm and invite it anew")]
    Damaged(PathBuf, String),
    /// The node belongs to another realm.
    #[error(
        "this data folder belongs to node {node} of realm {realm}: start it without --join, or use an empty one"
    )]
    Taken {
        /// The realm.
        realm: RealmId,
        /// The node.
        node: u64,
    },
    /// The realm's data are gone.
    #[error(
        "this is node {0}, and its folder `kv` is gone: a node that forgot what it promised must not come back under \
         its number; remove it by `matrix nodes remove {0}`, and invite a new one on an empty data folder"
    )]
    Wiped(u64),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
}

/// Connects with the nodes that an identity remembers.
pub async fn meet(identity: &Identity, network: &P2p, roster: &Roster) {
    roster.set(identity.node, network.me());
    for (node, contact) in &identity.others {
        roster.set(*node, contact.peer);
        network.admission().set(contact.peer, Standing::Member);
        network.know(contact.clone()).await;
        network.keep(contact.peer).await;
    }
}

impl Identity {
    /// The identity in a data folder, if it has one.
    pub fn load(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let path = folder.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let damaged = |error: serde_json::Error| IdentityError::Damaged(path, error.to_string());
                serde_json::from_slice(&bytes).map(Some).map_err(damaged)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IdentityError::Io(path, error)),
        }
    }

    /// The first node of a new realm.
    pub fn found() -> Result<Self, IdentityError> {
        let mut realm = [0; 16];
        getrandom::fill(&mut realm).map_err(|_| IdentityError::NoChance)?;
        Ok(Self { realm: RealmId(realm), node: 1, boot: 0, nonce: 0, took_part: false, others: Vec::new() })
    }

    /// Counts a start. Saved only once the realm lets it start: a copy that was refused must not count as newer than
    /// the original at its next try.
    pub fn begin(&mut self) -> Result<(), IdentityError> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(|_| IdentityError::NoChance)?;
        self.nonce = u64::from_be_bytes(nonce);
        self.boot += 1;
        Ok(())
    }

    /// Writes it down: whole or not at all, and durable when it returns.
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        let (path, unfinished) = (folder.join(FILE), folder.join(FILE).with_extension("unfinished"));
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, &path)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| IdentityError::Io(path.clone(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_and_counts_its_starts() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Identity::load(folder.path()).expect("an empty folder").is_none());
        let mut identity = Identity::found().expect("random bytes");
        identity.begin().expect("random bytes");
        identity.save(folder.path()).expect("room");
        let first = identity.nonce;
        let mut again = Identity::load(folder.path()).expect("our own file").expect("it was saved");
        assert_eq!((again.realm, again.node, again.boot), (identity.realm, 1, 1));
        again.begin().expect("random bytes");
        assert_eq!(again.boot, 2);
        assert_ne!(again.nonce, first);
        std::fs::write(folder.path().join(FILE), "{").expect("our own file");
        assert!(matches!(Identity::load(folder.path()), Err(IdentityError::Damaged(..))));
    }
}
