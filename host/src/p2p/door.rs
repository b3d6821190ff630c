//! Single questions: a stream for each, which ends with its answer. For what is asked seldom, and by whoever is
//! connected; a door's keeper decides whom it answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
use futures::stream::StreamExt as _;
use libp2p::Stream;
use libp2p_stream::IncomingStreams;

use super::peer::Peer;
use crate::tasks::Tasks;

/// The longest question, and the longest answer, in bytes.
const BYTES_MAX: u64 = 256 << 10;
/// How long a question may take to come, and its answer to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions of one door that are answered at a time; whoever comes then is turned away.
const AT_ONCE: usize = 32;

/// Answers questions.
pub trait Door: Send + Sync + 'static {
    /// The answer to a peer's question.
    fn answer(&self, peer: Peer, question: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>>;
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The peer could not be reached in time.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(Peer, String),
    /// The peer took the question and did not answer it.
    #[error("{0} did not answer: {1}")]
    NoAnswer(Peer, String),
}

/// Answers what comes, until the network ends.
pub(super) async fn keep(mut incoming: IncomingStreams, door: Arc<dyn Door>, tasks: Tasks) {
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    while let Some((peer, stream)) = incoming.next().await {
        // Dropping the stream tells the peer to come again later.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let door = door.clone();
        tasks.spawn("p2p.door", async move {
            let _place = place;
            let answered = tokio::time::timeout(PATIENCE, serve(Peer(peer), stream, &*door)).await;
            if !matches!(answered, Ok(Ok(()))) {
                tracing::debug!(%peer, ?answered, "a question was not answered");
            }
        });
    }
}

async fn serve(peer: Peer, mut stream: Stream, door: &dyn Door) -> std::io::Result<()> {
    let question = read(&mut stream).await?;
    let answer = door.answer(peer, question).await;
    stream.write_all(&answer).await?;
    stream.close().await
}

/// Asks on a stream that stands.
pub(super) async fn ask(mut stream: Stream, question: &[u8]) -> std::io::Result<Bytes> {
    stream.write_all(question).await?;
    stream.close().await?;
    read(&mut stream).await
}

/// Reads to the end, within the bound.
async fn read(stream: &mut Stream) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    stream.take(BYTES_MAX + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(std::io::Error::other(format!("it is longer than {BYTES_MAX} bytes")));
    }
    Ok(bytes.into())
}
