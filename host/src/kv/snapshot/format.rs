//! A snapshot's bytes: records with their length before them, then a BLAKE3 over everything: a file that was cut or
//! changed is refused, wherever it comes from. What a change of the history brought stands there once: where it is what
//! a key holds now, or what the next change replaced, its revision stands for it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IntoInnerError, Read, Seek, SeekFrom, Take, Write};

use super::sum::{BYTES as CHECKSUM_BYTES, Sum, Summed};
use super::{Image, Membership, Replica};
use crate::kv::codec::{Malformed, Reader, Writer};
use crate::kv::command::Answer;
use crate::kv::history::History;
use crate::kv::raft::LogId;
use crate::kv::state::{Lease, State};
use crate::kv::types::{Change, ChangeKind, Entry, LeaseId};

/// What every snapshot starts with; the last byte is the format's version.
const MAGIC: &[u8; 8] = b"MTXKV\0\0\x03";
/// The versions before, which end in a SHA-256; in the first of them every entry stood whole wherever it was.
const MAGIC_BEFORE: [&[u8; 8]; 2] = [b"MTXKV\0\0\x01", b"MTXKV\0\0\x02"];
/// Longest record: a change of the largest value allowed, with the value before it, and some room.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// Bytes of a record's length.
const LENGTH_BYTES: usize = 4;
/// Bytes that are written, and read, at a time.
const BUFFER_BYTES: usize = 1 << 20;

const RECORD_HEAD: u8 = b'H';
const RECORD_LEASE: u8 = b'L';
const RECORD_REQUEST: u8 = b'R';
const RECORD_CHANGE: u8 = b'C';
const RECORD_ENTRY: u8 = b'E';
/// A key whose entry one of the changes brought.
const RECORD_TOLD: u8 = b'T';
const RECORD_END: u8 = b'Z';

/// What a change replaced: nothing, an entry that follows, or what the change at a revision brought.
const PREVIOUS_NONE: u8 = 0;
const PREVIOUS_WHOLE: u8 = 1;
const PREVIOUS_TOLD: u8 = 2;

/// Writes `image` to `file`.
pub(in crate::kv) fn save(file: impl Write, image: &Image) -> io::Result<()> {
    let summed = Summed { inner: file, sum: Sum::blake3() };
    let mut out = Saver { out: BufWriter::with_capacity(BUFFER_BYTES, summed), record: Writer::default() };
    out.out.write_all(MAGIC)?;
    out.record(RECORD_HEAD, |writer| {
        writer.option(image.applied, Writer::log_id);
        writer.number(image.revision);
        writer.bytes(&serde_json::to_vec(&image.membership)?);
        Ok(())
    })?;
    for (id, ttl_ms, ending) in &image.leases {
        out.record(RECORD_LEASE, |writer| {
            writer.number(id.0);
            writer.number(*ttl_ms);
            writer.u8(u8::from(*ending));
            Ok(())
        })?;
    }
    for (request, answer) in &image.requests {
        out.record(RECORD_REQUEST, |writer| {
            writer.request(Some(*request));
            answer.write(writer);
            Ok(())
        })?;
    }
    // Revisions have no gaps: whatever was written from this one on, a change tells.
    let told_from = image.changes.front().map_or(u64::MAX, |first| first.revision);
    for change in &image.changes {
        out.record(RECORD_CHANGE, |writer| {
            write_change(writer, change, told_from);
            Ok(())
        })?;
    }
    for (key, entry) in image.entries.from(b"") {
        let is_told = entry.revision >= told_from;
        out.record(if is_told { RECORD_TOLD } else { RECORD_ENTRY }, |writer| {
            writer.bytes(key);
            if is_told {
                writer.number(entry.revision)
            } else {
                writer.entry(entry)
            }
            Ok(())
        })?;
    }
    out.record(RECORD_END, |_| Ok(()))?;
    let Summed { mut inner, sum } = out.out.into_inner().map_err(IntoInnerError::into_error)?;
    inner.write_all(&sum.finish())?;
    inner.flush()
}

fn write_change(writer: &mut Writer, change: &Change, told_from: u64) {
    writer.number(change.revision);
    writer.bytes(change.path.bytes());
    let now = match &change.kind {
        ChangeKind::Put(entry) => Some(entry),
        ChangeKind::Deleted => None,
    };
    writer.option(now, Writer::entry);
    match &change.previous {
        None => writer.u8(PREVIOUS_NONE),
        Some(previous) if previous.revision >= told_from => {
            writer.u8(PREVIOUS_TOLD);
            writer.number(previous.revision);
        }
        Some(previous) => {
            writer.u8(PREVIOUS_WHOLE);
            writer.entry(previous);
        }
    }
}

struct Saver<W: Write> {
    out: BufWriter<Summed<W>>,
    /// Room for a record.
    record: Writer,
}

