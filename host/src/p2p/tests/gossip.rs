//! What is published: who hears it, and whom nobody hears.

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::StreamProtocol;
use tokio::sync::watch;

use super::*;

const GOSSIP: StreamProtocol = StreamProtocol::new("/matrix/gossip/1");

/// Keeps what it hears, and what was lost.
struct Ear {
    heard: watch::Sender<Vec<(Peer, String)>>,
    lost: watch::Sender<Vec<Lost>>,
}

impl Listener for Ear {
    fn heard(&self, _: GossipTopic, origin: Peer, bytes: Bytes) -> Verdict {
        let text = String::from_utf8(bytes.to_vec()).expect("tests say text");
        self.heard.send_modify(|heard| heard.push((origin, text)));
        Verdict::Accept
    }

    fn lost(&self, why: Lost, count: u64) {
        self.lost.send_modify(|lost| lost.extend((0..count).map(|_| why)));
    }
}

impl Ear {
    async fn of(node: &Node) -> Arc<Self> {
        let ear = Arc::new(Self { heard: watch::channel(Vec::new()).0, lost: watch::channel(Vec::new()).0 });
        node.network.listen(ear.clone()).await;
        ear
    }

    async fn has_heard(&self, count: usize) -> Vec<(Peer, String)> {
        let mut heard = self.heard.subscribe();
        let waiting = heard.wait_for(|heard| heard.len() >= count);
        tokio::time::timeout(PATIENCE, waiting).await.expect("it is heard").expect("it is kept").clone()
    }
}

fn topic() -> GossipTopic {
    GossipTopic::new(&[1; 16], "news")
}

async fn members(a: &Node, b: &Node) {
    a.admit(b).await;
    b.admit(a).await;
}

/// Waits until so many others are known to listen; there is no event for that outside.
async fn until_listeners(node: &Node, count: usize) {
    until_listeners_to(node, topic(), count).await;
}

async fn until_listeners_to(node: &Node, topic: GossipTopic, count: usize) {
    let gossip = node.network.gossip();
    let looking = async {
        while gossip.0.listeners(topic) != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("members learn who listens");
}

#[tokio::test]
async fn members_hear_what_is_published_in_order_and_once() {
    let (a, b, c) = (start().await, start().await, start().await);
    for (one, other) in [(&a, &b), (&b, &c), (&a, &c)] {
        members(one, other).await;
    }
    let (ear_b, ear_c) = (Ear::of(&b).await, Ear::of(&c).await);
    b.network.gossip().enter(topic());
    c.network.gossip().enter(topic());
    until_listeners(&a, 2).await;
    let said: Vec<_> = (0..100).map(|number| (a.network.me(), format!("{number}"))).collect();
    for (_, text) in &said {
        assert_eq!(a.network.gossip().publish(topic(), text.clone().into()), Ok(()));
    }
    assert_eq!(ear_b.has_heard(100).await, said);
    assert_eq!(ear_c.has_heard(100).await, said);
    b.network.gossip().leave(topic());
    until_listeners(&a, 1).await;
    drop(c);
    until_listeners(&a, 0).await;
    assert!(!a.network.gossip().is_heard(topic()));
    assert_eq!(ear_b.has_heard(100).await.len(), 100, "each was heard once");
}

#[tokio::test]
async fn a_stranger_is_not_listened_to_until_it_is_a_member() {
    let (a, b) = (start().await, start().await);
    a.network.open(DOOR, Arc::new(Echo)).await;
    let ear = Ear::of(&a).await;
    a.network.gossip().enter(topic());
    // The stranger believes that it is a member, and says at once what it listens to.
    b.network.gossip().enter(topic());
    b.admit(&a).await;
    for _ in 0..20 {
        let answer = b.network.ask(a.network.me(), DOOR, b"?", PATIENCE).await;
        assert!(answer.is_ok(), "it is connected: {answer:?}");
    }
    assert!(!a.network.gossip().is_heard(topic()) && !b.network.gossip().is_heard(topic()));
    // What it said is not lost: on the same connection it is a member now.
    a.admit(&b).await;
    until_listeners(&a, 1).await;
    until_listeners(&b, 1).await;
    assert_eq!(b.network.gossip().publish(topic(), b"hello".to_vec()), Ok(()));
    assert_eq!(ear.has_heard(1).await, [(b.network.me(), "hello".to_owned())]);
}

#[tokio::test]
async fn a_client_takes_no_part() {
    let (a, b) = (start().await, start().await);
    a.network.open(DOOR, Arc::new(Echo)).await;
    a.network.admission().set(b.network.me(), Standing::Client);
    a.network.gossip().enter(topic());
    b.network.gossip().enter(topic());
    b.admit(&a).await;
    for _ in 0..20 {
        assert!(b.network.ask(a.network.me(), DOOR, b"?", PATIENCE).await.is_ok(), "it is connected");
    }
    assert!(!a.network.gossip().is_heard(topic()) && !b.network.gossip().is_heard(topic()));
}

#[tokio::test]
async fn what_a_member_passes_on_of_one_who_is_none_is_refused() {
    let (a, b, c) = (start().await, start().await, start().await);
    members(&a, &b).await;
    members(&b, &c).await;
    let (ear_b, ear_c) = (Ear::of(&b).await, Ear::of(&c).await);
    b.network.gossip().enter(topic());
    until_listeners(&c, 1).await;
    c.network.gossip().enter(topic());
    until_listeners(&b, 1).await;
    until_listeners(&a, 1).await;
    assert_eq!(a.network.gossip().publish(topic(), b"hello".to_vec()), Ok(()));
    assert_eq!(ear_b.has_heard(1).await, [(a.network.me(), "hello".to_owned())]);
    let mut lost = ear_c.lost.subscribe();
    let refused = tokio::time::timeout(PATIENCE, lost.wait_for(|lost| !lost.is_empty())).await;
    assert_eq!(*refused.expect("it was passed on").expect("it is kept"), [Lost::NotMember]);
    assert_eq!(b.network.gossip().publish(topic(), b"well".to_vec()), Ok(()));
    assert_eq!(ear_c.has_heard(1).await, [(b.network.me(), "well".to_owned())], "b itself is still heard");
}

/// A field of a protocol buffer, of 128 bytes to 16 KiB, or fewer than 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &length(bytes.len()), bytes].concat()
}

