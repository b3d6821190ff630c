//! The run log: everything that a run's rules were given, in order, so that it can be run again.
//!
//! [`record`] is the format, [`reader`] reads it record by record, [`RunLog`] appends. A tick is handed to
//! the operating system before it is told to anybody, so that a killed node loses none; it is on disk within
//! [`SYNC_EVERY`], so that a power cut loses no more than that.

pub(crate) mod bytes;
mod crc;
pub(crate) mod reader;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::switches::Switch;
use crate::ids::StateHash;
use record::{Header, Message};

/// How often a log that grows is brought to disk: a person does not miss a tenth of a second of a simulation,
/// and a disk that is asked ten times a second is idle.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// Why a run log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error(
        "{path} is damaged at byte {offset}: {problem}; delete the Matrix, or bring the file back from a backup"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record starts that cannot be read.
        offset: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The log has become too long.
    #[error(
        "the run log has reached {0} bytes: raise `matrices.run_log_bytes_max` and start the Matrix again"
    )]
    Full(u64),
}

/// A log that grows. One writer a file.
#[derive(Debug)]
pub(crate) struct RunLog {
    path: PathBuf,
    file: Arc<File>,
    /// Records that the operating system does not have yet.
    buffer: Vec<u8>,
    /// Bytes handed to the operating system.
    written: u64,
    bytes_max: u64,
    /// The disk lacks something.
    unsynced: bool,
    synced_at: Instant,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl RunLog {
    /// Makes a log that holds its header; on disk when it returns. Fails if the file exists.
    pub(crate) async fn create(path: PathBuf, header: &Header, bytes_max: u64) -> Result<Self, LogError> {
        let mut buffer = Vec::new();
        record::put_header(&mut buffer, header);
        let target = path.clone();
        let file = blocking(move || {
            let failed = |action| failed(action, &target);
            let mut options = OpenOptions::new();
            let file =
                options.append(true).create_new(true).mode(0o600).open(&target).map_err(failed("create"))?;
            (&file).write_all(&buffer).and_then(|()| file.sync_all()).map_err(failed("write"))?;
            let folder = target.parent().unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("make durable"))?;
            Ok(file)
        })
        .await?;
        Self::over(path, file, bytes_max)
    }

    /// Goes on with a log after the `length` bytes that were found to be whole; what follows them is cut off.
    pub(crate) async fn resume(path: PathBuf, length: u64, bytes_max: u64) -> Result<Self, LogError> {
        let target = path.clone();
        let file = blocking(move || {
            let failed = |action| failed(action, &target);
            let file = OpenOptions::new().append(true).open(&target).map_err(failed("open"))?;
            let present = file.metadata().map_err(failed("read the length of"))?.len();
            if present > length {
                let (path, cut) = (target.display(), present - length);
                tracing::warn!(%path, cut, "the last record of a run log was torn, and is cut off");
                file.set_len(length).and_then(|()| file.sync_all()).map_err(failed("shorten"))?;
            }
            Ok(file)
        })
        .await?;
        Self::over(path, file, bytes_max)
    }

    fn over(path: PathBuf, file: File, bytes_max: u64) -> Result<Self, LogError> {
        let written = file.metadata().map_err(failed("read the length of", &path))?.len();
        Ok(Self {
            path,
            file: Arc::new(file),
            buffer: Vec::new(),
            written,
            bytes_max,
            unsynced: false,
            synced_at: Instant::now(),
            syncing: None,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for whoever has to know it durable.
    pub(crate) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Where the next record will start.
    pub(crate) fn end_offset(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Appends a tick; `actions` is what [`record::encode_actions`] made.
    pub(crate) fn tick(&mut self, tick: u64, asked_at_ms: u64, state: StateHash, actions: &[u8]) {
        record::put_tick(&mut self.buffer, tick, asked_at_ms, state, actions);
    }

    /// Appends a message.
    pub(crate) fn message(&mut self, message: &Message) {
        record::put_message(&mut self.buffer, message);
    }

    /// Appends a switch, and hands it to the operating system at once; what was appended before has been. Fails whole
    /// where there is no room for it.
    pub(crate) fn switch(&mut self, switch: &Switch) -> Result<(), LogError> {
        record::put_switch(&mut self.buffer, switch);
        self.flush().inspect_err(|error| {
            if matches!(error, LogError::Full(_)) {
                self.buffer.clear();
            }
        })
    }

    /// Appends the end of the run.
    pub(crate) fn end(&mut self) {
        record::put_end(&mut self.buffer);
    }

    /// Hands what was appended to the operating system: kept if the node is killed.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        let length = self.written + self.buffer.len() as u64;
        if length > self.bytes_max {
            return Err(LogError::Full(self.bytes_max));
        }
        // Into the page cache: a task of its own would take longer than the copy.
        (&*self.file).write_all(&self.buffer).map_err(failed("write", &self.path))?;
        self.written = length;
        self.unsynced |= !self.buffer.is_empty();
        self.buffer.clear();
        Ok(())
    }

    /// Brings what was flushed to disk, if that is due, without waiting for it. Fails if the last time
    /// failed.
    pub(crate) async fn sync_if_due(&mut self) -> Result<(), LogError> {
        if self.synced_at.elapsed() < SYNC_EVERY {
            return Ok(());
        }
        if self.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            return Ok(());
        }
        self.synced().await?;
        if self.unsynced {
            self.unsynced = false;
            self.synced_at = Instant::now();
            let file = self.file.clone();
            self.syncing = Some(tokio::task::spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// How long until [`RunLog::sync_if_due`] has something to do; none: there is nothing.
    pub(crate) fn sync_due(&self) -> Option<Instant> {
        self.unsynced.then(|| self.synced_at + SYNC_EVERY)
    }

    /// Brings everything to disk; it is there when this returns.
    pub(crate) async fn sync(&mut self) -> Result<(), LogError> {
        self.flush()?;
        self.synced().await?;
        if self.unsynced {
            let (file, path) = (self.file.clone(), self.path.clone());
            blocking(move || file.sync_data().map_err(failed("make durable", &path))).await?;
            self.unsynced = false;
            self.synced_at = Instant::now();
        }
        Ok(())
    }

    /// Waits for the sync under way, if there is one.
    async fn synced(&mut self) -> Result<(), LogError> {
        let Some(syncing) = self.syncing.take() else { return Ok(()) };
        let synced = syncing.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        synced.map_err(failed("make durable", &self.path))
    }
}

/// Runs what waits for a disk where nothing else waits for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|stopped| {
        let source = io::Error::other(stopped);
        Err(LogError::Io { action: "wait for", path: PathBuf::from("the disk"), source })
    })
}

/// Makes an error of one that the file system gave.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::Io { action, path, source }
}
