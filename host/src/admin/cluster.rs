//! `matrix.v1.Cluster`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use matrix_proto::v1;
use matrix_proto::v1::cluster_server::Cluster;
use tonic::{Request, Response, Status};

use super::convert;
use super::desk::{Answers, Desk};
use super::paging::page_size;
use crate::clock;
use crate::realm::{NodeState, NodeView, Nodes, RealmError};
use crate::souls::SoulView;
use crate::souls::status::State;
use crate::telemetry::process::resident_bytes;

/// Souls that are counted at a time: the registry is not held up for longer.
const COUNT_STEP: usize = 1_000;

/// For how long an invitation is good, where nothing is said.
const INVITATION_SECONDS: u64 = 3_600;

/// The service.
#[derive(Debug)]
pub(super) struct ClusterService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let v1::ListNodesRequest { page, removed } = request.into_inner();
        let v1::PageRequest { page_size: size, page_token } = page.unwrap_or_default();
        let after = match page_token.as_str() {
            "" => 0,
            token => {
                token.parse().map_err(|_| convert::bad_field("page.page_token", "is none of this list"))?
            }
        };
        let (nodes, size) = (self.0.host.realm.nodes().borrow().clone(), page_size(size)?);
        let lag = self.0.host.kv.lag();
        let mut found = nodes.nodes.range(after + 1..).map(|(_, view)| view);
        let mut found = found.by_ref().filter(|view| removed || view.record.state != NodeState::Removed);
        let listed: Vec<_> = found.by_ref().take(size).map(|view| self.show(view, &nodes, &lag)).collect();
        let more = found.next().is_some();
        let last = listed.last().filter(|_| more).map(|node| node.number.to_string());
        Ok(Response::new(v1::ListNodesResponse { nodes: listed, next_page_token: last.unwrap_or_default() }))
    }

    async fn invite(
        &self,
        request: Request<v1::InviteRequest>,
    ) -> Result<Response<v1::InviteResponse>, Status> {
        let seconds = match request.into_inner().ttl_seconds {
            0 => INVITATION_SECONDS,
            seconds => seconds,
        };
        let expires_at_ms = clock::now_ms() + seconds.saturating_mul(1_000);
        let token = self.0.host.realm.invite(Duration::from_secs(seconds)).await?;
        Ok(Response::new(v1::InviteResponse { token: token.to_string(), expires_at_ms }))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Result<Response<v1::Node>, Status> {
        self.want(request.into_inner().node, NodeState::Draining).await
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Result<Response<v1::Node>, Status> {
        self.want(request.into_inner().node, NodeState::Member).await
    }

    async fn remove(&self, request: Request<v1::RemoveRequest>) -> Result<Response<v1::Node>, Status> {
        let v1::RemoveRequest { node, force } = request.into_inner();
        let host = &self.0.host;
        let is_alive = host.realm.nodes().borrow().nodes.get(&node).is_some_and(|view| view.is_alive);
        let on = |load: BTreeMap<u64, usize>| load.get(&node).copied().unwrap_or(0);
        let (souls, matrices) = (on(host.souls.load()), on(host.matrices.load()));
        if is_alive && souls + matrices > 0 && !force {
            host.realm.want(node, NodeState::Draining).await?;
            return Err(RealmError::Busy { node, souls, matrices }.into());
        }
        self.want(node, NodeState::Removed).await
    }

    type BackupStream = Answers<v1::BackupResponse>;

    async fn backup(&self, _: Request<v1::BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let place = self.0.stream()?;
        let pieces = self.0.host.backups.take(self.0.tasks()).await?;
        let answers = stream::unfold(pieces, |mut pieces| async {
            let piece = pieces.recv().await?;
            Some((piece.map(|data| v1::BackupResponse { data }).map_err(Status::from), pieces))
        });
        Ok(self.0.answers(place, answers))
    }

    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        let Desk { host, addresses, readiness, started, .. } = &*self.0;
        let readiness = readiness.borrow().clone();
        let stats = host.kv.stats();
        let nodes = host.realm.nodes().borrow().clone();
        // Role and term of one moment: the nodes tell of an earlier one.
        let members = host.kv.members();
        let role = members.role(host.realm.me());
        let addresses_of_peers =
            host.realm.network().addresses().borrow().iter().map(ToString::to_string).collect();
        let (souls, messages) = self.count_souls();
        Ok(Response::new(v1::StatusResponse {
            node_id: host.node_id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            ready: readiness.ready,
            reason: readiness.reason,
            souls: Some(souls),
            matrices: host.matrices.count() as u64,
            components: host.catalog.components().store().list().len() as u64,
            raft: Some(v1::RaftStatus {
                role: role.to_owned(),
                term: members.term,
                applied: stats.applied_index,
                revision: stats.revision,
            }),
            addresses: addresses.clone(),
            event_sequence: host.bus.fill().latest,
            resident_bytes: resident_bytes().unwrap_or(0),
            data_dir: host.data_dir.display().to_string(),
            messages,
            guest_memory_bytes: host.catalog.memory().used(),
            guest_memory_bytes_max: host.catalog.memory().max(),
            realm: host.realm.id().to_string(),
            node: host.realm.me(),
            nodes_alive: nodes.nodes.values().filter(|view| view.is_alive).count() as u64,
            nodes: nodes.nodes.values().filter(|view| view.record.state != NodeState::Removed).count() as u64,
            peers_connected: host.realm.network().connected() as u64,
            peer_addresses: addresses_of_peers,
            links_down: host.realm.network().lanes()().iter().map(|lane| lane.down).sum(),
        }))
    }
}

