//! Components of other nodes: fetched by their digest from whoever has them, a few pieces at a time, so that nothing
//! else waits behind them; and handed to whoever asks.

use std::io::SeekFrom;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use matrix_proto::wire;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::store::{ComponentStore, StoreError};
use crate::ids::Digest;
use crate::p2p::rpc::{CallError, Reply, Rpc, Serve};
use crate::p2p::{Lane, Peer};
use crate::realm::Realm;
use crate::tasks::Tasks;

/// The lane.
const LANE: Lane = Lane::new("/matrix/blob/1");
/// Bytes of one piece.
const PIECE_BYTES: u32 = 256 << 10;
/// Pieces on their way at a time: what may stand in front of a vote on a shared connection.
const PIECES_AT_ONCE: usize = 2;
/// How long a node that is alive may take to open its lanes.
const OPENING: Duration = Duration::from_secs(3);
/// How long one piece may take.
const PIECE: Duration = Duration::from_secs(10);

/// The exchange of components between nodes.
#[derive(Debug)]
pub struct Exchange {
    realm: Realm,
    rpc: Rpc,
    store: ComponentStore,
}

/// Why a component could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No node that has it can be reached.
    #[error("no node that is alive has component {0}: {1}")]
    Nowhere(Digest, String),
    /// It cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Exchange {
    /// Opens the lane: what is in `store` is handed to the nodes of the realm.
    pub async fn open(realm: &Realm, store: ComponentStore, tasks: &Tasks) -> Self {
        let server = std::sync::Arc::new(Server { store: store.clone(), tasks: tasks.clone() });
        let rpc = Rpc::open(realm.network(), LANE, server).await;
        Self { realm: realm.clone(), rpc, store }
    }

    /// Fetches a component into the store, from the first node that gives it whole. Where one fails on the way, the
    /// next goes on.
    pub async fn fetch(&self, digest: Digest) -> Result<(), FetchError> {
        let nodes = self.realm.nodes().borrow().clone();
        let others = nodes.nodes.values().filter(|view| view.is_alive && view.record.node != self.realm.me());
        let mut upload = self.store.begin_upload(None, Some(digest)).await?;
        let (mut offset, mut total, mut failures) = (0, None, Vec::new());
        for view in others {
            self.rpc.until_up(view.record.peer, OPENING).await;
            match self.fetch_from(view.record.peer, digest, &mut offset, &mut total, &mut upload).await {
                Ok(()) => {
                    upload.finish().await?;
                    return Ok(());
                }
                Err(Failed::Call(error)) => failures.push(format!("node {}: {error}", view.record.node)),
                Err(Failed::Store(error)) => return Err(error.into()),
            }
        }
        Err(FetchError::Nowhere(digest, failures.join("; ")))
    }

    async fn fetch_from(
        &self,
        peer: Peer,
        digest: Digest,
        offset: &mut u64,
        total: &mut Option<u64>,
        upload: &mut super::store::Upload,
    ) -> Result<(), Failed> {
        let first = self.piece(peer, digest, *offset).await?;
        // A node that speaks of another length has another component, or lies: the digest decides in the end.
        let length = *total.get_or_insert(first.total);
        *offset += first.data.len() as u64;
        upload.write(first.data).await?;
        let starts = (*offset..length).step_by(PIECE_BYTES as usize);
        let mut pieces =
            stream::iter(starts.map(|start| self.piece(peer, digest, start))).buffered(PIECES_AT_ONCE);
        while let Some(piece) = pieces.next().await {
            let data = piece?.data;
            *offset += data.len() as u64;
            upload.write(data).await?;
        }
        Ok(())
    }

    async fn piece(&self, peer: Peer, digest: Digest, offset: u64) -> Result<wire::BlobAnswer, CallError> {
        let question = wire::BlobQuestion { digest: digest.to_string(), offset, length: PIECE_BYTES };
        let answer = self.rpc.call(peer, question.encode_to_vec().into(), PIECE).await?;
        let malformed = |_| CallError::Refused(peer, "the piece makes no sense".into());
        wire::BlobAnswer::decode(answer).map_err(malformed)
    }
}

enum Failed {
    Call(CallError),
    Store(StoreError),
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

struct Server {
    store: ComponentStore,
    tasks: Tasks,
}

impl Serve for Server {
    fn serve(&self, _: Peer, question: Bytes, reply: Reply) {
        let Ok(question) = wire::BlobQuestion::decode(question) else { return reply.fail("it is malformed") };
        let store = self.store.clone();
        self.tasks.spawn("blobs.piece", async move {
            match read(&store, &question).await {
                Ok(answer) => reply.answer(answer.encode_to_vec().into()),
                Err(why) => reply.fail(&why),
            }
        });
    }
}

async fn read(store: &ComponentStore, question: &wire::BlobQuestion) -> Result<wire::BlobAnswer, String> {
    let digest: Digest = question.digest.parse().map_err(|_| "it is no digest".to_owned())?;
    let (mut file, total) = store.open_read(digest).await.map_err(|error| error.to_string())?;
    let length = u64::from(question.length.min(PIECE_BYTES)).min(total.saturating_sub(question.offset));
    let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let read = async {
        file.seek(SeekFrom::Start(question.offset)).await?;
        file.take(length).read_to_end(&mut data).await
    };
    read.await.map_err(|error| error.to_string())?;
    Ok(wire::BlobAnswer { total, data: data.into() })
}
