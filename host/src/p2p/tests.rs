//! Networks on loopback: what is kept, what is refused, what is bounded.

mod gossip;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::rpc::{CallError, Reply, Rpc, Serve};
use super::*;

const LANE: Lane = Lane::new("/matrix/test/1");
const DOOR: Lane = Lane::new("/matrix/test-door/1");
const PATIENCE: Duration = Duration::from_secs(20);

/// A peer that nobody is.
pub(super) fn peer(seed: u8) -> Peer {
    let key = libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes are a seed");
    Peer(key.public().to_peer_id())
}

struct Node {
    network: P2p,
    folder: TempDir,
}

async fn start_on(folder: TempDir, change: impl FnOnce(&mut P2pConfig)) -> Node {
    let key = Key::load_or_create(&folder.path().join("key")).expect("a folder of its own");
    let mut config = P2pConfig::default();
    change(&mut config);
    let ports = Some(folder.path().join("ports"));
    let network =
        P2p::start(config, key, Admission::default(), ports).await.expect("loopback can be listened on");
    Node { network, folder }
}

async fn start() -> Node {
    start_on(tempfile::tempdir().expect("a folder"), |_| {}).await
}

impl Node {
    async fn contact(&self) -> Contact {
        let mut addresses = self.network.addresses();
        let mut addresses =
            addresses.wait_for(|addresses| addresses.len() == 2).await.expect("it runs").clone();
        addresses.sort();
        Contact { peer: self.network.me(), addresses }
    }

    async fn admit(&self, other: &Node) {
        let contact = other.contact().await;
        self.network.admission().set(contact.peer, Standing::Member);
        self.network.know(contact.clone()).await;
        self.network.keep(contact.peer).await;
    }
}

/// Answers with what it was asked.
struct Echo;

impl Serve for Echo {
    fn serve(&self, _: Peer, question: Bytes, reply: Reply) {
        match &question[..] {
            b"refuse" => reply.fail("no"),
            b"forget" => drop(reply),
            _ => reply.answer(question),
        }
    }
}

impl Door for Echo {
    fn answer(&self, _: Peer, question: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(async move { question })
    }
}

/// Asks until a stream stands; there is no event for that outside.
async fn ask(rpc: &Rpc, peer: Peer, question: &'static str) -> Result<Bytes, CallError> {
    let asking = async {
        loop {
            match rpc.call(peer, Bytes::from(question), PATIENCE).await {
                Err(CallError::NotSent(_, PushError::Down) | CallError::Lost(_)) => {
                    tokio::task::yield_now().await
                }
                other => return other,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("a stream comes to stand")
}

#[tokio::test]
async fn members_ask_each_other_both_ways() {
    let (a, b) = (start().await, start().await);
    a.admit(&b).await;
    b.admit(&a).await;
    let (to_b, to_a) = tokio::join!(
        Rpc::open(&a.network, LANE, Arc::new(Echo)),
        Rpc::open(&b.network, LANE, Arc::new(Echo)),
    );
    let (me, other) = (a.network.me(), b.network.me());
    assert_eq!(ask(&to_b, other, "hello").await, Ok(Bytes::from("hello")));
    assert_eq!(ask(&to_a, me, "hello").await, Ok(Bytes::from("hello")));
    assert_eq!(ask(&to_b, other, "refuse").await, Err(CallError::Refused(other, "no".into())));
    let forgotten = ask(&to_b, other, "forget").await;
    assert_eq!(forgotten, Err(CallError::Refused(other, "there is no answer".into())));
    let large = Bytes::from(vec![7; 3 << 20]);
    assert_eq!(to_b.call(other, large.clone(), PATIENCE).await, Ok(large));
    let too_long = Bytes::from(vec![7; rpc::BYTES_MAX + 1]);
    let refused = to_b.call(other, too_long, PATIENCE).await;
    assert_eq!(refused, Err(CallError::TooLong(rpc::BYTES_MAX + 1)));
}

#[tokio::test]
async fn a_node_that_comes_back_is_found_again_on_its_port() {
    let (a, b) = (start().await, start().await);
    a.admit(&b).await;
    b.admit(&a).await;
    let to_b = Rpc::open(&a.network, LANE, Arc::new(Echo)).await;
    let _to_a = Rpc::open(&b.network, LANE, Arc::new(Echo)).await;
    let other = b.network.me();
    assert_eq!(ask(&to_b, other, "hello").await, Ok(Bytes::from("hello")));
    let before = b.contact().await;
    b.network.close().await;
    drop(b.network);
    let b = start_on(b.folder, |_| {}).await;
    assert_eq!(b.contact().await, before, "key and ports are kept");
    b.admit(&a).await;
    let _to_a = Rpc::open(&b.network, LANE, Arc::new(Echo)).await;
    assert_eq!(ask(&to_b, other, "again").await, Ok(Bytes::from("again")));
}

#[tokio::test]
async fn strangers_may_knock_at_doors_and_nothing_else() {
    let (a, b) = (start().await, start().await);
    let _lane = Rpc::open(&a.network, LANE, Arc::new(Echo)).await;
    a.network.open(DOOR, Arc::new(Echo)).await;
    // The stranger believes that it is a member.
    b.admit(&a).await;
    let to_a = Rpc::open(&b.network, LANE, Arc::new(Echo)).await;
    let answer = b.network.ask(a.network.me(), DOOR, b"let me in", PATIENCE).await;
    assert_eq!(answer, Ok(Bytes::from("let me in")));
    let me = a.network.me();
    let refused = async {
        loop {
            match to_a.call(me, Bytes::from("hello"), PATIENCE).await {
                Err(CallError::Lost(_)) => return,
                Err(CallError::NotSent(..)) => tokio::task::yield_now().await,
                other => panic!("a stranger was answered: {other:?}"),
            }
        }
    };
    // A stream of a stranger is ended at once, or never stands.
    let _ = tokio::time::timeout(Duration::from_secs(1), refused).await;
    assert!(
        !b.network
            .link(me, LANE)
            .is_some_and(|link| link.is_up() && a.network.link(b.network.me(), LANE).is_some())
    );
}

#[tokio::test]
async fn strangers_are_few() {
    let a = start_on(tempfile::tempdir().expect("a folder"), |config| config.strangers_max = 1).await;
    a.network.open(DOOR, Arc::new(Echo)).await;
    let contact = a.contact().await;
    let (first, second) = (start().await, start().await);
    for stranger in [&first, &second] {
        stranger.network.know(contact.clone()).await;
    }
    assert!(first.network.ask(contact.peer, DOOR, b"1", PATIENCE).await.is_ok());
    let refused = second.network.ask(contact.peer, DOOR, b"2", Duration::from_secs(1)).await;
    assert!(matches!(refused, Err(DoorError::Unreachable(..) | DoorError::NoAnswer(..))), "{refused:?}");
    first.network.close().await;
    let again = async { while second.network.ask(contact.peer, DOOR, b"2", PATIENCE).await.is_err() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("a place became free");
}

#[tokio::test]
async fn a_peer_that_goes_is_known_to_be_gone() {
    let (a, b) = (start().await, start().await);
    a.admit(&b).await;
    b.admit(&a).await;
    let to_b = Rpc::open(&a.network, LANE, Arc::new(Echo)).await;
    let _to_a = Rpc::open(&b.network, LANE, Arc::new(Echo)).await;
    let other = b.network.me();
    ask(&to_b, other, "hello").await.expect("it runs");
    drop(b);
    let gone = async {
        while !matches!(to_b.call(other, Bytes::from("hello"), PATIENCE).await, Err(CallError::NotSent(..))) {
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("what is not there is refused at once");
}
