//! A Soul into a file: a stream of its pieces, made as they are taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use matrix_proto::soul_file::{PIECE_BYTES_MAX, Writer};
use matrix_proto::wire::SoulFileComponent;
use matrix_proto::wire::soul_file_record::Kind;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::{PortableError, Portables, Wish, file};
use crate::ids::SoulName;
use crate::runtime::catalog::ComponentError;
use crate::souls::plant::Cutting;
use crate::tasks::Tasks;

/// Pieces that wait for a reader.
const WAITING: usize = 4;
/// How long a reader may take for a piece: meanwhile all of the Soul is held in memory.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The file's pieces, in order. It is whole only if none is an error.
pub type Pieces = mpsc::Receiver<Result<Bytes, PortableError>>;

type Sender = mpsc::Sender<Result<Bytes, PortableError>>;

impl Portables {
    /// Begins a file of a Soul as it is now, with its component where that is wanted; `tasks` writes it, as fast as its
    /// pieces are taken.
    ///
    /// # Errors
    /// Whatever [`PortableError`] names.
    pub async fn export(
        &self,
        soul: &SoulName,
        wish: Wish,
        with_component: bool,
        tasks: &Tasks,
    ) -> Result<Pieces, PortableError> {
        let turn = Arc::clone(&self.one).try_acquire_owned().map_err(|_| PortableError::Busy)?;
        let cutting = self.take(soul, wish).await?;
        let header = file::header(&cutting, self.realm.id().to_string())?;
        let (writer, first) = Writer::new(header);
        let (pieces, reader) = mpsc::channel(WAITING);
        let (this, stopping) = (self.clone(), tasks.stopping());
        tasks.spawn("soul.export", async move {
            let _turn = turn;
            let writing = async {
                send(&pieces, first).await?;
                this.write(&cutting, with_component, writer, &pieces).await
            };
            if let Some(Err(Ended::Failed(error))) = stopping.run_until_cancelled(writing).await {
                // A reader who is gone wants no error either.
                drop(pieces.send(Err(error)).await);
            }
        });
        Ok(reader)
    }

    async fn write(
        &self,
        cutting: &Cutting,
        with_component: bool,
        mut writer: Writer,
        to: &Sender,
    ) -> Result<(), Ended> {
        if let Some(checkpoint) = &cutting.checkpoint {
            send(to, writer.record(file::state(checkpoint))).await?;
        }
        for kept in &cutting.kept {
            send(to, writer.record(file::entry(kept))).await?;
        }
        if with_component {
            self.component(cutting, &mut writer, to).await?;
        }
        send(to, writer.seal()).await
    }

    async fn component(&self, cutting: &Cutting, writer: &mut Writer, to: &Sender) -> Result<(), Ended> {
        let (digest, catalog) = (cutting.manifest.component, &self.catalog);
        let failed = |reason: String| Ended::Failed(PortableError::Component(digest, reason));
        let record = catalog.record(digest).await.map_err(|error| failed(error.to_string()))?;
        let record = record.ok_or_else(|| failed(ComponentError::Unknown(digest).to_string()))?;
        catalog.bring(digest).await.map_err(|error| failed(error.to_string()))?;
        let opened = catalog.components().store().open_read(digest).await;
        let (mut file, mut left) = opened.map_err(|error| failed(error.to_string()))?;
        let signature = record.signature.map(|signature| serde_json::to_vec(&signature));
        let signature = signature.transpose().map_err(|error| failed(error.to_string()))?;
        let signature = signature.unwrap_or_default().into();
        send(to, writer.record(Kind::Component(SoulFileComponent { length: left, signature }))).await?;
        while left > 0 {
            let mut piece = BytesMut::zeroed(left.min(PIECE_BYTES_MAX as u64) as usize);
            file.read_exact(&mut piece).await.map_err(|error| failed(error.to_string()))?;
            left -= piece.len() as u64;
            send(to, writer.record(Kind::Data(piece.freeze()))).await?;
        }
        Ok(())
    }
}

/// Why a file ended early.
enum Ended {
    /// Nobody takes its pieces.
    Reader,
    Failed(PortableError),
}

/// Sends bytes, in pieces that are no longer than a client takes at once.
async fn send(to: &Sender, mut bytes: Bytes) -> Result<(), Ended> {
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(PIECE_BYTES_MAX));
        to.send_timeout(Ok(piece), PAUSE_MAX).await.map_err(|_| Ended::Reader)?;
    }
    Ok(())
}
