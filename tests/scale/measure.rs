//! What one thing costs, measured on this machine with the node's own code.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use matrix_tests::node::{manifest, resident_bytes};
use matrix_tests::scale::Costs;
use matrixd::capabilities::random;
use matrixd::ids::{Digest, SoulName};
use matrixd::kv::{Kv, KvConfig, Mutation, Roster, Txn};
use matrixd::p2p::rpc::{Reply, Rpc, Serve};
use matrixd::p2p::{Admission, Contact, Key, Lane, P2p, P2pConfig, Peer, Standing};
use matrixd::realm::{NodeRecord, NodeState};
use matrixd::souls::checkpoint::{self, Checkpoint, Header};
use matrixd::souls::placed::{self, Placed};
use matrixd::souls::records::{self, Wanted};
use matrixd::tasks::Tasks;
use matrixd::telemetry::{Telemetry, TelemetryConfig};
use matrixd::transport::envelope::Address;
use matrixd::transport::router::{Router, TransportConfig};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Networks that are all connected with all, to see what a connection takes.
const NETWORKS: usize = 12;
/// The lanes of a node: a stream each on every connection.
const LANES: [Lane; 5] =
    [Lane::new("/scale/a"), Lane::new("/scale/b"), Lane::new("/scale/c"), Lane::new("/scale/d"), CALLS];
/// The one on which calls are timed.
const CALLS: Lane = Lane::new("/scale/calls");
/// Calls that are timed, and how many of them are under way at a time.
const CALLS_TIMED: usize = 8_000;
const CALLS_AT_ONCE: usize = 64;
/// Souls of whom the ways are kept, and Souls of whom everything is.
const WAYS: usize = 200_000;
const SOULS: usize = 4_000;
/// Bytes of a Soul's own state in its checkpoint.
const STATE_BYTES: usize = 256;
/// Records of nodes that are read.
const RECORDS: usize = 20_000;

/// Everything, in turn.
pub(crate) async fn all() -> Costs {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    // All is kept to the end: what is given back would serve the next one, and that seem to take nothing.
    let (soul_counted, soul, kv) = souls(folder.path()).await;
    let (way, _kept) = ways();
    let (connection, message) = network(folder.path()).await;
    kv.close().await;
    Costs { message, connection, soul_counted, soul, way, record: record() }
}

/// Answers a question with itself.
struct Echo;

impl Serve for Echo {
    fn serve(&self, _: Peer, question: Bytes, reply: Reply) {
        reply.answer(question);
    }
}

