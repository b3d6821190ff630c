//! gRPC on connections: HTTP/2 by hyper itself. tonic's own server would put half a dozen layers, two of them boxed anew
//! for each call, between a connection and the front.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{Stream, StreamExt as _};
use hyper::body::Incoming;
use hyper::server::conn::http2::{Builder, Connection};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};

use super::front::{Answering, Front};
use super::server::Server;

/// The most bytes in the headers of a request: a token, a trace, a deadline.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// What is at the other end of a connection.
pub(super) trait Peer {
    /// The fingerprint of the certificate that it has shown in the handshake of TLS.
    fn fingerprint(&self) -> Option<Arc<str>>;
}

/// Where the calls of one connection come in.
struct Entrance {
    front: Front,
    shown: Option<Arc<str>>,
}

impl Service<Request<Incoming>> for Entrance {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        self.front.call(request.map(Body::new), self.shown.as_deref())
    }
}

/// Serves gRPC on `connections` until they end, or until `stopping`: calls under way are let go on.
pub(super) fn serve<I, C>(
    server: &Server,
    connections: I,
    stopping: CancellationToken,
) -> impl Future<Output = ()> + Send + use<I, C>
where
    I: Stream<Item = io::Result<C>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Peer + Unpin + Send + 'static,
{
    let Server { front, config } = server.clone();
    let keepalive = Duration::from_secs(config.keepalive_seconds);
    let mut http = Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(config.calls_per_connection)
        .keep_alive_interval(keepalive)
        .keep_alive_timeout(keepalive)
        .max_header_list_size(HEADER_BYTES_MAX);
    async move {
        let mut open = JoinSet::new();
        {
            // Gone before the calls under way have ended: who comes now shall not wait for somebody to take the connection.
            let mut connections = pin!(connections.take_until(stopping.clone().cancelled_owned()));
            loop {
                let connection = tokio::select! {
                    Some(_) = open.join_next() => continue,
                    connection = connections.next() => connection,
                };
                match connection {
                    Some(Ok(connection)) => {
                        let entrance = Entrance { front: front.clone(), shown: connection.fingerprint() };
                        let serving = http.serve_connection(TokioIo::new(connection), entrance);
                        open.spawn(until_over(serving, stopping.clone()));
                    }
                    Some(Err(error)) => tracing::debug!(%error, "a connection was lost before it was served"),
                    None => break,
                }
            }
        }
        while open.join_next().await.is_some() {}
    }
}

/// Serves a connection until it ends; once `stopping`, no call begins on it any more.
async fn until_over<C>(serving: Connection<TokioIo<C>, Entrance, TokioExecutor>, stopping: CancellationToken)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    // A peer that breaks off, or breaks the protocol, is no failure of the door's.
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection was broken off");
    }
}
