//! The operator's door: gRPC for people and programs, HTTP for machines that watch.
//!
//! [`door`] listens, [`serving`] speaks HTTP/2, and [`front`] takes each call: [`observe`] counts and traces it, [`guard`]
//! lets in whom [`auth`] knows, by the token of the data folder or by the [`book`] of the realm, and who has the role that
//! [`roles`] asks for; what changes something goes into the [`audit`] log. Then one file a service of `matrix.v1`: each
//! reads the request, calls the room that does the work, and has [`convert`] write the answer. [`desk`] is what they
//! share, [`replay`] makes retries safe, [`paging`] cuts lists.
//!
//! Health and reflection answer without a token, so that stock clients find their way; everything else
//! needs one, or a certificate.

mod audit;
mod auth;
mod book;
mod config;
mod door;
mod error;
mod fields;
mod front;
mod guard;
mod observe;
mod roles;
mod serving;
mod threads;
mod tls;

mod convert;
mod desk;
mod paging;
mod pipeline;
mod portable;
mod relay;
mod replay;

mod access;
mod cluster;
mod components;
mod events;
mod http;
mod interceptors;
mod kv;
mod learning;
mod logs;
mod look;
mod matrices;
mod memory;
mod observing;
mod rollout;
mod server;
mod souls;
mod swaps;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub use config::{AdminConfig, AuditConfig, TlsConfig};
pub use desk::AdminHost;
pub use error::AdminError;
pub use look::{ACCESS_BUCKET, Grant, check_audit, check_tls, check_token, grants};
pub use matrix_proto::pipeline::OPERATIONS_MAX as PIPELINE_OPERATIONS_MAX;
pub use roles::Role;

use audit::Audit;
use auth::Gate;
use book::Book;
use desk::{Desk, Readiness};
use door::{Door, bind_tcp, bind_unix};
use guard::Guard;
use server::{Health, Server};
use serving::serve;
use threads::Threads;
use tls::Keys;

use crate::tasks::Tasks;
use crate::telemetry::Telemetry;

/// The socket's name in the data folder, where the configuration says nothing.
const SOCKET_FILE: &str = "matrixd.sock";

/// The door, open until the tasks that it was started with are stopped: then it takes no new calls, and
/// those under way have `admin.shutdown_seconds` to end.
#[derive(Debug, Clone)]
pub struct Admin {
    desk: Arc<Desk>,
    health: Health,
    /// Whether the node has begun to stop.
    stops: Arc<Mutex<bool>>,
}

/// What the door listens on, before anybody is let in.
struct Bound {
    unix: UnixListener,
    socket: PathBuf,
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
}

impl Admin {
    /// Binds every address of `config`, and only then serves. The node counts as not ready until
    /// [`Admin::set_ready`] says otherwise.
    ///
    /// # Errors
    /// Whatever [`AdminError`] names: a setting, an address that is taken, a secret that others may read.
    pub async fn start(
        config: AdminConfig,
        host: AdminHost,
        telemetry: Arc<Telemetry>,
        tasks: &Tasks,
    ) -> Result<Self, AdminError> {
        config.check()?;
        // What a call begins may outlast the thread that served it.
        let tasks = &tasks.here();
        let book = Book::open(host.kv.clone(), tasks).await;
        let certificates = config.tls.as_ref().map_or(Role::Read, |tls| tls.role);
        let gate = Gate::open(&host.data_dir, certificates, book.page())?;
        let tls = config.tls.as_ref().map(Keys::open).transpose()?;
        let socket = config.socket.clone().unwrap_or_else(|| host.data_dir.join(SOCKET_FILE));
        let bound = Bound::bind(&config, socket).await?;
        let addresses = bound.addresses(tls.is_some())?;
        let audit = Audit::open(&host.data_dir, config.audit.clone(), tasks)?;
        let desk = Arc::new(Desk::new(host, config, addresses, audit, tasks.clone()));
        desk.open_relay().await;
        let health = Health::new().await;
        let guard = Guard { gate, desk: desk.clone() };
        let server = Server::new(&desk, guard, book, &health, telemetry.exports_spans())?;
        if let Some(keys) = &tls {
            keys.follow(tasks);
        }
        bound.serve(&desk, &server, tls, telemetry, tasks)?;
        Ok(Self { desk, health, stops: Arc::default() })
    }

    /// Where the node listens: `unix:PATH`, `http://HOST:PORT` or `https://HOST:PORT`, gRPC first.
    pub fn addresses(&self) -> &[String] {
        &self.desk.addresses
    }

