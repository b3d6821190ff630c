//! Lanes: what runs on a stream between two peers, in both directions, for as long as it stands.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use libp2p::{Stream, StreamProtocol};

use super::link::Link;
use crate::tasks::alert;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// How long one write may take: a peer that takes nothing for so long is not there.
const WRITE_MAX: Duration = Duration::from_secs(20);

/// A lane's name, as peers agree on it: the name of its protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(&'static str);

impl Lane {
    /// A lane of this protocol, such as `/matrix/1.0.0`.
    pub const fn new(protocol: &'static str) -> Self {
        Self(protocol)
    }

    /// The protocol's name.
    pub const fn protocol(self) -> &'static str {
        self.0
    }

    pub(super) const fn name(self) -> StreamProtocol {
        StreamProtocol::new(self.0)
    }
}

/// What a peer did that its protocol does not allow: the stream is ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the peer broke the protocol: {0}")]
pub struct Violation(pub String);

/// What is spoken on a lane. It is called on the network's own thread, and must neither wait nor work long.
pub trait Protocol: Send + Sync + 'static {
    /// A stream to `link.peer()` stands.
    fn up(&self, link: &Link);

    /// Bytes came: takes all whole frames off the front of `input`, and leaves the rest.
    ///
    /// # Errors
    /// What the peer did wrong.
    fn received(&self, link: &Link, input: &mut BytesMut) -> Result<(), Violation>;

    /// The stream has ended; [`Protocol::received`] is not called for it any more.
    fn down(&self, link: &Link);

    /// Whether peers that are no members may speak it, on streams that they open.
    fn takes_clients(&self) -> bool {
        false
    }
}

/// Runs `protocol` on a stream until it ends; says why it did. The link is up meanwhile.
pub(super) async fn run(stream: Stream, link: &Link, protocol: &Arc<dyn Protocol>) -> String {
    let (reader, writer) = stream.split();
    link.set_up(true);
    protocol.up(link);
    // Ended in order also where this is cancelled.
    let _ended = Ended(link, protocol);
    tokio::select! {
        why = read(reader, link, protocol) => why,
        why = write(writer, link) => why,
    }
}

struct Ended<'a>(&'a Link, &'a Arc<dyn Protocol>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.set_up(false);
        self.1.down(self.0);
    }
}

async fn read<S: AsyncRead>(mut stream: ReadHalf<S>, link: &Link, protocol: &Arc<dyn Protocol>) -> String {
    let (mut chunk, mut input) = (vec![0; READ_BYTES], BytesMut::new());
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) => return "the peer closed it".to_owned(),
            Ok(count) => {
                alert::stir();
                link.count_received(count);
                input.extend_from_slice(&chunk[..count]);
            }
            Err(error) => return error.to_string(),
        }
        if let Err(violation) = protocol.received(link, &mut input) {
            tracing::warn!(peer = %link.peer(), %violation, "a stream is ended");
            return violation.to_string();
        }
    }
}

async fn write<S: AsyncWrite>(mut stream: WriteHalf<S>, link: &Link) -> String {
    let mut taken = BytesMut::new();
    loop {
        link.take(&mut taken).await;
        alert::stir();
        let written = async {
            stream.write_all(&taken).await?;
            // What came meanwhile goes first: one flush serves it all.
            if link.is_empty() { stream.flush().await } else { Ok(()) }
        };
        match tokio::time::timeout(WRITE_MAX, written).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the peer took nothing for too long".to_owned(),
        }
    }
}
