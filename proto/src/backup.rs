//! The file with a realm in it, `matrix/wire/v1/backup.proto`: written record by record, and read with distrust. It is
//! here because both programs read it.

use std::io::{self, Read};

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;

use crate::wire::backup_record::Kind;
use crate::wire::{BackupEnd, BackupFile, BackupFileKind, BackupHeader, BackupRecord};

/// What every backup begins with; the last byte is the format's version.
const MAGIC: &[u8; 8] = b"MTXBAK\0\x01";
/// The bytes of one piece of the KV or of a file, at most.
pub const PIECE_BYTES_MAX: usize = 256 << 10;
/// The bytes of one record, at most: a piece, or the names of what is missing.
const RECORD_BYTES_MAX: usize = 512 << 10;
/// Bytes of the hash at the end.
const HASH_BYTES: usize = blake3::OUT_LEN;
/// The bytes of all names of what is missing, at most; what is more is counted and not named.
const MISSING_BYTES_MAX: usize = 256 << 10;

/// Why a file is no good backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system could not read it.
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    /// It is something else.
    #[error("this is no backup of a realm: name a file that `matrix cluster backup` wrote")]
    Other,
    /// It is of another version of the format.
    #[error("this backup has format {0}, and this version reads format 1: use the version that wrote it")]
    Format(u8),
    /// It ends too early.
    #[error("the backup was cut off: take it anew, or use another copy")]
    Cut,
    /// Its bytes are not those that were written.
    #[error("the backup is damaged ({0}): use another copy")]
    Damaged(&'static str),
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> BackupError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Cut,
            _ => BackupError::Io(error),
        }
    }
}

/// Makes the bytes of a backup.
#[derive(Debug)]
pub struct Writer {
    hash: blake3::Hasher,
    components: u64,
    runs: u64,
}

impl Writer {
    /// A backup, and its first bytes.
    pub fn new(header: BackupHeader) -> (Writer, Bytes) {
        let mut writer = Writer { hash: blake3::Hasher::new(), components: 0, runs: 0 };
        let mut bytes = BytesMut::from(&MAGIC[..]);
        writer.hash.update(MAGIC);
        bytes.extend_from_slice(&writer.record(Kind::Header(header)));
        (writer, bytes.freeze())
    }

    /// The next piece of the KV's state, at most [`PIECE_BYTES_MAX`] long.
    pub fn kv(&mut self, piece: Bytes) -> Bytes {
        self.record(Kind::Kv(piece))
    }

    /// A file begins; exactly `length` bytes of it follow.
    pub fn file(&mut self, kind: BackupFileKind, name: String, length: u64) -> Bytes {
        match kind {
            BackupFileKind::Component => self.components += 1,
            BackupFileKind::Run => self.runs += 1,
            BackupFileKind::Unspecified => {}
        }
        self.record(Kind::File(BackupFile { kind: kind.into(), name, length }))
    }

    /// The next piece of the file, at most [`PIECE_BYTES_MAX`] long.
    pub fn data(&mut self, piece: Bytes) -> Bytes {
        self.record(Kind::Data(piece))
    }

    /// The last bytes. Of what is `missing` as much is named as a record has room for.
    pub fn end(mut self, mut missing: Vec<String>) -> Bytes {
        let (all, mut room) = (missing.len(), MISSING_BYTES_MAX);
        missing.retain(|what| {
            // Eight bytes stand around each at most.
            room = room.saturating_sub(what.len() + 8);
            room > 0
        });
        if missing.len() < all {
            missing.push(format!("{} more things", all - missing.len()));
        }
        let end = BackupEnd { components: self.components, runs: self.runs, missing };
        let mut bytes = BytesMut::from(&self.record(Kind::End(end))[..]);
        bytes.extend_from_slice(self.hash.finalize().as_bytes());
        bytes.freeze()
    }

    fn record(&mut self, kind: Kind) -> Bytes {
        let record = BackupRecord { kind: Some(kind) };
        let length = record.encoded_len();
        let mut bytes = BytesMut::with_capacity(4 + length);
        bytes.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
        record.encode(&mut bytes).expect("a buffer grows as it must");
        self.hash.update(&bytes);
        bytes.freeze()
    }
}

