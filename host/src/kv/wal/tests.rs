//! The bytes on disk, which must not change without a new version.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;

use super::batch::{Batch, Head};
use super::disk::DiskFile;
use super::frame::{Key, Place};
use super::segment::{self, Segment};
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

/// A file that notes what is written to it: where, how many bytes, and whether these are zeros, or that it was synced.
#[derive(Default)]
struct Noted(Mutex<Vec<Option<(u64, usize, bool)>>>);

impl DiskFile for Noted {
    fn bytes(&self) -> io::Result<u64> {
        Ok(1 << 20)
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
        Err(io::Error::other("nothing is read"))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let are_zeros = bytes.iter().all(|byte| *byte == 0);
        self.0.lock().unwrap().push(Some((offset, bytes.len(), are_zeros)));
        // It has room for frames only.
        if are_zeros { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.lock().unwrap().push(None);
        Ok(())
    }
}

#[test]
fn zeros_are_written_ahead_of_frames_now_and_then_as_far_as_the_file_goes() {
    const AHEAD: usize = 256 << 10;
    let file = Arc::new(Noted::default());
    let mut segment = Segment {
        number: 1,
        file: Arc::<Noted>::clone(&file),
        bytes: 1 << 20,
        end: 16,
        last: None,
        written: 16,
    };
    let mut writes = |length: usize| {
        segment.append(&vec![7; length]).expect("zeros that have no room are done without");
        std::mem::take(&mut *file.0.lock().unwrap())
    };
    let frame = |offset, length| Some((offset, length, false));
    assert_eq!(writes(1_000), [frame(16, 1_000), Some((1_016, AHEAD, true)), None]);
    assert_eq!(writes(AHEAD - 1_000), [frame(1_016, AHEAD - 1_000), None]);
    assert_eq!(writes(1_000), [frame(16 + AHEAD as u64, 1_000), None]);
    let (end, left) = (1_016 + AHEAD as u64, (1 << 20) - 1_016 - AHEAD);
    assert_eq!(writes(left - 100), [frame(end, left - 100), Some(((1 << 20) - 100, 100, true)), None]);
    assert_eq!(writes(100), [frame((1 << 20) - 100, 100), None]);
}
