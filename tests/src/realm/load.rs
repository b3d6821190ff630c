//! Clients that write and read while faults happen, and what is made of what they saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::chance::Chance;
use super::client::Client;
use super::door::Door;
use super::{PATIENCE, STATUS, TestRealm, evidence};
use crate::history::{History, Operation, oracle};

/// How often nodes are asked who leads.
const OBSERVED: Duration = Duration::from_millis(50);

/// The clients of a test.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For each client, the places of the nodes that it asks.
    pub nodes: Vec<Vec<usize>>,
    /// How many keys they share.
    pub keys: u32,
    /// How long each rests between two calls.
    pub pace: Duration,
    /// How long each waits for one answer.
    pub patience: Duration,
    /// For how long each tries one call again, with the same request id, before it leaves it open.
    pub budget: Duration,
    /// From which seed their choices follow.
    pub seed: u64,
}

impl Clients {
    /// Six clients, each of which asks any of these nodes.
    pub fn of(nodes: &[usize]) -> Self {
        Self {
            nodes: vec![nodes.to_vec(); 6],
            keys: 4,
            pace: Duration::from_millis(15),
            patience: Duration::from_secs(2),
            budget: Duration::from_secs(8),
            seed: 1,
        }
    }
}

/// Which nodes claimed to lead, by term.
type Leaders = BTreeMap<u64, BTreeSet<u64>>;

/// Clients at work.
pub struct Load {
    clock: Instant,
    clients: JoinSet<Vec<Operation>>,
    progress: Vec<watch::Receiver<u64>>,
    stop: watch::Sender<bool>,
    observer: JoinSet<()>,
    leaders: Arc<Mutex<Leaders>>,
}

/// What clients saw, found right.
#[derive(Debug)]
pub struct Seen {
    /// All their calls.
    pub history: History,
    /// How many were answered, refused and left open.
    pub checked: oracle::Checked,
    /// Terms in which a node was seen to lead.
    pub terms: usize,
}

impl Load {
    /// Starts clients, and returns once each has been answered.
    pub async fn start(realm: &TestRealm, plan: Clients) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (clock, mut chance) = (Instant::now(), Chance::new(plan.seed));
        let (mut clients, mut progress) = (JoinSet::new(), Vec::new());
        for (id, nodes) in (1..).zip(&plan.nodes) {
            let (told, heard) = watch::channel(0);
            progress.push(heard);
            let client = Client {
                id,
                doors: nodes.iter().map(|node| realm.door(*node)).collect(),
                keys: plan.keys,
                pace: plan.pace,
                patience: plan.patience,
                budget: plan.budget,
                chance: Chance::new(chance.draw()),
                clock,
                progress: told,
                seen: BTreeMap::new(),
            };
            clients.spawn(client.run(stopping.clone()));
        }
        let (mut observer, leaders) = (JoinSet::new(), Arc::default());
        observer.spawn(observe(realm.doors(), Arc::clone(&leaders)));
        let mut load = Self { clock, clients, progress, stop, observer, leaders };
        load.goes_on(PATIENCE).await;
        load
    }

    /// Waits until every client has been answered a call that it began after now; returns how long that took.
    ///
    /// # Panics
    /// Where it takes longer than `within`.
    pub async fn goes_on(&mut self, within: Duration) -> Duration {
        self.of_clients_go_on(|_| true, within).await
    }

    /// As [`Load::goes_on`], of some clients: they are counted from 0.
    pub async fn of_clients_go_on(&mut self, which: impl Fn(usize) -> bool, within: Duration) -> Duration {
        let (start, since) = (Instant::now(), self.now());
        for (client, progress) in self.progress.iter_mut().enumerate().filter(|(client, _)| which(*client)) {
            let left = within.saturating_sub(start.elapsed());
            let answered = timeout(left, progress.wait_for(|invoked| *invoked >= since)).await;
            let answered = answered.unwrap_or_else(|_| panic!("client {client} got no answer in {within:?}"));
            drop(answered.expect("a client goes on until it is told to stop"));
        }
        start.elapsed()
    }

    /// Nanoseconds of the clock of all operations.
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).expect("a test ends within centuries")
    }

    /// Stops the clients, and checks all that they saw: by the answers' indexes and revisions, with the changes that
    /// were applied and without, and as a search for an order that explains them; and that no term had two leaders.
    pub async fn end(mut self, realm: &TestRealm, what: &str) -> Seen {
        self.stop.send_replace(true);
        let ended = timeout(PATIENCE, async {
            let mut all = Vec::new();
            while let Some(operations) = self.clients.join_next().await {
                all.extend(operations.expect("a client panics only where it says why"));
            }
            all
        });
        let operations = ended.await.expect("each client's call has a bound");
        self.observer.shutdown().await;
        let history = History::new(operations).unwrap_or_else(|malformed| panic!("{malformed}"));
        let checked = evidence::check(realm, &history).await;
        let leaders = self.leaders.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let several: Vec<_> = leaders.iter().filter(|(_, nodes)| nodes.len() > 1).collect();
        assert!(several.is_empty(), "a term has one leader at most: {several:?}");
        assert!(!leaders.is_empty(), "nobody was seen to lead");
        eprintln!("{what}: {checked:?}, leaders by term {leaders:?}");
        Seen { history, checked, terms: leaders.len() }
    }
}

impl Seen {
    /// The longest time, between two of the load's own, in which no mutation was acknowledged.
    pub fn longest_pause(&self) -> Duration {
        let operations = self.history.operations().iter();
        let done = operations.filter(|operation| operation.is_mutation() && operation.done().is_some());
        let mut times: Vec<u64> = done.filter_map(Operation::returned).collect();
        times.sort_unstable();
        let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        Duration::from_nanos(longest.expect("mutations were acknowledged"))
    }

    /// How many calls of a client, counted from 0, were answered that began and ended between two moments.
    pub fn answered(&self, client: usize, from: u64, to: u64) -> usize {
        let operations = self.history.operations().iter();
        let own = operations.filter(|operation| operation.client as usize == client + 1);
        let within = |operation: &&Operation| {
            operation.invoked >= from && operation.done().is_some_and(|done| done.returned <= to)
        };
        own.filter(within).count()
    }
}

async fn observe(doors: Vec<Door>, leaders: Arc<Mutex<Leaders>>) {
    loop {
        for told in join_all(doors.iter().map(|door| door.status(STATUS))).await.into_iter().flatten() {
            if let Some(raft) = told.raft.filter(|raft| raft.role == "leader") {
                let mut leaders = leaders.lock().unwrap_or_else(PoisonError::into_inner);
                leaders.entry(raft.term).or_default().insert(told.node);
            }
        }
        tokio::time::sleep(OBSERVED).await;
    }
}
