//! Settings of the peer-to-peer network.

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};

use super::peer::Peer;

/// What the operator may set: the table `[p2p]`. Addresses are multiaddresses (github.com/multiformats/multiaddr).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct P2pConfig {
    /// Where other nodes may connect, such as `/ip4/0.0.0.0/tcp/4001` and `/ip4/0.0.0.0/udp/4001/quic-v1`. The
    /// default is this machine alone. A port of 0 is chosen once, and kept.
    pub listen: Vec<Multiaddr>,
    /// Where others reach this node, if that is not where it listens: an address of a router, a DNS name.
    pub external: Vec<Multiaddr>,
    /// Nodes that are known beforehand: addresses that end in `/p2p/PEER`.
    pub peers: Vec<Multiaddr>,
    /// Peers that are no nodes, and may exchange messages with Souls as `client:NAME`.
    pub clients: Vec<Peer>,
    /// Whether nodes are looked for on the local network by multicast DNS.
    pub mdns: bool,
    /// Whether nodes and their addresses are looked for, and kept for others, by Kademlia.
    pub kademlia: bool,
    /// Whether this node passes on connections of nodes that cannot be reached directly.
    pub relay: bool,
    /// The most connections at a time, of which each takes a file and about 100 KiB.
    pub connections_max: u32,
    /// The most connections with one peer: two that dial each other at the same time make two.
    pub connections_per_peer_max: u32,
    /// The most connections whose peer has not proved yet who it is.
    pub handshakes_max: u32,
    /// The most peers that are neither members nor clients, and have a few seconds to show an invitation.
    pub strangers_max: usize,
    /// The most resident memory of this process, in bytes, at which new connections are taken. 0: no bound.
    pub memory_bytes_max: usize,
    /// The most bytes that wait for one lane to a peer; beyond it, senders are told so.
    pub link_bytes_max: usize,
    /// Milliseconds between two looks whether a silent peer is still there; after three, it is not.
    pub ping_ms: u64,
    /// The longest message to a topic, in bytes: no setting, but the node's bound of a message.
    #[serde(skip)]
    pub gossip_bytes_max: usize,
}

impl Default for P2pConfig {
    fn default() -> Self {
        let loopback = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];
        Self {
            listen: loopback.iter().filter_map(|address| address.parse().ok()).collect(),
            external: Vec::new(),
            peers: Vec::new(),
            clients: Vec::new(),
            mdns: true,
            kademlia: true,
            relay: false,
            connections_max: 512,
            connections_per_peer_max: 4,
            handshakes_max: 64,
            strangers_max: 16,
            memory_bytes_max: 0,
            link_bytes_max: 8 << 20,
            ping_ms: 1_000,
            gossip_bytes_max: 256 << 10,
        }
    }
}
