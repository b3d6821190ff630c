//! What is there again when the log is opened.
//!
//! Segments are read from the first to the newest, frame by frame. In the newest, what follows the last whole frame
//! is a frame that was cut off, which nobody was told of, or nothing yet: the log ends there. Anywhere else it is
//! damage, which is refused by name: in a segment that another one follows, and before a whole frame. The one damage
//! that cannot be told from a cut is one of the very last frame.

use std::sync::Arc;

use super::SEGMENT_HEAD_BYTES;
use super::batch::{Head, Record, Step, next_record};
use super::disk::{Disk, DiskFile};
use super::frame::{Key, Place};
use super::manifest::Contents;
use super::scan::{Frame, Frames};
use super::segment::{self, Segment};
use super::state::State;
use crate::kv::codec::{Malformed, Reader};
use crate::kv::error::KvError;

/// The log as it was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) segments: std::collections::VecDeque<Segment>,
    pub(super) state: State,
    /// The number of the frame to come.
    pub(super) number: u64,
}

/// Reads the segments that the manifest names, and removes all others.
pub(super) fn recover(disk: &dyn Disk, contents: &Contents) -> Result<Found, KvError> {
    let named = contents.segments.first..=contents.segments.newest;
    for file in disk.list().map_err(|error| KvError::io("listing the log's segments", error))? {
        if segment::number_of(&file).is_some_and(|number| !named.contains(&number)) {
            disk.remove(&file).map_err(|error| KvError::io(format!("removing {file}"), error))?;
        }
    }
    let mut found = Found { number: 1, ..Found::default() };
    found.state.purged = contents.purged;
    for number in named {
        let is_newest = number == contents.segments.newest;
        found.read_segment(disk, &contents.key, number, is_newest)?;
    }
    Ok(found)
}

impl Found {
    fn read_segment(&mut self, disk: &dyn Disk, key: &Key, number: u64, newest: bool) -> Result<(), KvError> {
        let name = segment::name_of(number);
        let failed = |error| KvError::io(format!("reading {name}"), error);
        let damaged = |detail: String| KvError::corrupt(name.clone(), detail);
        let file = disk.open(&name).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => damaged("the file is missing".into()),
            _ => failed(error),
        })?;
        let bytes = file.bytes().map_err(failed)?;
        segment::check_head(&*file, number).map_err(failed)?.map_err(damaged)?;
        let is_first = self.segments.is_empty();
        let place = Place { segment: number, offset: SEGMENT_HEAD_BYTES };
        let mut frames =
            Frames::new(key, &file, place, if is_first { 0 } else { self.number }).map_err(failed)?;
        let end = place.offset;
        let mut segment = Segment { number, file: Arc::clone(&file), bytes, end, last: None, written: end };
        let mut last_frame = None;
        while let Some(frame) = frames.next().map_err(failed)? {
            let is_head = segment.end == place.offset;
            self.read_frame(&frame, &mut segment, is_head.then_some(is_first)).map_err(|detail| {
                damaged(format!("the frame at byte {} cannot be right: {detail}", frame.place.offset))
            })?;
            segment.end += frame.size;
            self.number = frame.number + 1;
            last_frame = Some((frame.place.offset, frame.size));
        }
        let Some((offset, size)) = last_frame else {
            // It was whole before the manifest named it.
            let before = number - 1;
            let detail = if is_first {
                "its first frame is damaged".into()
            } else {
                format!("its first frame is damaged, or frames at the end of segment {before}")
            };
            return Err(damaged(detail));
        };
        if newest {
            if let Some(later) = frames.later().map_err(failed)? {
                let detail = format!("nothing is right from byte {} to {}", segment.end, later.offset);
                return Err(damaged(detail));
            }
            settle(&*file, offset, size).map_err(failed)?;
        }
        self.segments.push_back(segment);
        Ok(())
    }

    /// Takes in a frame. `head` says that it must be a segment's head, and whether the first one's.
    fn read_frame(&mut self, frame: &Frame, segment: &mut Segment, head: Option<bool>) -> Result<(), String> {
        let malformed = |error: Malformed| error.to_string();
        let mut payload = Reader(frame.payload.clone());
        if let Some(is_first) = head {
            match next_record(&mut payload).map_err(malformed)? {
                Some(Record::Head(head)) if is_first => self.begin(head)?,
                Some(Record::Head(_)) => {}
                _ => return Err("it is no head".into()),
            }
        }
        while let Some(record) = next_record(&mut payload).map_err(malformed)? {
            let step = match record {
                Record::Head(_) => return Err("there are two heads".into()),
                Record::Truncate(last) => Step::Truncate(last),
                Record::Vote(vote) => Step::Vote(vote),
                Record::Committed(id) => Step::Committed(id),
                Record::Entry(bytes) => {
                    let id = Reader(bytes).log_id().map_err(malformed)?;
                    segment.last = segment.last.max(Some(id.index));
                    Step::Entries { first: id.index, last: id }
                }
            };
            self.state.step(frame.place, &step)?;
        }
        Ok(())
    }

    /// Starts from what stood when the first segment was begun.
    fn begin(&mut self, head: Head) -> Result<(), String> {
        if head.last > self.state.purged {
            return Err("entries before it are missing".into());
        }
        (self.state.vote, self.state.committed, self.state.end) = (head.vote, head.committed, head.last);
        Ok(())
    }
}

/// Makes sure that the last frame is on the disk. It may be in the system's memory only: of a process that was killed
/// before its sync, or after a sync that failed, of which the system does not try again what it could not write. So it
/// is written once more.
fn settle(file: &dyn DiskFile, offset: u64, size: u64) -> std::io::Result<()> {
    let mut frame = vec![0; usize::try_from(size).map_err(std::io::Error::other)?];
    file.read_at(&mut frame, offset)?;
    file.write_at(&frame, offset)?;
    file.sync()
}
