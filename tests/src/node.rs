//! A node in this process, on a folder of its own.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use matrixd::config::Config;
use matrixd::ids::{ClientName, Digest, SoulName};
use matrixd::matrices::MatrixManifest;
use matrixd::node::Node;
use matrixd::runtime::limits::LimitsConfig;
use matrixd::souls::jobs::{ActError, ActRequest};
use matrixd::souls::manifest::{Durability, Manifest, Persona};
use matrixd::souls::{SoulError, SoulView};
use matrixd::telemetry::logs::{LogFilter, LogLevel};
use matrixd::telemetry::pattern::Pattern;
use matrixd::transport::envelope::{Address, Content, SendError};
use matrixd::transport::router::Draft;
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::cgroup;
use crate::neighbour::Latencies;
use crate::realm::Door;
use crate::watch::Watch;

/// How long any one thing may take before a test gives up: far beyond what a busy machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The data folder, in a folder of a test's own.
const DATA: &str = "data";
/// Where the compiled components of these nodes are kept.
const KEPT: &str = "compiled-by-tests";
/// The folder of compiled components, in a data folder.
pub const COMPILED: &str = "compiled";

/// How many instances a test's node holds: enough for every test, and little address space.
const LIVE_INSTANCES_MAX: u32 = 64;

/// How long a call into a guest may take where a test says nothing, in milliseconds.
const CALL_MS: u32 = 2_000;

/// More lines than a node keeps.
const LINES_MAX: usize = 100_000;

/// One node a process at a time: what is measured is then that node's.
static ONLY: Mutex<()> = Mutex::const_new(());

/// A running node; end it with [`TestNode::stop`], which checks that it ends cleanly.
pub struct TestNode {
    /// Taken when it stops.
    node: Option<Node>,
    folder: Option<TempDir>,
    /// How long the neighbour takes when nothing else goes on.
    pub(crate) quiet: OnceCell<Latencies>,
    _only: MutexGuard<'static, ()>,
}

