//! `matrix.v1.Cluster`.

use std::sync::Arc;

use matrix_proto::v1;
use matrix_proto::v1::cluster_server::Cluster;
use tonic::{Request, Response, Status};

use super::desk::Desk;
use crate::souls::SoulView;
use crate::souls::status::State;
use crate::telemetry::process::resident_bytes;

/// Souls that are counted at a time: the registry is not held up for longer.
const COUNT_STEP: usize = 1_000;

/// The service.
#[derive(Debug)]
pub(super) struct ClusterService(pub(super) Arc<Desk>);

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        let Desk { host, addresses, readiness, started, .. } = &*self.0;
        let readiness = readiness.borrow().clone();
        let stats = host.kv.stats();
        let role = if stats.is_leader == 1 { "leader" } else { "follower" };
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
                term: stats.term,
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
        }))
    }
}

impl ClusterService {
    /// Souls by what they are doing, and the messages that reached them: those handled and those that
    /// wait.
    fn count_souls(&self) -> (v1::SoulCounts, u64) {
        let (mut counts, mut messages) = (v1::SoulCounts::default(), 0);
        let mut after = None;
        loop {
            let souls = self.0.host.souls.list(after.as_ref(), "", COUNT_STEP);
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
