//! A look at a store that nobody runs: the same reading as at a start, on a disk to which nothing is written.

use std::fs::File;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadOnlyDatabase, StorageBackend as _};

use super::config::KvConfig;
use super::engine::{LOG_FOLDER, SNAPSHOT_FOLDER};
use super::error::KvError;
use super::export::values;
use super::history::History;
use super::machine::apply_entry;
use super::snapshot::{Replica, load, newest};
use super::wal::{Disk, DiskFile, Folder, MANIFEST_FILE, Wal, Wanted, next_of};

/// What a store holds.
pub struct Inspected {
    /// Index of the last entry of the log; 0: it has none.
    pub last_index: u64,
    /// The last one of them that was known to be decided.
    pub committed_index: u64,
    replica: Replica,
}

impl std::fmt::Debug for Inspected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Inspected up to index {}", self.last_index)
    }
}

impl Inspected {
    /// The values in a bucket, with their keys, after the last entry that was known to be decided.
    pub fn values(&self, bucket: &str) -> Vec<(Bytes, Bytes)> {
        values(&self.replica.state.entries, bucket)
    }
}

/// Reads the store in `config.dir`, which must be there, as a start would, and changes nothing. Blocks on the disk, and
/// holds the state in memory.
///
/// # Errors
/// `Locked` where a node runs on it, `WrongNode`, `Format`, `Corrupt` or `Io`.
pub fn inspect(config: &KvConfig) -> Result<Inspected, KvError> {
    let dir = config.dir.join(LOG_FOLDER);
    let disk = Arc::new(Untouched { folder: Folder::new(dir.clone()), dir });
    disk.check_free()?;
    let wal = Wal::open(disk, config.node_id, config.log_segment_bytes)?;
    let history = || History::new(0, 0, 1);
    let failed = |error| KvError::io("reading the folder of the snapshots", error);
    let path = newest(&config.dir.join(SNAPSHOT_FOLDER)).map_err(failed)?;
    let mut replica = Replica::empty(history());
    if let Some(path) = path {
        let explain = |error: io::Error| KvError::corrupt(path.display().to_string(), error);
        replica = File::open(&path).and_then(|mut file| load(&mut file, &history())).map_err(explain)?;
    }
    let known = wal.known();
    if known.purged > replica.applied {
        let detail = "the log was purged beyond the snapshot that is there";
        return Err(KvError::corrupt(config.dir.display().to_string(), detail));
    }
    let failed = |error| KvError::io("reading the log", error);
    let decided = next_of(known.committed);
    let mut wanted = Wanted::new(next_of(replica.applied)..decided, usize::MAX);
    wal.read(decided, &mut wanted).map_err(failed)?;
    for entry in wanted.into_entries() {
        apply_entry(&mut replica, &entry);
    }
    let committed = known.committed.max(replica.applied);
    let index = |id: Option<super::raft::LogId>| id.map_or(0, |id| id.index);
    Ok(Inspected { last_index: index(known.last), committed_index: index(committed), replica })
}

/// A folder in which nothing changes: what would be written, removed or renamed is not.
struct Untouched {
    folder: Folder,
    dir: PathBuf,
}

/// A file of it.
struct UntouchedFile(File);

impl Untouched {
    fn manifest(&self) -> PathBuf {
        self.dir.join(MANIFEST_FILE)
    }

    /// Refuses a folder on which a node runs. It may start right afterwards: then what is read makes no sense, and says
    /// so.
    fn check_free(&self) -> Result<(), KvError> {
        match ReadOnlyDatabase::open(self.manifest()) {
            Err(DatabaseError::DatabaseAlreadyOpen) => Err(KvError::Locked { path: self.manifest() }),
            // Whatever else is wrong with it is found when it is read.
            _ => Ok(()),
        }
    }
}

fn read_only() -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "nothing is made here: the log has no segment")
}

impl Disk for Untouched {
    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn create(&self, _: &str, _: u64) -> io::Result<Arc<dyn DiskFile>> {
        Err(read_only())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UntouchedFile(File::open(self.dir.join(name))?)))
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(read_only())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    /// A copy in memory: opening a database may repair it.
    fn database(&self, name: &str) -> Result<Database, KvError> {
        let path = self.dir.join(name);
        let failed = |error: &dyn std::fmt::Display| {
            KvError::io(format!("reading {}", path.display()), io::Error::other(error.to_string()))
        };
        let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
        let copy = InMemoryBackend::new();
        let copied = copy.set_len(bytes.len() as u64).and_then(|()| copy.write(0, &bytes));
        copied.map_err(|error| failed(&error))?;
        Database::builder().create_with_backend(copy).map_err(|error| failed(&error))
    }
}

impl DiskFile for UntouchedFile {
    fn bytes(&self) -> io::Result<u64> {
        self.0.bytes()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        DiskFile::read_at(&self.0, into, offset)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether there is a store in `dir`.
pub fn is_store(dir: &FilePath) -> bool {
    dir.join(LOG_FOLDER).join(MANIFEST_FILE).is_file()
}
