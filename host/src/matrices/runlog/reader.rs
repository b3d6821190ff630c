//! Reading a run log, record by record: never the whole file in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::crc::crc32;
use super::record::{self, BODY_BYTES_MAX, Header, PREFIX_BYTES, Record};
use super::{LogError, failed};

/// Reads a run log as long as it was when it was opened.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    input: R,
    path: PathBuf,
    /// Where the next record starts.
    offset: u64,
    size: u64,
    body: Vec<u8>,
}

impl Reader<BufReader<File>> {
    /// Opens a log, and reads its header.
    pub(crate) fn open(path: &Path) -> Result<(Header, Self), LogError> {
        let file = File::open(path).map_err(failed("open", path))?;
        let size = file.metadata().map_err(failed("read the length of", path))?.len();
        Self::new(BufReader::new(file), size, path)
    }

    /// Goes on with the record that starts at `offset`; that one starts there is not checked.
    pub(crate) fn skip_to(&mut self, offset: u64) -> Result<(), LogError> {
        if !(self.offset..=self.size).contains(&offset) {
            return Err(self.damaged("no record of a tick can start where a checkpoint says"));
        }
        self.input.seek(SeekFrom::Start(offset)).map_err(failed("seek in", &self.path))?;
        self.offset = offset;
        Ok(())
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header of a log of `size` bytes. `path` is for errors.
    pub(crate) fn new(input: R, size: u64, path: &Path) -> Result<(Header, Self), LogError> {
        let mut reader = Self { input, path: path.to_owned(), offset: 0, size, body: Vec::new() };
        if !reader.advance()? {
            return Err(reader.damaged("it does not hold a whole header"));
        }
        let header = record::header(&reader.body).map_err(|problem| LogError::Damaged {
            path: path.to_owned(),
            offset: 0,
            problem,
        })?;
        Ok((header, reader))
    }

    /// The next record; none: the log ends here, also if what follows is a record that was cut off.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, LogError> {
        let offset = self.offset;
        if !self.advance()? {
            return Ok(None);
        }
        let record = record::record(&self.body).map_err(|problem| LogError::Damaged {
            path: self.path.clone(),
            offset,
            problem: problem.to_owned(),
        })?;
        Ok(Some(record))
    }

    /// Where the whole records end that were read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next record's body. False: there is no whole one.
    fn advance(&mut self) -> Result<bool, LogError> {
        let left = self.size - self.offset;
        let mut prefix = [0; PREFIX_BYTES];
        if left < PREFIX_BYTES as u64 {
            return Ok(false);
        }
        self.fill(&mut prefix)?;
        let word =
            |at: usize| u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]]);
        let (length, length_check, body_check) = (word(0), word(4), word(8));
        if crc32(&length.to_le_bytes()) != length_check {
            // After a power cut some file systems show zeros where the last writes should be.
            if prefix == [0; PREFIX_BYTES] && self.rest_is_zero()? {
                return Ok(false);
            }
            return Err(self.damaged("the length of a record is wrong"));
        }
        let after = left - PREFIX_BYTES as u64;
        if length as usize > BODY_BYTES_MAX {
            return Err(self.damaged("a record is longer than any that is written"));
        }
        if u64::from(length) > after {
            return Ok(false);
        }
        let mut body = std::mem::take(&mut self.body);
        body.resize(length as usize, 0);
        self.fill(&mut body)?;
        self.body = body;
        if crc32(&self.body) != body_check {
            if u64::from(length) == after {
                return Ok(false);
            }
            return Err(self.damaged("the checksum of a record is wrong"));
        }
        self.offset += PREFIX_BYTES as u64 + u64::from(length);
        Ok(true)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), LogError> {
        self.input.read_exact(bytes).map_err(failed("read", &self.path))
    }

    fn rest_is_zero(&mut self) -> Result<bool, LogError> {
        let mut piece = [0; 4096];
        loop {
            match self.input.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(count) if piece[..count].iter().any(|&byte| byte != 0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("read", &self.path)(error)),
            }
        }
    }

    fn damaged(&self, problem: &str) -> LogError {
        LogError::Damaged { path: self.path.clone(), offset: self.offset, problem: problem.to_owned() }
    }
}

/// How many ticks a log holds, the `start` not counted. Reads all of it.
pub(crate) fn count_ticks(path: &Path) -> Result<u64, LogError> {
    let (_, mut reader) = Reader::open(path)?;
    let mut ticks = 0;
    while let Some(record) = reader.next()? {
        if let Record::Tick(tick) = record {
            ticks = tick.tick;
        }
    }
    Ok(ticks)
}
