//! The threads that serve gRPC over TCP, each with a runtime of its own. A connection stays with the thread that it was
//! given to, and so do its calls: none goes from thread to thread. What a call is told by the rest of the node comes
//! [by post](post), and the thread [stays awake](alert) for a moment after each call, since another one often follows.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use futures::future::join_all;
use futures::stream::{self, Stream};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::door::{Connection, Door};
use crate::tasks::{Tasks, alert, post};

/// The most threads: each serves more calls than the rest of a node can answer.
const THREADS_MAX: usize = 8;
/// Connections that a thread has not taken yet; more wait in the listener's backlog.
const GIVEN_MAX: usize = 16;

/// A connection on its way to its thread.
struct Given {
    stream: std::net::TcpStream,
    place: Place,
}

/// A connection's place among all that may be open, and among those of its thread.
#[derive(Debug)]
pub(super) struct Place {
    _slot: OwnedSemaphorePermit,
    _of_thread: Arc<()>,
}

/// Connections as a thread gets them.
pub(super) type Served = Connection<TcpStream, Place>;

/// The threads.
pub(super) struct Threads(Vec<Thread>);

/// One of them.
struct Thread {
    give: mpsc::Sender<Given>,
    /// As many as it has connections, and one.
    connections: Arc<()>,
    ended: oneshot::Receiver<()>,
}

impl Threads {
    /// Starts one for each processor, up to a bound. Each runs what `serve` makes of its connections, which fail after
    /// `idle` of silence, until that ends.
    ///
    /// # Errors
    /// Where the system gives no thread, or nothing for it to wait with.
    pub(super) fn start<S, F>(serve: S, idle: Duration) -> io::Result<Self>
    where
        S: FnOnce(stream::BoxStream<'static, io::Result<Served>>) -> F + Clone + Send + 'static,
        F: Future<Output = ()>,
    {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        Self::start_some(count, serve, idle)
    }

    fn start_some<S, F>(count: usize, serve: S, idle: Duration) -> io::Result<Self>
    where
        S: FnOnce(stream::BoxStream<'static, io::Result<Served>>) -> F + Clone + Send + 'static,
        F: Future<Output = ()>,
    {
        let start_one = |_| {
            let (give, given) = mpsc::channel(GIVEN_MAX);
            let (done, ended) = oneshot::channel();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let serve = serve.clone();
            std::thread::Builder::new().name("grpc".into()).spawn(move || {
                run(runtime, serve(Box::pin(taken(given, idle))));
                // Whoever waits for it may have given up.
                let _ = done.send(());
            })?;
            Ok(Thread { give, connections: Arc::default(), ended })
        };
        (0..count).map(start_one).collect::<io::Result<_>>().map(Self)
    }

    /// Gives each connection of `door` to the thread that has the fewest, until `stopping`; returns when all threads have
    /// ended.
    pub(super) async fn serve<L>(self, mut door: Door<L>, stopping: CancellationToken)
    where
        L: Listener<Io = TcpStream>,
    {
        let giving = async {
            loop {
                let (io, _, slot) = door.admit().await;
                let serving = self.0.iter().filter(|thread| !thread.give.is_closed());
                // None: all have ended, as the node stops.
                let Some(thread) = serving.min_by_key(|thread| Arc::strong_count(&thread.connections)) else {
                    return;
                };
                let place = Place { _slot: slot, _of_thread: Arc::clone(&thread.connections) };
                match io.into_std() {
                    // It fails where the thread has just ended.
                    Ok(stream) => drop(thread.give.send(Given { stream, place }).await),
                    Err(error) => tracing::debug!(%error, "a connection was lost on its way to its thread"),
                }
            }
        };
        stopping.run_until_cancelled(giving).await;
        // Who comes now shall not wait for somebody to take the connection.
        drop(door);
        join_all(self.0.into_iter().map(|thread| thread.ended)).await;
    }
}

/// What a thread does.
fn run(runtime: Runtime, serving: impl Future<Output = ()>) {
    runtime.block_on(async {
        let beside = Tasks::new();
        beside.spawn("grpc.alert", alert::keep());
        beside.spawn("grpc.post", post::deliver());
        serving.await;
    });
    // What still blocks, on a disk, is not waited for: nobody hears of it any more.
    runtime.shutdown_background();
}

/// The connections that a thread is given.
fn taken(given: mpsc::Receiver<Given>, idle: Duration) -> impl Stream<Item = io::Result<Served>> {
    stream::unfold(given, move |mut given| async move {
        let Given { stream, place } = given.recv().await?;
        let connection = TcpStream::from_std(stream).map(|io| Connection::new(io, idle, place));
        Some((connection, given))
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_connection_goes_to_the_thread_that_has_the_fewest() {
        const IDLE: Duration = Duration::from_secs(60);
        let (tell, mut told) = mpsc::channel(8);
        let serve = move |connections: stream::BoxStream<'static, io::Result<Served>>| async move {
            let each = connections.for_each_concurrent(None, |connection| async {
                let here = std::thread::current().id();
                tell.send((here, true)).await.expect("somebody listens");
                let mut connection = connection.expect("it came whole");
                assert_eq!(connection.read(&mut [0]).await.expect("it ends well"), 0);
                drop(connection);
                tell.send((here, false)).await.expect("somebody listens");
            });
            each.await;
        };
        let threads = Threads::start_some(2, serve, IDLE).expect("there are threads");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let stopping = CancellationToken::new();
        let serving = threads.serve(Door::new(listener, 8, IDLE), stopping.clone());
        let clients = async {
            let mut open = Vec::new();
            for _ in 0..4 {
                let client = TcpStream::connect(address).await.expect("it listens");
                let (thread, _) = told.recv().await.expect("it is served");
                open.push((thread, client));
            }
            let first = open[0].0;
            assert_eq!(open.iter().filter(|(thread, _)| *thread == first).count(), 2);
            let (left, others): (Vec<_>, Vec<_>) = open.into_iter().partition(|(thread, _)| *thread == first);
            drop(left);
            for _ in 0..2 {
                assert_eq!(told.recv().await, Some((first, false)));
            }
            let _anew = TcpStream::connect(address).await.expect("it listens");
            assert_eq!(told.recv().await, Some((first, true)), "the other thread has two");
            stopping.cancel();
            drop(others);
        };
        tokio::join!(serving, clients);
    }
}
