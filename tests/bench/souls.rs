//! What one Soul costs: to be born, to be there, to be loaded again.

use std::sync::Arc;
use std::time::Instant;

use matrix_tests::node::{TestNode, built, manifest, resident_bytes};
use matrixd::capabilities::logging::GuestLog;
use matrixd::capabilities::{Capabilities, cli, config, events, logging, random};
use matrixd::ids::{Digest, MessageId};
use matrixd::runtime::batch::Batch;
use matrixd::runtime::component::Component;
use matrixd::runtime::components::{Components, ComponentsConfig};
use matrixd::runtime::engine::{EngineConfig, engine};
use matrixd::runtime::limits::Limits;
use matrixd::runtime::soul::{Origin, SoulInstance};
use matrixd::runtime::state::{GuestState, Moment};
use matrixd::telemetry::{Telemetry, TelemetryConfig};
use matrixd::transport::bus::Source;
use matrixd::transport::envelope::{Content, Envelope, ReplyTo};

use crate::table::{Row, Wanted};

/// Births of one round, all alive at its end.
const BIRTHS: usize = 1_000;
/// Souls that are alive and idle.
const IDLE: usize = 10_000;
/// Souls that are spawned at the same time.
const SPAWNING: usize = 256;
/// Loads of one round.
const LOADS: usize = 20;

/// Measures it.
pub(crate) async fn measure(rounds: usize) -> Vec<Row> {
    let mut rows = vec![births(rounds).await, loads(rounds).await];
    rows.extend(crowd().await);
    rows
}

/// A row of this node's figures alone.
pub(crate) fn row(what: &str, unit: &'static str, ours: Vec<f64>, wanted: Wanted) -> Row {
    Row { what: what.into(), unit, ours, other: None, wanted }
}

/// From a component that is ready to a Soul that has answered: nothing is written down.
async fn births(rounds: usize) -> Row {
    let node = TestNode::start_with(|config| config.engine.live_instances_max = 2_000).await;
    let echo = node.guest("echo").await;
    let component = node.node().catalog().get(echo).await.expect("it was admitted");
    let telemetry = Telemetry::new(TelemetryConfig::default(), "bench").expect("the default works");
    let mut ours = Vec::new();
    for round in 0..=rounds {
        let mut alive = Vec::with_capacity(BIRTHS);
        let began = Instant::now();
        for _ in 0..BIRTHS {
            alive.push(born(&node, &telemetry, &component).await);
        }
        // The first round warms up: its memory comes fresh from the system.
        if round > 0 {
            ours.push(began.elapsed().as_secs_f64() * 1e6 / BIRTHS as f64);
        }
    }
    node.stop().await;
    row("a Soul created, its first message answered, warm component", "µs", ours, Wanted::AtMost(40.0))
}

/// An instance of a Soul that has answered its first message.
pub(crate) async fn born(node: &TestNode, telemetry: &Telemetry, component: &Component) -> SoulInstance {
    let refused = &telemetry.metrics().refusals;
    let log = Arc::new(GuestLog::new(node.node().logs().clone(), "soul:new", 0, refused));
    let capabilities = Capabilities {
        memory: None,
        grpc: None,
        messaging: None,
        keyvalue: None,
        events: events::Ctx::new(node.node().bus().clone(), Source::Node, None, log.clone(), refused),
        logging: logging::Ctx::new(log.clone()),
        config: config::Ctx::default(),
        cli: cli::Ctx::new(log),
        random: random::Ctx::new(1),
    };
    let origin = Origin {
        name: "new".into(),
        description: String::new(),
        traits: Vec::new(),
        values: Vec::new(),
        config: Vec::new(),
        seed: 1,
    };
    let state = GuestState::new(&Limits::default(), capabilities);
    let soul = SoulInstance::start(component, state, origin, Moment::default()).await;
    let mut soul = soul.expect("it does not crash").expect("it does not refuse");
    let envelope = greeting();
    let answers = soul.receive(Batch::of([&envelope]), Moment::default()).await;
    assert!(answers.is_ok_and(|answers| matches!(&answers[..], [Ok(Some(_))])), "it echoes");
    soul
}

/// A message of one word.
pub(crate) fn greeting() -> Envelope {
    Envelope {
        id: MessageId(1),
        sender: "client:bench".parse().expect("an address"),
        recipient: "soul:new".parse().expect("an address"),
        in_reply_to: None,
        content: Content { content_type: "text/plain".into(), body: "hello".into() },
        sent_at_ms: 0,
        hops: 1,
        trace: None,
        deadline: None,
        left_in: None,
        reply_to: ReplyTo::Sender,
        receipt: false,
    }
}

/// A compiled component from the disk, its tag checked, its bytes read through.
async fn loads(rounds: usize) -> Row {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let settings = EngineConfig { live_instances_max: 16, ..EngineConfig::default() };
    let mut configuration = ComponentsConfig::default();
    configuration.compiler.program = built("matrixd");
    let engine = engine(&settings).expect("an engine");
    let open = || Components::open(folder.path(), configuration.clone(), engine.clone(), &settings);
    let digest = uploaded(&open().expect("an empty folder")).await;
    let mut ours = Vec::new();
    for round in 0..=rounds {
        let mut took = 0.0;
        for _ in 0..LOADS {
            let components = open().expect("what was there before");
            let began = Instant::now();
            let admitted = components.admit(digest).await.expect("it was admitted before");
            took += began.elapsed().as_secs_f64();
            assert!(round == 0 || admitted.compile_us == 0, "it was compiled before");
        }
        if round > 0 {
            ours.push(took * 1e6 / LOADS as f64);
        }
    }
    row("a compiled component loaded again, read and checked", "µs", ours, Wanted::AtMost(1_000.0))
}

async fn uploaded(components: &Components) -> Digest {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../guests/out/echo.wasm");
    let bytes = std::fs::read(path).expect("run guests/build.sh");
    let mut upload = components.store().begin_upload(None, None).await.expect("an upload can begin");
    upload.write(bytes.into()).await.expect("it is stored");
    let (digest, _) = upload.finish().await.expect("it is whole");
    components.admit(digest).await.expect("it is compiled");
    digest
}

/// Ten thousand Souls that live, each of which has answered once: spawned for good, in the KV.
async fn crowd() -> Vec<Row> {
    let node = TestNode::start_with(|config| config.engine.live_instances_max = IDLE as u32 + 100).await;
    let echo = node.guest("echo").await;
    node.spawn(manifest("first", echo, &[])).await.expect("there is room for it");
    assert_eq!(node.ask("first", "hello").await.as_deref(), Ok("hello"));
    let before = resident_bytes();
    let began = Instant::now();
    for start in (0..IDLE).step_by(SPAWNING) {
        let some = (start..IDLE.min(start + SPAWNING)).map(|place| {
            let (name, node) = (format!("soul-{place}"), &node);
            async move {
                node.spawn(manifest(&name, echo, &[])).await.expect("there is room for it");
                assert_eq!(node.ask(&name, "hello").await.as_deref(), Ok("hello"));
            }
        });
        futures::future::join_all(some).await;
    }
    let took = began.elapsed().as_secs_f64() * 1e6 / IDLE as f64;
    let each = resident_bytes().saturating_sub(before) as f64 / IDLE as f64 / 1024.0;
    node.stop().await;
    vec![
        row("a Soul spawned for good and answered, 256 at a time", "µs", vec![took], Wanted::Nothing),
        row("memory of an idle live Soul, 10,000 of them", "KiB", vec![each], Wanted::AtMost(24.0)),
    ]
}