    /// Tells health checks and `/readyz` whether the node accepts work; `reason` says why not.
    pub async fn set_ready(&self, ready: bool, reason: &str) {
        let stops = self.stops.lock().await;
        if !*stops {
            self.tell(ready, reason).await;
        }
    }

    /// Tells them that the node is stopping: it is not ready any more, whatever is said later.
    pub async fn set_stopping(&self) {
        let mut stops = self.stops.lock().await;
        *stops = true;
        self.tell(false, "the node is stopping").await;
    }

    async fn tell(&self, ready: bool, reason: &str) {
        let reason = if ready { String::new() } else { reason.to_owned() };
        self.desk.readiness.send_replace(Readiness { ready, reason });
        self.health.set(ready).await;
    }
}

impl Bound {
    async fn bind(config: &AdminConfig, socket: PathBuf) -> Result<Self, AdminError> {
        let grpc = match config.listen {
            Some(address) => Some(bind_tcp(address, "listen").await?),
            None => None,
        };
        let http = match config.http {
            Some(address) => Some(bind_tcp(address, "http").await?),
            None => None,
        };
        let unix = bind_unix(&socket).await?;
        Ok(Self { unix, socket, grpc, http })
    }

    fn addresses(&self, tls: bool) -> Result<Vec<String>, AdminError> {
        let mut addresses = vec![format!("unix:{}", self.socket.display())];
        let scheme = if tls { "https" } else { "http" };
        for (listener, scheme, field) in [(&self.grpc, scheme, "listen"), (&self.http, "http", "http")] {
            if let Some(listener) = listener {
                let lost = |source| AdminError::Bind { address: "a bound address".into(), field, source };
                addresses.push(format!("{scheme}://{}", listener.local_addr().map_err(lost)?));
            }
        }
        Ok(addresses)
    }

    fn serve(
        self,
        desk: &Arc<Desk>,
        server: &Server,
        tls: Option<Keys>,
        telemetry: Arc<Telemetry>,
        tasks: &Tasks,
    ) -> Result<(), AdminError> {
        let (max, idle, grace) = (desk.config.connections_max, desk.config.idle(), desk.config.shutdown());
        let stopping = tasks.stopping();
        let unix = serve(server, Door::new(self.unix, max, idle).connections(), stopping.clone());
        let socket = self.socket;
        let unix = async move {
            unix.await;
            // Gone already where somebody tidied up; otherwise the next start removes it.
            let _ = std::fs::remove_file(&socket);
        };
        tasks.spawn("admin.unix", until(unix, stopping.clone(), grace, "the Unix socket"));
        if let Some(listener) = self.grpc {
            // A small answer must not wait for more to be sent with it; a socket that cannot do that works too.
            let listener = listener.tap_io(|io| drop(io.set_nodelay(true)));
            let (server, stop) = (server.clone(), stopping.clone());
            let serving = move |connections| async move {
                const WHAT: &str = "gRPC over TCP";
                match tls {
                    Some(keys) => {
                        let connections = Box::pin(keys.secure(connections, max));
                        until(serve(&server, connections, stop.clone()), stop, grace, WHAT).await;
                    }
                    None => until(serve(&server, connections, stop.clone()), stop, grace, WHAT).await,
                }
            };
            let threads = Threads::start(serving, idle).map_err(AdminError::Threads)?;
            tasks.spawn("admin.grpc", threads.serve(Door::new(listener, max, idle), stopping.clone()));
        }
        if let Some(listener) = self.http {
            let pages = http::pages(desk.clone(), telemetry);
            let stop = stopping.clone().cancelled_owned();
            let serving = axum::serve(Door::new(listener, max, idle), pages).with_graceful_shutdown(stop);
            let pages = async {
                if let Err(error) = serving.await {
                    tracing::error!(%error, "HTTP does not work any more");
                }
            };
            tasks.spawn("admin.http", until(pages, stopping, grace, "HTTP"));
        }
        Ok(())
    }
}

/// Serves until it ends by itself; after `stopping`, for at most `grace` more.
async fn until(
    serving: impl Future<Output = ()>,
    stopping: CancellationToken,
    grace: Duration,
    what: &'static str,
) {
    let given_up = async {
        stopping.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        () = serving => tracing::debug!("{what} was closed"),
        () = given_up => tracing::warn!("{what} was closed with calls under way: `admin.shutdown_seconds` are over"),
    }
}
