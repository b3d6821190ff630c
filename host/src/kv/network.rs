//! The seam to the realm's other nodes: whoever brings a [`Network`] brings the peers.

use std::future::Future;

use openraft::OptionalSend;
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{NetSnapshot, RPCOption, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};

use super::raft::TypeConfig;
use super::snapshot::SnapshotFile;

/// Makes connections to peers. A connection must forward `pre_vote`: the default grants it always, and a node that
/// was cut off would then unseat a healthy leader on its return.
pub(super) trait Network:
    RaftNetworkFactory<TypeConfig, Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotFile>>
{
}

impl<N> Network for N where
    N: RaftNetworkFactory<TypeConfig, Network: NetSnapshot<TypeConfig, SnapshotData = SnapshotFile>>
{
}

/// The network of a realm of one node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NoPeers;

/// A connection of [`NoPeers`]: every call says that nobody is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nobody {
    target: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("node {0} cannot be reached: this node runs without peers")]
struct Alone(u64);

impl Nobody {
    fn unreachable(self) -> Unreachable<TypeConfig> {
        Unreachable::new(&Alone(self.target))
    }
}

impl RaftNetworkFactory<TypeConfig> for NoPeers {
    type Network = Nobody;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Nobody {
        Nobody { target }
    }
}

impl RaftNetworkV2<TypeConfig> for Nobody {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        _request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn pre_vote(
        &mut self,
        _request: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(self.unreachable().into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: VoteOf<TypeConfig>,
        _snapshot: SnapshotOf<TypeConfig, SnapshotFile>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(self.unreachable().into())
    }
}
