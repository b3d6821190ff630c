//! The KV over gRPC beside one etcd: both processes of their own, both durable, on the same disk, asked by the
//! same client.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use matrix_proto::pipeline::Pipeline;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::{KvGetRequest, KvGetResponse, KvPutRequest, KvPutResponse};
use matrix_tests::node::{PATIENCE, built};
use tonic::Request;
use tonic::codegen::http::HeaderValue;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::caller::Caller;
use crate::etcd;
use crate::table::{Row, Wanted, median};

/// Bytes of a value.
const VALUE_BYTES: usize = 256;
/// Clients that share a connection.
const CLIENTS_PER_CONNECTION: usize = 16;
/// Syncs of the bare file, a round.
const SYNCS: usize = 200;

/// What is asked, by how many clients, how often by each.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) writes: bool,
    pub(crate) clients: usize,
    pub(crate) each: usize,
    /// Whether the clients of a connection share a pipeline to the node.
    pub(crate) shared: bool,
    /// How many times better than the other it has to be.
    pub(crate) times: f64,
}

const CASES: [Case; 5] = [
    Case { what: "KV put, 1 client", writes: true, clients: 1, each: 500, shared: false, times: 1.0 },
    Case { what: "KV put, 256 clients", writes: true, clients: 256, each: 80, shared: false, times: 2.0 },
    Case {
        what: "KV put, 256 clients, pipelines",
        writes: true,
        clients: 256,
        each: 320,
        shared: true,
        times: 2.0,
    },
    Case {
        what: "KV get, linearizable, 256 clients",
        writes: false,
        clients: 256,
        each: 200,
        shared: false,
        times: 3.0,
    },
    Case {
        what: "KV get, linearizable, 256 clients, pipelines",
        writes: false,
        clients: 256,
        each: 400,
        shared: true,
        times: 3.0,
    },
];

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let node = Server::node(folder.path()).await.expect("matrixd is built beside this program");
    let etcd = Server::etcd(folder.path()).await;
    if etcd.is_none() {
        eprintln!("  etcd: not found; install it: apt-get install etcd-server");
    }
    let mut rows = Vec::new();
    for case in CASES {
        let (mut ours, mut theirs) = (Figures::default(), Figures::default());
        let mut bare = Vec::new();
        for _ in 0..rounds {
            bare.push(bare_sync(folder.path()));
            ours.add(&node, case).await;
            if let Some(etcd) = &etcd {
                theirs.add(etcd, case).await;
            }
        }
        let other = |figures: Vec<f64>| etcd.as_ref().map(|_| ("etcd", figures));
        let row = |what: String, unit, ours, other, wanted| Row { what, unit, ours, other, wanted };
        let wanted = Wanted::Times(case.times);
        rows.push(row(case.what.into(), "µs each", ours.micros, other(theirs.micros), wanted));
        if case.writes {
            let what = format!("{}: fsyncs", case.what);
            rows.push(row(what, "a put", ours.syncs, other(theirs.syncs), Wanted::Nothing));
            let what = format!("{}: a bare fdatasync then", case.what);
            rows.push(row(what, "µs", vec![median(&bare)], None, Wanted::Nothing));
        }
    }
    rows
}

/// What the rounds of one case came to.
#[derive(Default)]
struct Figures {
    micros: Vec<f64>,
    syncs: Vec<f64>,
}

impl Figures {
    async fn add(&mut self, server: &Server, case: Case) {
        let operations = (case.clients * case.each) as f64;
        let before = server.syncs();
        self.micros.push(play(server, case).await * 1e6 / operations);
        self.syncs.push((server.syncs() - before) / operations);
    }
}

/// Microseconds of an append of one value and its fdatasync, on the disk that both servers use.
fn bare_sync(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("bare")).expect("a file in a folder of our own");
    let began = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&[7; VALUE_BYTES]).and_then(|()| file.sync_data()).expect("the disk works");
    }
    began.elapsed().as_secs_f64() * 1e6 / SYNCS as f64
}

