//! What is said to all: messages by topic, which reach every member that listens (gossipsub 1.1,
//! github.com/libp2p/specs, `pubsub/gossipsub`). This is the part that the rooms above hold; [`super::gossiping`] is
//! the network's.

use std::collections::{HashMap, HashSet, hash_map};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use libp2p::PeerId;
use libp2p::gossipsub::TopicHash;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, mpsc};

use super::link::PushError;
use super::peer::Peer;

/// The most topics that a member may listen to; what it says beyond is not heard.
pub const TOPICS_MAX: usize = 16_384;
/// Publications that wait for the network's thread.
const PUBLICATIONS_MAX: usize = 1_024;
/// Bytes of a topic's name on the network.
const NAME_BYTES: usize = 16;

/// A topic, as the network knows it: a hash, so that any name is short there, and no realm hears another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GossipTopic([u8; NAME_BYTES]);

impl GossipTopic {
    /// The topic that a realm calls `name`: the first 128 bits of SHA-256 over the text `matrix/topic/1`, the realm's
    /// id and the name.
    pub fn new(realm: &[u8; 16], name: &str) -> Self {
        let hash = Sha256::new().chain_update("matrix/topic/1").chain_update(realm).chain_update(name);
        let (mut short, hash) = ([0; NAME_BYTES], hash.finalize());
        short.copy_from_slice(&hash[..NAME_BYTES]);
        Self(short)
    }

    /// As gossipsub has it: 32 hexadecimal digits, in lower case.
    pub(super) fn hash(self) -> TopicHash {
        TopicHash::from_raw(format!("{:032x}", u128::from_be_bytes(self.0)))
    }

    /// The topic that a peer names; none: it is not written as one.
    pub(super) fn of(hash: &TopicHash) -> Option<Self> {
        let text = hash.as_str();
        let digits = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let number = (text.len() == 2 * NAME_BYTES && digits).then(|| u128::from_str_radix(text, 16).ok());
        number.flatten().map(|number| Self(number.to_be_bytes()))
    }
}

/// What a listener makes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is sound: others get it from this node, too.
    Accept,
    /// It is passed on to nobody, and nobody is blamed.
    Ignore,
    /// No honest member says this, or passes it on.
    Reject,
}

/// Why messages were lost on the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Whoever signed it is no member.
    NotMember,
    /// A later one of the same member and topic came before it.
    Late,
    /// Its member publishes more than a member may.
    Flood,
    /// It is not signed by whom it names, or no message at all.
    Malformed,
    /// As many wait for a peer as may.
    Slow,
    /// It could not be signed, or is too long.
    Failed,
}

/// Hears what is published. It is called on the network's own thread, and must neither wait nor work long.
pub trait Listener: Send + Sync + 'static {
    /// A message on a topic that was entered. `origin` is the member that published and signed it, whoever passed it
    /// on. Of one member and topic, messages come in the order in which they were published, each at most once.
    fn heard(&self, topic: GossipTopic, origin: Peer, bytes: Bytes) -> Verdict;

    /// So many messages, of others or of this node, were lost.
    fn lost(&self, why: Lost, count: u64);
}

/// A message on its way to the network's thread.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) topic: GossipTopic,
    pub(super) bytes: Vec<u8>,
}

/// Publishes, and says what is listened to. Clones are the same; none of them keeps the network open.
#[derive(Debug, Clone)]
pub struct Gossip(pub(super) Arc<Shared>);

/// What the rooms above and the network's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What is to be listened to, and what no more, since the network's thread looked. What was undone before that is
    /// not among it, so that there are at most as many as topics, before and after.
    wishes: Mutex<HashMap<GossipTopic, bool>>,
    pub(super) wished: Notify,
    publications: mpsc::Sender<Publication>,
    bytes_waiting: AtomicUsize,
    bytes_max: usize,
    /// The members that listen to a topic; no set is empty.
    others: RwLock<HashMap<GossipTopic, HashSet<PeerId>>>,
}

impl Gossip {
    /// Of publications that wait, at most `bytes_max` bytes, and one publication.
    pub(super) fn new(bytes_max: usize) -> (Self, mpsc::Receiver<Publication>) {
        let (publications, inbox) = mpsc::channel(PUBLICATIONS_MAX);
        let shared = Shared {
            wishes: Mutex::default(),
            wished: Notify::new(),
            publications,
            bytes_waiting: AtomicUsize::new(0),
            bytes_max,
            others: RwLock::default(),
        };
        (Self(Arc::new(shared)), inbox)
    }

    /// Listens to a topic from now on, if it does not yet.
    pub fn enter(&self, topic: GossipTopic) {
        self.0.wish(topic, true);
    }

