//! What a node may say on a topic, and who hears it.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::envelope::Content;
use super::super::mailbox::{Inbox, Mailbox};
use super::super::router::{Draft, TransportConfig};
use super::super::stages::{Passing, Stages};
use super::super::testing::envelope;
use super::*;
use crate::kv::Roster;
use crate::p2p::{Admission, Key, P2p, P2pConfig};
use crate::telemetry::{Telemetry, TelemetryConfig};

const REALM: [u8; 16] = [7; 16];

struct Here {
    router: Router,
    topics: Topics,
    /// The other node.
    other: Peer,
    network: P2p,
    _folder: tempfile::TempDir,
}

/// A node that knows one other.
async fn here() -> Here {
    let folder = tempfile::tempdir().expect("a folder");
    let key = |name: &str| Key::load_or_create(&folder.path().join(name)).expect("a folder of its own");
    let network = P2p::start(P2pConfig::default(), key("key"), Admission::default(), None).await;
    let network = network.expect("loopback can be listened on");
    let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
    let (roster, other) = (Roster::default(), key("other").peer());
    roster.set(2, other);
    let metrics = telemetry.metrics().transport.clone();
    let router = Router::new(&TransportConfig::default(), 1, roster, metrics);
    router.reach(network.gossip(), REALM);
    let topics = router.listener(Tasks::new());
    Here { router, topics, other, network, _folder: folder }
}

impl Here {
    /// A subscriber's mailbox.
    fn subscriber(&self, name: &str, topic: &str, room: usize) -> Inbox {
        let (mailbox, inbox) = Mailbox::new(room);
        let directory = self.router.directory();
        directory.insert(format!("soul:{name}").parse().expect("an address"), mailbox);
        let subscribed = directory.subscribe(topic.parse().expect("a topic"), name.parse().expect("a name"));
        assert_eq!(subscribed, Ok(()));
        inbox
    }

    fn hears(&self, topic: &str, said: &[u8]) -> Verdict {
        self.topics.heard(GossipTopic::new(&REALM, topic), self.other, Bytes::copy_from_slice(said))
    }
}

fn said(sender: &str, recipient: &str) -> Envelope {
    Envelope {
        sender: sender.parse().expect("an address"),
        recipient: recipient.parse().expect("an address"),
        ..envelope("hi")
    }
}

fn written(envelope: &Envelope, wants_reply: bool) -> BytesMut {
    let mut frame = BytesMut::new();
    let limits = wire::WireLimits::default();
    wire::encode_message(envelope, wants_reply, Instant::now, &limits, &mut frame).expect("it is short");
    frame
}

fn texts(inbox: &mut Inbox) -> Vec<String> {
    let mut batch = Vec::new();
    inbox.drain(&mut batch, 99);
    batch.iter().map(|e| format!("{} {} {:?}", e.sender, e.recipient, e.content.body)).collect()
}

#[tokio::test]
async fn a_message_to_a_topic_has_golden_bytes_and_is_heard_by_its_subscribers() {
    let here = here().await;
    let (mut neo, mut smith) = (here.subscriber("neo", "news", 8), here.subscriber("smith", "other", 8));
    #[rustfmt::skip]
    let golden: &[u8] = &[
        53, 0x0a, 51,                                                                 // length, message
        0x0a, 9, 0x11, 1, 0, 0, 0, 0, 0, 0, 0,                                        // id
        0x12, 6, b's', b'o', b'u', b'l', b':', b'a',                                  // sender
        0x1a, 10, b't', b'o', b'p', b'i', b'c', b':', b'n', b'e', b'w', b's',         // recipient
        0x2a, 16, 0x0a, 10, b't', b'e', b'x', b't', b'/', b'p', b'l', b'a', b'i', b'n',
                  0x12, 2, b'h', b'i',                                                // content
        0x38, 1,                                                                      // hops
    ];
    assert_eq!(&written(&said("soul:a", "topic:news"), false)[..], golden);
    assert_eq!(here.hears("news", golden), Verdict::Accept);
    assert_eq!(texts(&mut neo), ["soul:a topic:news b\"hi\""]);
    assert!(texts(&mut smith).is_empty());
    here.network.close().await;
}

