//! One component on its way in: hashed and measured as it comes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::error::{StoreError, blocking, failed};
use super::{Shared, sync_dir};
use crate::ids::Digest;

/// An upload. Dropped before [`Upload::finish`] has succeeded, it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    place: Place,
    expected_bytes: Option<u64>,
    expected_digest: Option<Digest>,
    /// None after a failure: what is in the file then is not known.
    body: Option<Body>,
}

/// An upload's place in the store: its file, and the room that it takes.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    path: PathBuf,
    bytes: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut index = self.shared.index();
        index.uploads -= 1;
        index.pending_bytes -= self.bytes;
        drop(index);
        // Gone already if it was finished; otherwise the next start of the node removes it.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
struct Body {
    file: File,
    hasher: Sha256,
}

impl Upload {
    pub(super) async fn begin(
        shared: Arc<Shared>,
        path: PathBuf,
        expected_bytes: Option<u64>,
        expected_digest: Option<Digest>,
    ) -> Result<Self, StoreError> {
        let max = shared.config.component_bytes_max;
        if expected_bytes.is_some_and(|expected| expected > max) {
            return Err(StoreError::TooLarge(max));
        }
        {
            let mut index = shared.index();
            if index.uploads >= shared.config.uploads_max {
                return Err(StoreError::Busy(index.uploads));
            }
            index.uploads += 1;
        }
        let place = Place { shared, path, bytes: 0 };
        let path = place.path.clone();
        let open = move || {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed("make", &path))
        };
        let body = Some(Body { file: blocking(open).await?, hasher: Sha256::new() });
        Ok(Self { place, expected_bytes, expected_digest, body })
    }

    /// Appends what came next. Refuses at the first byte that is too many: for what was announced, for one
    /// component, or for the store. After an error the upload is of no more use.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), StoreError> {
        let mut body = self.body.take().ok_or(StoreError::Broken)?;
        self.reserve(chunk.len() as u64)?;
        let path = self.place.path.clone();
        let write = move || {
            body.hasher.update(&chunk);
            body.file.write_all(&chunk).map(|()| body).map_err(failed("write", &path))
        };
        self.body = Some(blocking(write).await?);
        Ok(())
    }

    /// Ends the upload: the component's digest, and whether it was there before. When this returns, the
    /// component is on the disk.
    pub async fn finish(mut self) -> Result<(Digest, bool), StoreError> {
        let Body { file, hasher } = self.body.take().ok_or(StoreError::Broken)?;
        if let Some(expected) = self.expected_bytes.filter(|&expected| expected != self.place.bytes) {
            return Err(StoreError::Shorter { expected, found: self.place.bytes });
        }
        let digest = Digest::from_bytes(hasher.finalize().into());
        if let Some(expected) = self.expected_digest.filter(|&expected| expected != digest) {
            return Err(StoreError::Different { expected, found: digest });
        }
        let place = self.place;
        blocking(move || place.keep(&file, digest)).await
    }

    fn reserve(&mut self, more: u64) -> Result<(), StoreError> {
        let config = &self.place.shared.config;
        let bytes = self.place.bytes.saturating_add(more);
        if let Some(expected) = self.expected_bytes.filter(|&expected| bytes > expected) {
            return Err(StoreError::Longer(expected));
        }
        if bytes > config.component_bytes_max {
            return Err(StoreError::TooLarge(config.component_bytes_max));
        }
        let mut index = self.place.shared.index();
        if index.stored_bytes.saturating_add(index.pending_bytes).saturating_add(more)
            > config.total_bytes_max
        {
            return Err(StoreError::Full(index.stored_bytes));
        }
        index.pending_bytes += more;
        drop(index);
        self.place.bytes = bytes;
        Ok(())
    }
}

impl Place {
    /// Gives the file its name, once its bytes are on the disk.
    fn keep(self, file: &File, digest: Digest) -> Result<(Digest, bool), StoreError> {
        file.sync_all().map_err(failed("sync", &self.path))?;
        let config = &self.shared.config;
        // Held to the end, so that nobody reads or removes what is not yet durable.
        let mut index = self.shared.index();
        if index.bytes.contains_key(&digest) {
            // Before `self` is dropped, which takes the lock.
            drop(index);
            return Ok((digest, true));
        }
        if index.bytes.len() >= config.components_max {
            let count = index.bytes.len();
            drop(index);
            return Err(StoreError::TooMany(count));
        }
        let stored = fs::rename(&self.path, self.shared.path(&digest))
            .map_err(failed("rename", &self.path))
            .and_then(|()| sync_dir(&config.dir));
        if stored.is_ok() {
            index.bytes.insert(digest, self.bytes);
            index.stored_bytes += self.bytes;
        }
        drop(index);
        stored.map(|()| (digest, false))
    }
}