    /// Listens to a topic no more.
    pub fn leave(&self, topic: GossipTopic) {
        self.0.wish(topic, false);
    }

    /// Whether another member is known to listen to a topic.
    pub fn is_heard(&self, topic: GossipTopic) -> bool {
        self.0.others.read().unwrap_or_else(PoisonError::into_inner).contains_key(&topic)
    }

    /// Hands a message to the network's thread; never waits. Whether it reaches anybody is not told.
    ///
    /// # Errors
    /// `Full`: as many messages, or bytes, wait for that thread as may. `Down`: the network has closed.
    pub fn publish(&self, topic: GossipTopic, bytes: Vec<u8>) -> Result<(), PushError> {
        let count = bytes.len();
        if self.0.bytes_waiting.fetch_add(count, Ordering::Relaxed) >= self.0.bytes_max {
            self.0.taken(count);
            return Err(PushError::Full);
        }
        self.0.publications.try_send(Publication { topic, bytes }).map_err(|error| {
            self.0.taken(count);
            match error {
                mpsc::error::TrySendError::Full(_) => PushError::Full,
                mpsc::error::TrySendError::Closed(_) => PushError::Down,
            }
        })
    }
}

impl Shared {
    fn wish(&self, topic: GossipTopic, listen: bool) {
        match self.wishes.lock().unwrap_or_else(PoisonError::into_inner).entry(topic) {
            hash_map::Entry::Occupied(wish) if *wish.get() != listen => drop(wish.remove()),
            hash_map::Entry::Occupied(_) => {}
            hash_map::Entry::Vacant(wish) => drop(wish.insert(listen)),
        }
        self.wished.notify_one();
    }

    pub(super) fn take_wishes(&self) -> HashMap<GossipTopic, bool> {
        std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// So many bytes of publications wait no more.
    pub(super) fn taken(&self, bytes: usize) {
        self.bytes_waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Notes whether a member listens to a topic.
    pub(super) fn note(&self, topic: GossipTopic, peer: PeerId, listens: bool) {
        let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
        if listens {
            others.entry(topic).or_default().insert(peer);
        } else if let Some(set) = others.get_mut(&topic) {
            set.remove(&peer);
            if set.is_empty() {
                others.remove(&topic);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn listeners(&self, topic: GossipTopic) -> usize {
        self.others.read().unwrap_or_else(PoisonError::into_inner).get(&topic).map_or(0, HashSet::len)
    }

    /// A member that is not connected listens to nothing.
    pub(super) fn gone(&self, peer: PeerId) {
        self.others.write().unwrap_or_else(PoisonError::into_inner).retain(|_, set| {
            set.remove(&peer);
            !set.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_by_realm_and_name() {
        let topic = GossipTopic::new(&[7; 16], "news");
        assert_eq!(topic.hash().as_str(), "ce8b94bf7a6749765bce9b3032c55e57");
        assert_eq!(GossipTopic::of(&topic.hash()), Some(topic));
        assert_ne!(topic, GossipTopic::new(&[8; 16], "news"));
        assert_ne!(topic, GossipTopic::new(&[7; 16], "new"));
        for wrong in ["", "news", "+0000000000000000000000000000000", "0000000000000000000000000000000A"] {
            assert_eq!(GossipTopic::of(&TopicHash::from_raw(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_undone_before_it_is_begun_is_not_done() {
        let (gossip, _inbox) = Gossip::new(10);
        let [news, weather] = ["news", "weather"].map(|name| GossipTopic::new(&[0; 16], name));
        for _ in 0..3 {
            gossip.enter(news);
            gossip.leave(news);
        }
        gossip.enter(weather);
        assert_eq!(gossip.0.take_wishes(), HashMap::from([(weather, true)]));
        gossip.leave(weather);
        assert_eq!(gossip.0.take_wishes(), HashMap::from([(weather, false)]));
    }

    #[tokio::test]
    async fn what_waits_is_bounded_by_bytes_and_by_number() {
        let topic = GossipTopic::new(&[0; 16], "news");
        let (gossip, mut inbox) = Gossip::new(10);
        assert_eq!(gossip.publish(topic, vec![0; 9]), Ok(()));
        assert_eq!(gossip.publish(topic, vec![0; 9]), Ok(()), "one more always fits");
        assert_eq!(gossip.publish(topic, vec![0; 1]), Err(PushError::Full));
        let first = inbox.recv().await.expect("it waits");
        gossip.0.taken(first.bytes.len());
        assert!((1..PUBLICATIONS_MAX).all(|_| gossip.publish(topic, Vec::new()) == Ok(())));
        assert_eq!(gossip.publish(topic, Vec::new()), Err(PushError::Full));
        drop(inbox);
        assert_eq!(gossip.publish(topic, Vec::new()), Err(PushError::Down));
    }
}
