//! Streams on one TCP connection: yamux, except for how a connection ends.
//!
//! yamux ends a connection in order: it waits until all is written, which a peer that stands still never lets it do,
//! and it forgets its streams without telling whoever reads them. A lane would wait for ever on a connection that is
//! gone. Here a connection that is closed is let go of at once, as if the peer had gone: all its streams end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::{MapOk, TryFutureExt as _};
use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::yamux;

/// Makes streams of a connection, as yamux does.
#[derive(Debug, Clone)]
pub(super) struct Muxing(yamux::Config);

impl Muxing {
    /// At most `streams_max` streams on a connection; beyond it the connection ends.
    pub(super) fn new(streams_max: usize) -> Self {
        let mut settings = yamux::Config::default();
        settings.set_max_num_streams(streams_max);
        Self(settings)
    }
}

impl UpgradeInfo for Muxing {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

/// What comes of an upgrade of yamux, ended as this says.
type Made<F, M> = MapOk<F, fn(M) -> Muxer<M>>;
type Yamux<C> = yamux::Muxer<C>;

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Muxing {
    type Output = Muxer<Yamux<C>>;
    type Error = io::Error;
    type Future = Made<<yamux::Config as InboundConnectionUpgrade<C>>::Future, Yamux<C>>;

    fn upgrade_inbound(self, connection: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(connection, info).map_ok(Muxer)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Muxing {
    type Output = Muxer<Yamux<C>>;
    type Error = io::Error;
    type Future = Made<<yamux::Config as OutboundConnectionUpgrade<C>>::Future, Yamux<C>>;

    fn upgrade_outbound(self, connection: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(connection, info).map_ok(Muxer)
    }
}

/// Streams that all end once their connection is closed: it is dropped then.
#[derive(Debug)]
pub(super) struct Muxer<M>(M);

impl<M: StreamMuxer + Unpin> StreamMuxer for Muxer<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.get_mut().0).poll_inbound(context)
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        Pin::new(&mut self.get_mut().0).poll_outbound(context)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.get_mut().0).poll(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{poll_fn, try_join};
    use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use libp2p::core::Endpoint;
    use libp2p::core::transport::memory::{Channel, MemoryTransport};
    use libp2p::core::transport::{DialOpts, ListenerId, PortUse, Transport as _, TransportEvent};

    use super::*;

    type Pipe = Channel<Vec<u8>>;

    /// Two ends of a connection within this process.
    async fn pipe() -> (Pipe, Pipe) {
        let (mut listener, mut dialer) = (MemoryTransport::default(), MemoryTransport::default());
        listener.listen_on(ListenerId::next(), "/memory/0".parse().expect("an address")).expect("any port");
        let listened = poll_fn(|context| Pin::new(&mut listener).poll(context)).await;
        let TransportEvent::NewAddress { listen_addr, .. } = listened else { panic!("it listens") };
        let opts = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let dialing = dialer.dial(listen_addr, opts).expect("it listens");
        let listening = async {
            let dialed = poll_fn(|context| Pin::new(&mut listener).poll(context)).await;
            let TransportEvent::Incoming { upgrade, .. } = dialed else { panic!("it is dialed") };
            upgrade.await
        };
        try_join(dialing, listening).await.expect("it stands")
    }

    #[tokio::test]
    async fn who_reads_learns_that_the_connection_was_closed_here() {
        // The peer stands still: it neither reads nor writes.
        let (here, _there) = pipe().await;
        let info = Muxing::new(8).protocol_info().next().expect("a name");
        let mut muxer =
            Muxing::new(8).upgrade_outbound(here, info).await.expect("nothing is asked of the peer");
        let mut stream =
            poll_fn(|context| Pin::new(&mut muxer).poll_outbound(context)).await.expect("a stream");
        stream.write_all(b"x").await.expect("there is room");
        let mut byte = [0];
        let mut read = stream.read(&mut byte);
        assert!(futures::poll!(&mut read).is_pending());
        poll_fn(|context| Pin::new(&mut muxer).poll_close(context)).await.expect("it ends at once");
        drop(muxer);
        assert_eq!(read.await.expect("the stream has ended"), 0);
    }
}
