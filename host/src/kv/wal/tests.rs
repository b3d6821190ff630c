//! The bytes on disk, which must not change without a new version.

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;

use super::batch::{Batch, Head};
use super::frame::{Key, Place};
use super::segment;
use crate::kv::command::Proposal;
use crate::kv::raft::{LogEntry, LogId, Vote};

/// A segment's head, its first frame, and a frame with an entry, a vote, what is committed, and a truncation.
const SEGMENT: &str = "\
    4d54584c4f4700020500000000000000
    29000000000000000b00000019672b1f449c4e28082868ad81814813e38d8f09
    480103010100010301ac020000000000
    2a0000000000000020000000ef24acc2ce0a5cec4bdc329c98b4c0f80321a82b
    450c0000000301ad0201636f6d6d616e6456030101430301ad0254010301ac02
";

fn id(index: u64) -> LogId {
    LogId { leader_id: LeaderId { term: 3, node_id: 1 }, index }
}

#[test]
fn a_segment_has_these_bytes() {
    let key = Key::new([7; blake3::KEY_LEN]);
    let vote = Vote { leader_id: LeaderId { term: 3, node_id: 1 }, committed: true };
    let mut bytes = segment::head(5).to_vec();
    let head = Head { vote: Some(vote), committed: None, last: Some(id(300)) };
    let place = Place { segment: 5, offset: bytes.len() as u64 };
    bytes.extend_from_slice(Batch::head(&head).seal(&key, place, 41));
    let mut batch = Batch::default();
    let command = Proposal(Bytes::from_static(b"command"));
    batch.entry(&LogEntry::new(id(301), EntryPayload::Normal(command))).unwrap();
    batch.vote(&vote);
    batch.committed(id(301));
    batch.truncate(Some(id(300)));
    let place = Place { segment: 5, offset: bytes.len() as u64 };
    bytes.extend_from_slice(batch.seal(&key, place, 42));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, SEGMENT.split_whitespace().collect::<String>());
}
