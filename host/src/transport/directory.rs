//! Who is where: addresses to mailboxes or to other nodes, topics to subscribers.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::envelope::{Address, SendError};
use super::mailbox::Mailbox;
use super::remote::Outpost;
use super::topics::Abroad;
use crate::ids::{SoulName, TopicName};

/// The most topics that one Soul may subscribe to: what a Soul costs the node must not depend on how
/// often it asks.
pub const TOPICS_PER_SOUL_MAX: usize = 64;

/// The most topics that Souls of one node subscribe to, where the operator does not say otherwise: each of them is told
/// to all other nodes.
pub const TOPICS_MAX: usize = 4_096;

/// Shared by all senders; read on every message, written when a Soul or a Matrix comes or goes.
#[derive(Debug)]
pub struct Directory {
    /// Counts the changes of `routes`.
    version: AtomicU64,
    routes: RwLock<HashMap<Address, Route>>,
    /// Who lived here, or is about to go, and in which generation each left.
    left: RwLock<HashMap<Address, u64>>,
    topics: RwLock<Topics>,
    topics_max: usize,
    /// Told which topics have subscribers, while `topics` is held, so that it hears the changes in their order.
    abroad: OnceLock<Abroad>,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(TOPICS_MAX)
    }
}

/// The way to an address.
#[derive(Debug, Clone)]
pub enum Route {
    /// Its owner's mailbox.
    Here(Arc<Mailbox>),
    /// The node where its owner is.
    There(Arc<Outpost>),
}

/// The same subscriptions from both sides; neither side has an empty set.
#[derive(Debug, Default)]
struct Topics {
    subscribers: HashMap<TopicName, BTreeSet<SoulName>>,
    /// At most [`TOPICS_PER_SOUL_MAX`] a Soul.
    held: HashMap<SoulName, BTreeSet<TopicName>>,
}

impl Topics {
    /// True: nobody subscribes to the topic any more.
    fn unsubscribe(&mut self, topic: &TopicName, soul: &SoulName) -> bool {
        leave(&mut self.held, soul, topic);
        leave(&mut self.subscribers, topic, soul)
    }
}

/// Takes `member` out of the set under `key`, and the set with its last member; true: it was the last.
fn leave<K: Hash + Eq, V: Ord>(sets: &mut HashMap<K, BTreeSet<V>>, key: &K, member: &V) -> bool {
    let Some(set) = sets.get_mut(key) else { return false };
    set.remove(member);
    let was_last = set.is_empty();
    if was_last {
        sets.remove(key);
    }
    was_last
}

impl Directory {
    /// A directory of nobody, whose Souls may subscribe to so many topics, all together.
    pub fn new(topics_max: usize) -> Self {
        Self {
            version: AtomicU64::new(0),
            routes: RwLock::default(),
            left: RwLock::default(),
            topics: RwLock::default(),
            topics_max: topics_max.min(crate::p2p::TOPICS_MAX),
            abroad: OnceLock::new(),
        }
    }

    /// Tells the other nodes from now on which topics have subscribers here. Done once.
    pub(super) fn reach(&self, abroad: Abroad) {
        let topics = write(&self.topics);
        topics.subscribers.keys().for_each(|topic| abroad.enter(topic));
        // A second way is not needed.
        let _ = self.abroad.set(abroad);
    }

    /// The way to the other nodes' subscribers.
    pub(super) fn abroad(&self) -> Option<&Abroad> {
        self.abroad.get()
    }

    /// The mailbox of an address, if its owner is here.
    pub fn find(&self, address: &Address) -> Option<Arc<Mailbox>> {
        match read(&self.routes).get(address) {
            Some(Route::Here(mailbox)) => Some(mailbox.clone()),
            _ => None,
        }
    }

    /// The way to an address, if anybody has it.
    pub fn route(&self, address: &Address) -> Option<Route> {
        read(&self.routes).get(address).cloned()
    }

