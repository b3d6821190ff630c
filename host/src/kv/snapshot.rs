//! Snapshots on disk: one file, written whole or not at all. Records with their length before them, then a SHA-256
//! over everything: a file that was cut or changed is refused, wherever it comes from.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::alias::SnapshotMetaOf;
use sha2::{Digest, Sha256};

use super::codec::{Malformed, Reader, Writer};
use super::command::Answer;
use super::cow::CowMap;
use super::error::KvError;
use super::history::History;
use super::raft::{LogId, Membership, TypeConfig};
use super::state::{Lease, State};
use super::types::{Change, Entry, LeaseId, RequestId};

pub(super) type Meta = SnapshotMetaOf<TypeConfig>;

/// What every snapshot starts with; the last byte is the format's version.
const MAGIC: &[u8; 8] = b"MTXKV\0\0\x01";
/// Longest record: a change of the largest value allowed, with the value before it, and some room.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// Bytes of the checksum at the end.
const CHECKSUM_BYTES: u64 = 32;

const SUFFIX: &str = "snapshot";
pub(super) const SUFFIX_UNFINISHED: &str = "unfinished";

const RECORD_HEAD: u8 = b'H';
const RECORD_LEASE: u8 = b'L';
const RECORD_REQUEST: u8 = b'R';
const RECORD_CHANGE: u8 = b'C';
const RECORD_ENTRY: u8 = b'E';
const RECORD_END: u8 = b'Z';

/// The state machine with its place in the log.
pub(super) struct Replica {
    pub(super) state: State,
    pub(super) applied: Option<LogId>,
    pub(super) membership: Membership,
}

/// A copy of a replica at one moment. Taking it costs little beside the state, see [`CowMap`].
pub(super) struct Image {
    pub(super) applied: Option<LogId>,
    membership: Membership,
    pub(super) revision: u64,
    leases: Vec<(LeaseId, u64, bool)>,
    requests: VecDeque<(RequestId, Answer)>,
    pub(super) changes: VecDeque<Arc<Change>>,
    pub(super) entries: CowMap<Entry>,
}

/// A snapshot as Raft hands it around: a file open for reading, good even after its name is gone.
pub(super) struct SnapshotFile {
    pub(super) file: File,
}

/// The folder of snapshots; it keeps one.
pub(super) struct Shelf {
    dir: PathBuf,
    current: Mutex<Option<Stored>>,
    /// The current snapshot was taken on purpose and Raft does not know of it yet.
    fresh: AtomicBool,
}

#[derive(Clone)]
struct Stored {
    meta: Meta,
    path: PathBuf,
}

impl Replica {
    /// Where a new node starts.
    pub(super) fn empty(history: History) -> Replica {
        Replica { state: State::new(history), applied: None, membership: Membership::default() }
    }

    /// Index of the last entry applied; 0 where there is none.
    pub(super) fn applied_index(&self) -> u64 {
        self.applied.map_or(0, |id| id.index)
    }

    pub(super) fn image(&self) -> Image {
        let lease = |(id, lease): (&LeaseId, &Lease)| (*id, lease.ttl_ms, lease.ending);
        Image {
            applied: self.applied,
            membership: self.membership.clone(),
            revision: self.state.revision,
            leases: self.state.leases.iter().map(lease).collect(),
            requests: self.state.requests.answers().clone(),
            changes: self.state.history.changes().clone(),
            entries: self.state.entries.clone(),
        }
    }
}

