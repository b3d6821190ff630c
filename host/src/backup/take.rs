//! Taking a backup: a stream of the file's pieces, made as they are read.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use matrix_proto::backup::{PIECE_BYTES_MAX, Writer};
use matrix_proto::wire::{BackupFileKind, BackupHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Semaphore, mpsc};

use crate::clock;
use crate::ids::Digest;
use crate::kv::{Export, Kv, KvError};
use crate::matrices::{Matrices, restored};
use crate::realm::Realm;
use crate::runtime::catalog::{self, Catalog};
use crate::tasks::Tasks;

/// Pieces that wait for a reader.
const WAITING: usize = 4;
/// How long a reader may take for a piece: meanwhile a state is kept that is of the past.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The most characters of what is said of something that is missing.
const MISSING_CHARS: usize = 200;

/// The file's pieces, in order. It is whole only if none is an error.
pub type Pieces = mpsc::Receiver<Result<Bytes, TakeError>>;

/// Why a backup cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// Another one is being taken.
    #[error("a backup is being taken from this node already: wait for its end, or ask another node")]
    Busy,
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// A file changed while it was read, or cannot be read.
    #[error("{0} cannot be read: {1}; try again")]
    File(String, io::Error),
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
}

/// Takes backups, one at a time. Clones are the same.
#[derive(Debug, Clone)]
pub struct Backups {
    kv: Kv,
    realm: Realm,
    catalog: Catalog,
    matrices: Matrices,
    one: Arc<Semaphore>,
}

impl Backups {
    /// Of this realm.
    pub fn new(realm: Realm, catalog: Catalog, matrices: Matrices) -> Self {
        Self { kv: realm.kv().clone(), realm, catalog, matrices, one: Arc::new(Semaphore::new(1)) }
    }

    /// Begins a backup of this moment; `tasks` reads what it holds, as fast as its pieces are taken.
    ///
    /// # Errors
    /// `Busy`, `Kv`.
    pub async fn take(&self, tasks: &Tasks) -> Result<Pieces, TakeError> {
        let turn = Arc::clone(&self.one).try_acquire_owned().map_err(|_| TakeError::Busy)?;
        let (pieces, reader) = mpsc::channel(WAITING);
        let header = BackupHeader {
            realm: self.realm.id().to_string(),
            node: self.realm.me(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at_ms: clock::now_ms(),
            ..BackupHeader::default()
        };
        let export = self.kv.export().await?;
        let header = BackupHeader { index: export.index(), revision: export.revision(), ..header };
        let (this, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("backup", async move {
            let _turn = turn;
            let taken = stopping.run_until_cancelled(this.write(header, export, &pieces)).await;
            match taken.unwrap_or(Err(Ended::Failed(TakeError::Stopping))) {
                // A reader who is gone, or too slow, wants no more.
                Ok(()) | Err(Ended::Reader) => {}
                Err(Ended::Failed(error)) => drop(pieces.send(Err(error)).await),
            }
        });
        Ok(reader)
    }

    async fn write(&self, header: BackupHeader, export: Export, to: &Sender) -> Result<(), Ended> {
        let components = export.values(catalog::BUCKET);
        let records = export.values(restored::BUCKET);
        let (mut writer, first) = Writer::new(header);
        send(to, first).await?;
        let (piece, mut pieces) = mpsc::channel(1);
        let written = tokio::task::spawn_blocking(move || export.write(Chopper::new(piece)));
        while let Some(piece) = pieces.recv().await {
            send(to, writer.kv(piece)).await?;
        }
        let failed = |error| Ended::Failed(TakeError::File("the state of the KV".into(), error));
        written.await.map_err(|_| Ended::Failed(TakeError::Stopping))?.map_err(failed)?;
        let mut missing = Vec::new();
        for (key, _) in components {
            let name = String::from_utf8_lossy(&key).into_owned();
            match self.component(&name).await {
                Ok((file, length)) => {
                    let kind = BackupFileKind::Component;
                    self.file(&mut writer, (kind, name, length), file, to).await?;
                }
                Err(why) => missing.push(named(&format!("component {name}: {why}"))),
            }
        }
        for (_, record) in records {
            let Some((matrix, run)) = restored::run_of(&record) else { continue };
            // Kept until it is read: it may have been fetched for this.
            let log = self.matrices.bring(&matrix).await;
            let opened = match &log {
                Ok(log) => open(log.path()).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match opened {
                Ok((file, length)) => {
                    self.file(&mut writer, (BackupFileKind::Run, run, length), file, to).await?;
                }
                Err(why) => {
                    missing.push(named(&format!("the run log of matrix {matrix}: {why}")));
                }
            }
        }
        send(to, writer.end(missing)).await
    }

    async fn component(&self, name: &str) -> Result<(tokio::fs::File, u64), String> {
        let digest: Digest = name.parse().map_err(|_| "it is no digest".to_owned())?;
        self.catalog.bring(digest).await.map_err(|error| error.to_string())?;
        let opened = self.catalog.components().store().open_read(digest).await;
        opened.map_err(|error| error.to_string())
    }

    /// Sends a file, as long as it was when it was opened: a run log may grow meanwhile.
    async fn file(
        &self,
        writer: &mut Writer,
        (kind, name, length): (BackupFileKind, String, u64),
        file: impl AsyncRead + Unpin,
        to: &Sender,
    ) -> Result<(), Ended> {
        send(to, writer.file(kind, name.clone(), length)).await?;
        let failed = |error| Ended::Failed(TakeError::File(name.clone(), error));
        let (mut file, mut left) = (file.take(length), length);
        while left > 0 {
            let room = left.min(PIECE_BYTES_MAX as u64) as usize;
            let mut piece = BytesMut::zeroed(room);
            file.read_exact(&mut piece).await.map_err(failed)?;
            left -= room as u64;
            send(to, writer.data(piece.freeze())).await?;
        }
        Ok(())
    }
}

type Sender = mpsc::Sender<Result<Bytes, TakeError>>;

/// Why a backup ended early.
enum Ended {
    /// Nobody takes its pieces.
    Reader,
    Failed(TakeError),
}

async fn send(to: &Sender, piece: Bytes) -> Result<(), Ended> {
    to.send_timeout(Ok(piece), PAUSE_MAX).await.map_err(|_| Ended::Reader)
}

async fn open(path: &Path) -> io::Result<(tokio::fs::File, u64)> {
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    Ok((file, length))
}

fn named(what: &str) -> String {
    what.chars().take(MISSING_CHARS).collect()
}

/// Hands on what is written to it in pieces; it waits where nobody takes them.
struct Chopper {
    to: mpsc::Sender<Bytes>,
    piece: BytesMut,
}

impl Chopper {
    fn new(to: mpsc::Sender<Bytes>) -> Self {
        Self { to, piece: BytesMut::with_capacity(PIECE_BYTES_MAX) }
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE_BYTES_MAX));
        self.to.blocking_send(piece.freeze()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Chopper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES_MAX - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE_BYTES_MAX {
            self.hand_on()?;
        }
        Ok(taken)
    }

    /// The end: what is left goes as it is.
    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() { Ok(()) } else { self.hand_on() }
    }
}
