//! Reading a segment, frame by frame.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::DiskFile;
use super::frame::{ALIGNMENT, HEADER_BYTES, Header, Key, Place, size_of_frame};

/// Bytes read at a time, at least.
const READ_BYTES: usize = 256 << 10;
/// Bytes compared with zeros at a time.
const BLOCK_BYTES: usize = 4_096;

/// A whole frame.
pub(super) struct Frame {
    pub(super) place: Place,
    pub(super) number: u64,
    pub(super) payload: Bytes,
    /// Bytes that it takes on the disk.
    pub(super) size: u64,
}

/// The frames of a segment, from some place on.
pub(super) struct Frames<'a> {
    key: &'a Key,
    window: Window,
    place: Place,
    /// The number that the next frame must have; 0 where any will do.
    number: u64,
}

impl<'a> Frames<'a> {
    /// The frames from `place` on, numbered from `number`, or from any where it is 0.
    pub(super) fn new(key: &'a Key, file: &Arc<dyn DiskFile>, place: Place, number: u64) -> io::Result<Self> {
        Ok(Frames { key, window: Window::new(file)?, place, number })
    }

    /// The next frame; `None` where what lies there is no whole frame, or not the one that must follow.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame>> {
        let Some(header) = self.header()? else { return Ok(None) };
        if self.number != 0 && header.number != self.number {
            return Ok(None);
        }
        let Some(payload) = self.payload(&header)? else { return Ok(None) };
        let (place, number, size) = (self.place, header.number, size_of_frame(payload.len()) as u64);
        self.place.offset += size;
        self.number = number + 1;
        Ok(Some(Frame { place, number, payload, size }))
    }

    /// The place of the first whole frame that comes after the one missing here, wherever it lies in the rest of the
    /// segment. A frame is only begun when all before it are on the disk: if there is one, what lies here was damaged.
    pub(super) fn later(&mut self) -> io::Result<Option<Place>> {
        let missing = self.number;
        // As many frames as the rest of the segment could hold: numbers beyond are no frame's.
        let most = missing + self.window.bytes / HEADER_BYTES as u64;
        while let Some(block) = self.window.get(self.place.offset, HEADER_BYTES)? {
            let number = u64::from_le_bytes(block[..8].try_into().unwrap_or_default());
            let is_whole = number > missing && number <= most && {
                let header = self.header()?;
                header.map(|header| self.payload(&header)).transpose()?.flatten().is_some()
            };
            if is_whole {
                return Ok(Some(self.place));
            }
            let zeros = self.window.zeros(self.place.offset)?;
            self.place.offset += zeros.max(ALIGNMENT as u64);
        }
        Ok(None)
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        let bytes = self.window.get(self.place.offset, HEADER_BYTES)?;
        Ok(bytes.and_then(|bytes| bytes.first_chunk()).and_then(|bytes| self.key.header(self.place, bytes)))
    }

    fn payload(&mut self, header: &Header) -> io::Result<Option<Bytes>> {
        let at = self.place.offset + HEADER_BYTES as u64;
        let payload = self.window.get(at, header.length)?;
        let payload = payload.filter(|payload| self.key.holds(self.place, header, payload));
        Ok(payload.map(Bytes::copy_from_slice))
    }
}

/// A part of a file, read ahead.
struct Window {
    file: Arc<dyn DiskFile>,
    /// The file's length.
    bytes: u64,
    start: u64,
    held: Vec<u8>,
}

impl Window {
    fn new(file: &Arc<dyn DiskFile>) -> io::Result<Window> {
        Ok(Window { bytes: file.bytes()?, file: Arc::clone(file), start: 0, held: Vec::new() })
    }

    /// `length` bytes at `offset`; `None` where the file ends before.
    fn get(&mut self, offset: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let end = offset + length as u64;
        if end > self.bytes {
            return Ok(None);
        }
        if offset < self.start || end > self.start + self.held.len() as u64 {
            let left = usize::try_from(self.bytes - offset).unwrap_or(usize::MAX);
            self.held.resize(length.max(READ_BYTES).min(left), 0);
            self.start = offset;
            self.file.read_at(&mut self.held, offset)?;
        }
        let from = (offset - self.start) as usize;
        Ok(Some(&self.held[from..from + length]))
    }

    /// Bytes of the block at `offset` if it is all zeros, or else 0.
    fn zeros(&mut self, offset: u64) -> io::Result<u64> {
        let left = self.bytes - offset;
        let length = left.min(BLOCK_BYTES as u64) as usize;
        let is_zero = self.get(offset, length)?.is_some_and(|block| block == &[0; BLOCK_BYTES][..length]);
        Ok(if is_zero { (length - length % ALIGNMENT) as u64 } else { 0 })
    }
}
