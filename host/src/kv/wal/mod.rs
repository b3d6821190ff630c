//! The log on disk: entries, votes and truncations in one order, in segments of frames.
//!
//! One [`Batch`] is one frame, one write and one sync; the next frame is begun only when the one before is on the
//! disk. Segments are begun, and removed once purged, under the manifest, a database of redb: what it does not name
//! is not there. `frame` says how bytes become trustworthy, `recover` what a restart finds.
//!
//! ```text
//! segment: magic, version, its number | head frame: vote, committed, last entry | frame | frame | … | zeros
//! ```

mod batch;
mod disk;
mod frame;
mod manifest;
mod recover;
mod scan;
mod segment;
mod state;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use self::batch::{Head, Record, Step, next_record};
use self::frame::{Key, Place};
use self::manifest::{Manifest, Segments};
use self::scan::Frames;
use self::segment::Segment;
use self::state::State;
use super::codec::Reader;
use super::error::KvError;
use super::raft::LogId;

pub(super) use self::batch::Batch;
pub(super) use self::disk::{Disk, DiskFile, Folder};
pub(super) use self::manifest::{FILE as MANIFEST_FILE, FORMAT_VERSION};
pub(super) use self::state::{Known, next_of};
pub(super) use self::wanted::Wanted;

/// Bytes of a segment before its first frame.
const SEGMENT_HEAD_BYTES: u64 = 16;

/// What entries of a length take more on disk than that: the frames around them, a vote beside them, the head of a
/// segment.
const MARGIN_BYTES: u64 = 128 << 10;

/// The log, open for writing.
pub(super) struct Wal {
    disk: Arc<dyn Disk>,
    manifest: Manifest,
    key: Key,
    /// Oldest first; the last one is written to. Never empty.
    segments: VecDeque<Segment>,
    /// The next segment's file, if it was made ahead.
    spare: Option<Arc<dyn DiskFile>>,
    state: State,
    /// The number of the frame to come.
    number: u64,
    segment_bytes: u64,
}

impl Wal {
    /// Opens the log on `disk`, or makes it for node `node_id`, in segments of `segment_bytes`.
    pub(super) fn open(disk: Arc<dyn Disk>, node_id: u64, segment_bytes: u64) -> Result<Wal, KvError> {
        let (manifest, contents) = Manifest::open(&*disk, node_id)?;
        let found = recover::recover(&*disk, &contents)?;
        let (segments, state, number) = (found.segments, found.state, found.number);
        let mut wal =
            Wal { disk, manifest, key: contents.key, segments, spare: None, state, number, segment_bytes };
        if wal.segments.is_empty() {
            wal.begin_segment(0).map_err(|error| KvError::io("making the log's first segment", error))?;
        }
        Ok(wal)
    }

    /// What is on disk.
    pub(super) fn known(&self) -> Known {
        self.state.known()
    }

