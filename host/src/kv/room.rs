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
    /// What is short here; none: nothing.
    short: watch::Sender<Option<String>>,
    /// Who else has no room.
    others: Mutex<BTreeMap<u64, bool>>,
}

impl Room {
    /// Of a node's store, before the disk is looked at.
    pub(super) fn new(config: &KvConfig) -> Room {
        let (me, folder, reserve) = (config.node_id, config.dir.clone(), config.disk_reserve_bytes);
        Room { me, folder, reserve, short: watch::Sender::new(None), others: Mutex::default() }
    }

    /// Looks at the disk again; `no_room` is why the log could not get what it needs next.
    pub(super) fn look(&self, no_room: Option<&std::io::Error>) {
        let Room { me, folder, reserve, .. } = self;
        let folder = folder.display();
        let short = if self.is_reserve_used() {
            let least = format!("node {me} has less than {reserve} bytes left where {folder} is");
            Some(format!("{least}: free some there, or lower kv.disk_reserve_bytes"))
        } else {
            no_room.map(|error| format!("node {me} cannot make the log's next file in {folder}: {error}"))
        };
        self.short.send_if_modified(|was| {
            match (&short, &*was) {
                (Some(short), None) => tracing::warn!(short, "no room for the log"),
                (None, Some(_)) => tracing::info!("there is room for the log again"),
                _ => {}
            }
            std::mem::replace(was, short.clone()) != short
        });
    }

    /// Whether less is left than is to stay free. A disk that does not say counts as one with space.
    fn is_reserve_used(&self) -> bool {
        let disk = rustix::fs::statvfs(&self.folder);
        disk.is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < self.reserve)
    }

    /// What is short on this node; changes are told.
    pub(super) fn short(&self) -> watch::Receiver<Option<String>> {
        self.short.subscribe()
    }

    /// Whether anything is.
    pub(super) fn is_short(&self) -> bool {
        self.short.borrow().is_some()
    }

    /// Another node has told how its disk is.
    pub(super) fn heard(&self, node: u64, is_short: bool) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).insert(node, is_short);
    }

    /// Whether another node told last that its disk has room.
    pub(super) fn has_told_of_room(&self, node: u64) -> bool {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).get(&node) == Some(&false)
    }

    /// Why a leader with these voters takes no writes: it has no room itself, or so many of them have none that the
    /// rest is no majority.
    pub(super) fn refusal(&self, voters: impl Iterator<Item = u64>) -> Option<String> {
        if let Some(short) = &*self.short.borrow() {
            return Some(short.clone());
        }
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let (full, rest): (Vec<_>, Vec<_>) =
            voters.partition(|voter| *voter != self.me && others.get(voter) == Some(&true));
        (full.len() >= rest.len() && !full.is_empty()).then(|| {
            let full = full.iter().map(u64::to_string).collect::<Vec<_>>().join(" and ");
            format!("nodes {full} have none, and the others are no majority: `matrix status` of each says what to free")
        })
    }
}
