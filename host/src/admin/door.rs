//! Listening: bounded in connections, and rid of those that say nothing.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use futures::stream::{self, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use super::error::{AdminError, failed};
use super::serving::Peer;

/// A listener that takes a bounded number of connections: one too many is closed at once, so that it
/// can be told from one that waits.
#[derive(Debug)]
pub(super) struct Door<L> {
    listener: L,
    slots: Arc<Semaphore>,
    idle: Duration,
}

impl<L: Listener> Door<L> {
    /// Takes at most `connections_max` connections at a time, each closed after `idle` of silence.
    pub(super) fn new(listener: L, connections_max: usize, idle: Duration) -> Self {
        Self { listener, slots: Arc::new(Semaphore::new(connections_max)), idle }
    }

    /// The next connection, whence it comes, and its place among those that may be open.
    pub(super) async fn admit(&mut self) -> (L::Io, L::Addr, OwnedSemaphorePermit) {
        loop {
            let (io, address) = self.listener.accept().await;
            match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(slot) => return (io, address, slot),
                Err(_) => tracing::warn!("a connection was refused: `admin.connections_max` are open"),
            }
        }
    }

    /// The connections, as they come.
    pub(super) fn connections(self) -> impl Stream<Item = io::Result<Connection<L::Io>>> {
        stream::unfold(self, |mut door| async {
            let (connection, _) = door.accept().await;
            Some((Ok(connection), door))
        })
    }
}

impl<L: Listener> Listener for Door<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, address, slot) = self.admit().await;
        (Connection::new(io, self.idle, slot), address)
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that fails when its peer has said nothing for too long. Whoever lives is heard: HTTP/2
/// clients answer pings, and HTTP/1 clients connect anew. It keeps its place, `P`, for as long as it is open.
#[derive(Debug)]
pub(super) struct Connection<S, P = OwnedSemaphorePermit> {
    io: S,
    idle: Duration,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
    _place: P,
}

impl<S, P> Connection<S, P> {
    /// On the runtime that serves it.
    pub(super) fn new(io: S, idle: Duration, place: P) -> Self {
        Self { io, idle, heard: Instant::now(), timer: Box::pin(tokio::time::sleep(idle)), _place: place }
    }
}

impl<S: AsyncRead + Unpin, P: Unpin> AsyncRead for Connection<S, P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(context, buffer) {
            self.heard = Instant::now();
            return Poll::Ready(read);
        }
        // The timer is set anew only when it fires: once a period, not once a read.
        loop {
            ready!(self.timer.as_mut().poll(context));
            let due = self.heard + self.idle;
            if due <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(due);
        }
    }
}

impl<S: AsyncWrite + Unpin, P: Unpin> AsyncWrite for Connection<S, P> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<S, P> Peer for Connection<S, P> {
    fn fingerprint(&self) -> Option<Arc<str>> {
        None
    }
}

/// Listens on a TCP address, which the setting `field` names.
pub(super) async fn bind_tcp(address: SocketAddr, field: &'static str) -> Result<TcpListener, AdminError> {
    let bind = |source| AdminError::Bind { address: address.to_string(), field, source };
    TcpListener::bind(address).await.map_err(bind)
}

/// Listens on a Unix socket that only its owner may open. What a dead process left there is removed.
pub(super) async fn bind_unix(path: &Path) -> Result<UnixListener, AdminError> {
    remove_stale(path).await?;
    // Made under another name, so that nobody can connect before the mode is right.
    let fresh = PathBuf::from(format!("{}.new", path.display()));
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &fresh)(error)),
        _ => {}
    }
    let bind = |source| AdminError::Bind { address: fresh.display().to_string(), field: "socket", source };
    let listener = UnixListener::bind(&fresh).map_err(bind)?;
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&fresh, private).map_err(failed("set the mode of", &fresh))?;
    std::fs::rename(&fresh, path).map_err(failed("rename", &fresh))?;
    Ok(listener)
}

async fn remove_stale(path: &Path) -> Result<(), AdminError> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
    };
    if !found.file_type().is_socket() {
        return Err(AdminError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(AdminError::SocketInUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove", path))
        }
        Err(error) => Err(failed("connect to", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("matrixd.sock");
        let first = bind_unix(&path).await.expect("nothing is there");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(bind_unix(&path).await, Err(AdminError::SocketInUse(_))));
        drop(first);
        drop(bind_unix(&path).await.expect("its process is gone"));
        std::fs::remove_file(&path).expect("it is there");
        std::fs::write(&path, "mine").expect("a file");
        assert!(matches!(bind_unix(&path).await, Err(AdminError::NotASocket(_))));
        assert_eq!(std::fs::read(&path).expect("left alone"), b"mine");
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed() {
        let listener = bind_tcp(([127, 0, 0, 1], 0).into(), "listen").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut door = Door::new(listener, 1, Duration::from_secs(60));
        let _client = tokio::net::TcpStream::connect(address).await.expect("accepted");
        let (held, _) = door.accept().await;
        let mut refused = tokio::net::TcpStream::connect(address).await.expect("in the backlog");
        let mut byte = [0];
        tokio::select! {
            _ = door.accept() => panic!("there was no room"),
            read = refused.read(&mut byte) => assert!(matches!(read, Ok(0) | Err(_))),
        }
        drop(held);
        let mut third = tokio::net::TcpStream::connect(address).await.expect("accepted");
        let (mut held, _) = door.accept().await;
        third.write_all(b"x").await.expect("open");
        assert_eq!(held.read(&mut byte).await.expect("open"), 1);
    }

    #[tokio::test]
    async fn silence_ends_a_connection() {
        const IDLE: Duration = Duration::from_millis(200);
        let (mut peer, io) = tokio::io::duplex(8);
        let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("free");
        let mut connection = Connection::new(io, IDLE, slot);
        let mut byte = [0];
        let start = Instant::now();
        let speak = async {
            tokio::time::sleep(IDLE / 2).await;
            peer.write_all(b"x").await.expect("open");
        };
        let (read, ()) = tokio::join!(connection.read(&mut byte), speak);
        assert_eq!(read.expect("in time"), 1);
        let error = connection.read(&mut byte).await.expect_err("silent");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= IDLE + IDLE / 2, "what was heard gives the peer its full time again");
    }
}