    /// Writes a batch, in which nothing may follow a truncation. When this returns it is on disk; when it fails nobody knows what is, and nothing more may be
    /// written.
    pub(super) fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        let size = batch.size() as u64;
        if self.newest()?.end + size > self.newest()?.bytes {
            self.begin_segment(size)?;
        }
        let place = self.end()?;
        for step in batch.steps() {
            self.state.step(place, step).map_err(io::Error::other)?;
        }
        let highest = batch.steps().iter().filter_map(|step| match step {
            Step::Entries { last, .. } => Some(last.index),
            _ => None,
        });
        let highest = highest.max();
        let frame = batch.seal(&self.key, place, self.number);
        let segment = self.segments.back_mut().ok_or_else(no_segment)?;
        segment.append(frame)?;
        segment.last = segment.last.max(highest);
        self.number += 1;
        Ok(())
    }

    /// Index of the last entry in the segments that can go, where those after them have `kept` bytes; none: none can.
    pub(super) fn beyond(&self, kept: u64) -> Option<u64> {
        let mut left: u64 = self.segments.iter().map(|segment| segment.end).sum();
        let over = self.segments.iter().take_while(|segment| {
            left -= segment.end;
            left >= kept
        });
        over.filter_map(|segment| segment.last).max()
    }

    /// Forgets the entries up to `upto`, and removes the segments that hold no others. When this returns, what is
    /// left is known to the disk; when it fails, nothing more may be written.
    pub(super) fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.state.purged = self.state.purged.max(Some(upto));
        let kept = next_of(self.state.purged);
        let is_over = |segment: &Segment| next_index(segment.last) <= kept;
        let over = self.segments.iter().take(self.segments.len() - 1).take_while(|one| is_over(one)).count();
        let removed: Vec<Segment> = self.segments.drain(..over).collect();
        self.name_segments()?;
        for segment in removed {
            self.disk.remove(&segment::name_of(segment.number))?;
        }
        self.state.index.forget_before(self.segments.front().ok_or_else(no_segment)?.number);
        Ok(())
    }

    /// Makes the next segment's file once more than half of this one is used: where there is no room for it, that is
    /// known while there is still some here.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        let newest = self.newest()?;
        if self.spare.is_none() && newest.end > newest.bytes / 2 {
            self.spare = Some(self.next_file(0)?);
        }
        Ok(())
    }

    /// Sees to it that entries of so many bytes can be written without asking the disk for more.
    pub(super) fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let (newest, bytes) = (self.newest()?, bytes.saturating_add(MARGIN_BYTES));
        if newest.end.saturating_add(bytes) > newest.bytes {
            self.spare = Some(self.next_file(bytes)?);
        }
        Ok(())
    }

    /// How many bytes of entries can be written without asking the disk for more, at least.
    pub(super) fn room(&self) -> u64 {
        let left = self.newest().map_or(0, |newest| newest.bytes.saturating_sub(newest.end));
        let spare = self.spare.as_ref().and_then(|spare| spare.bytes().ok()).unwrap_or(0);
        left.max(spare).saturating_sub(MARGIN_BYTES)
    }

    /// The file of the next segment, of so many bytes at least: the one that was made ahead, if it is large enough.
    fn next_file(&mut self, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let name = segment::name_of(self.segments.back().map_or(1, |newest| newest.number + 1));
        if let Some(spare) = self.spare.take() {
            if spare.bytes()? >= bytes {
                return Ok(spare);
            }
            self.disk.remove(&name)?;
        }
        self.disk.create(&name, self.segment_bytes.max(bytes))
    }

    /// Adds the entries before `to` that are wanted and lie on the disk.
    pub(super) fn read(&self, to: u64, wanted: &mut Wanted) -> io::Result<()> {
        let end = to.min(next_of(self.state.end));
        wanted.skip_to(next_of(self.state.purged));
        for (place, stretch_end, next) in self.state.index.stretches(wanted.next()) {
            if wanted.is_met() || wanted.next() >= end {
                break;
            }
            let stretch_end = stretch_end.map_or_else(|| self.end(), Ok)?;
            self.read_stretch(place, stretch_end, next.min(end), wanted)?;
        }
        Ok(())
    }

    /// Adds the entries before `to` that lie in the frames from `at` up to `end`.
    fn read_stretch(&self, mut at: Place, end: Place, to: u64, wanted: &mut Wanted) -> io::Result<()> {
        while at < end && wanted.next() < to {
            let segment = self.segments.iter().find(|segment| segment.number == at.segment);
            let segment = segment.ok_or_else(|| damaged(at))?;
            let mut frames = Frames::new(&self.key, &segment.file, at, 0)?;
            let stop = if at.segment == end.segment { end.offset } else { segment.end };
            while at.offset < stop {
                let frame = frames.next()?.ok_or_else(|| damaged(at))?;
                at.offset += frame.size;
                let mut payload = Reader(frame.payload);
                while let Some(record) = next_record(&mut payload).map_err(|_| damaged(frame.place))? {
                    if let Record::Entry(bytes) = record {
                        let id = Reader(bytes.clone()).log_id().map_err(|_| damaged(frame.place))?;
                        if !(wanted.next()..to).contains(&id.index) {
                            continue;
                        }
                        if !wanted.has_room(bytes.len()) {
                            return Ok(());
                        }
                        // A copy: the entry must not hold on to all that was written with it.
                        let entry = Reader(Bytes::copy_from_slice(&bytes)).log_entry();
                        wanted.push(entry.map_err(|_| damaged(frame.place))?, bytes.len());
                    }
                }
                if wanted.next() >= to || wanted.is_met() {
                    return Ok(());
                }
            }
            at = Place { segment: at.segment + 1, offset: SEGMENT_HEAD_BYTES };
        }
        Ok(())
    }

    /// Begins a segment in which a frame of `size` bytes has room.
    fn begin_segment(&mut self, size: u64) -> io::Result<()> {
        let number = self.segments.back().map_or(1, |newest| newest.number + 1);
        let Known { vote, committed, last, .. } = self.known();
        let mut head = Batch::head(&Head { vote, committed, last });
        let place = Place { segment: number, offset: SEGMENT_HEAD_BYTES };
        let end = place.offset + head.size() as u64;
        let file = self.next_file(end + size)?;
        let mut start = segment::head(number).to_vec();
        start.extend_from_slice(head.seal(&self.key, place, self.number));
        file.write_at(&start, 0)?;
        file.sync()?;
        self.disk.sync()?;
        let bytes = file.bytes()?;
        self.segments.push_back(Segment { number, file, bytes, end, last: None, written: end });
        self.number += 1;
        self.name_segments()
    }

    fn name_segments(&self) -> io::Result<()> {
        let (Some(first), Some(newest)) = (self.segments.front(), self.segments.back()) else {
            return Err(no_segment());
        };
        let segments = Segments { first: first.number, newest: newest.number };
        self.manifest.write(segments, self.state.purged).map_err(io::Error::other)
    }

    fn newest(&self) -> io::Result<&Segment> {
        self.segments.back().ok_or_else(no_segment)
    }

    /// Where the next frame goes.
    fn end(&self) -> io::Result<Place> {
        self.newest().map(|segment| Place { segment: segment.number, offset: segment.end })
    }
}

fn next_index(index: Option<u64>) -> u64 {
    index.map_or(0, |index| index + 1)
}

fn no_segment() -> io::Error {
    io::Error::other("the log has no segment")
}

fn damaged(place: Place) -> io::Error {
    let (name, offset) = (segment::name_of(place.segment), place.offset);
    io::Error::new(io::ErrorKind::InvalidData, format!("{name} is damaged at byte {offset}"))
}