impl TestNode {
    /// Starts a node on an empty folder.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts a node on an empty folder, its configuration changed.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let only = ONLY.lock().await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        if kept(KEPT).exists() {
            mirror(&kept(KEPT), &folder.path().join(DATA).join(COMPILED))
                .expect("what is kept can be copied");
        }
        Self::start_on(folder, only, change).await
    }

    async fn start_on(
        folder: TempDir,
        only: MutexGuard<'static, ()>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config { data_dir: folder.path().join(DATA), ..Config::default() };
        // Ports belong to the machine; the socket in the folder is this node's own.
        config.admin.listen = None;
        config.admin.http = None;
        config.engine.live_instances_max = LIVE_INSTANCES_MAX;
        config.components.compiler.program = built("matrixd");
        // What is not about time must not depend on how busy the machine is; what is sets its own limit.
        config.limits.default.call_ms = CALL_MS;
        config.limits.default.call_fuel = config.limits.max.call_fuel;
        // A crash is seen once; what is tried again has tests of its own.
        config.souls.restart.attempts = 1;
        change(&mut config);
        // Before the node looks how much memory there is.
        cgroup::bound();
        let node = Node::start(config).await.expect("a node starts on a folder of its own");
        Self { node: Some(node), folder: Some(folder), quiet: OnceCell::new(), _only: only }
    }

    /// The node.
    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("it is taken only when it stops")
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.as_ref().expect("it is taken only when it is dropped").path().join(DATA)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.data().join("matrixd.sock")
    }

    /// The way to it that others have: gRPC.
    pub fn door(&self) -> Door {
        Door::new(&self.data())
    }

    /// Stops the node, and starts another on its folder; in between `change` may touch the data folder too.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        let node = self.node.take().expect("it is taken only when it stops");
        let stopped = tokio::time::timeout(PATIENCE, node.stop()).await;
        stopped.expect("a node stops in time").expect("a node leaves nothing behind");
        let folder = self.folder.take().expect("it is taken only here");
        drop(self);
        Self::start_on(folder, ONLY.lock().await, change).await
    }

    /// Stops the node. Panics if a task, a Soul or a store does not end in time.
    pub async fn stop(mut self) {
        let node = self.node.take().expect("it is taken only here");
        let stopped = tokio::time::timeout(PATIENCE, node.stop()).await;
        stopped.expect("a node stops in time").expect("a node leaves nothing behind");
        assert_eq!(
            cgroup::bound().map_or(0, cgroup::MemoryGroup::ended),
            0,
            "the system had to end something"
        );
        if self.folder.is_some() {
            mirror(&self.data().join(COMPILED), &kept(KEPT)).expect("what was compiled can be kept");
        }
    }

    /// Uploads a component; the error is what an uploader would read.
    pub async fn upload(&self, bytes: &[u8]) -> Result<Digest, String> {
        let catalog = self.node().catalog();
        let length = Some(bytes.len() as u64);
        let begun = catalog.components().store().begin_upload(length, None).await;
        let mut upload = begun.map_err(|error| error.to_string())?;
        upload.write(Bytes::copy_from_slice(bytes)).await.map_err(|error| error.to_string())?;
        let (digest, _) = upload.finish().await.map_err(|error| error.to_string())?;
        catalog.admit(digest, None, None).await.map_err(|error| error.to_string())?;
        Ok(digest)
    }

    /// Uploads one of `tests/programs`.
    pub async fn program(&self, name: &str) -> Digest {
        self.program_with(name, |_| {}).await
    }

    /// Uploads one of `tests/programs` under another digest: it does the same.
    pub async fn program_again(&self, name: &str) -> Digest {
        // A custom section, which has a name and says nothing.
        self.program_with(name, |bytes| bytes.extend(b"\x00\x02\x012")).await
    }

    /// Uploads one of `tests/programs`, changed.
    pub async fn program_with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Digest {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/out").join(format!("{name}.wasm"));
        let mut bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run tests/programs/build.sh", path.display()));
        change(&mut bytes);
        self.upload(&bytes).await.expect("every program is admitted")
    }

    /// Uploads one of `guests/`.
    pub async fn guest(&self, name: &str) -> Digest {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/out").join(format!("{name}.wasm"));
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: run guests/build.sh", path.display()));
        self.upload(&bytes).await.expect("every guest is admitted")
    }

    /// Spawns a Soul; answers when it lives.
    pub async fn spawn(&self, manifest: Manifest) -> Result<SoulView, SoulError> {
        self.node().souls().spawn(manifest, None).await
    }

    /// Spawns a Soul of one of `tests/programs`, with these settings and every grant.
    pub async fn run(&self, soul: &str, program: &str, settings: &[(&str, &str)]) {
        let manifest = manifest(soul, self.program(program).await, settings);
        self.spawn(manifest).await.unwrap_or_else(|error| panic!("{soul} does not start: {error}"));
    }

    /// Spawns a well-behaved neighbour, which answers `ping` with `pong`.
    pub async fn neighbour(&self) {
        self.run(NEIGHBOUR, "citizen", &[]).await;
    }

    /// Sends a text, and waits for the reply as text; none is empty.
    pub async fn ask(&self, soul: &str, text: &str) -> Result<String, SendError> {
        self.ask_bytes(soul, Bytes::copy_from_slice(text.as_bytes())).await
    }

    /// Sends a text, and waits for the reply for as long.
    pub async fn ask_within(&self, soul: &str, text: &str, within: Duration) -> Result<String, SendError> {
        let draft = draft(soul, Bytes::copy_from_slice(text.as_bytes()));
        let answer = self.node().router().ask(draft, within).await?;
        let text = |content: Content| String::from_utf8_lossy(&content.body).into_owned();
        Ok(answer.content.map(text).unwrap_or_default())
    }

    /// Sends a body, and waits for the reply as text; none is empty.
    pub async fn ask_bytes(&self, soul: &str, body: Bytes) -> Result<String, SendError> {
        let answer = self.node().router().ask(draft(soul, body), PATIENCE).await?;
        Ok(answer
            .content
            .map(|content| String::from_utf8_lossy(&content.body).into_owned())
            .unwrap_or_default())
    }

    /// Sends a body, and waits for no reply.
    pub fn send(&self, soul: &str, body: Bytes) -> Result<(), SendError> {
        self.node().router().send(draft(soul, body)).map(drop)
    }

    /// Lets a Soul take part in one tick.
    pub async fn act(&self, soul: &str, request: ActRequest) -> Result<Vec<Vec<u8>>, ActError> {
        self.node().souls().act(&name(soul), request).await
    }

    /// How a Soul is doing.
    pub fn view(&self, soul: &str) -> SoulView {
        self.node().souls().get(&name(soul)).expect("the Soul is known")
    }

    /// What the node tells of one Soul from now on.
    pub fn watch(&self, soul: &str) -> Watch {
        Watch::new(self.node().bus(), soul)
    }

    /// Waits until a Soul has logged this line; what it logged before counts too.
    pub async fn line(&self, soul: &str, text: &str) {
        let source = Pattern::parse(&format!("soul:{soul}")).expect("a sound pattern");
        let filter = LogFilter { source: Some(source), level: LogLevel::Trace };
        let mut tail = self.node().logs().tail(filter, LINES_MAX);
        let found = async { while *tail.next().await.line.text != *text {} };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("{soul} never logged `{text}`"));
    }

    /// The lines of a Soul that the node keeps.
    pub async fn lines(&self, soul: &str) -> Vec<String> {
        let source = Pattern::parse(&format!("soul:{soul}")).expect("a sound pattern");
        let filter = LogFilter { source: Some(source), level: LogLevel::Trace };
        let mut tail = self.node().logs().tail(filter, LINES_MAX);
        let mut found = Vec::new();
        while let Ok(tailed) = tokio::time::timeout(Duration::ZERO, tail.next()).await {
            found.push(tailed.line.text.to_string());
        }
        found
    }

    /// Checks that the neighbour still answers.
    pub async fn assert_lives(&self) {
        assert_eq!(self.ask(NEIGHBOUR, "ping").await.as_deref(), Ok("pong"), "the neighbour suffered");
    }
}