impl<W: Write> Saver<W> {
    fn record(&mut self, tag: u8, fill: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
        let mut record = std::mem::take(&mut self.record);
        record.0.clear();
        record.0.extend_from_slice(&[0; LENGTH_BYTES]);
        record.u8(tag);
        fill(&mut record)?;
        let length = u32::try_from(record.0.len() - LENGTH_BYTES).map_err(io::Error::other)?;
        record.0[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.out.write_all(&record.0)?;
        self.record = record;
        Ok(())
    }
}

/// Reads the snapshot in `file` and checks it. The history's bounds are taken from `history`.
pub(in crate::kv) fn load(file: &mut File, history: &History) -> io::Result<Replica> {
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    let mut sum = match &magic {
        now if now == MAGIC => Sum::blake3(),
        before if MAGIC_BEFORE.contains(&before) => Sum::sha256(),
        _ => return Err(io::Error::other("this is no snapshot, or one of another version")),
    };
    sum.update(&magic);
    let around = (MAGIC.len() + CHECKSUM_BYTES) as u64;
    let left = file.metadata()?.len().checked_sub(around).ok_or_else(|| io::Error::other(Malformed))?;
    let summed = Summed { inner: file.take(left), sum };
    let mut from = Loader { from: BufReader::with_capacity(BUFFER_BYTES, summed), left };
    let mut loading = Loading::new(history);
    while let Some(record) = from.record()? {
        loading.take(Reader(record.into())).map_err(io::Error::other)?;
    }
    let (left, Summed { inner, sum }) = (from.left, from.from.into_inner());
    let mut checksum = [0; CHECKSUM_BYTES];
    inner.into_inner().read_exact(&mut checksum)?;
    if left != 0 || sum.finish() != checksum {
        return Err(io::Error::other("the checksum does not match: the file was cut or changed"));
    }
    loading.finish(history).map_err(io::Error::other)
}

struct Loader<'a> {
    from: BufReader<Summed<Take<&'a mut File>>>,
    /// Bytes before the checksum that are still to be read: no length in the file is believed beyond it.
    left: u64,
}

impl Loader<'_> {
    /// The next record; `None` at the end record.
    fn record(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; LENGTH_BYTES];
        self.read(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 || length > RECORD_BYTES_MAX || length as u64 > self.left {
            return Err(io::Error::other(Malformed));
        }
        let mut record = vec![0; length];
        self.read(&mut record)?;
        Ok((record[0] != RECORD_END).then_some(record))
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<()> {
        self.from.read_exact(into)?;
        self.left = self.left.checked_sub(into.len() as u64).ok_or_else(|| io::Error::other(Malformed))?;
        Ok(())
    }
}

/// A replica on its way in.
struct Loading {
    head: Option<(Option<LogId>, u64, Membership)>,
    changes: Vec<Change>,
    state: State,
}

impl Loading {
    fn new(history: &History) -> Loading {
        Loading { head: None, changes: Vec::new(), state: State::new(history.replaced(Vec::new(), 1)) }
    }

    fn take(&mut self, mut record: Reader) -> Result<(), Malformed> {
        match record.u8()? {
            RECORD_HEAD => {
                let applied = record.option(Reader::log_id)?;
                let revision = record.number()?;
                let membership = serde_json::from_slice(&record.bytes()?).map_err(|_| Malformed)?;
                self.head = Some((applied, revision, membership));
            }
            RECORD_LEASE => {
                let id = LeaseId(record.number()?);
                let (ttl_ms, ending) = (record.number()?, record.u8()? != 0);
                self.state.leases.insert(id, Lease { ttl_ms, ending, keys: BTreeSet::new() });
            }
            RECORD_REQUEST => {
                let request = record.request()?.ok_or(Malformed)?;
                self.state.requests.insert(request, Answer::read(&mut record)?);
            }
            RECORD_CHANGE => {
                let change = self.change(&mut record)?;
                self.changes.push(change);
            }
            RECORD_ENTRY => {
                let key = record.bytes()?;
                self.state.restore(key, record.entry()?);
            }
            RECORD_TOLD => {
                let key = record.bytes()?;
                let entry = self.told(record.number()?, &key)?;
                self.state.restore(key, entry);
            }
            _ => return Err(Malformed),
        }
        record.end()
    }

    fn change(&self, record: &mut Reader) -> Result<Change, Malformed> {
        let revision = record.number()?;
        let path = record.path()?;
        let kind = record.option(Reader::entry)?.map_or(ChangeKind::Deleted, ChangeKind::Put);
        let previous = match record.u8()? {
            PREVIOUS_NONE => None,
            PREVIOUS_WHOLE => Some(record.entry()?),
            PREVIOUS_TOLD => Some(self.told(record.number()?, path.bytes())?),
            _ => return Err(Malformed),
        };
        Ok(Change { revision, path, kind, previous })
    }

