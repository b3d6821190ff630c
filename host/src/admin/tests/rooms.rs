//! The rooms below the door, on a data folder of their own.

use std::time::Duration;

use matrix_proto::v1::cluster_client::ClusterClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::*;
use crate::backup::Backups;
use crate::capabilities::Capabilities;
use crate::capabilities::logging::GuestLog;
use crate::kv::{Kv, Roster};
use crate::learning::{self, Learning, LearningConfig};
use crate::matrices::{Matrices, MatricesConfig, MatrixHost};
use crate::portable::Portables;
use crate::realm;
use crate::runtime::catalog::Catalog;
use crate::runtime::compile;
use crate::runtime::components::{Components, ComponentsConfig};
use crate::runtime::engine;
use crate::runtime::interceptors::{Interceptors, InterceptorsConfig, InterceptorsHost};
use crate::runtime::limits::LimitsConfig;
use crate::runtime::memory::GuestMemory;
use crate::runtime::pace::Ground;
use crate::souls::host::{Gate, Host, SoulsConfig};
use crate::souls::{Fleet, Souls};
use crate::telemetry::TelemetryConfig;
use crate::transport::bus::{Bus, BusConfig, Source};
use crate::transport::router::{Router, TransportConfig};

/// How long rooms may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// A door on any free port.
pub(super) fn config() -> AdminConfig {
    let any = Some(([127, 0, 0, 1], 0).into());
    AdminConfig { listen: any, http: any, ..AdminConfig::default() }
}

/// A node without its top.
pub(super) struct Rooms {
    pub(super) admin: Admin,
    pub(super) host: AdminHost,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) data: tempfile::TempDir,
    tasks: Tasks,
    guests: Tasks,
}

impl Rooms {
    pub(super) async fn open(config: AdminConfig) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let telemetry = Arc::new(Telemetry::new(TelemetryConfig::default(), "test").expect("telemetry"));
        let (tasks, guests) = (Tasks::new(), Tasks::new().here());
        let host = below(data.path(), &telemetry, &guests).await;
        let admin = Admin::start(config, host.clone(), telemetry.clone(), &tasks).await.expect("it opens");
        Self { admin, host, telemetry, data, tasks, guests }
    }

    /// Where gRPC is spoken: the socket, then TCP.
    pub(super) fn grpc(&self) -> Vec<String> {
        self.admin.addresses()[..2].to_vec()
    }

    /// A channel that shows the token.
    pub(super) async fn known(&self) -> Known {
        self.known_at(&self.grpc()[0]).await
    }

    pub(super) async fn cluster(&self, url: &str) -> ClusterClient<Known> {
        ClusterClient::new(self.known_at(url).await)
    }

    /// Closes the door, true if everything behind it ended in time; then the rooms below.
    pub(super) async fn close(self) -> bool {
        let ended = self.tasks.stop(STOP).await;
        self.guests.stop(STOP).await;
        self.host.kv.close().await;
        ended
    }

    pub(super) async fn known_at(&self, url: &str) -> Known {
        let token = std::fs::read_to_string(self.data.path().join("token")).expect("the node made one");
        showing(channel(url).await, &token)
    }
}

/// A channel that shows the token.
pub(super) type Known = InterceptedService<Channel, Bearer>;

/// Puts the token on each call.
#[derive(Debug, Clone)]
pub(super) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// A channel that shows `token`.
pub(super) fn showing(channel: Channel, token: &str) -> Known {
    let value = format!("Bearer {}", token.trim()).parse().expect("a header");
    InterceptedService::new(channel, Bearer(value))
}

/// A channel that shows nothing.
pub(super) async fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).expect("an address").connect().await.expect("the node listens")
}

