//! The composition root: the only file that names every room. It builds bottom-up and stops top-down.

mod census;
mod doctor;
mod end;
mod figures;
mod files;
mod news;
mod place;
mod ready;
mod restore;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use doctor::{Finding, Level, doctor};
pub use end::End;

use crate::admin::{Admin, AdminConfig, AdminHost};
use crate::backup::Backups;
use crate::capabilities::grpc::Endpoints;
use crate::capabilities::http::Hosts;
use crate::config::Config;
use crate::kv::Kv;
use crate::learning::{self, Learning};
use crate::matrices::{Matrices, MatricesConfig, MatrixHost};
use crate::portable::Portables;
use crate::realm::{Identity, Realm};
use crate::runtime::catalog::{Catalog, Spread};
use crate::runtime::components::Components;
use crate::runtime::engine;
use crate::runtime::exchange::Exchange;
use crate::runtime::interceptors::Interceptors;
use crate::runtime::memory::GuestMemory;
use crate::runtime::pace::Ground;
use crate::runtime::usage::Usages;
use crate::souls::host::{Gate, Host};
use crate::souls::{Fleet, Souls};
use crate::tasks::Tasks;
use crate::tasks::workers::Workers;
use crate::telemetry::Telemetry;
use crate::telemetry::logs::LogRing;
use crate::transport::bus::Bus;
use crate::transport::remote;
use crate::transport::router::Router;

use self::census::Census;
pub use self::restore::restore;

/// The folder of the KV, in the data folder.
const KV_DIR: &str = "kv";
/// The folder of the run logs, in the data folder.
const RUNS_DIR: &str = "runs";

/// How long giving the lease up may take, also where nothing is left of the time for stopping.
const LEAVING: Duration = Duration::from_secs(1);
/// How much less of a processor a slow thread gets than others who want it: about a tenth of theirs. Where that cannot
/// be had, there is still the processor that these threads leave alone.
const SLOW_NICE: i32 = 10;

/// A running node. The order of the fields is the order in which they are built.
#[derive(Debug)]
pub struct Node {
    shutdown: Duration,
    /// Guests run on threads of their own, so that none can keep the operator out.
    guest_threads: [Workers; 2],
    guest_tasks: Tasks,
    slow_tasks: Tasks,
    realm_tasks: Tasks,
    base: Base,
    census: Arc<Census>,
    learning: Learning,
    door_tasks: Tasks,
    admin: Admin,
}