#[tokio::test]
async fn what_no_honest_node_says_is_rejected() {
    let here = here().await;
    let mut neo = here.subscriber("neo", "news", 8);
    let sound = written(&said("soul:a", "topic:news"), false);
    let late = Envelope { deadline: Some(Instant::now()), ..said("soul:a", "topic:news") };
    let rejected: [&[u8]; 8] = [
        b"",
        &sound[..sound.len() - 1],
        &[&sound[..], &sound[..]].concat(),
        &[&sound[..], &[0]].concat(),
        &written(&said("soul:a", "topic:other"), false),
        &written(&said("soul:a", "soul:neo"), false),
        &written(&said("soul:a", "topic:news"), true),
        &written(&late, false),
    ];
    for said in rejected {
        assert_eq!(here.hears("news", said), Verdict::Reject, "{said:?}");
    }
    assert_eq!(here.hears("news", &written(&said("soul:neo", "topic:news"), false)), Verdict::Ignore);
    let far = Envelope { hops: 33, ..said("soul:a", "topic:news") };
    assert_eq!(here.hears("news", &written(&far, false)), Verdict::Ignore);
    let nobody = Key::load_or_create(&here._folder.path().join("nobody")).expect("a folder").peer();
    let topic = GossipTopic::new(&REALM, "news");
    assert_eq!(here.topics.heard(topic, nobody, sound.freeze()), Verdict::Ignore);
    assert!(texts(&mut neo).is_empty());
    here.network.close().await;
}

#[tokio::test]
async fn a_full_subscriber_does_without() {
    let here = here().await;
    let (mut neo, mut smith) = (here.subscriber("neo", "news", 1), here.subscriber("smith", "news", 8));
    let said = written(&said("soul:a", "topic:news"), false);
    for _ in 0..3 {
        assert_eq!(here.hears("news", &said), Verdict::Accept);
    }
    assert_eq!((texts(&mut neo).len(), texts(&mut smith).len()), (1, 3));
    here.network.close().await;
}

#[tokio::test]
async fn whatever_is_said_is_heard_only_if_it_is_accepted() {
    let here = here().await;
    let inbox = std::cell::RefCell::new(here.subscriber("neo", "news", 8));
    let sound = written(&said("soul:a", "topic:news"), false);
    let changed = proptest::collection::vec((0..sound.len(), any::<u8>()), 0..4);
    let garbage = proptest::collection::vec(any::<u8>(), 0..200);
    let judged = TestRunner::default().run(&(changed, garbage), |(changes, garbage)| {
        let mut said = sound.to_vec();
        changes.iter().for_each(|(place, byte)| said[*place] = *byte);
        for said in [&said, &garbage] {
            let verdict = here.hears("news", said);
            let heard = texts(&mut inbox.borrow_mut()).len();
            prop_assert_eq!(heard, usize::from(verdict == Verdict::Accept), "{:?}", said);
        }
        Ok(())
    });
    assert_eq!(judged, Ok(()));
    here.network.close().await;
}

/// Says at the front which way a message went.
#[derive(Debug)]
struct Marks;

impl Stages for Marks {
    fn judge(&self, way: Way, _: &Passing<'_>, content: &mut Content) -> Result<(), SendError> {
        content.body = [way.name().as_bytes(), b" ", &content.body].concat().into();
        Ok(())
    }
}

#[tokio::test]
async fn what_is_said_is_judged_where_it_leaves_and_on_each_node_where_it_arrives() {
    let here = here().await;
    let mut neo = here.subscriber("neo", "news", 8);
    here.router.passage().guard(Arc::new(Marks));
    let Envelope { sender, recipient, content, .. } = said("client:a", "topic:news");
    let draft = Draft { sender, recipient, content, in_reply_to: None, hops: 0, trace: None };
    here.router.send(draft).expect("neo hears it");
    assert_eq!(texts(&mut neo), ["client:a topic:news b\"inbound outbound hi\""]);
    let sound = written(&said("soul:a", "topic:news"), false);
    assert_eq!(here.hears("news", &sound), Verdict::Accept);
    neo.ready().await;
    assert_eq!(texts(&mut neo), ["soul:a topic:news b\"inbound hi\""]);
    here.network.close().await;
}
