//! Three nodes of one realm in one process, over loopback: what one writes all see, whoever leads, and whoever is gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use tempfile::TempDir;

use super::PATIENCE;
use crate::kv::{Consistency, Expect, Kv, KvConfig, KvError, Members, Roster, Swap};
use crate::p2p::{Admission, Contact, Key, P2p, P2pConfig, Standing};
use crate::tasks::Tasks;

struct Node {
    kv: Kv,
    network: P2p,
    roster: Roster,
    number: u64,
}

fn config(dir: &Path, number: u64) -> KvConfig {
    KvConfig {
        dir: dir.join(format!("kv{number}")),
        node_id: number,
        disk_reserve_bytes: 0,
        heartbeat_ms: 50,
        log_segment_bytes: 1 << 20,
        ..KvConfig::default()
    }
}

async fn start(dir: &Path, number: u64, change: impl FnOnce(&mut KvConfig)) -> Node {
    let key = Key::load_or_create(&dir.join(format!("key{number}"))).expect("a folder of its own");
    let ports = Some(dir.join(format!("ports{number}")));
    let network =
        P2p::start(P2pConfig { ping_ms: 200, ..P2pConfig::default() }, key, Admission::default(), ports);
    let network = network.await.expect("loopback");
    let (roster, mut config) = (Roster::default(), config(dir, number));
    roster.set(number, network.me());
    change(&mut config);
    let kv =
        Kv::open_in_realm(config, &network, &roster, number == 1, &Tasks::new()).await.expect("it opens");
    Node { kv, network, roster, number }
}

impl Node {
    async fn contact(&self) -> Contact {
        let mut addresses = self.network.addresses();
        let addresses = addresses.wait_for(|addresses| addresses.len() == 2).await.expect("it runs").clone();
        Contact { peer: self.network.me(), addresses }
    }

    async fn meet(&self, other: &Node) {
        let contact = other.contact().await;
        self.roster.set(other.number, contact.peer);
        self.network.admission().set(contact.peer, Standing::Member);
        self.network.know(contact.clone()).await;
        self.network.keep(contact.peer).await;
    }