impl Node {
    /// Starts a node on a data folder: all that ran when it last ended runs again.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        if config.owns_process {
            files::raise_limit();
        }
        let quick = Workers::start("guests", config.threads, 0);
        let quick = quick.context("cannot start the threads of the guests")?;
        let slow = Workers::start("slow guests", slow_threads(config.slow_threads), SLOW_NICE);
        let slow = slow.context("cannot start the threads of slow guests")?;
        let (guest_tasks, slow_tasks) = (Tasks::on(quick.spawner()), Tasks::on(slow.spawner()));
        let guest_threads = [quick, slow];
        let realm_tasks = Tasks::new().here();
        let base = Base::open(&config, [&guest_tasks, &slow_tasks], &realm_tasks).await?;
        let souls = Souls::start(base.host(&config, &guest_tasks)).await;
        let souls = souls.context("cannot bring back the Souls")?;
        let souls = Fleet::start(souls, base.realm.clone(), &realm_tasks).await;
        let matrices = Matrices::start(base.matrix_host(&config, &guest_tasks, &realm_tasks, &souls)).await;
        let matrices = matrices.context("cannot bring back the Matrices")?;
        let census = Census::open(souls, matrices, &base.router, &realm_tasks);
        let (souls, matrices) = (&census.souls, &census.matrices);
        place::reach_others(&base.realm).await;
        let door_tasks = Tasks::new();
        let all = [&guest_tasks, &slow_tasks, &realm_tasks, &door_tasks];
        figures::observe_tasks(all, &base.telemetry);
        let learning = base.learning(&config, &guest_tasks, souls);
        let host = base.admin_host(&config, &guest_tasks, souls, matrices, &learning);
        let doors = 1 + usize::from(config.admin.listen.is_some()) + usize::from(config.admin.http.is_some());
        let connections_max = files::connections_max(config.admin.connections_max, doors);
        let door = AdminConfig { connections_max, ..config.admin };
        let admin = Admin::start(door, host, base.telemetry.clone(), &door_tasks).await;
        let admin = admin.context("cannot open the door: see [admin]")?;
        realm_tasks.spawn("node.ready", ready::tell(admin.clone(), &base.realm, &realm_tasks));
        realm_tasks.spawn("node.news", news::tell(base.bus.clone(), &base.realm, &realm_tasks));
        tracing::info!(addresses = ?admin.addresses(), "the node is ready");
        let shutdown = Duration::from_millis(config.shutdown_ms);
        Ok(Self {
            shutdown,
            base,
            guest_threads,
            guest_tasks,
            slow_tasks,
            realm_tasks,
            census,
            learning,
            door_tasks,
            admin,
        })
    }

    /// Stops everything in order: states are saved, and nothing that was acknowledged is lost. An error says
    /// what did not end in time.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.admin.set_stopping().await;
        // One time for all: what the door takes, guests do not have.
        let until = Instant::now() + self.shutdown;
        let left = || until.saturating_duration_since(Instant::now());
        let closed = self.door_tasks.stop(left()).await;
        let ended = self.guest_tasks.stop(left()).await;
        // Whoever waited for these calls has ended: they end at the next epoch.
        let ended = self.slow_tasks.stop(left()).await && ended;
        drop(self.guest_threads);
        // Others take up what this node ran, and the lead, without waiting for its silence to be noticed.
        let ended = self.realm_tasks.stop(left().max(LEAVING)).await && ended;
        self.base.kv.hand_over().await;
        self.base.kv.close().await;
        self.base.realm.network().close().await;
        let telemetry = self.base.telemetry;
        tokio::task::spawn_blocking(move || telemetry.shutdown()).await??;
        let late = self.shutdown.as_millis();
        anyhow::ensure!(closed, "calls were still under way after {late} ms, and were cut off");
        anyhow::ensure!(ended, "Souls were still busy after {late} ms, and were cut off");
        Ok(())
    }

    /// The Souls of this node.
    pub fn souls(&self) -> &Souls {
        self.census.souls.here()
    }

    /// The Souls of the realm.
    pub fn fleet(&self) -> &Fleet {
        &self.census.souls
    }

    /// The Matrices.
    pub fn matrices(&self) -> &Matrices {
        &self.census.matrices
    }

    /// Souls that learn.
    pub fn learning(&self) -> &Learning {
        &self.learning
    }

    /// Where the node listens: `unix:PATH`, `http://HOST:PORT`, gRPC first.
    pub fn addresses(&self) -> &[String] {
        self.admin.addresses()
    }

    /// The components.
    pub fn catalog(&self) -> &Catalog {
        &self.base.catalog
    }

    /// What judges messages.
    pub fn interceptors(&self) -> &Interceptors {
        &self.base.interceptors
    }

    /// The way of messages.
    pub fn router(&self) -> &Router {
        &self.base.router
    }

    /// What happens.
    pub fn bus(&self) -> &Bus {
        &self.base.bus
    }

    /// The realm.
    pub fn realm(&self) -> &Realm {
        &self.base.realm
    }

    /// The replicated KV.
    pub fn kv(&self) -> &Kv {
        &self.base.kv
    }

    /// The log.
    pub fn logs(&self) -> &LogRing {
        self.base.telemetry.logs()
    }
}

/// The rooms that all others stand on, in the order in which they are built.
#[derive(Debug)]
struct Base {
    telemetry: Arc<Telemetry>,
    bus: Bus,
    router: Router,
    kv: Kv,
    realm: Realm,
    catalog: Catalog,
    interceptors: Interceptors,
    grpc: Endpoints,
    http: Hosts,
}

impl Base {
    async fn open(config: &Config, [guests, slow]: [&Tasks; 2], realm_tasks: &Tasks) -> anyhow::Result<Self> {
        config.souls.check().map_err(anyhow::Error::msg)?;
        place::make_private_folder(&config.data_dir)?;
        let known = Identity::load(&config.data_dir)?;
        let number = known.as_ref().map(|identity| identity.node).or(config.join.is_none().then_some(1));
        // A node that joins has no number before the realm gives it one.
        let name = number.map_or_else(|| "joining".to_owned(), place::node_id);
        let telemetry = Arc::new(Telemetry::new(config.telemetry.clone(), &name)?);
        if config.owns_process {
            telemetry.install()?;
        }
        let (metrics, settings) = (telemetry.metrics(), &config.grpc);
        let grpc = Endpoints::open(settings, &metrics.grpc, &metrics.refusals).context("see [grpc]")?;
        let http = Hosts::open(&config.http, &metrics.http).context("see [http]")?;
        let realm = place::open(config, known, realm_tasks).await?;
        let bus = Bus::new(config.bus.clone());
        let metrics = telemetry.metrics().transport.clone();
        let router = Router::new(&config.transport, random_number()?, realm.roster().clone(), metrics);
        let kv = realm.kv().clone();
        figures::observe_kv(&kv, &telemetry);
        figures::observe_realm(&realm, &kv, &telemetry);
        let ground = ground(config, &telemetry, slow);
        let catalog = open_catalog(config, &kv, &bus, &telemetry, ground)?;
        let store = catalog.components().store().clone();
        catalog.fetch_from(Exchange::open(&realm, store, realm_tasks).await);
        let spread = Spread::new(&catalog, &realm, config.components.copies);
        let stop = realm_tasks.stopping();
        realm_tasks
            .spawn("components.spread", async move { _ = stop.run_until_cancelled(spread.keep()).await });
        let host = place::interceptors_host(config, &telemetry, &catalog, &kv, &bus, &router, realm.me());
        let interceptors = Interceptors::start(host, realm_tasks).await;
        // Nothing comes in before it is known what judges it.
        realm.network().serve(remote::LANE, Arc::new(router.inbound(guests.clone()))).await;
        place::share_topics(&realm, &router, guests).await;
        place::refuse_late(&router, realm_tasks);
        Ok(Self { telemetry, bus, router, kv, realm, catalog, interceptors, grpc, http })
    }

