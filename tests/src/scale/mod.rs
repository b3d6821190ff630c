//! What a realm costs, by the number of its nodes: by formula here, and by simulation, of the leader ([`leader`]) and
//! of other shapes that a realm could have ([`shapes`]). The constants are those of the code; what a message or a byte
//! of memory costs is measured by whoever asks (`tests/scale`).

pub mod leader;
pub mod shapes;
#[cfg(test)]
mod tests;

use matrixd::kv::{KvConfig, LEASES_MAX};
use matrixd::p2p::P2pConfig;
use matrixd::realm::{NODES_MAX, RENEWALS, RealmConfig};

/// What the node does by itself, at its default settings. Times in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Constants {
    /// Between two heartbeats of the leader.
    pub heartbeat: f64,
    /// A lease's time.
    pub lease: f64,
    /// Between two renewals of it.
    pub renewal: f64,
    /// Between two looks whether a silent peer is there.
    pub ping: f64,
    /// The most voters.
    pub voters: u64,
    /// The most connections of a node.
    pub connections_max: u64,
    /// The most nodes that a node sees.
    pub nodes_max: u64,
    /// The most leases.
    pub leases_max: u64,
    /// The most bytes that the KV counts as its state.
    pub state_bytes_max: f64,
}

impl Constants {
    /// Those of this code.
    pub fn of_the_code() -> Self {
        let (kv, realm, p2p) = (KvConfig::default(), RealmConfig::default(), P2pConfig::default());
        let seconds = |ms: u64| ms as f64 / 1e3;
        Self {
            heartbeat: seconds(kv.heartbeat_ms),
            lease: seconds(realm.lease_ms),
            renewal: seconds(realm.lease_ms) / f64::from(RENEWALS),
            ping: seconds(p2p.ping_ms),
            voters: realm.voters_max as u64,
            connections_max: p2p.connections_max.into(),
            nodes_max: NODES_MAX as u64,
            leases_max: LEASES_MAX as u64,
            state_bytes_max: kv.state_bytes_max as f64,
        }
    }
}

/// What one thing costs; measured.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Seconds of the network's thread for one message, sent or received.
    pub message: f64,
    /// Bytes of memory at one end of a connection.
    pub connection: f64,
    /// Bytes of a Soul in the KV of every node: as the KV counts them.
    pub soul_counted: f64,
    /// Bytes of a Soul in the KV of every node: of memory.
    pub soul: f64,
    /// Bytes of the way to a Soul, in the directory of every node.
    pub way: f64,
    /// Seconds to read the record of one node.
    pub record: f64,
}

/// What is asked of a realm.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Nodes.
    pub nodes: u64,
    /// Souls, all together.
    pub souls: u64,
    /// Frames of the log a second, each sent to every other node.
    pub frames: f64,
}

/// What a realm as it is built today costs.
#[derive(Debug, Clone, Copy)]
pub struct Today {
    /// Connections of each node: one with every other.
    pub connections: u64,
    /// Messages a second that pass the leader's network, both ways: heartbeats, frames, renewals, and their answers.
    pub leader_messages: f64,
    /// The part of its network's thread that these take; above 1 it falls behind.
    pub leader_busy: f64,
    /// Messages a second of pings and their answers at each node, both ways.
    pub pings: f64,
    /// Bytes of memory that the others and their Souls take on each node.
    pub memory: f64,
    /// Bytes that the KV counts, of which there is a bound.
    pub state: f64,
    /// Seconds of one thread on each node when one node comes or goes: all records are read.
    pub change: f64,
    /// The same when every node starts once.
    pub all_start: f64,
}

/// Messages a second between the leader and one other node, both ways.
pub fn per_node(constants: &Constants, frames: f64) -> f64 {
    2.0 * (1.0 / constants.heartbeat + 1.0 / constants.renewal + frames)
}

/// By formula.
pub fn today(constants: &Constants, costs: &Costs, demand: Demand) -> Today {
    let (others, nodes, souls) = (demand.nodes - 1, demand.nodes as f64, demand.souls as f64);
    let leader_messages = others as f64 * per_node(constants, demand.frames);
    Today {
        connections: others,
        leader_messages,
        leader_busy: leader_messages * costs.message,
        pings: others as f64 * 4.0 / constants.ping,
        memory: others as f64 * costs.connection + souls * (costs.soul + costs.way),
        state: souls * costs.soul_counted,
        change: nodes * costs.record,
        // Its record and its lease's key change, one after the other, for each of the nodes.
        all_start: 2.0 * nodes * nodes * costs.record,
    }
}

/// The number of nodes from which on something gives way, and what. The first is what breaks first.
pub fn limits(constants: &Constants, costs: &Costs, souls_a_node: f64) -> Vec<(u64, &'static str)> {
    let count = |bound: f64| bound.max(0.0) as u64 + 1;
    let mut found = vec![
        (constants.connections_max + 1, "connections: [p2p] connections_max, at its default"),
        (constants.nodes_max, "records: no more nodes are read"),
        (constants.leases_max, "leases: the KV grants no more"),
        (
            count(1.0 / (costs.message * per_node(constants, 0.0))),
            "the leader's network thread, without one write",
        ),
        (
            count(constants.state_bytes_max / (costs.soul_counted * souls_a_node)),
            "the KV's state: kv.state_bytes_max",
        ),
        (
            count((constants.lease / costs.record / 2.0).sqrt()),
            "reading all records, when all start within a lease's time",
        ),
    ];
    found.sort_unstable();
    found
}
