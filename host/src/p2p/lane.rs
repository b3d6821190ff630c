//! Lanes: what runs on a stream between two peers, in both directions, for as long as it stands.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf};
use libp2p::{Stream, StreamProtocol};

use super::link::Link;
use crate::tasks::alert;

/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// How long a step of a write may take: a peer that takes nothing for so long is not there.
const STEP_MAX: Duration = Duration::from_secs(20);

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

async fn write<S: AsyncWrite + Unpin>(mut stream: S, link: &Link) -> String {
    let mut taken = BytesMut::new();
    loop {
        link.take(&mut taken).await;
        alert::stir();
        if let Err(why) = hand_over(&mut stream, &taken, link, STEP_MAX).await {
            return why;
        }
    }
}

/// Writes all of `bytes`, each step of it within `step`; and what was written before goes out, where nothing follows.
async fn hand_over<S: AsyncWrite + Unpin>(
    stream: &mut S,
    mut bytes: &[u8],
    link: &Link,
    step: Duration,
) -> Result<(), String> {
    while !bytes.is_empty() {
        match in_time(step, stream.write(bytes)).await? {
            0 => return Err("the stream takes nothing more".to_owned()),
            count => bytes = &bytes[count..],
        }
    }
    // What came meanwhile goes first: one flush serves it all.
    if link.is_empty() { in_time(step, stream.flush()).await } else { Ok(()) }
}

async fn in_time<T>(limit: Duration, done: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(limit, done).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("the peer took nothing for too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use tokio::time::{Instant, Sleep};

    use super::*;
    use crate::p2p::tests::peer;

    const STEP: Duration = Duration::from_millis(100);
    const BYTES: usize = 4 << 10;
    const PIECE: usize = 1 << 10;

    /// A stream that takes a kilobyte, and then nothing for a while.
    struct Narrow {
        rest: Pin<Box<Sleep>>,
        while_long: Duration,
        taken: usize,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            ready!(self.rest.as_mut().poll(context));
            let next = Instant::now() + self.while_long;
            self.rest.as_mut().reset(next);
            self.taken += bytes.len().min(PIECE);
            Poll::Ready(Ok(bytes.len().min(PIECE)))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn handed_over(while_long: Duration) -> (Result<(), String>, usize) {
        let mut stream = Narrow { rest: Box::pin(tokio::time::sleep(while_long)), while_long, taken: 0 };
        let link = Link::new(peer(1), BYTES);
        let handed = hand_over(&mut stream, &[7; BYTES], &link, STEP).await;
        (handed, stream.taken)
    }

    #[tokio::test]
    async fn a_peer_that_takes_a_little_now_and_then_is_there() {
        assert_eq!(handed_over(STEP * 2 / 3).await, (Ok(()), BYTES));
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_for_long_is_given_up() {
        let gone = "the peer took nothing for too long".to_owned();
        assert_eq!(handed_over(STEP * 600).await, (Err(gone), 0));
    }
}