    /// What Souls need of it.
    fn host(&self, config: &Config, tasks: &Tasks) -> Host {
        Host {
            node: self.realm.me(),
            gate: Gate::default(),
            router: self.router.clone(),
            bus: self.bus.clone(),
            logs: self.telemetry.logs().clone(),
            metrics: self.telemetry.metrics().clone(),
            grpc: self.grpc.clone(),
            http: self.http.clone(),
            kv: self.kv.clone(),
            components: self.catalog.clone(),
            captures: Default::default(),
            limits: config.limits.clone(),
            config: config.souls.clone(),
            tasks: tasks.clone(),
        }
    }

    /// What Matrices need of it.
    fn matrix_host(&self, config: &Config, tasks: &Tasks, background: &Tasks, souls: &Fleet) -> MatrixHost {
        MatrixHost {
            souls: souls.clone(),
            components: self.catalog.clone(),
            kv: self.kv.clone(),
            bus: self.bus.clone(),
            router: self.router.clone(),
            logs: self.telemetry.logs().clone(),
            metrics: self.telemetry.metrics().clone(),
            limits: config.limits.clone(),
            tasks: tasks.clone(),
            background: background.clone(),
            realm: self.realm.clone(),
            node: self.realm.me(),
            usages: Usages::default(),
            config: MatricesConfig { runs_dir: config.data_dir.join(RUNS_DIR), ..config.matrices.clone() },
        }
    }

    /// Souls that learn.
    fn learning(&self, config: &Config, tasks: &Tasks, souls: &Fleet) -> Learning {
        Learning::start(learning::Host {
            souls: souls.clone(),
            kv: self.kv.clone(),
            bus: self.bus.clone(),
            metrics: self.telemetry.metrics().learning.clone(),
            config: config.learning.clone(),
            tasks: tasks.clone(),
        })
    }

    /// What the door needs of it.
    fn admin_host(
        &self,
        config: &Config,
        guests: &Tasks,
        souls: &Fleet,
        matrices: &Matrices,
        learning: &Learning,
    ) -> AdminHost {
        AdminHost {
            node_id: place::node_id(self.realm.me()),
            realm: self.realm.clone(),
            data_dir: config.data_dir.clone(),
            souls: souls.clone(),
            matrices: matrices.clone(),
            learning: learning.clone(),
            catalog: self.catalog.clone(),
            interceptors: self.interceptors.clone(),
            guests: guests.clone(),
            kv: self.kv.clone(),
            router: self.router.clone(),
            bus: self.bus.clone(),
            backups: Backups::new(self.realm.clone(), self.catalog.clone(), matrices.clone()),
            portables: Portables::new(self.realm.clone(), souls.clone(), self.catalog.clone()),
            logs: self.telemetry.logs().clone(),
            limits: config.limits_in_force().into(),
            metrics: self.telemetry.metrics().admin.clone(),
        }
    }
}

fn random_number() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(u64::from_le_bytes(bytes))
}

/// How many threads run slow guests, where the configuration says so many: for 0, one fewer than there are
/// processors, but one at least.
fn slow_threads(asked: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if asked > 0 { asked } else { processors.saturating_sub(1).max(1) }
}

/// What all guests share.
fn ground(config: &Config, telemetry: &Telemetry, slow: &Tasks) -> Ground {
    let metrics = telemetry.metrics();
    Ground {
        slow: slow.clone(),
        slow_calls: metrics.runtime.slow_calls.clone(),
        memory: GuestMemory::new(config.engine.guest_memory_bytes(), &metrics.refusals),
        used: metrics.runtime.guests.clone(),
    }
}

fn open_catalog(
    config: &Config,
    kv: &Kv,
    bus: &Bus,
    telemetry: &Telemetry,
    ground: Ground,
) -> anyhow::Result<Catalog> {
    let engine = engine::engine(&config.engine)
        .map_err(anyhow::Error::from)
        .context("cannot set up the engine: see [engine]")?;
    engine::start_ticker(&engine).context("cannot start the engine's clock")?;
    let components =
        Components::open(&config.data_dir, config.components.clone(), engine.clone(), &config.engine)
            .context("cannot open the components")?;
    let (bus, logs, metrics) = (bus.clone(), telemetry.logs().clone(), telemetry.metrics().clone());
    let refused = metrics.runtime.refused.clone();
    let try_out = move || place::no_capabilities(&bus, &logs, &metrics.refusals);
    let limits = config.limits.default.clone();
    Ok(Catalog::new(components, &engine, kv.clone(), ground, limits, refused, try_out)?)
}