/// What a reader comes upon.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The next piece of the KV's state.
    Kv(Bytes),
    /// A file begins.
    File {
        /// What it is.
        kind: BackupFileKind,
        /// What it is called.
        name: String,
        /// Its length in bytes.
        length: u64,
    },
    /// The next piece of that file.
    Data(Bytes),
    /// All was there, and is what was written.
    End(BackupEnd),
}

/// Reads a backup. Only once it came to [`Item::End`] is known that what it gave before was right: whoever acts on it
/// earlier must be able to undo that.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    hash: blake3::Hasher,
    header: BackupHeader,
    /// Bytes of the present file that are still to come.
    left: u64,
    /// Whether a file has begun: the KV's state is over then.
    has_files: bool,
    counted: (u64, u64),
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Whatever [`BackupError`] names.
    pub fn open(mut from: R) -> Result<Self, BackupError> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BackupError::Other,
            _ => BackupError::Io(error),
        })?;
        let (version, name) = (magic[MAGIC.len() - 1], &magic[..MAGIC.len() - 1]);
        if name != &MAGIC[..MAGIC.len() - 1] {
            return Err(BackupError::Other);
        }
        if version != MAGIC[MAGIC.len() - 1] {
            return Err(BackupError::Format(version));
        }
        let mut hash = blake3::Hasher::new();
        hash.update(&magic);
        let header = BackupHeader::default();
        let mut reader = Reader { from, hash, header, left: 0, has_files: false, counted: (0, 0) };
        match reader.record()? {
            Kind::Header(header) => reader.header = header,
            _ => return Err(BackupError::Damaged("it does not begin with its header")),
        }
        Ok(reader)
    }

    /// What the backup is. Not known to be right before the end.
    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// What comes next; after [`Item::End`] it must not be asked again.
    ///
    /// # Errors
    /// Whatever [`BackupError`] names.
    pub fn next_item(&mut self) -> Result<Item, BackupError> {
        let kind = self.record()?;
        if self.left > 0 && !matches!(kind, Kind::Data(_)) {
            return Err(BackupError::Damaged("a file in it is too short"));
        }
        match kind {
            Kind::Header(_) => Err(BackupError::Damaged("it has two headers")),
            Kind::Kv(_) if self.has_files => Err(BackupError::Damaged("its parts are out of order")),
            Kind::Kv(piece) => Ok(Item::Kv(piece)),
            Kind::File(file) => {
                let kind = file.kind();
                match kind {
                    BackupFileKind::Component => self.counted.0 += 1,
                    BackupFileKind::Run => self.counted.1 += 1,
                    BackupFileKind::Unspecified => return Err(BackupError::Damaged("a file has no kind")),
                }
                (self.left, self.has_files) = (file.length, true);
                Ok(Item::File { kind, name: file.name, length: file.length })
            }
            Kind::Data(piece) => {
                let left = self.left.checked_sub(piece.len() as u64);
                self.left = left.ok_or(BackupError::Damaged("a file in it is too long"))?;
                Ok(Item::Data(piece))
            }
            Kind::End(end) => self.end(end),
        }
    }

    /// Goes through to the end; what it held.
    ///
    /// # Errors
    /// Whatever [`BackupError`] names.
    pub fn verify(mut self) -> Result<(BackupHeader, BackupEnd), BackupError> {
        loop {
            if let Item::End(end) = self.next_item()? {
                return Ok((self.header, end));
            }
        }
    }

    fn end(&mut self, end: BackupEnd) -> Result<Item, BackupError> {
        let mut hash = [0; HASH_BYTES];
        self.from.read_exact(&mut hash)?;
        if self.hash.finalize() != hash {
            return Err(BackupError::Damaged("its hash is another"));
        }
        if self.counted != (end.components, end.runs) {
            return Err(BackupError::Damaged("it does not hold what it says"));
        }
        match self.from.read(&mut [0])? {
            0 => Ok(Item::End(end)),
            _ => Err(BackupError::Damaged("something follows its end")),
        }
    }

    fn record(&mut self) -> Result<Kind, BackupError> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length)?;
        self.hash.update(&length);
        let length = u32::from_le_bytes(length) as usize;
        // No length in the file is believed beyond what a record may have.
        if length > RECORD_BYTES_MAX {
            return Err(BackupError::Damaged("a record is too long"));
        }
        let mut bytes = vec![0; length];
        self.from.read_exact(&mut bytes)?;
        self.hash.update(&bytes);
        let record = BackupRecord::decode(Bytes::from(bytes)).ok().and_then(|record| record.kind);
        record.ok_or(BackupError::Damaged("a record makes no sense"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BackupHeader {
        BackupHeader {
            realm: "07".repeat(16),
            node: 2,
            version: "0.1.0".into(),
            index: 300,
            revision: 200,
            at_ms: 1_700_000_000_000,
        }
    }

    /// A small backup of every kind of record.
    fn sample() -> Vec<u8> {
        let (mut writer, first) = Writer::new(header());
        let mut bytes = first.to_vec();
        bytes.extend_from_slice(&writer.kv(Bytes::from_static(b"state")));
        bytes.extend_from_slice(&writer.file(BackupFileKind::Component, "sha256:ab".into(), 6));
        bytes.extend_from_slice(&writer.data(Bytes::from_static(b"\0asm")));
        bytes.extend_from_slice(&writer.data(Bytes::from_static(b"..")));
        bytes.extend_from_slice(&writer.file(BackupFileKind::Run, "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(), 0));
        bytes.extend_from_slice(&writer.end(vec!["a run".into()]));
        bytes
    }

    #[test]
    fn the_first_bytes_are_these_for_ever() {
        let (_, first) = Writer::new(header());
        let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
        let realm = "3037".repeat(16);
        // The magic; 58 bytes follow; field 1 of the record, with the header's six fields.
        let expected = format!(
            "4d545842414b0001\
             3a000000\
             0a38\
             0a20{realm}1002\
             1a05302e312e30\
             20ac0228c801\
             3080d095ffbc31"
        );
        assert_eq!(hex, expected);
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = sample();
        let mut reader = Reader::open(&bytes[..]).expect("it is whole");
        assert_eq!(*reader.header(), header());
        let mut items = Vec::new();
        while !matches!(items.last(), Some(Item::End(_))) {
            items.push(reader.next_item().expect("it is whole"));
        }
        let end = BackupEnd { components: 1, runs: 1, missing: vec!["a run".into()] };
        let component = BackupFileKind::Component;
        let run = "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned();
        assert_eq!(
            items,
            [
                Item::Kv(Bytes::from_static(b"state")),
                Item::File { kind: component, name: "sha256:ab".into(), length: 6 },
                Item::Data(Bytes::from_static(b"\0asm")),
                Item::Data(Bytes::from_static(b"..")),
                Item::File { kind: BackupFileKind::Run, name: run, length: 0 },
                Item::End(end),
            ]
        );
    }

    #[test]
    fn no_cut_and_no_changed_bit_goes_unnoticed() {
        let good = sample();
        for length in 0..good.len() {
            let cut = Reader::open(&good[..length]).and_then(Reader::verify);
            assert!(matches!(cut, Err(BackupError::Cut | BackupError::Other)), "{length}: {cut:?}");
        }
        for (at, bit) in (0..good.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            assert!(Reader::open(&bad[..]).and_then(Reader::verify).is_err(), "bit {bit} of byte {at}");
        }
        let longer = [&good[..], b"x"].concat();
        assert!(matches!(Reader::open(&longer[..]).and_then(Reader::verify), Err(BackupError::Damaged(_))));
    }

    #[test]
    fn what_is_missing_is_named_as_far_as_there_is_room() {
        let (mut writer, first) = Writer::new(header());
        let missing = vec!["\u{fffd}".repeat(200); 5_000];
        let bytes = [first, writer.kv(Bytes::new()), writer.end(missing)].concat();
        let (_, end) = Reader::open(&bytes[..]).and_then(Reader::verify).expect("it is whole");
        let named = end.missing.len() - 1;
        assert!((400..500).contains(&named), "{named}");
        assert_eq!(end.missing.last(), Some(&format!("{} more things", 5_000 - named)));
    }

    #[test]
    fn another_format_and_another_file_are_told_apart() {
        let mut later = sample();
        later[7] = 2;
        assert!(matches!(Reader::open(&later[..]), Err(BackupError::Format(2))));
        assert!(matches!(Reader::open(&b"#!/bin/sh\necho"[..]), Err(BackupError::Other)));
    }

    #[test]
    fn a_record_without_bounds_costs_no_memory() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(Reader::open(&bytes[..]), Err(BackupError::Damaged("a record is too long"))));
    }
}
