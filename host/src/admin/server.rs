//! The gRPC server: its services behind the gate, its limits, its health.

use std::sync::Arc;

use matrix_proto::FILE_DESCRIPTOR_SET;
use matrix_proto::v1::access_server::AccessServer;
use matrix_proto::v1::cluster_server::ClusterServer;
use matrix_proto::v1::components_server::ComponentsServer;
use matrix_proto::v1::events_server::EventsServer;
use matrix_proto::v1::interceptors_server::InterceptorsServer;
use matrix_proto::v1::kv_server::KvServer;
use matrix_proto::v1::learning_server::LearningServer;
use matrix_proto::v1::logs_server::LogsServer;
use matrix_proto::v1::matrices_server::MatricesServer;
use matrix_proto::v1::memory_server::MemoryServer;
use matrix_proto::v1::observe_server::ObserveServer;
use matrix_proto::v1::souls_server::SoulsServer;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder as Reflection;

use super::access::AccessService;
use super::book::Book;
use super::cluster::ClusterService;
use super::components::ComponentsService;
use super::config::AdminConfig;
use super::desk::Desk;
use super::error::AdminError;
use super::events::EventsService;
use super::front::{Front, Services};
use super::guard::Guard;
use super::interceptors::InterceptorsService;
use super::kv::KvService;
use super::learning::LearningService;
use super::logs::LogsService;
use super::matrices::MatricesService;
use super::memory::MemoryService;
use super::observe::Observer;
use super::observing::ObserveService;
use super::souls::SoulsService;

/// The longest message of the node, in bytes: the largest value that the KV can be set to hold, or a
/// page of a list, and room. Lists end their pages long before.
const ANSWER_BYTES_MAX: usize = 20 << 20;
/// The services whose health is told, and the node's as a whole.
const HEALTHY: [&str; 13] = [
    "",
    "matrix.v1.Access",
    "matrix.v1.Cluster",
    "matrix.v1.Components",
    "matrix.v1.Events",
    "matrix.v1.Interceptors",
    "matrix.v1.Kv",
    "matrix.v1.Learning",
    "matrix.v1.Logs",
    "matrix.v1.Matrices",
    "matrix.v1.Memory",
    "matrix.v1.Observe",
    "matrix.v1.Souls",
];

/// Tells `grpc.health.v1.Health` how the node is.
#[derive(Debug, Clone)]
pub(super) struct Health(HealthReporter);

impl Health {
    /// Not serving yet.
    pub(super) async fn new() -> Self {
        let health = Self(HealthReporter::new());
        health.set(false).await;
        health
    }

    /// Sets the status of every service.
    pub(super) async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in HEALTHY {
            self.0.set_service_status(service, status).await;
        }
    }
}

/// The services, ready to be served on several addresses.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) front: Front,
    pub(super) config: AdminConfig,
}

impl Server {
    /// Puts the services behind the gate; health and reflection stay in front of it.
    pub(super) fn new(
        desk: &Arc<Desk>,
        guard: Guard,
        book: Book,
        health: &Health,
        exports_spans: bool,
    ) -> Result<Self, AdminError> {
        let max = desk.config.message_bytes_max;
        let mut services = Services::default();
        macro_rules! guarded {
            ($($server:ident: $service:expr),* $(,)?) => {
                $(services.add(
                    $server::new($service)
                        .max_decoding_message_size(max)
                        .max_encoding_message_size(ANSWER_BYTES_MAX),
                );)*
            };
        }
        guarded!(
            AccessServer: AccessService { desk: desk.clone(), book },
            ClusterServer: ClusterService(desk.clone()),
            ComponentsServer: ComponentsService(desk.clone()),
            EventsServer: EventsService(desk.clone()),
            InterceptorsServer: InterceptorsService(desk.clone()),
            KvServer: KvService(desk.clone()),
            LearningServer: LearningService(desk.clone()),
            LogsServer: LogsService(desk.clone()),
            MatricesServer: MatricesService(desk.clone()),
            MemoryServer: MemoryService(desk.clone()),
            ObserveServer: ObserveService(desk.clone()),
            SoulsServer: SoulsService(desk.clone()),
        );
        let refused = |error: tonic_reflection::server::Error| AdminError::Reflection(error.to_string());
        let reflection = || {
            Reflection::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let mut open = Routes::new(reflection().build_v1().map_err(refused)?);
        // Many clients still ask for the version before.
        open = open.add_service(reflection().build_v1alpha().map_err(refused)?);
        open = open.add_service(HealthServer::new(HealthService::from_health_reporter(health.0.clone())));
        let observer = Observer { metrics: desk.host.metrics.clone(), exports_spans };
        let front = Front::new(services, open, guard, observer, desk.config.call());
        Ok(Self { front, config: desk.config.clone() })
    }
}