/// A test that fails while its node runs has no time to end it in order; on a runtime's own thread a node
/// must not be dropped.
impl Drop for TestNode {
    fn drop(&mut self) {
        let (node, folder) = (self.node.take(), self.folder.take());
        let dropped = std::thread::spawn(move || drop((node, folder))).join();
        // What it panics with comes after the failure that matters.
        drop(dropped);
    }
}

/// The name of the Soul that [`TestNode::neighbour`] spawns.
pub const NEIGHBOUR: &str = "neighbour";

/// A manifest with these settings, every grant but buckets, and the node's default limits.
pub fn manifest(soul: &str, component: Digest, settings: &[(&str, &str)]) -> Manifest {
    let all = || vec!["*".parse().expect("a grant")];
    let mut manifest = Manifest {
        name: name(soul),
        component,
        persona: Persona::default(),
        config: settings.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        grants: Default::default(),
        limits: LimitsConfig::ASK_NOTHING,
        durability: Durability::default(),
        seed: Manifest::seed_of(&name(soul)),
        placement: Default::default(),
        learning: Default::default(),
        memory: Default::default(),
    };
    manifest.grants.send = all();
    manifest.grants.ask = all();
    manifest.grants.subscribe = all();
    manifest.grants.events = true;
    manifest.grants.memory = true;
    manifest.grants.grpc = all();
    manifest.grants.http = vec!["*".parse().expect("a grant")];
    manifest
}

/// A Matrix without players, with the node's own limits.
pub fn matrix(name: &str, rules: Digest, config: &str) -> MatrixManifest {
    MatrixManifest {
        name: name.parse().expect("a test uses sound names"),
        rules,
        players: Vec::new(),
        config: config.to_owned(),
        seed: 1,
        tick_deadline_ms: 0,
        call_fuel: 0,
        memory_bytes: 0,
        tick_interval_ms: 0,
    }
}

/// A Soul's name.
pub fn name(soul: &str) -> SoulName {
    soul.parse().expect("a test uses sound names")
}

/// Memory of this process that is in RAM, in bytes.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system tells of its processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it tells of their memory");
    let kilobytes = line.trim().trim_end_matches("kB").trim();
    kilobytes.parse::<u64>().expect("a number") * 1024
}

fn draft(soul: &str, body: Bytes) -> Draft {
    let client: ClientName = "tests".parse().expect("a sound name");
    Draft {
        sender: Address::Client(client),
        recipient: Address::Soul(name(soul)),
        content: Content { content_type: "text/plain".into(), body },
        in_reply_to: None,
        hops: 0,
        trace: None,
    }
}

/// Where compiled components are kept, under a name, for the nodes to come: compiling would take most of a test's time.
#[must_use]
pub fn kept(name: &str) -> PathBuf {
    target().join(name)
}

/// Makes the folder `to` hold what `from` holds; it has then the same key too. Each file appears whole.
///
/// # Errors
/// As the disk says.
pub fn mirror(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let stale = std::fs::read_dir(to)?.map(|file| file.map(|file| file.file_name()));
    for name in stale.collect::<Result<Vec<_>, _>>()? {
        if !from.join(&name).exists() {
            std::fs::remove_file(to.join(&name))?;
        }
    }
    for file in std::fs::read_dir(from)? {
        let name = file?.file_name();
        let partial = to.join("copying");
        std::fs::copy(from.join(&name), &partial)?;
        std::fs::rename(partial, to.join(&name))?;
    }
    Ok(())
}

/// A program of this project: cargo builds it beside the tests.
///
/// # Panics
/// If it was not built.
pub fn built(program: &str) -> PathBuf {
    let program = target().join(program);
    assert!(program.exists(), "{} is missing: run `make programs` first", program.display());
    program
}

/// Where cargo puts what it builds; tests are in a folder of their own there.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a process knows its program");
    let folder = program.parent().expect("a program is in a folder");
    let tests = folder.ends_with("deps");
    folder.parent().filter(|_| tests).unwrap_or(folder).to_owned()
}
