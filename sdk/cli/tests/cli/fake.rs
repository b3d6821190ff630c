//! A node that only pretends, and a way to run the command against it.

mod access;
mod observing;
mod runs;
mod services;
mod talk;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use matrix_proto::v1::access_server::AccessServer;
use matrix_proto::v1::cluster_server::ClusterServer;
use matrix_proto::v1::components_server::ComponentsServer;
use matrix_proto::v1::events_server::EventsServer;
use matrix_proto::v1::kv_server::KvServer;
use matrix_proto::v1::logs_server::LogsServer;
use matrix_proto::v1::matrices_server::MatricesServer;
use matrix_proto::v1::observe_server::ObserveServer;
use matrix_proto::v1::souls_server::SoulsServer;
use matrix_proto::v1::{Component, KvEntry, Matrix, Soul};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::Server;
use tonic::{Request, Status};

/// The token that the node takes.
const TOKEN: &str = "s3cret";

/// What the node holds, and what it was asked.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) components: BTreeMap<String, (Component, Bytes)>,
    pub(crate) souls: BTreeMap<String, Soul>,
    pub(crate) matrices: BTreeMap<String, Matrix>,
    pub(crate) kv: BTreeMap<Bytes, KvEntry>,
    pub(crate) revision: u64,
    /// Each call: its name, and the message as Rust prints it.
    pub(crate) calls: Vec<(&'static str, String)>,
    /// So many calls from now on are answered with UNAVAILABLE.
    pub(crate) unavailable: u32,
    /// A backup ends in its middle.
    pub(crate) backup_is_cut: bool,
    /// A line of the audit log was changed.
    pub(crate) audit_is_changed: bool,
    /// The replay differs from this tick on.
    pub(crate) differs_at: Option<u64>,
}

/// The services, all of one state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Services(Arc<Mutex<State>>);

impl Services {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with the lock held")
    }

    /// Notes a call; refuses it if the node is to be unavailable.
    pub(crate) fn enter(
        &self,
        name: &'static str,
        message: &dyn std::fmt::Debug,
    ) -> Result<MutexGuard<'_, State>, Status> {
        let mut state = self.state();
        state.calls.push((name, format!("{message:?}")));
        if state.unavailable > 0 {
            state.unavailable -= 1;
            return Err(Status::unavailable("an election is under way"));
        }
        Ok(state)
    }
}

/// A node that runs until it is dropped.
pub(crate) struct Fake {
    /// The data folder, with socket and token; also where the command is run.
    pub(crate) folder: TempDir,
    /// Where it listens on TCP.
    pub(crate) url: String,
    services: Services,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What came of a run of the command.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Checks the exit code, and shows everything if it is another.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The lines of stdout, each an object.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    }
}

impl Fake {
    /// Starts a node with an empty state.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("token"), format!("{TOKEN}\n")).expect("a token");
        let services = Services::default();
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let (socket, served) = (folder.path().join("matrixd.sock"), services.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let unix = UnixListener::bind(socket).expect("a socket");
                let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                tell.send(tcp.local_addr().expect("bound")).expect("the test waits");
                let door = || {
                    Server::builder().layer(InterceptorLayer::new(check_token)).add_routes(routes(&served))
                };
                tokio::select! {
                    end = door().serve_with_incoming(UnixListenerStream::new(unix)) => end.expect("serves"),
                    end = door().serve_with_incoming(TcpListenerStream::new(tcp)) => end.expect("serves"),
                    _ = stopped => {}
                }
            });
        });
        let url = format!("http://{}", told.recv().expect("the node listens"));
        Self { folder, url, services, stop: Some(stop), thread: Some(thread) }
    }

    /// What the node holds.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.services.state()
    }

    /// The messages of the calls of this name, in order.
    pub(crate) fn calls(&self, name: &str) -> Vec<String> {
        let state = self.state();
        state.calls.iter().filter(|(called, _)| *called == name).map(|(_, message)| message.clone()).collect()
    }

    /// Writes a file into the folder.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Runs the command with the node's data folder.
    pub(crate) fn matrix(&self, arguments: &[&str]) -> Run {
        self.matrix_with(arguments, "")
    }

    /// The same, with something on stdin.
    pub(crate) fn matrix_with(&self, arguments: &[&str], stdin: &str) -> Run {
        run(command(self.folder.path()).args(["--data-dir", "."]).args(arguments), stdin)
    }

    /// The same, with `--output json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Run {
        self.matrix(&[&["--output", "json"], arguments].concat())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

/// The command, in a folder, without an environment.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_matrix"));
    command.current_dir(folder).env_clear();
    command
}

/// Runs the command to its end.
pub(crate) fn run(command: &mut Command, stdin: &str) -> Run {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("piped");
    // A command that fails early does not read it.
    drop(pipe.write_all(stdin.as_bytes()));
    drop(pipe);
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the command ends");
    Run {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

fn routes(services: &Services) -> Routes {
    let mut routes = Routes::builder();
    routes
        .add_service(AccessServer::new(services.clone()))
        .add_service(ClusterServer::new(services.clone()))
        .add_service(ComponentsServer::new(services.clone()))
        .add_service(EventsServer::new(services.clone()))
        .add_service(KvServer::new(services.clone()))
        .add_service(LogsServer::new(services.clone()))
        .add_service(MatricesServer::new(services.clone()))
        .add_service(ObserveServer::new(services.clone()))
        .add_service(SoulsServer::new(services.clone()));
    routes.routes()
}

fn check_token(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization").and_then(|value| value.to_str().ok()) {
        Some(value) if value == format!("Bearer {TOKEN}") => Ok(request),
        _ => Err(Status::unauthenticated("the token is missing or not known")),
    }
}