fn length(length: usize) -> Vec<u8> {
    let low = u8::try_from(length & 0x7f).expect("seven bits");
    if length < 128 { vec![low] } else { vec![low | 0x80, u8::try_from(length >> 7).expect("it is short")] }
}

/// A frame of gossipsub with one message that `origin` has not signed.
fn forged(origin: Peer) -> Vec<u8> {
    let message = [
        field(1, &origin.0.to_bytes()),
        field(2, b"forged"),
        field(3, &[0, 0, 0, 0, 0, 0, 0, 1]),
        field(4, topic().hash().as_str().as_bytes()),
        field(5, &[7; 64]),
    ];
    let rpc = field(2, &message.concat());
    [length(rpc.len()), rpc].concat()
}

#[tokio::test]
async fn what_is_forged_or_no_message_is_refused_and_scored() {
    let (a, b, c) = (start().await, start().await, start().await);
    // It is b that connects, so that all its streams are on one connection.
    a.network.admission().set(b.network.me(), Standing::Member);
    b.admit(&a).await;
    members(&a, &c).await;
    let ear = Ear::of(&a).await;
    a.network.gossip().enter(topic());
    until_listeners(&c, 1).await;
    // The first stream is an honest one.
    let other = GossipTopic::new(&[1; 16], "other");
    b.network.gossip().enter(other);
    until_listeners_to(&a, other, 1).await;
    let mut lost = ear.lost.subscribe();
    let has_lost = async |lost: &mut watch::Receiver<Vec<Lost>>, count: usize| {
        let waiting = tokio::time::timeout(PATIENCE, lost.wait_for(|lost| lost.len() >= count)).await;
        let lost = waiting.expect("it is told").expect("it is kept").clone();
        assert!(lost.iter().all(|lost| *lost == Lost::Malformed), "{lost:?}");
    };
    let too_long = [&[0xff, 0xff, 0xff, 0x7f][..], &vec![0; 2 << 20]].concat();
    let garbage = vec![0xff; 64];
    let open = async || {
        let mut streams = b.network.streams();
        let opened = tokio::time::timeout(PATIENCE, streams.open_stream(a.network.me().0, GOSSIP));
        opened.await.expect("it is answered")
    };
    let mut stream = open().await.expect("b is a member");
    stream.write_all(&forged(c.network.me())).await.expect("it is read");
    stream.flush().await.expect("it is read");
    // The second stream, and the message that is not signed.
    has_lost(&mut lost, 2).await;
    for (count, frame) in [(3, too_long), (4, garbage)] {
        let (mut read, mut write) = open().await.expect("b is a member").split();
        let mut end = Vec::new();
        // What is too long is not taken whole: whoever writes it waits, until the stream has ended.
        let writing = async {
            let _ = write.write_all(&frame).await;
            let _ = write.flush().await;
            std::future::pending::<()>().await;
        };
        let reading = tokio::time::timeout(PATIENCE, read.read_to_end(&mut end));
        let ended = tokio::select! {
            () = writing => None,
            ended = reading => ended.ok(),
        };
        assert!(ended.is_some() && end.is_empty(), "nothing is said on a stream of this kind: {ended:?}");
        has_lost(&mut lost, count).await;
    }
    // No peer may go on like this; others are heard.
    let more = async { while open().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, more).await.expect("it is refused in the end");
    assert_eq!(c.network.gossip().publish(topic(), b"hello".to_vec()), Ok(()));
    assert_eq!(ear.has_heard(1).await, [(c.network.me(), "hello".to_owned())]);
}
