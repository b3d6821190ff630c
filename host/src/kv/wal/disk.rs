//! What the log needs of a disk, and the folder that gives it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use redb::{Database, DatabaseError};
use rustix::fs::FallocateFlags;

use crate::kv::error::KvError;

/// Bytes of redb's page cache: the manifest is a handful of short rows.
const MANIFEST_CACHE_BYTES: usize = 1 << 20;

/// One folder of a disk. What is written is durable after [`DiskFile::sync`], and a file's name after [`Disk::sync`];
/// before that, any part of it may be lost, and any other part not.
pub(in crate::kv) trait Disk: Send + Sync {
    /// The names of the files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file of `bytes` zeros, with room for them on the disk; leaves nothing behind where it fails.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name.
    fn rename(&self, name: &str, to: &str) -> io::Result<()>;

    /// Makes the names durable.
    fn sync(&self) -> io::Result<()>;

    /// Opens a file as a database, or makes it; nobody else can have it open.
    fn database(&self, name: &str) -> Result<Database, KvError>;
}

/// A file of a [`Disk`].
pub(in crate::kv) trait DiskFile: Send + Sync {
    /// Its length in bytes.
    fn bytes(&self) -> io::Result<u64>;

    /// Fills `into` from `offset` on.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all that was written durable.
    fn sync(&self) -> io::Result<()>;
}

/// A folder of the file system.
pub(in crate::kv) struct Folder {
    dir: PathBuf,
    /// Kept open: the log goes on also where no more files can be opened.
    handle: OnceLock<File>,
}

impl Folder {
    /// The folder `dir`, which must be there once it is used.
    pub(in crate::kv) fn new(dir: PathBuf) -> Folder {
        Folder { dir, handle: OnceLock::new() }
    }

    fn handle(&self) -> io::Result<&File> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let opened = File::open(&self.dir)?;
        Ok(self.handle.get_or_init(|| opened))
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let name = |file: io::Result<std::fs::DirEntry>| Ok(file?.file_name().to_string_lossy().into_owned());
        std::fs::read_dir(&self.dir)?.map(name).collect()
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.dir.join(name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => {}
            // Some file systems cannot reserve room: then a disk that is full shows when it is written to.
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes)?,
            Err(error) => {
                drop(std::fs::remove_file(&path));
                return Err(error.into());
            }
        }
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(self.dir.join(name))?))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.dir.join(name))
    }

    fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.dir.join(name), self.dir.join(to))
    }

    fn sync(&self) -> io::Result<()> {
        self.handle()?.sync_all()
    }

    fn database(&self, name: &str) -> Result<Database, KvError> {
        let path = self.dir.join(name);
        self.handle().map_err(|error| KvError::io(format!("opening {}", self.dir.display()), error))?;
        let database = Database::builder().set_cache_size(MANIFEST_CACHE_BYTES).create(&path);
        database.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => KvError::Locked { path },
            other => KvError::io(format!("opening {}", path.display()), other),
        })
    }
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
