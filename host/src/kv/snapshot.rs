//! Snapshots on disk: one file, written whole or not at all.

mod format;
mod sum;

use std::collections::VecDeque;
use std::fs::{DirBuilder, File};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use openraft::alias::SnapshotMetaOf;

pub(super) use self::format::{load, save};
use super::command::Answer;
use super::cow::CowMap;
use super::error::KvError;
use super::history::History;
use super::raft::{LogId, Membership, TypeConfig};
use super::state::{Lease, State};
use super::types::{Change, Entry, LeaseId, RequestId};

pub(super) type Meta = SnapshotMetaOf<TypeConfig>;

const SUFFIX: &str = "snapshot";
pub(super) const SUFFIX_UNFINISHED: &str = "unfinished";

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