impl Shelf {
    /// Opens the folder `dir`, makes it if missing, clears it of unfinished files, and reads the snapshot in it.
    /// `history` says how much history to keep.
    pub(super) fn open(dir: PathBuf, history: &History) -> Result<(Shelf, Option<Replica>), KvError> {
        let failed = |error| KvError::io(format!("opening the folder {}", dir.display()), error);
        make_folder(&dir).map_err(failed)?;
        for file in std::fs::read_dir(&dir).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX_UNFINISHED) {
                std::fs::remove_file(&path).map_err(failed)?;
            }
        }
        let newest = newest(&dir).map_err(failed)?;
        let shelf = Shelf { dir: dir.clone(), current: Mutex::new(None), fresh: AtomicBool::new(false) };
        let Some(path) = newest else { return Ok((shelf, None)) };
        let explain = |error: io::Error| KvError::corrupt(path.display().to_string(), error);
        let mut file = File::open(&path).map_err(explain)?;
        let replica = load(&mut file, history).map_err(explain)?;
        shelf.keep(Stored { meta: meta_of(&replica), path: path.clone() }).map_err(explain)?;
        Ok((shelf, Some(replica)))
    }

    /// Writes a snapshot, makes it the current one and returns its bytes. Blocks on the disk.
    pub(super) fn write(&self, image: &Image) -> io::Result<u64> {
        let unfinished = self.path(image.applied, SUFFIX_UNFINISHED);
        let written = File::create(&unfinished).and_then(|mut file| {
            save(&mut file, image)?;
            let meta = Meta { last_log_id: image.applied, last_membership: image.membership.clone() };
            self.finish(&file, &unfinished, meta)
        });
        // A disk that was full must not stay so for what could not be finished on it.
        written.inspect_err(|_| drop(std::fs::remove_file(&unfinished)))
    }

    /// Copies a snapshot that came from elsewhere, checks it whole, and makes it the current one. Blocks on the disk.
    pub(super) fn install(
        &self,
        meta: &Meta,
        from: SnapshotFile,
        history: &History,
    ) -> io::Result<(Replica, u64)> {
        let unfinished = self.path(meta.last_log_id, SUFFIX_UNFINISHED);
        let mut source = from.file;
        source.seek(SeekFrom::Start(0))?;
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
        io::copy(&mut source, &mut file)?;
        let replica = load(&mut file, history)?;
        if replica.applied != meta.last_log_id {
            return Err(io::Error::other("the snapshot received is not the one announced"));
        }
        let bytes = self.finish(&file, &unfinished, meta_of(&replica))?;
        Ok((replica, bytes))
    }

    /// The current snapshot.
    pub(super) fn current(&self) -> io::Result<Option<(Meta, SnapshotFile)>> {
        let current = self.lock();
        let Some(stored) = current.as_ref() else { return Ok(None) };
        Ok(Some((stored.meta.clone(), SnapshotFile { file: File::open(&stored.path)? })))
    }

    /// Notes that Raft is going to be told of the current snapshot.
    pub(super) fn mark_fresh(&self) {
        self.fresh.store(true, Ordering::Release);
    }

    /// Whether Raft is being told of the current snapshot; says so once.
    pub(super) fn take_fresh(&self) -> bool {
        self.fresh.swap(false, Ordering::AcqRel)
    }

    /// Makes a file written durable and gives it its name.
    fn finish(&self, file: &File, unfinished: &Path, meta: Meta) -> io::Result<u64> {
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        let path = self.path(meta.last_log_id, SUFFIX);
        std::fs::rename(unfinished, &path)?;
        File::open(&self.dir)?.sync_all()?;
        self.keep(Stored { meta, path })?;
        Ok(bytes)
    }

    /// Makes `stored` the current snapshot and removes all others.
    fn keep(&self, stored: Stored) -> io::Result<()> {
        let mut current = self.lock();
        for file in std::fs::read_dir(&self.dir)? {
            let path = file?.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) && path != stored.path {
                std::fs::remove_file(path)?;
            }
        }
        *current = Some(stored);
        Ok(())
    }

    fn path(&self, applied: Option<LogId>, suffix: &str) -> PathBuf {
        let index = applied.map_or(0, |id| id.index + 1);
        self.dir.join(format!("{index:020}.{suffix}"))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stored>> {
        self.current.lock().expect("no code panics while it holds the current snapshot")
    }
}

/// The newest snapshot in the folder `dir`.
pub(super) fn newest(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<PathBuf> = None;
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
            // Names hold the index with leading zeros: their order is the order of the snapshots.
            newest = newest.max(Some(path));
        }
    }
    Ok(newest)
}

/// Makes a folder that only its owner enters.
pub(super) fn make_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn meta_of(replica: &Replica) -> Meta {
    Meta { last_log_id: replica.applied, last_membership: replica.membership.clone() }
}

/// Writes `image` to `file`.
pub(super) fn save(file: impl Write, image: &Image) -> io::Result<()> {
    let mut out = Saver { out: BufWriter::with_capacity(1 << 20, file), hash: Sha256::new() };
    out.write(MAGIC)?;
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
    for change in &image.changes {
        out.record(RECORD_CHANGE, |writer| {
            writer.change(change);
            Ok(())
        })?;
    }
    for (key, entry) in image.entries.from(b"") {
        out.record(RECORD_ENTRY, |writer| {
            writer.bytes(key);
            writer.entry(entry);
            Ok(())
        })?;
    }
    out.record(RECORD_END, |_| Ok(()))?;
    let checksum = out.hash.finalize();
    out.out.write_all(&checksum)?;
    out.out.flush()
}

struct Saver<W: Write> {
    out: BufWriter<W>,
    hash: Sha256,
}

impl<W: Write> Saver<W> {
    fn record(&mut self, tag: u8, fill: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
        let mut writer = Writer::default();
        writer.u8(tag);
        fill(&mut writer)?;
        let length = u32::try_from(writer.0.len()).map_err(io::Error::other)?;
        self.write(&length.to_le_bytes())?;
        self.write(&writer.0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Reads the snapshot in `file` and checks it. The history's bounds are taken from `history`.
pub(super) fn load(file: &mut File, history: &History) -> io::Result<Replica> {
    file.seek(SeekFrom::Start(0))?;
    let length = file.metadata()?.len().saturating_sub(CHECKSUM_BYTES);
    let mut from =
        Loader { from: BufReader::with_capacity(1 << 20, file), hash: Sha256::new(), left: length };
    let mut magic = [0; MAGIC.len()];
    from.read(&mut magic)?;
    if &magic != MAGIC {
        return Err(io::Error::other("this is no snapshot, or one of another version"));
    }
    let mut loading = Loading::new(history);
    while let Some(record) = from.record()? {
        loading.take(Reader(record.into())).map_err(io::Error::other)?;
    }
    let mut checksum = [0; CHECKSUM_BYTES as usize];
    from.from.read_exact(&mut checksum)?;
    if from.left != 0 || from.hash.finalize().as_slice() != checksum {
        return Err(io::Error::other("the checksum does not match: the file was cut or changed"));
    }
    loading.finish(history).map_err(io::Error::other)
}

struct Loader<'a> {
    from: BufReader<&'a mut File>,
    hash: Sha256,
    /// Bytes before the checksum that are still to be read: no length in the file is believed beyond it.
    left: u64,
}

impl Loader<'_> {
    /// The next record; `None` at the end record.
    fn record(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
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
        self.hash.update(&*into);
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
            RECORD_CHANGE => self.changes.push(record.change()?),
            RECORD_ENTRY => {
                let key = record.bytes()?;
                self.state.restore(key, record.entry()?);
            }
            _ => return Err(Malformed),
        }
        record.end()
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
