//! The components on disk, each under its digest: what came in whole stays, what did not leaves no trace.

mod error;
#[cfg(test)]
mod tests;
mod upload;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::ids::Digest;

use super::cache::make_private_dir;
pub use error::StoreError;
pub(super) use error::blocking;
use error::failed;
pub use upload::Upload;

/// How the names of components end.
const SUFFIX: &str = ".wasm";
/// How the names of files end that are being written.
const PARTIAL_SUFFIX: &str = ".part";

/// Where components are kept, and how many.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The folder: made with mode 0700 if there is none.
    pub dir: PathBuf,
    /// Bytes of one component.
    pub component_bytes_max: u64,
    /// Bytes of all components, those that are being uploaded included.
    pub total_bytes_max: u64,
    /// How many components: the store keeps a list of them in memory.
    pub components_max: usize,
    /// How many uploads may go on at once: each holds an open file.
    pub uploads_max: usize,
}

/// The components on disk. Clones are the same store. Its disk work is done off the asynchronous workers.
#[derive(Debug, Clone)]
pub struct ComponentStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: StoreConfig,
    partial: AtomicU64,
    index: Mutex<Index>,
}

/// What is on disk, and what is on its way there.
#[derive(Debug, Default)]
struct Index {
    bytes: BTreeMap<Digest, u64>,
    stored_bytes: u64,
    pending_bytes: u64,
    uploads: usize,
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().expect("nobody panics while they hold the index")
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.config.dir.join(format!("{}{SUFFIX}", digest.hex()))
    }
}

impl ComponentStore {
    /// Opens the store, and removes what uploads left that were cut off with the node. Blocks on the disk.
    /// One process a folder.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let dir = &config.dir;
        make_private_dir(dir).map_err(failed("make the folder", dir))?;
        let mut index = Index::default();
        for entry in fs::read_dir(dir).map_err(failed("list the folder", dir))? {
            let entry = entry.map_err(failed("list the folder", dir))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let digest =
                name.strip_suffix(SUFFIX).and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
            if let Some(digest) = digest {
                let bytes = entry.metadata().map_err(failed("look at", &entry.path()))?.len();
                index.stored_bytes += bytes;
                index.bytes.insert(digest, bytes);
            } else if name.ends_with(PARTIAL_SUFFIX) {
                fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
            }
        }
        let shared = Shared { config, partial: AtomicU64::new(0), index: Mutex::new(index) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts an upload. Where the sender tells the size in bytes or the digest beforehand, what comes must
    /// agree with it.
    pub async fn begin_upload(
        &self,
        expected_bytes: Option<u64>,
        expected_digest: Option<Digest>,
    ) -> Result<Upload, StoreError> {
        let number = self.shared.partial.fetch_add(1, Ordering::Relaxed);
        let path = self.shared.config.dir.join(format!("{number}{PARTIAL_SUFFIX}"));
        Upload::begin(Arc::clone(&self.shared), path, expected_bytes, expected_digest).await
    }

    /// The bytes of a component, checked against its digest.
    pub async fn read(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.existing(&digest)?;
        blocking(move || {
            let bytes = fs::read(&path).map_err(failed("read", &path))?;
            if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(StoreError::Damaged { digest, path }) }
        })
        .await
    }

    /// A component's file, to be streamed to whoever asked, and its length in bytes. The receiver checks
    /// the digest.
    pub async fn open_read(&self, digest: Digest) -> Result<(tokio::fs::File, u64), StoreError> {
        let path = self.existing(&digest)?;
        let open = move || {
            let file = File::open(&path).map_err(failed("open", &path))?;
            let bytes = file.metadata().map_err(failed("look at", &path))?.len();
            Ok((file, bytes))
        };
        blocking(open).await.map(|(file, bytes)| (tokio::fs::File::from_std(file), bytes))
    }

    /// Takes a component away. False: there was none.
    pub async fn remove(&self, digest: Digest) -> Result<bool, StoreError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            // Held throughout, so that an upload of the same component comes before or after, not between.
            let mut index = shared.index();
            let Some(&bytes) = index.bytes.get(&digest) else { return Ok(false) };
            let path = shared.path(&digest);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path)(error));
                }
                _ => {}
            }
            index.bytes.remove(&digest);
            index.stored_bytes -= bytes;
            sync_dir(&shared.config.dir)?;
            Ok(true)
        })
        .await
    }

    /// Every component with its length in bytes, ordered by digest.
    pub fn list(&self) -> Vec<(Digest, u64)> {
        self.shared.index().bytes.iter().map(|(digest, bytes)| (*digest, *bytes)).collect()
    }

    /// The length of a component in bytes; none: there is none.
    pub fn bytes(&self, digest: &Digest) -> Option<u64> {
        self.shared.index().bytes.get(digest).copied()
    }

    /// The file of a component that is there.
    pub(super) fn existing(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        match self.bytes(digest) {
            Some(_) => Ok(self.shared.path(digest)),
            None => Err(StoreError::Unknown(*digest)),
        }
    }
}

/// Makes names in the folder as durable as the files that they name.
fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync the folder", dir))
}