    /// What was found at this version is still so while the version is the same.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Makes an address reachable. A mailbox that it had before is replaced.
    pub fn insert(&self, address: Address, mailbox: Arc<Mailbox>) {
        write(&self.left).remove(&address);
        write(&self.routes).insert(address, Route::Here(mailbox));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Makes an address known as one of another node. A mailbox that it has here stays.
    pub(super) fn insert_remote(&self, address: Address, outpost: Arc<Outpost>) {
        let mut routes = write(&self.routes);
        if !matches!(routes.get(&address), Some(Route::Here(_))) {
            routes.insert(address, Route::There(outpost));
        }
        drop(routes);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Notes that an address leaves this node for another, in this generation.
    pub fn note_left(&self, address: &Address, generation: u64) {
        write(&self.left).insert(address.clone(), generation);
    }

    /// In which generation an address left this node, if it lived here and has not come back.
    pub(super) fn left(&self, address: &Address) -> Option<u64> {
        read(&self.left).get(address).copied()
    }

    /// Makes an address of another node unknown. A mailbox that it has here stays.
    pub fn remove_remote(&self, address: &Address) {
        let mut routes = write(&self.routes);
        if matches!(routes.get(address), Some(Route::There(_))) {
            routes.remove(address);
            write(&self.left).remove(address);
        }
        drop(routes);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Makes an address unknown, and ends its subscriptions.
    pub fn remove(&self, address: &Address) {
        write(&self.routes).remove(address);
        self.version.fetch_add(1, Ordering::Release);
        if let Address::Soul(soul) = address {
            let mut topics = write(&self.topics);
            for topic in topics.held.remove(soul).unwrap_or_default() {
                if leave(&mut topics.subscribers, &topic, soul) {
                    self.abandoned(&topic);
                }
            }
        }
    }

    /// Adds a subscriber.
    ///
    /// # Errors
    /// The Soul has as many subscriptions as it may, or the node as many topics.
    pub fn subscribe(&self, topic: TopicName, soul: SoulName) -> Result<(), SendError> {
        let mut topics = write(&self.topics);
        let held = topics.held.get(&soul);
        if held.is_some_and(|held| held.len() >= TOPICS_PER_SOUL_MAX && !held.contains(&topic)) {
            return Err(SendError::QuotaExceeded);
        }
        if !topics.subscribers.contains_key(&topic) {
            if topics.subscribers.len() >= self.topics_max {
                let most = self.topics_max;
                let why = format!("this node listens to {most} topics already: raise transport.topics_max");
                return Err(SendError::Denied(why));
            }
            if let Some(abroad) = self.abroad() {
                abroad.enter(&topic);
            }
        }
        topics.held.entry(soul.clone()).or_default().insert(topic.clone());
        topics.subscribers.entry(topic).or_default().insert(soul);
        Ok(())
    }

    /// Removes a subscriber, if it is one.
    pub fn unsubscribe(&self, topic: &TopicName, soul: &SoulName) {
        let mut topics = write(&self.topics);
        if topics.unsubscribe(topic, soul) {
            self.abandoned(topic);
        }
    }

    /// A topic has lost its last subscriber.
    fn abandoned(&self, topic: &TopicName) {
        if let Some(abroad) = self.abroad() {
            abroad.leave(topic);
        }
    }

    /// The topics that a Soul subscribes to, in order.
    pub fn subscriptions(&self, soul: &SoulName) -> Vec<TopicName> {
        read(&self.topics).held.get(soul).into_iter().flatten().cloned().collect()
    }

    /// The mailboxes of a topic's subscribers, in the order of their names.
    pub fn subscribers(&self, topic: &TopicName) -> Vec<Arc<Mailbox>> {
        let names: Vec<_> =
            read(&self.topics).subscribers.get(topic).into_iter().flatten().cloned().collect();
        let routes = read(&self.routes);
        let here = names.into_iter().filter_map(|soul| match routes.get(&Address::Soul(soul)) {
            Some(Route::Here(mailbox)) => Some(mailbox.clone()),
            _ => None,
        });
        here.collect()
    }
}

/// Nothing can panic while one of these locks is held, so a poisoned lock still holds the truth.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soul_that_goes_leaves_nothing_behind() {
        let directory = Directory::default();
        let neo: SoulName = "neo".parse().expect("a name");
        let news: TopicName = "news".parse().expect("a name");
        let (mailbox, _inbox) = Mailbox::new(1);
        directory.insert(Address::Soul(neo.clone()), mailbox);
        assert_eq!(directory.subscribe(news.clone(), neo.clone()), Ok(()));
        assert_eq!(directory.subscribers(&news).len(), 1);
        directory.remove(&Address::Soul(neo.clone()));
        assert!(directory.find(&Address::Soul(neo.clone())).is_none());
        assert!(directory.subscriptions(&neo).is_empty() && directory.subscribers(&news).is_empty());
        let topics = read(&directory.topics);
        assert!(topics.held.is_empty() && topics.subscribers.is_empty());
    }

    #[test]
    fn subscriptions_are_bounded() {
        let directory = Directory::default();
        let neo: SoulName = "neo".parse().expect("a name");
        let topic = |n: usize| format!("t{n}").parse::<TopicName>().expect("a name");
        assert!((0..TOPICS_PER_SOUL_MAX).all(|n| directory.subscribe(topic(n), neo.clone()).is_ok()));
        let one_more = directory.subscribe(topic(TOPICS_PER_SOUL_MAX), neo.clone());
        assert_eq!(one_more, Err(SendError::QuotaExceeded));
        assert_eq!(directory.subscribe(topic(0), neo.clone()), Ok(()), "one that it holds already");
        directory.unsubscribe(&topic(0), &neo);
        assert_eq!(directory.subscriptions(&neo).len(), TOPICS_PER_SOUL_MAX - 1);
        assert_eq!(directory.subscribe(topic(TOPICS_PER_SOUL_MAX), neo), Ok(()));
    }

    #[test]
    fn topics_of_a_node_are_bounded() {
        let directory = Directory::new(1);
        let [neo, smith]: [SoulName; 2] = ["neo", "smith"].map(|name| name.parse().expect("a name"));
        let [news, more]: [TopicName; 2] = ["news", "more"].map(|name| name.parse().expect("a name"));
        assert_eq!(directory.subscribe(news.clone(), neo.clone()), Ok(()));
        assert_eq!(directory.subscribe(news.clone(), smith.clone()), Ok(()), "a topic that is there");
        let refused = directory.subscribe(more.clone(), neo.clone());
        assert!(matches!(&refused, Err(SendError::Denied(why)) if why.contains("topics_max")), "{refused:?}");
        directory.unsubscribe(&news, &neo);
        directory.remove(&Address::Soul(smith));
        assert_eq!(directory.subscribe(more, neo), Ok(()));
    }
}
