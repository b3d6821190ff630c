//! The way to a node: gRPC over the socket in its data folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use matrix_proto::v1;
use matrix_proto::v1::cluster_client::ClusterClient;
use matrix_proto::v1::events_client::EventsClient;
use matrix_proto::v1::kv_client::KvClient;
use matrix_proto::v1::observe_client::ObserveClient;
use matrix_proto::v1::souls_client::SoulsClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

/// The way to one node, whether it runs or not: each call after a failure connects anew.
#[derive(Debug, Clone)]
pub struct Door {
    channel: Channel,
    token: PathBuf,
}

impl Door {
    /// To the node of this data folder.
    pub fn new(data: &Path) -> Self {
        let socket = format!("unix:{}", data.join("matrixd.sock").display());
        let endpoint = Endpoint::try_from(socket).expect("a path makes an address");
        Self { channel: endpoint.connect_lazy(), token: data.join("token") }
    }

    /// The KV.
    pub fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone())
    }

    /// The node and its realm.
    pub fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }

    /// What happens.
    pub fn events(&self) -> EventsClient<Channel> {
        EventsClient::new(self.channel.clone())
    }

    /// What guests use.
    pub fn observe(&self) -> ObserveClient<Channel> {
        ObserveClient::new(self.channel.clone())
    }

    /// The Souls.
    pub fn souls(&self) -> SoulsClient<Channel> {
        SoulsClient::new(self.channel.clone())
    }

    /// A request that shows the node's token, once it has made one.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Ok(token) = std::fs::read_to_string(&self.token)
            && let Ok(value) = format!("Bearer {}", token.trim()).parse()
        {
            request.metadata_mut().insert("authorization", value);
        }
        request
    }

    /// How the node says that it is, if it does so within `patience`.
    pub async fn status(&self, patience: Duration) -> Option<v1::StatusResponse> {
        let request = self.request(v1::StatusRequest {});
        let told = tokio::time::timeout(patience, async { self.cluster().status(request).await });
        told.await.ok()?.ok().map(tonic::Response::into_inner)
    }
}

/// The reason that a refusal names; empty: none, as where a connection broke.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}
