//! Why the door cannot be opened.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why the door cannot be opened. What callers are told is in `convert`.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A setting makes no sense.
    #[error("`admin.{field}` is out of its bounds: {rule}")]
    Config {
        /// Which setting.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// gRPC would be open to other machines in the clear.
    #[error(
        "`admin.listen` is {0}, which other machines reach: set `admin.tls.cert` and `admin.tls.key` (and \
         `admin.tls.client_ca`, to know clients by their certificates), or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// HTTP would be open to other machines.
    #[error(
        "`admin.http` is {0}, which other machines reach, and it knows no TLS: use 127.0.0.1, and a proxy \
         in front of it for others"
    )]
    OpenHttp(SocketAddr),
    /// An address cannot be had.
    #[error("cannot listen on `{address}`: {source}; stop what listens there, or change `admin.{field}`")]
    Bind {
        /// The address or the socket's path.
        address: String,
        /// The setting that names it.
        field: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A node lives behind the socket.
    #[error("another process answers on `{}`: stop it, or give this node a data folder of its own", .0.display())]
    SocketInUse(PathBuf),
    /// Something else is where the socket should be.
    #[error("`{}` is no socket, and is left alone: move it away, or change `admin.socket`", .0.display())]
    NotASocket(PathBuf),
    /// A file cannot be used.
    #[error("cannot {what} `{}`: {source}; look after the file, its folder and their owner", .path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A secret is readable to others.
    #[error("`{}` has the mode {mode:o}, and others may read it: set it to 600", .path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("`{}` {problem}", .path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The system has no random bytes.
    #[error("the system gives no random bytes for a token: {0}")]
    Random(String),
    /// The system gives no threads to serve with.
    #[error(
        "the threads that serve gRPC cannot be started: {0}; let the node have more of them, or more open files"
    )]
    Threads(io::Error),
    /// The reflection service cannot be made.
    #[error("the descriptors of the gRPC services cannot be served: {0}")]
    Reflection(String),
}

/// For `map_err`: what could not be done with a file.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AdminError {
    let path = path.to_owned();
    move |source| AdminError::File { what, path, source }
}