/// Seconds until every client has had all its answers.
pub(crate) async fn play(server: &Server, case: Case) -> f64 {
    let mut ways = Vec::new();
    for _ in 0..case.clients.div_ceil(CLIENTS_PER_CONNECTION) {
        ways.push(server.way(case.shared).await);
    }
    let value = Bytes::from(vec![7; VALUE_BYTES]);
    let began = Instant::now();
    let clients = (0..case.clients).map(|client| {
        let asked = ways[client / CLIENTS_PER_CONNECTION].clone();
        let value = value.clone();
        #[expect(clippy::disallowed_methods, reason = "clients run side by side, and all are waited for")]
        tokio::spawn(async move {
            for turn in 0..case.each {
                let key = Bytes::from(format!("client-{client}/{turn}"));
                if case.writes { asked.put(key, value.clone()).await } else { asked.get(key).await }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("no client fails");
    }
    began.elapsed().as_secs_f64()
}

/// How one client asks.
#[derive(Clone)]
enum Way {
    Node(Caller),
    Pipeline(Pipeline),
    Etcd(Caller),
}

impl Way {
    async fn put(&self, key: Bytes, value: Bytes) {
        match self {
            Self::Node(node) => {
                let put = KvPutRequest { bucket: "bench".into(), key, value, ..Default::default() };
                let written: Result<KvPutResponse, _> = node.call("/matrix.v1.Kv/Put", &put).await;
                written.map(drop).expect("it is written");
            }
            Self::Pipeline(pipeline) => {
                let put = KvPutRequest { bucket: "bench".into(), key, value, ..Default::default() };
                pipeline.put(put).await.map(drop).expect("it is written");
            }
            Self::Etcd(etcd) => etcd::put(etcd, key, value).await.expect("it is written"),
        }
    }

    async fn get(&self, key: Bytes) {
        let length = match self {
            Self::Node(node) => {
                let get = KvGetRequest { bucket: "bench".into(), key, local: false };
                let found: KvGetResponse = node.call("/matrix.v1.Kv/Get", &get).await.expect("it is read");
                found.entry.map(|entry| entry.value.len())
            }
            Self::Pipeline(pipeline) => {
                let get = KvGetRequest { bucket: "bench".into(), key, local: false };
                let found = pipeline.get(get).await.expect("it is read");
                found.entry.map(|entry| entry.value.len())
            }
            Self::Etcd(etcd) => etcd::get(etcd, key).await.expect("it is read").map(|value| value.len()),
        };
        assert!(length.is_none_or(|length| length == VALUE_BYTES));
    }
}

pub(crate) fn bearing<T>(message: T, token: &MetadataValue<Ascii>) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", token.clone());
    request
}

/// A server as a process of its own.
pub(crate) struct Server {
    child: Child,
    grpc: u16,
    http: u16,
    /// The node's; etcd asks for none.
    pub(crate) token: Option<MetadataValue<Ascii>>,
}

impl Server {
    pub(crate) async fn node(folder: &Path) -> Option<Self> {
        let [grpc, http] = [free_port(), free_port()];
        let (data, settings) = (folder.join("node"), folder.join("matrixd.toml"));
        let text = format!("[admin]\nlisten = \"127.0.0.1:{grpc}\"\nhttp = \"127.0.0.1:{http}\"\n");
        std::fs::write(&settings, text).expect("a file in a folder of our own");
        let mut command = Command::new(built("matrixd"));
        command.arg("--data-dir").arg(&data).arg("--config").arg(settings);
        let mut server = Self::start(command, grpc, http).await?;
        let token = std::fs::read_to_string(data.join("token")).expect("a node makes its token");
        server.token = Some(format!("Bearer {}", token.trim()).parse().expect("it fits into a header"));
        Some(server)
    }

    async fn etcd(folder: &Path) -> Option<Self> {
        let [grpc, peer] = [free_port(), free_port()].map(|port| (port, format!("http://127.0.0.1:{port}")));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(folder.join("etcd")).args(["--log-level", "error"]);
        command.args(["--listen-client-urls", &grpc.1, "--advertise-client-urls", &grpc.1]);
        command.args(["--listen-peer-urls", &peer.1, "--initial-advertise-peer-urls", &peer.1]);
        command.args(["--initial-cluster", &format!("default={}", peer.1)]);
        Self::start(command, grpc.0, grpc.0).await
    }

    /// Starts it, and waits until it takes connections.
    async fn start(mut command: Command, grpc: u16, http: u16) -> Option<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let server = Self { child, grpc, http, token: None };
        let began = Instant::now();
        while server.connect().await.is_none() {
            assert!(began.elapsed() < PATIENCE, "{} never listened", command.get_program().display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(server)
    }

    pub(crate) async fn connect(&self) -> Option<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.grpc)).ok()?;
        endpoint.tcp_nodelay(true).connect().await.ok()
    }

    /// A connection; to a node as a pipeline, where its clients share one.
    async fn way(&self, shared: bool) -> Way {
        match self.token.clone() {
            Some(token) if shared => {
                let channel = self.connect().await.expect("the server listens");
                let mut client = KvClient::with_interceptor(channel, move |mut request: Request<()>| {
                    request.metadata_mut().insert("authorization", token.clone());
                    Ok(request)
                });
                let (pipeline, driver) = Pipeline::open(&mut client).await.expect("the node takes it");
                #[expect(clippy::disallowed_methods, reason = "it ends with the last of its clients")]
                tokio::spawn(driver);
                Way::Pipeline(pipeline)
            }
            Some(token) => {
                let token = HeaderValue::try_from(token.as_encoded_bytes()).expect("it is one already");
                Way::Node(self.caller(Some(token)).await)
            }
            None => Way::Etcd(self.caller(None).await),
        }
    }

    async fn caller(&self, token: Option<HeaderValue>) -> Caller {
        Caller::open(self.grpc, token).await.expect("the server listens")
    }

    /// How often it has synced its files, as its metrics tell.
    fn syncs(&self) -> f64 {
        let names = match self.token {
            Some(_) => vec!["matrix_kv_operations_total{operation=\"fsync\"}"],
            None => vec![
                "etcd_disk_wal_fsync_duration_seconds_count",
                "etcd_disk_backend_commit_duration_seconds_count",
            ],
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).expect("it listens");
        let mut text = String::new();
        let asked = stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut text)).expect("it tells its metrics");
        let figure = |line: &str| line.rsplit(' ').next().and_then(|figure| figure.parse::<f64>().ok());
        text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).filter_map(figure).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}
