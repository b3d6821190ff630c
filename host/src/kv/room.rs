//! Whether there is room for more of the log: on this node's disk, and on those of the other voters, as each told last
//! when it answered the leader.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::config::KvConfig;

/// What is known of the disks.
#[derive(Debug)]
pub(super) struct Room {
    me: u64,
    folder: PathBuf,
    /// Bytes that are to stay free.
    reserve: u64,
    /// There are fewer here.
    low: watch::Sender<bool>,
    /// Who else has fewer.
    others: Mutex<BTreeMap<u64, bool>>,
}

impl Room {
    /// Of a node's store, before the disk is looked at.
    pub(super) fn new(config: &KvConfig) -> Room {
        let (folder, reserve) = (config.dir.clone(), config.disk_reserve_bytes);
        Room { me: config.node_id, folder, reserve, low: watch::Sender::new(false), others: Mutex::default() }
    }

    /// Looks at the disk again; `no_room` is why the log could not get what it needs next.
    pub(super) fn look(&self, no_room: Option<&std::io::Error>) {
        let low = no_room.is_some() || self.is_short();
        let changed = self.low.send_if_modified(|was| std::mem::replace(was, low) != low);
        if changed && low {
            tracing::warn!(folder = %self.folder.display(), reserve = self.reserve, ?no_room, "the disk is full");
        } else if changed {
            tracing::info!(folder = %self.folder.display(), "the disk has room again");
        }
    }

    /// Whether less is left than is to stay free. A disk that does not say counts as one with space.
    fn is_short(&self) -> bool {
        let disk = rustix::fs::statvfs(&self.folder);
        disk.is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < self.reserve)
    }

    /// Whether this node's disk has no room; changes are told.
    pub(super) fn low(&self) -> watch::Receiver<bool> {
        self.low.subscribe()
    }

    /// Whether this node's disk has no room.
    pub(super) fn is_low(&self) -> bool {
        *self.low.borrow()
    }

    /// Another node has told how its disk is.
    pub(super) fn heard(&self, node: u64, low: bool) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(node, low);
    }

    /// Whether another node told last that its disk has room.
    pub(super) fn has_told_of_room(&self, node: u64) -> bool {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).get(&node) == Some(&false)
    }

    /// Why a leader with these voters takes no writes: it has no room itself, or so many of them have none that the
    /// rest is no majority.
    pub(super) fn refusal(&self, voters: impl Iterator<Item = u64>) -> Option<String> {
        if self.is_low() {
            return Some(self.short());
        }
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut voters_count, mut full) = (0, Vec::new());
        for voter in voters {
            voters_count += 1;
            if voter != self.me && others.get(&voter) == Some(&true) {
                full.push(voter);
            }
        }
        (2 * full.len() >= voters_count).then(|| {
            let full = full.iter().map(u64::to_string).collect::<Vec<_>>().join(" and ");
            format!("of nodes {full}, and the others are no majority; `matrix status` of each says where")
        })
    }

    /// What is short here.
    pub(super) fn short(&self) -> String {
        let Room { me, folder, reserve, .. } = self;
        format!("of node {me}, which has less than {reserve} bytes left where {} is", folder.display())
    }
}
