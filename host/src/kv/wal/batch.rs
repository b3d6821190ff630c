//! What goes into one frame, and how it comes out again.

use std::io;

use bytes::Bytes;
use openraft::entry::RaftEntry;

use super::frame::{HEADER_BYTES, Key, Place, size_of_frame};
use crate::kv::codec::{Malformed, Reader, Writer};
use crate::kv::raft::{LogEntry, LogId, Vote};

const RECORD_HEAD: u8 = b'H';
const RECORD_ENTRY: u8 = b'E';
const RECORD_TRUNCATE: u8 = b'T';
const RECORD_VOTE: u8 = b'V';
const RECORD_COMMITTED: u8 = b'C';

/// What stood when a segment was begun: with it, the segments before it can be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) last: Option<LogId>,
}

/// One record of a frame.
pub(super) enum Record {
    Head(Head),
    /// The bytes of a log entry.
    Entry(Bytes),
    /// The log ends with this entry; what comes after it is void.
    Truncate(Option<LogId>),
    Vote(Vote),
    Committed(LogId),
}

/// What a record means for what is known of the log.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Entries without a gap.
    Entries {
        first: u64,
        last: LogId,
    },
    Truncate(Option<LogId>),
    Vote(Vote),
    Committed(LogId),
}

/// Records on their way into one frame.
pub(in crate::kv) struct Batch {
    /// Room for the frame's header, then the records.
    writer: Writer,
    steps: Vec<Step>,
    entries: u64,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { writer: Writer(vec![0; HEADER_BYTES]), steps: Vec::new(), entries: 0 }
    }
}

impl Batch {
    pub(in crate::kv) fn entry(&mut self, entry: &LogEntry) -> io::Result<()> {
        let id = entry.log_id();
        self.writer.u8(RECORD_ENTRY);
        let at = self.writer.0.len();
        self.writer.0.extend_from_slice(&[0; 4]);
        self.writer.log_entry(entry)?;
        let length = u32::try_from(self.writer.0.len() - at - 4).map_err(io::Error::other)?;
        self.writer.0[at..at + 4].copy_from_slice(&length.to_le_bytes());
        self.entries += 1;
        match self.steps.last_mut() {
            Some(Step::Entries { last, .. }) if last.index + 1 == id.index => *last = id,
            _ => self.steps.push(Step::Entries { first: id.index, last: id }),
        }
        Ok(())
    }

    pub(in crate::kv) fn truncate(&mut self, last: Option<LogId>) {
        self.writer.u8(RECORD_TRUNCATE);
        self.writer.option(last, Writer::log_id);
        self.steps.push(Step::Truncate(last));
    }

    pub(in crate::kv) fn vote(&mut self, vote: &Vote) {
        self.writer.u8(RECORD_VOTE);
        self.writer.vote(vote);
        self.steps.push(Step::Vote(*vote));
    }

    pub(in crate::kv) fn committed(&mut self, id: LogId) {
        self.writer.u8(RECORD_COMMITTED);
        self.writer.log_id(id);
        self.steps.push(Step::Committed(id));
    }

    pub(super) fn head(head: &Head) -> Batch {
        let mut batch = Batch::default();
        batch.writer.u8(RECORD_HEAD);
        batch.writer.option(head.vote.as_ref(), Writer::vote);
        batch.writer.option(head.committed, Writer::log_id);
        batch.writer.option(head.last, Writer::log_id);
        batch
    }

    pub(in crate::kv) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Bytes of the records.
    pub(in crate::kv) fn bytes(&self) -> usize {
        self.writer.0.len() - HEADER_BYTES
    }

    /// Entries among the records.
    pub(in crate::kv) fn entries(&self) -> u64 {
        self.entries
    }

    /// Empties the batch; it keeps some of its memory.
    pub(in crate::kv) fn clear(&mut self) {
        self.writer.0.truncate(HEADER_BYTES);
        self.writer.0.shrink_to(KEPT_BYTES);
        self.steps.clear();
        self.entries = 0;
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Bytes of the frame.
    pub(super) fn size(&self) -> usize {
        size_of_frame(self.bytes())
    }

    /// The batch as the frame at `place`.
    pub(super) fn seal(&mut self, key: &Key, place: Place, number: u64) -> &[u8] {
        let (size, written) = (self.size(), self.writer.0.len());
        self.writer.0.resize(size, 0);
        key.seal(place, number, &mut self.writer.0, size - written);
        &self.writer.0
    }
}

/// Memory that an emptied batch keeps.
const KEPT_BYTES: usize = 1 << 20;

/// Takes the next record off a frame's payload; `None` at its end.
pub(super) fn next_record(payload: &mut Reader) -> Result<Option<Record>, Malformed> {
    if payload.0.is_empty() {
        return Ok(None);
    }
    let record = match payload.u8()? {
        RECORD_HEAD => Record::Head(Head {
            vote: payload.option(Reader::vote)?,
            committed: payload.option(Reader::log_id)?,
            last: payload.option(Reader::log_id)?,
        }),
        RECORD_ENTRY => Record::Entry(payload.sized()?),
        RECORD_TRUNCATE => Record::Truncate(payload.option(Reader::log_id)?),
        RECORD_VOTE => Record::Vote(payload.vote()?),
        RECORD_COMMITTED => Record::Committed(payload.log_id()?),
        _ => return Err(Malformed),
    };
    Ok(Some(record))
}