async fn below(data: &std::path::Path, telemetry: &Telemetry, guests: &Tasks) -> AdminHost {
    let metrics = telemetry.metrics().clone();
    let bus = Bus::new(BusConfig::default());
    let router = Router::new(&TransportConfig::default(), 1, Roster::default(), metrics.transport.clone());
    let realm = realm::testing::alone(data, &Tasks::new()).await;
    let kv = realm.kv().clone();
    let catalog = catalog(data, telemetry, &kv, &bus);
    let host = souls_host(&kv, &catalog, &router, &bus, telemetry, guests);
    let souls = Souls::start(host).await.expect("no Souls yet");
    let souls = Fleet::start(souls, realm.clone(), &Tasks::new()).await;
    let matrices = Matrices::start(MatrixHost {
        souls: souls.clone(),
        components: catalog.clone(),
        kv: kv.clone(),
        bus: bus.clone(),
        router: router.clone(),
        logs: telemetry.logs().clone(),
        metrics: metrics.clone(),
        limits: LimitsConfig::default(),
        tasks: guests.clone(),
        background: Tasks::new(),
        realm: realm.clone(),
        node: 1,
        usages: Default::default(),
        config: MatricesConfig { runs_dir: data.join("runs"), ..MatricesConfig::default() },
    });
    let matrices = matrices.await.expect("no Matrices yet");
    let learning = learning_of(&souls, &kv, &bus, telemetry, guests);
    let backups = Backups::new(realm.clone(), catalog.clone(), matrices.clone());
    let interceptors = InterceptorsHost {
        kv: kv.clone(),
        catalog: catalog.clone(),
        bus: bus.clone(),
        logs: telemetry.logs().clone(),
        metrics: metrics.clone(),
        config: InterceptorsConfig::default(),
        body_bytes_max: 1024,
        passage: router.passage().clone(),
        node: 1,
    };
    AdminHost {
        backups,
        portables: Portables::new(realm.clone(), souls.clone(), catalog.clone()),
        interceptors: Interceptors::start(interceptors, guests).await,
        guests: guests.clone(),
        node_id: "test".to_owned(),
        data_dir: data.to_owned(),
        souls,
        matrices,
        learning,
        catalog,
        kv,
        realm,
        router,
        bus,
        logs: telemetry.logs().clone(),
        limits: Vec::new().into(),
        metrics: metrics.admin,
    }
}

fn learning_of(souls: &Fleet, kv: &Kv, bus: &Bus, telemetry: &Telemetry, guests: &Tasks) -> Learning {
    Learning::start(learning::Host {
        souls: souls.clone(),
        kv: kv.clone(),
        bus: bus.clone(),
        metrics: telemetry.metrics().learning.clone(),
        config: LearningConfig::default(),
        tasks: guests.clone(),
    })
}

fn souls_host(
    kv: &Kv,
    catalog: &Catalog,
    router: &Router,
    bus: &Bus,
    telemetry: &Telemetry,
    guests: &Tasks,
) -> Host {
    Host {
        node: 1,
        gate: Gate::default(),
        router: router.clone(),
        bus: bus.clone(),
        logs: telemetry.logs().clone(),
        metrics: telemetry.metrics().clone(),
        grpc: Default::default(),
        http: Default::default(),
        kv: kv.clone(),
        components: catalog.clone(),
        captures: Default::default(),
        limits: LimitsConfig::default(),
        config: SoulsConfig::default(),
        tasks: guests.clone(),
    }
}

fn catalog(data: &std::path::Path, telemetry: &Telemetry, kv: &Kv, bus: &Bus) -> Catalog {
    let engine_config = compile::tests::engine_config();
    let engine = engine::engine(&engine_config).expect("an engine");
    engine::start_ticker(&engine).expect("a clock");
    let config = ComponentsConfig { compiler: compile::tests::config(), ..ComponentsConfig::default() };
    let components = Components::open(data, config, engine.clone(), &engine_config).expect("a store");
    let (bus, logs, metrics) = (bus.clone(), telemetry.logs().clone(), telemetry.metrics().clone());
    let refusals = metrics.refusals.clone();
    let nothing = move || {
        let log = Arc::new(GuestLog::new(logs.clone(), "node", 0, &refusals));
        Capabilities::alone(bus.clone(), Source::Node, None, log, &refusals)
    };
    let limits = LimitsConfig::default().default;
    let ground = Ground {
        slow: Tasks::new(),
        slow_calls: metrics.runtime.slow_calls,
        memory: GuestMemory::new(u64::MAX, &metrics.refusals),
        used: metrics.runtime.guests,
    };
    Catalog::new(components, &engine, kv.clone(), ground, limits, metrics.runtime.refused, nothing)
        .expect("a linker")
}
