//! The types that Raft is instantiated with, their bytes on disk, and Raft's own settings.

use bytes::Bytes;
use openraft::alias::{EntryOf, LogIdOf, StoredMembershipOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::impls::{BasicNode, leader_id_adv};
use openraft::{EntryPayload, SnapshotPolicy};

use super::codec::{Malformed, Reader, Writer};
use super::command::{Answer, Proposal};
use super::config::KvConfig;
use super::machine::Machine;

openraft::declare_raft_types!(
    /// The KV's Raft: proposals in, answers out, nodes by number.
    pub(super) TypeConfig:
        D = Proposal,
        R = Answer,
        NodeId = u64,
        Node = BasicNode,
        Term = u64,
        LeaderId = leader_id_adv::LeaderId<u64, u64>,
);

pub(super) type Raft = openraft::Raft<TypeConfig, Machine>;
pub(super) type LogEntry = EntryOf<TypeConfig>;
pub(super) type LogId = LogIdOf<TypeConfig>;
pub(super) type Membership = StoredMembershipOf<TypeConfig>;
pub(super) type Vote = VoteOf<TypeConfig>;

/// Log entries that Raft keeps although a snapshot covers them, so that a follower a little behind needs no snapshot.
pub(super) const KEPT_ENTRIES: u64 = 5_000;
/// Requests that may queue before Raft's core; what is more waits outside.
const CORE_QUEUE: u64 = 8_192;

/// Raft's settings for `config`.
pub(super) fn settings(config: &KvConfig) -> openraft::Config {
    openraft::Config {
        cluster_name: "matrix".into(),
        heartbeat_interval: config.heartbeat_ms,
        election_timeout_min: config.heartbeat_ms * 4,
        election_timeout_max: config.heartbeat_ms * 8,
        enable_pre_vote: Some(true),
        // Followers get entries before this node's own disk has them. A leader that went on in its old term after a
        // crash could give the place of such an entry, which a quorum may have acknowledged, to another one.
        enable_leader_restore: Some(false),
        // Snapshots go by bytes as well as by entries: the upkeep task triggers them.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: KEPT_ENTRIES,
        replication_lag_threshold: config.snapshot_log_entries.max(KEPT_ENTRIES) * 2,
        api_channel_size: Some(CORE_QUEUE),
        ..openraft::Config::default()
    }
}

impl Writer {
    pub(super) fn log_id(&mut self, id: LogId) {
        self.number(id.leader_id.term);
        self.number(id.leader_id.node_id);
        self.number(id.index);
    }

    pub(super) fn vote(&mut self, vote: &Vote) {
        self.number(vote.leader_id.term);
        self.number(vote.leader_id.node_id);
        self.u8(u8::from(vote.committed));
    }

    /// A log entry, without the bytes' checksum: the table and the snapshot have theirs.
    pub(super) fn log_entry(&mut self, entry: &LogEntry) -> serde_json::Result<()> {
        self.log_id(entry.log_id());
        match &entry.payload {
            EntryPayload::Blank => self.u8(0),
            EntryPayload::Normal(proposal) => {
                self.u8(1);
                self.0.extend_from_slice(&proposal.0);
            }
            EntryPayload::Membership(membership) => {
                self.u8(2);
                serde_json::to_writer(&mut self.0, membership)?;
            }
        }
        Ok(())
    }
}

impl Reader {
    pub(super) fn log_id(&mut self) -> Result<LogId, Malformed> {
        let leader_id = leader_id_adv::LeaderId { term: self.number()?, node_id: self.number()? };
        Ok(LogId { leader_id, index: self.number()? })
    }

    pub(super) fn vote(&mut self) -> Result<Vote, Malformed> {
        let leader_id = leader_id_adv::LeaderId { term: self.number()?, node_id: self.number()? };
        Ok(Vote { leader_id, committed: self.u8()? != 0 })
    }

    /// A log entry; takes all that is left.
    pub(super) fn log_entry(mut self) -> Result<LogEntry, Malformed> {
        let id = self.log_id()?;
        let payload = match self.u8()? {
            0 => EntryPayload::Blank,
            1 => EntryPayload::Normal(Proposal(self.0)),
            2 => EntryPayload::Membership(serde_json::from_slice(&self.0).map_err(|_| Malformed)?),
            _ => return Err(Malformed),
        };
        Ok(LogEntry::new(id, payload))
    }
}

/// Bytes that an entry keeps in memory.
pub(super) fn size_in_memory(entry: &LogEntry) -> usize {
    let payload =
        if let EntryPayload::Normal(Proposal(bytes)) = &entry.payload { Bytes::len(bytes) } else { 0 };
    size_of::<LogEntry>() + payload
}
