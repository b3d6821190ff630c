//! The state of one moment, taken out of a realm, and put into a new one: what a backup holds of the KV. It is a
//! snapshot without the history: watches of another realm have nothing to resume here.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Write};

use bytes::Bytes;
use openraft::Membership as Config;
use openraft::impls::{BasicNode, leader_id_adv};

use super::command::{Command, Op};
use super::config::KvConfig;
use super::cow::CowMap;
use super::engine::{SNAPSHOT_FOLDER, disk_of, make_log_folder};
use super::error::KvError;
use super::handle::Kv;
use super::history::History;
use super::raft::{LogId, Membership, Vote};
use super::snapshot::{Image, Replica, Shelf, load, save};
use super::types::{Entry, Mutation, Path, end_of, join};
use super::wal::{Batch, Wal};

/// The number of the node that a new realm begins with.
const FIRST_NODE: u64 = 1;

/// The state of one moment. It costs little beside the state, as long as that does not change much meanwhile.
pub struct Export(Image);

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export of index {}", self.index())
    }
}

impl Kv {
    /// The state, with all that was acknowledged before the call.
    ///
    /// # Errors
    /// `Unavailable` or `Closed`.
    pub async fn export(&self) -> Result<Export, KvError> {
        let (_, parts) = self.parts();
        parts.reads.confirm().await?;
        let mut image = parts.shared.read().image();
        image.changes = VecDeque::new();
        Ok(Export(image))
    }
}

impl Export {
    /// Index of the last log entry that it holds.
    pub fn index(&self) -> u64 {
        self.0.applied.map_or(0, |id| id.index)
    }

    /// Its revision.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// One value.
    pub fn value(&self, bucket: &str, key: &[u8]) -> Option<Bytes> {
        self.0.entries.get(&join(bucket, key)).map(|entry| entry.value.clone())
    }

    /// The values in a bucket, with their keys.
    pub fn values(&self, bucket: &str) -> Vec<(Bytes, Bytes)> {
        values(&self.0.entries, bucket)
    }

    /// Writes it, in the format of the snapshots. Blocks as `out` does.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        save(out, &self.0)
    }
}

/// The values in a bucket, with their keys.
pub(super) fn values(entries: &CowMap<Entry>, bucket: &str) -> Vec<(Bytes, Bytes)> {
    let (from, to) = (join(bucket, b""), end_of(bucket));
    let entries = entries.from(&from).take_while(|(path, _)| *path < to);
    entries.map(|(path, entry)| (Bytes::copy_from_slice(&path[from.len()..]), entry.value.clone())).collect()
}

/// A state on its way into a new realm. Changes made to it are counted in its revision, as others are.
pub struct Import {
    replica: Replica,
    key_bytes_max: usize,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Import of index {}", self.replica.applied_index())
    }
}

impl Import {
    /// Reads what [`Export::write`] wrote, checks it, and ends all leases: who held them is in another realm.
    ///
    /// # Errors
    /// `Corrupt`.
    pub fn read(from: &mut File, config: &KvConfig) -> Result<Import, KvError> {
        let history = History::new(config.history_revisions, config.history_bytes, 1);
        let replica = load(from, &history).map_err(|error| KvError::corrupt("the state of the KV", error))?;
        let leases: Vec<_> = replica.state.leases.keys().copied().collect();
        let mut import = Import { replica, key_bytes_max: config.key_bytes_max };
        for lease in leases {
            while import.replica.state.leases.contains_key(&lease) {
                import.apply(Op::EndLease { lease });
            }
        }
        Ok(import)
    }

    /// The values in a bucket, with their keys.
    pub fn values(&self, bucket: &str) -> Vec<(Bytes, Bytes)> {
        Export(self.replica.image()).values(bucket)
    }

    /// Changes the value of a key.
    ///
    /// # Errors
    /// As those of [`Path::new`].
    pub fn put(&mut self, bucket: &str, key: &[u8], value: Bytes) -> Result<(), KvError> {
        let path = Path::new(bucket, key, self.key_bytes_max)?;
        self.apply(Op::Mutate(Mutation::Put { path, value, lease: None }));
        Ok(())
    }

    /// Deletes all keys of a bucket.
    ///
    /// # Errors
    /// As those of [`Path::new`].
    pub fn clear(&mut self, bucket: &str) -> Result<(), KvError> {
        for (key, _) in self.values(bucket) {
            let path = Path::new(bucket, &key, self.key_bytes_max)?;
            self.apply(Op::Mutate(Mutation::Delete { path }));
        }
        Ok(())
    }

    /// Makes the folder `config.dir`, in which there is none yet, that of the first node of a realm with this state.
    /// Its log goes on after the state's index, in a term that nobody has voted in. Blocks on the disk.
    ///
    /// # Errors
    /// `Io`, and those of opening a store.
    pub fn found(mut self, config: &KvConfig) -> Result<(), KvError> {
        let failed = |error| KvError::io(format!("making the folder {}", config.dir.display()), error);
        let term = self.replica.applied.map_or(0, |id| id.leader_id.term) + 1;
        let leader_id = leader_id_adv::LeaderId { term, node_id: FIRST_NODE };
        let applied = LogId { leader_id, index: self.replica.applied_index() + 1 };
        let voters = vec![BTreeSet::from([FIRST_NODE])];
        let nodes = std::collections::BTreeMap::from([(FIRST_NODE, BasicNode::default())]);
        let members = Config::new(voters, nodes).map_err(|error| KvError::corrupt("the members", error))?;
        self.replica.applied = Some(applied);
        self.replica.membership = Membership::new(Some(applied), members);
        make_log_folder(&config.dir).map_err(failed)?;
        let history = History::new(config.history_revisions, config.history_bytes, 1);
        let (shelf, _) = Shelf::open(config.dir.join(SNAPSHOT_FOLDER), &history)?;
        let mut image = self.replica.image();
        image.changes = VecDeque::new();
        shelf.write(&image).map_err(failed)?;
        let mut wal = Wal::open(disk_of(config), FIRST_NODE, config.log_segment_bytes)?;
        let mut batch = Batch::default();
        batch.vote(&Vote { leader_id, committed: false });
        wal.write(&mut batch).and_then(|()| wal.purge(applied)).map_err(failed)
    }

    fn apply(&mut self, op: Op) {
        let index = self.replica.applied_index();
        self.replica.state.apply(index, Command { request: None, last_index: None, op });
    }
}