    /// What the change at `revision` brought to `key`; shares its memory.
    fn told(&self, revision: u64, key: &[u8]) -> Result<Entry, Malformed> {
        let first = self.changes.first().ok_or(Malformed)?.revision;
        let place = revision.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| self.changes.get(place)) {
            Some(Change { revision: at, path, kind: ChangeKind::Put(entry), .. })
                if *at == revision && path.bytes() == key =>
            {
                Ok(entry.clone())
            }
            _ => Err(Malformed),
        }
    }

    fn finish(mut self, history: &History) -> Result<Replica, Malformed> {
        let (applied, revision, membership) = self.head.ok_or(Malformed)?;
        let gapless = self.changes.windows(2).all(|pair| pair[0].revision + 1 == pair[1].revision);
        if !gapless || self.changes.last().is_some_and(|last| last.revision != revision) {
            return Err(Malformed);
        }
        self.state.revision = revision;
        self.state.history = history.replaced(self.changes, revision + 1);
        self.state.lease_changes = 1;
        Ok(Replica { state: self.state, applied, membership })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kv::command::{Command, Op};
    use crate::kv::types::{Mutation, Path};

    const VALUE_BYTES: usize = 1 << 10;

    fn history() -> History {
        History::new(100, usize::MAX, 1)
    }

    /// A replica in which each of these keys was given a value of its own.
    fn replica(keys: &[&str]) -> Replica {
        let mut replica = Replica::empty(history());
        for (index, key) in (1u8..).zip(keys) {
            let path = Path::new("b", key.as_bytes(), 512).expect("a path");
            let put = Mutation::Put { path, value: vec![index; VALUE_BYTES].into(), lease: None };
            let command = Command { request: None, last_index: None, op: Op::Mutate(put) };
            replica.state.apply(index.into(), command);
        }
        replica
    }

    fn saved(image: &Image) -> Vec<u8> {
        let mut bytes = Vec::new();
        save(&mut bytes, image).expect("memory takes it");
        bytes
    }

    fn loaded(bytes: &[u8]) -> io::Result<Replica> {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("it takes them");
        load(&mut file, &history())
    }

    /// What `save` writes before the last record, with these records more, sealed anew.
    fn with(image: &Image, records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = saved(image);
        bytes.truncate(bytes.len() - CHECKSUM_BYTES - LENGTH_BYTES - 1);
        for record in records.iter().chain([&&[RECORD_END][..]]) {
            bytes.extend_from_slice(&u32::try_from(record.len()).expect("short").to_le_bytes());
            bytes.extend_from_slice(record);
        }
        let mut sum = Sum::blake3();
        sum.update(&bytes);
        bytes.extend_from_slice(&sum.finish());
        bytes
    }

    #[test]
    fn each_value_stands_once_and_is_shared_again() {
        let replica = replica(&["a", "a", "a", "b"]);
        let bytes = saved(&replica.image());
        assert!(bytes.len() < 5 * VALUE_BYTES, "{} bytes for four values", bytes.len());
        let back = loaded(&bytes).expect("sound").state;
        assert_eq!(back.history.changes(), replica.state.history.changes());
        let [_, second, third, fourth] = &back.history.changes().iter().collect::<Vec<_>>()[..] else {
            panic!("four changes")
        };
        let value = |change: &Change| match &change.kind {
            ChangeKind::Put(entry) => entry.value.as_ptr(),
            ChangeKind::Deleted => panic!("all are puts"),
        };
        let replaced = third.previous.as_ref().expect("it replaced one");
        assert_eq!(replaced.value.as_ptr(), value(second), "one place in memory");
        assert_eq!(back.entries.get(b"b\0b").expect("it is there").value.as_ptr(), value(fourth));
    }

    #[test]
    fn what_the_versions_before_wrote_is_read() {
        let mut image = replica(&["a", "b", "a"]).image();
        // Without changes all versions write the same records.
        image.changes.clear();
        let mut bytes = with(&image, &[]);
        let body = bytes.len() - CHECKSUM_BYTES;
        for before in MAGIC_BEFORE {
            bytes[..MAGIC.len()].copy_from_slice(before);
            let mut sum = Sum::sha256();
            sum.update(&bytes[..body]);
            bytes[body..].copy_from_slice(&sum.finish());
            let back = loaded(&bytes).expect("sound").state;
            let entry = back.entries.get(b"b\0a").expect("it is there");
            assert_eq!((entry.value.clone(), entry.version), (Bytes::from(vec![3; VALUE_BYTES]), 2));
            bytes[body] ^= 1;
            assert!(loaded(&bytes).is_err(), "another checksum");
        }
        bytes[MAGIC.len() - 1] = 4;
        assert!(loaded(&bytes).is_err(), "a version to come");
    }

    #[test]
    fn what_no_change_told_is_refused() {
        let mut image = replica(&["a", "b"]).image();
        let told = |key: u8, revision: u8| [RECORD_TOLD, 3, b'b', 0, key, revision];
        assert!(loaded(&with(&image, &[&told(b'a', 1)])).is_ok());
        for (key, revision) in [(b'a', 0), (b'a', 2), (b'a', 3), (b'c', 1)] {
            assert!(loaded(&with(&image, &[&told(key, revision)])).is_err(), "{key} at {revision}");
        }
        image.revision = 3;
        let replaces = |revision: u8| [RECORD_CHANGE, 3, 3, b'b', 0, b'a', 0, PREVIOUS_TOLD, revision];
        assert!(loaded(&with(&image, &[&replaces(1)])).is_ok());
        for revision in [0, 2, 3] {
            assert!(
                loaded(&with(&image, &[&replaces(revision)])).is_err(),
                "replaced what came at {revision}"
            );
        }
    }
}
