//! What the metrics look up in the rooms.

use crate::kv::Kv;
use crate::p2p::{LaneView, Traffic};
use crate::realm::{NodeState, Realm};
use crate::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::telemetry::instruments::{KvFigures, LinkFigures, RealmFigures};

/// Lets the metrics look the KV up, as long as the node runs.
pub(super) fn observe_kv(kv: &Kv, telemetry: &Telemetry) {
    let kv = kv.downgrade();
    telemetry.metrics().kv.observe(move || {
        let Some(stats) = kv.upgrade().map(|kv| kv.stats()) else { return KvFigures::default() };
        KvFigures {
            term: stats.term,
            applied: stats.applied_index,
            leader: stats.is_leader,
            keys: stats.keys,
            bytes: stats.state_bytes,
            writes: stats.writes,
            writes_failed: stats.writes_failed,
            reads: stats.reads,
            fsyncs: stats.fsyncs,
            snapshots: stats.snapshots,
        }
    });
}

/// Lets the metrics count tasks.
pub(super) fn observe_tasks(tasks: [&Tasks; 4], telemetry: &Telemetry) {
    let counts = tasks.map(Tasks::count);
    let all = move || counts.iter().map(|count| count() as u64).sum();
    telemetry.metrics().process.observe_tasks(all);
}

/// Lets the metrics look the realm up, as long as the node runs.
pub(super) fn observe_realm(realm: &Realm, kv: &Kv, telemetry: &Telemetry) {
    let lanes = realm.network().lanes();
    telemetry.metrics().links.observe(move || lanes().into_iter().map(of_lane).collect());
    let (nodes, holds) = (realm.nodes(), realm.holds_lease());
    let (connected, kv) = (realm.network().count(), kv.downgrade());
    telemetry.metrics().realm.observe(move || {
        let (nodes, count) = (nodes.borrow().clone(), |count: usize| count as u64);
        let present = nodes.nodes.values().filter(|view| view.record.state != NodeState::Removed);
        RealmFigures {
            nodes: count(present.count()),
            alive: count(nodes.nodes.values().filter(|view| view.is_alive).count()),
            connected: count(connected()),
            voters: count(nodes.members.voters.len()),
            lease: u64::from(*holds.borrow()),
            lag: kv.upgrade().and_then(|kv| kv.lag().into_values().flatten().max()).unwrap_or(0),
        }
    });
}

fn of_lane(view: LaneView) -> LinkFigures {
    let LaneView { lane, up, down, waiting, traffic } = view;
    let Traffic { frames, sent, received, refused, opened } = traffic;
    LinkFigures { lane: lane.protocol(), up, down, waiting, frames, sent, received, refused, opened }
}
