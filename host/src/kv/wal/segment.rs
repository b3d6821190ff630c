//! A segment: a file of frames. It is made at its full length, so that a sync need not write its length too; and zeros
//! are written ahead of the frames, so that it need not write either which blocks of the file were written: to ext4 and
//! XFS, room that is only reserved is none yet.

use std::io;
use std::sync::Arc;

use super::SEGMENT_HEAD_BYTES;
use super::disk::DiskFile;

/// What every segment starts with; the last byte is the format's version. The segment's number follows it.
const MAGIC: &[u8; 8] = b"MTXLOG\0\x02";
const SUFFIX: &str = ".wal";

/// Zeros that are written at a time.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];

/// One segment that is part of the log.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// The file's length.
    pub(super) bytes: u64,
    /// Where its frames end.
    pub(super) end: u64,
    /// The largest index of an entry in it.
    pub(super) last: Option<u64>,
    /// Before this, all was written by this process, if only with zeros.
    pub(super) written: u64,
}

impl Segment {
    /// Appends a frame, which is on the disk when this returns.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_at(frame, self.end)?;
        self.end += frame.len() as u64;
        if self.end > self.written {
            let to = self.bytes.min(self.end + ZEROS.len() as u64);
            let ahead = usize::try_from(to - self.end).map_err(io::Error::other)?;
            // They only save time, and where the disk has no room for them the frame may still have had some.
            drop(self.file.write_at(&ZEROS[..ahead], self.end));
            self.written = to;
        }
        self.file.sync()
    }
}

/// The name of a segment's file.
pub(super) fn name_of(number: u64) -> String {
    format!("{number:020}{SUFFIX}")
}

/// The number of the segment in a file of this name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// The bytes before the first frame.
pub(super) fn head(number: u64) -> [u8; SEGMENT_HEAD_BYTES as usize] {
    let mut bytes = [0; SEGMENT_HEAD_BYTES as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..].copy_from_slice(&number.to_le_bytes());
    bytes
}

/// Checks that a file is the segment that it is called.
pub(super) fn check_head(file: &dyn DiskFile, number: u64) -> io::Result<Result<(), String>> {
    if file.bytes()? < SEGMENT_HEAD_BYTES {
        return Ok(Err("the file was cut".into()));
    }
    let mut bytes = [0; SEGMENT_HEAD_BYTES as usize];
    file.read_at(&mut bytes, 0)?;
    let is_right = bytes == head(number);
    Ok(if is_right { Ok(()) } else { Err("it is no segment of this number and format".into()) })
}