    async fn until(&self, what: impl Fn(&Members) -> bool) -> Members {
        let reached = async {
            let mut members = self.kv.members_told();
            while !what(&members) {
                members = self.kv.members_other_than(&members).await.expect("it runs");
            }
            members
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("it comes to that")
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        let entry =
            self.kv.get("b", key.as_bytes(), Consistency::Linearizable).await.expect("a quorum is there");
        entry.map(|entry| entry.value)
    }

    async fn put(&self, key: &str, value: &'static str) {
        self.kv.put("b", key.as_bytes(), value.into(), None, None).await.expect("a quorum is there");
    }

    async fn close(self) {
        self.kv.close().await;
        self.network.close().await;
    }
}

async fn three(dir: &Path, change: impl Fn(&mut KvConfig)) -> [Node; 3] {
    let nodes = [start(dir, 1, &change).await, start(dir, 2, &change).await, start(dir, 3, &change).await];
    for node in &nodes {
        for other in nodes.iter().filter(|other| other.number != node.number) {
            node.meet(other).await;
        }
    }
    nodes[0].until(Members::is_leader).await;
    for node in &nodes[1..] {
        nodes[0].kv.add_learner(node.number, node.network.me()).await.expect("it leads");
    }
    nodes[0].kv.set_voters(BTreeSet::from([1, 2, 3])).await.expect("it leads");
    for node in &nodes {
        node.until(|members| members.voters.len() == 3 && !members.changing && members.leader.is_some())
            .await;
    }
    nodes
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn every_node_reads_what_any_node_wrote() {
    let folder = folder();
    let nodes = three(folder.path(), |_| {}).await;
    let mut watch = nodes[2].kv.watch("b", b"", None).expect("a bucket");
    for (count, writer) in nodes.iter().enumerate() {
        let key = format!("key{count}");
        writer.put(&key, "value").await;
        for reader in &nodes {
            assert_eq!(
                reader.get(&key).await,
                Some("value".into()),
                "{} reads of {}",
                reader.number,
                writer.number
            );
        }
        let seen = watch.next().await.expect("it runs").expect("it keeps up");
        assert_eq!(seen.path.key(), key.as_bytes());
    }
    let swap = nodes[1].kv.compare_and_swap("b", b"key0", Expect::Absent, Some("x".into()), None).await;
    assert!(matches!(swap.expect("a quorum").value, Swap::Conflict { .. }));
    let lease = nodes[2].kv.grant_lease(Duration::from_secs(1), None).await.expect("a quorum").value;
    assert_eq!(nodes[1].kv.keep_alive(lease).await.expect("the leader knows it"), Duration::from_secs(1));
    nodes[0].kv.revoke_lease(lease).await.expect("a quorum");
    assert!(matches!(nodes[1].kv.keep_alive(lease).await, Err(KvError::NoSuchLease)));
    for node in nodes {
        node.close().await;
    }
}

#[tokio::test]
async fn the_death_of_the_leader_loses_nothing_and_a_quorum_goes_on() {
    let folder = folder();
    let [one, two, three] = three(folder.path(), |_| {}).await;
    one.put("before", "1").await;
    one.close().await;
    two.put("after", "2").await;
    for node in [&two, &three] {
        assert_eq!((node.get("before").await, node.get("after").await), (Some("1".into()), Some("2".into())));
    }
    let one = start(folder.path(), 1, |_| {}).await;
    for other in [&two, &three] {
        one.meet(other).await;
    }
    assert_eq!(one.get("after").await, Some("2".into()));
    three.close().await;
    one.put("again", "3").await;
    assert_eq!(two.get("again").await, Some("3".into()));
    for node in [one, two] {
        node.close().await;
    }
}

#[tokio::test]
async fn without_a_quorum_writes_and_fresh_reads_are_refused() {
    let folder = folder();
    let [one, two, three] = three(folder.path(), |config| config.request_timeout_ms = 500).await;
    one.put("key", "1").await;
    two.close().await;
    three.close().await;
    let written = one.kv.put("b", b"key", "2".into(), None, None).await;
    assert!(matches!(written, Err(KvError::Unavailable(_))), "{written:?}");
    let read = one.kv.get("b", b"key", Consistency::Linearizable).await;
    assert!(matches!(read, Err(KvError::Unavailable(_))), "{read:?}");
    let local =
        one.kv.get("b", b"key", Consistency::Local).await.expect("its own state").expect("it is there");
    assert_eq!(local.value, Bytes::from("1"));
    one.close().await;
}

#[tokio::test]
async fn a_node_that_comes_late_gets_a_snapshot_whole() {
    let folder = folder();
    let (dir, small) = (folder.path(), |config: &mut KvConfig| config.snapshot_log_entries = 100);
    let one = start(dir, 1, small).await;
    let value = Bytes::from(vec![7; 64 << 10]);
    // More than Raft keeps in its log behind a snapshot, so that the log alone does not do.
    for round in 0..60 {
        let keys: Vec<_> = (0..100).map(|key: u32| key.to_string()).collect();
        let puts = keys.iter().map(|key| one.kv.put("b", key.as_bytes(), value.clone(), None, None));
        for put in futures::future::join_all(puts).await {
            put.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
    }
    let reached = async {
        while one.kv.stats().purged_index == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.expect("the log is purged");
    let two = start(dir, 2, small).await;
    one.meet(&two).await;
    two.meet(&one).await;
    one.kv.add_learner(2, two.network.me()).await.expect("it leads");
    two.until(|members| members.learners.contains(&2)).await;
    for key in 0..100 {
        assert_eq!(two.get(&key.to_string()).await, Some(value.clone()));
    }
    assert!(two.kv.stats().snapshots >= 1, "it came by a snapshot: the log alone begins too late");
    for node in [one, two] {
        node.close().await;
    }
}

#[tokio::test]
async fn what_a_node_missed_comes_in_messages_that_are_not_too_long() {
    let folder = folder();
    let [one, two, three] = three(folder.path(), |_| {}).await;
    three.close().await;
    // Together far longer than any message, and of fewer entries than Raft sends at a time.
    let value = Bytes::from(vec![7; 1 << 20]);
    let keys: Vec<_> = (0..26).map(|key: u32| key.to_string()).collect();
    let puts = keys.iter().map(|key| one.kv.put("b", key.as_bytes(), value.clone(), None, None));
    for put in futures::future::join_all(puts).await {
        put.expect("two are a quorum");
    }
    let three = start(folder.path(), 3, |_| {}).await;
    for other in [&one, &two] {
        three.meet(other).await;
        other.meet(&three).await;
    }
    let all = async {
        while three.kv.get("b", b"25", Consistency::Local).await.expect("its own state").is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.expect("it comes by the log");
    for key in &keys {
        assert_eq!(three.get(key).await, Some(value.clone()), "{key}");
    }
    assert_eq!(three.kv.stats().snapshots, 0);
    for node in [one, two, three] {
        node.close().await;
    }
}

#[tokio::test]
async fn a_node_hands_its_lead_over() {
    let folder = folder();
    let nodes = three(folder.path(), |_| {}).await;
    let leader = nodes[0].until(|members| members.leader.is_some()).await.leader.expect("there is one");
    let place = usize::try_from(leader).expect("a small number") - 1;
    nodes[place].kv.hand_over().await;
    nodes[place].until(|members| members.leader.is_some_and(|now| now != leader)).await;
    nodes[place].put("key", "value").await;
    for node in nodes {
        node.close().await;
    }
}
