//! What the network is made of: protocols of libp2p, each with its bounds.

use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::kad::store::{MemoryStore, MemoryStoreConfig};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, autonat, dcutr, identify, kad, mdns, memory_connection_limits,
    noise, ping, relay, tcp,
};

use super::admission::Admission;
use super::config::P2pConfig;
use super::gate::Gate;
use super::gossiping;
use super::host::P2pError;
use super::key::Key;
use super::members::Members;
use super::muxing::Muxing;

/// The protocols' name and version that peers tell each other.
const PROTOCOL: &str = "/matrix/1.0.0";
/// Kademlia of Matrix OS: not that of the public network.
const KADEMLIA: StreamProtocol = StreamProtocol::new("/matrix/kad/1");
/// The most streams of one connection: lanes, questions, and the protocols of libp2p. Beyond it yamux closes the
/// connection.
const STREAMS_MAX: usize = 256;
/// Streams of one connection whose protocol is being agreed on.
const NEGOTIATING_MAX: usize = 32;
/// The most records, and the most providers of a record, that Kademlia keeps for others.
const KADEMLIA_RECORDS_MAX: usize = 4_096;
/// After what silence a connection on which nothing is open is closed.
const IDLE: Duration = Duration::from_secs(30);
/// After what silence a QUIC connection is dead.
const QUIC_IDLE_MS: u32 = 10_000;

/// Limits come first: what they refuse, the others do not see.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    memory: Toggle<memory_connection_limits::Behaviour>,
    gate: Gate,
    ping: ping::Behaviour,
    pub(super) identify: identify::Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    pub(super) kademlia: Toggle<kad::Behaviour<MemoryStore>>,
    reachability: autonat::v2::client::Behaviour,
    reachability_of_others: autonat::v2::server::Behaviour,
    relay_client: relay::client::Behaviour,
    relay: Toggle<relay::Behaviour>,
    hole_punching: dcutr::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
    pub(super) gossip: Members,
}

/// Builds the network; it must be polled on the runtime that this is called on.
pub(super) fn build(
    key: &Key,
    config: &P2pConfig,
    admission: Admission,
) -> Result<Swarm<Behaviour>, P2pError> {
    let failed = |what: &'static str, error: String| P2pError::Start(what, error);
    let streams = || Muxing::new(STREAMS_MAX);
    let builder = SwarmBuilder::with_existing_identity(key.0.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, streams)
        .map_err(|error| failed("TCP", error.to_string()))?
        .with_quic_config(|mut quic| {
            quic.max_concurrent_stream_limit = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
            quic.max_idle_timeout = QUIC_IDLE_MS;
            quic.keep_alive_interval = Duration::from_millis(u64::from(QUIC_IDLE_MS) / 3);
            quic
        })
        .with_dns()
        .map_err(|error| failed("DNS", error.to_string()))?
        .with_relay_client(noise::Config::new, streams)
        .map_err(|error| failed("relaying", error.to_string()))?
        .with_behaviour(|_, relay_client| Ok(behaviour(key, config, admission, relay_client)?))
        .map_err(|error| failed("the protocols", error.to_string()))?;
    Ok(builder
        .with_swarm_config(|swarm| {
            let swarm = swarm.with_idle_connection_timeout(IDLE);
            swarm.with_max_negotiating_inbound_streams(NEGOTIATING_MAX)
        })
        .build())
}

fn behaviour(
    key: &Key,
    config: &P2pConfig,
    admission: Admission,
    relay_client: relay::client::Behaviour,
) -> std::io::Result<Behaviour> {
    let me = key.peer().0;
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(config.handshakes_max))
        .with_max_pending_outgoing(Some(config.handshakes_max))
        .with_max_established(Some(config.connections_max))
        .with_max_established_per_peer(Some(config.connections_per_peer_max));
    let memory = (config.memory_bytes_max > 0)
        .then(|| memory_connection_limits::Behaviour::with_max_bytes(config.memory_bytes_max));
    let identify = identify::Config::new(PROTOCOL.to_owned(), key.0.public())
        .with_agent_version(concat!("matrixd/", env!("CARGO_PKG_VERSION")).to_owned())
        .with_push_listen_addr_updates(true);
    let mdns = (config.mdns && !is_loopback_only(config))
        .then(|| mdns::tokio::Behaviour::new(mdns::Config::default(), me));
    let gossip = gossiping::behaviour(key, config, admission.clone()).map_err(std::io::Error::other)?;
    Ok(Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        memory: memory.into(),
        gate: Gate::new(admission.clone(), config.strangers_max),
        ping: ping::Behaviour::new(
            ping::Config::new()
                .with_interval(Duration::from_millis(config.ping_ms))
                .with_timeout(Duration::from_millis(config.ping_ms * 2)),
        ),
        identify: identify::Behaviour::new(identify),
        mdns: mdns.transpose()?.into(),
        kademlia: config.kademlia.then(|| kademlia(me)).into(),
        reachability: autonat::v2::client::Behaviour::default(),
        reachability_of_others: autonat::v2::server::Behaviour::default(),
        relay_client,
        relay: config.relay.then(|| relay::Behaviour::new(me, relay::Config::default())).into(),
        hole_punching: dcutr::Behaviour::new(me),
        streams: libp2p_stream::Behaviour::new(),
        gossip,
    })
}

fn kademlia(me: libp2p::PeerId) -> kad::Behaviour<MemoryStore> {
    let bounds = MemoryStoreConfig {
        max_records: KADEMLIA_RECORDS_MAX,
        max_provided_keys: KADEMLIA_RECORDS_MAX,
        ..MemoryStoreConfig::default()
    };
    let mut settings = kad::Config::new(KADEMLIA);
    // Only members are entered, by hand: strangers must not fill the table.
    settings.set_kbucket_inserts(kad::BucketInserts::Manual);
    let mut kademlia = kad::Behaviour::with_config(me, MemoryStore::with_config(me, bounds), settings);
    kademlia.set_mode(Some(kad::Mode::Server));
    kademlia
}

/// Whether nobody but this machine can connect: multicast would tell others of addresses that are of no use to them.
fn is_loopback_only(config: &P2pConfig) -> bool {
    use libp2p::multiaddr::Protocol;
    config.listen.iter().all(|address| match address.iter().next() {
        Some(Protocol::Ip4(address)) => address.is_loopback(),
        Some(Protocol::Ip6(address)) => address.is_loopback(),
        _ => false,
    })
}