impl ClusterService {
    async fn want(&self, node: u64, state: NodeState) -> Result<Response<v1::Node>, Status> {
        let record = self.0.host.realm.want(node, state).await?;
        let nodes = self.0.host.realm.nodes().borrow().clone();
        let is_alive = nodes.nodes.get(&node).is_some_and(|view| view.is_alive);
        let lag = self.0.host.kv.lag();
        Ok(Response::new(self.show(&NodeView { record, is_alive }, &nodes, &lag)))
    }

    fn show(&self, view: &NodeView, nodes: &Nodes, lag: &BTreeMap<u64, Option<u64>>) -> v1::Node {
        let (record, realm) = (&view.record, &self.0.host.realm);
        let network = realm.network();
        let (state, role) = match record.state {
            NodeState::Member => ("member", nodes.members.role(record.node)),
            NodeState::Draining => ("draining", nodes.members.role(record.node)),
            NodeState::Removed => ("removed", "none"),
        };
        v1::Node {
            number: record.node,
            name: record.name.clone(),
            peer: record.peer.to_string(),
            addresses: record.addresses.clone(),
            labels: record.labels.clone().into_iter().collect(),
            state: state.to_owned(),
            role: role.to_owned(),
            alive: view.is_alive,
            connected: record.node == realm.me() || network.is_connected(record.peer),
            lag: lag.get(&record.node).copied().flatten(),
            version: record.version.clone(),
            joined_at_ms: record.joined_at_ms,
            lanes_down: network
                .lanes_down(record.peer)
                .iter()
                .map(|lane| lane.protocol().to_owned())
                .collect(),
        }
    }

    /// Souls by what they are doing, and the messages that reached them: those handled and those that
    /// wait.
    fn count_souls(&self) -> (v1::SoulCounts, u64) {
        let (mut counts, mut messages) = (v1::SoulCounts::default(), 0);
        let mut after = None;
        loop {
            let souls = self.0.host.souls.here().list(after.as_ref(), "", COUNT_STEP);
            for soul in &souls {
                *place(&mut counts, soul) += 1;
                messages += soul.handled + soul.mailbox_depth as u64;
            }
            match souls.last() {
                Some(last) if souls.len() == COUNT_STEP => after = Some(last.manifest.name.clone()),
                _ => return (counts, messages),
            }
        }
    }
}

fn place<'a>(counts: &'a mut v1::SoulCounts, soul: &SoulView) -> &'a mut u64 {
    match soul.state {
        State::Starting | State::Running => &mut counts.running,
        State::Passive => &mut counts.passive,
        State::BackingOff => &mut counts.backing_off,
        State::Stopped => &mut counts.stopped,
        State::Failed => &mut counts.failed,
    }
}
