//! The bytes of commands, replies and snapshots: tags, variable-length numbers, length-prefixed strings.
//! Reading never copies a value: it shares the buffer that it reads from.

use bytes::{Buf as _, Bytes};

use super::types::{Entry, LeaseId, Path, RequestId};

/// The bytes are not what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes")]
pub(super) struct Malformed;

/// Appends values to a buffer.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn with_capacity(bytes: usize) -> Writer {
        Writer(Vec::with_capacity(bytes))
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Seven bits a byte, lowest first; a set top bit says that more follow.
    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                write(self, value);
            }
        }
    }

    pub(super) fn lease(&mut self, lease: Option<LeaseId>) {
        self.option(lease, |writer, lease| writer.number(lease.0));
    }

    pub(super) fn request(&mut self, request: Option<RequestId>) {
        self.option(request, |writer, request| writer.0.extend_from_slice(&request.0));
    }

    pub(super) fn entry(&mut self, entry: &Entry) {
        self.bytes(&entry.value);
        self.number(entry.revision);
        self.number(entry.created_revision);
        self.number(entry.version);
        self.lease(entry.lease);
    }
}

/// Takes values off the front of a buffer.
pub(super) struct Reader(pub(super) Bytes);

impl Reader {
    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (shift, &byte) in (0..u64::BITS).step_by(7).zip(self.0.iter()) {
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            if shifted >> shift != bits {
                return Err(Malformed);
            }
            value |= shifted;
            if byte < 0x80 {
                self.0.advance(shift as usize / 7 + 1);
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A number of things that follow, each of at least one byte: never more than there are bytes left.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        if count > self.0.len() { Err(Malformed) } else { Ok(count) }
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = self.count()?;
        self.take(length)
    }

    /// Bytes after their length as four bytes.
    pub(super) fn sized(&mut self) -> Result<Bytes, Malformed> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    pub(super) fn path(&mut self) -> Result<Path, Malformed> {
        self.bytes().map(Path::from_stored)
    }

    pub(super) fn lease(&mut self) -> Result<Option<LeaseId>, Malformed> {
        self.option(|reader| reader.number().map(LeaseId))
    }

    pub(super) fn request(&mut self) -> Result<Option<RequestId>, Malformed> {
        self.option(|reader| reader.array().map(RequestId))
    }

    pub(super) fn entry(&mut self) -> Result<Entry, Malformed> {
        Ok(Entry {
            value: self.bytes()?,
            revision: self.number()?,
            created_revision: self.number()?,
            version: self.number()?,
            lease: self.lease()?,
        })
    }

    /// Says that nothing may follow.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }

    /// So many bytes, by themselves: what is shared is counted, which costs more than a few bytes.
    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let bytes = *self.0.first_chunk().ok_or(Malformed)?;
        self.0.advance(LENGTH);
        Ok(bytes)
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        if length > self.0.len() {
            return Err(Malformed);
        }
        Ok(self.0.split_to(length))
    }
}