/// Bytes of memory at one end of a connection with its lanes, and seconds of a network's thread for one message.
async fn network(folder: &Path) -> (f64, f64) {
    let mut networks = Vec::new();
    for number in 0..NETWORKS {
        let key = Key::load_or_create(&folder.join(format!("key-{number}"))).expect("our own folder");
        let config = P2pConfig { mdns: false, ..P2pConfig::default() };
        let network = P2p::start(config, key, Admission::default(), None).await.expect("loopback");
        let mut rpcs = Vec::new();
        for lane in LANES {
            rpcs.push(Rpc::open(&network, lane, Arc::new(Echo)).await);
        }
        networks.push((network, rpcs));
    }
    let contacts: Vec<Contact> = networks
        .iter()
        .map(|(network, _)| Contact { peer: network.me(), addresses: network.addresses().borrow().clone() })
        .collect();
    // Before anybody connects: who is taken for a stranger is sent away, and comes again later.
    for (network, contact) in
        networks.iter().flat_map(|(network, _)| contacts.iter().map(move |one| (network, one)))
    {
        network.admission().set(contact.peer, Standing::Member);
    }
    let before = resident_bytes();
    for (network, _) in &networks {
        for contact in contacts.iter().filter(|contact| contact.peer != network.me()) {
            network.know(contact.clone()).await;
            network.keep(contact.peer).await;
        }
    }
    let ways: Vec<(&Rpc, Peer)> = networks
        .iter()
        .flat_map(|(network, rpcs)| rpcs.iter().map(move |rpc| (network.me(), rpc)))
        .flat_map(|(me, rpc)| contacts.iter().map(move |contact| (me, rpc, contact.peer)))
        .filter(|(me, _, peer)| me != peer)
        .map(|(_, rpc, peer)| (rpc, peer))
        .collect();
    // Two that dial each other at the same time let one connection go, and its lanes come up anew on the other.
    let all_up = async {
        while !ways.iter().all(|(rpc, peer)| rpc.is_up(*peer)) {
            join_all(ways.iter().map(|(rpc, peer)| rpc.until_up(*peer, PATIENCE))).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all_up).await.expect("networks on loopback reach each other");
    let ends = (NETWORKS * (NETWORKS - 1)) as f64;
    let connection = resident_bytes().saturating_sub(before) as f64 / ends;
    let message = calls(networks[0].1.last().expect("a lane"), contacts[1].peer).await;
    for (network, _) in networks {
        network.close().await;
    }
    (connection, message)
}

/// Each call is two messages at either end, and both threads work at the same time.
async fn calls(rpc: &Rpc, peer: Peer) -> f64 {
    let began = Instant::now();
    let question = Bytes::from(vec![0; 64]);
    let one = async |_| {
        for _ in 0..CALLS_TIMED / CALLS_AT_ONCE {
            rpc.call(peer, question.clone(), PATIENCE).await.expect("it answers");
        }
    };
    join_all((0..CALLS_AT_ONCE).map(one)).await;
    began.elapsed().as_secs_f64() / CALLS_TIMED as f64 / 2.0
}

fn soul(number: usize) -> SoulName {
    format!("a-soul-of-a-usual-name-{number:08}").parse().expect("a sound name")
}

/// Bytes of the way to a Soul on another node: in the directory, and in what the fleet remembers.
fn ways() -> (f64, (Router, BTreeMap<SoulName, Placed>)) {
    let telemetry = Telemetry::new(TelemetryConfig::default(), "scale").expect("telemetry");
    let transport = telemetry.metrics().transport.clone();
    let router = Router::new(&TransportConfig::default(), 1, Roster::default(), transport);
    let before = resident_bytes();
    let mut placed = BTreeMap::new();
    for number in 0..WAYS {
        let node = 2 + number as u64 % 100;
        router.place(Address::Soul(soul(number)), node);
        placed.insert(soul(number), Placed { node, generation: 1 });
    }
    let bytes = resident_bytes().saturating_sub(before) as f64 / WAYS as f64;
    assert!(router.directory().route(&Address::Soul(soul(WAYS - 1))).is_some() && placed.len() == WAYS);
    (bytes, (router, placed))
}

/// Bytes of a Soul in the KV, as that counts them, and of memory: its record, its place, its checkpoint. The history
/// of changes has a bound of its own, and holds as much again until it is reached: it is kept out.
async fn souls(folder: &Path) -> (f64, f64, Kv) {
    let config = KvConfig {
        dir: folder.join("kv"),
        disk_reserve_bytes: 0,
        history_revisions: 1,
        ..KvConfig::default()
    };
    let kv = Kv::open(config, &Tasks::new()).await.expect("our own folder");
    let before = resident_bytes();
    for some in (0..SOULS).collect::<Vec<_>>().chunks(256) {
        let saved = join_all(some.iter().map(|number| save(&kv, soul(*number)))).await;
        assert_eq!(saved.len(), some.len());
    }
    let memory = resident_bytes().saturating_sub(before) as f64 / SOULS as f64;
    let counted = kv.stats().state_bytes as f64 / SOULS as f64;
    (counted, memory, kv)
}

async fn save(kv: &Kv, soul: SoulName) {
    let component = Digest::of(b"a component");
    let manifest = manifest(soul.as_str(), component, &[]);
    records::save(kv, &manifest, &Wanted::Running, None).await.expect("room");
    let placed = Placed { node: 1, generation: 1 };
    let path = kv.path(placed::BUCKET, soul.as_str().as_bytes()).expect("a sound key");
    let then = vec![Mutation::Put { path, value: placed.value(), lease: None }];
    kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
    let state = Bytes::from(vec![7; STATE_BYTES]);
    let header = Header {
        schema: "counter/1".to_owned(),
        component,
        state: Digest::of(&state),
        parent: None,
        at_ms: 1_700_000_000_000,
        random: random::Ctx::new(1),
        topics: Vec::new(),
        acted: BTreeMap::new(),
    };
    let max = state.len();
    checkpoint::save(kv, &soul, placed, &Checkpoint { header, state }, max).await.expect("it lives there");
}

/// Seconds to read a node's record out of its JSON, as every node does with all of them when one changes.
fn record() -> f64 {
    let peer = "12D3KooWK3hKXVqa5yDezTdL6LFtgeZVv5JAEM8HkRXkvTt3cYpA".parse().expect("a peer");
    let record = NodeRecord {
        node: 7,
        peer,
        addresses: vec!["/ip4/192.0.2.7/tcp/4001".to_owned(), "/ip4/192.0.2.7/udp/4001/quic-v1".to_owned()],
        name: "seven".to_owned(),
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        state: NodeState::Member,
        version: "0.1.0".to_owned(),
        boot: 3,
        nonce: u64::MAX,
        joined_at_ms: 1_700_000_000_000,
    };
    let json = serde_json::to_vec(&record).expect("it has a form in JSON");
    let began = Instant::now();
    for _ in 0..RECORDS {
        let read: NodeRecord = serde_json::from_slice(std::hint::black_box(&json)).expect("the same");
        assert_eq!(std::hint::black_box(read).node, record.node);
    }
    began.elapsed().as_secs_f64() / RECORDS as f64
}
