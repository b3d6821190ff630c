//! [`P2p`], the handle that the node works with, and the thread behind it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use libp2p::multiaddr::Protocol as Part;
use libp2p::{Multiaddr, PeerId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use super::admission::{Admission, Standing};
use super::behaviour;
use super::config::P2pConfig;
use super::door::{self, Door, DoorError};
use super::events::{Command, Loop};
use super::gossip::{Gossip, Listener};
use super::gossiping::Gossiping;
use super::key::Key;
use super::lane::{Lane, Protocol};
use super::link::Link;
use super::peer::Peer;
use super::table::{LaneView, Table};
use crate::tasks::{Tasks, alert};

/// The most addresses that are taken of one peer.
pub(super) const ADDRESSES_MAX: usize = 16;
/// Commands that wait for the network's thread; whoever has one more waits.
const COMMANDS_MAX: usize = 1_024;
/// How long the network's tasks may take to end.
const CLOSING: Duration = Duration::from_secs(2);
/// How long opening a stream on a connection that stands may take.
pub(super) const OPENING: Duration = Duration::from_secs(5);

/// A peer, and where it may be reached. Written as addresses that end in `/p2p/PEER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub peer: Peer,
    /// Where: multiaddresses.
    pub addresses: Vec<Multiaddr>,
}

/// Why the network does not start.
#[derive(Debug, thiserror::Error)]
pub enum P2pError {
    /// A part of it does not.
    #[error("the network's part for {0} does not start: {1}")]
    Start(&'static str, String),
    /// It cannot listen.
    #[error("cannot listen on {0}: {1}: set [p2p] listen right, or free the port")]
    Listen(Multiaddr, String),
    /// An address of a peer has no peer.
    #[error("{0} in [p2p] peers names no peer: it must end in /p2p/PEER")]
    NoPeer(Multiaddr),
}

/// The network. Clones are the same; when the last one is dropped it closes, as it does on [`P2p::close`].
#[derive(Clone)]
pub struct P2p(Arc<Inner>);

struct Inner {
    me: Peer,
    table: Arc<Table>,
    admission: Admission,
    commands: mpsc::Sender<Command>,
    streams: libp2p_stream::Control,
    gossip: Gossip,
    stop: tokio_util::sync::CancellationToken,
    finished: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for P2p {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "P2p of {}", self.0.me)
    }
}

impl Contact {
    /// A peer with those of `addresses` that are multiaddresses; of many, the first few.
    pub fn from_texts<'a>(peer: Peer, addresses: impl IntoIterator<Item = &'a str>) -> Contact {
        let addresses = addresses.into_iter().take(ADDRESSES_MAX).filter_map(|address| address.parse().ok());
        Contact { peer, addresses: addresses.collect() }
    }

    /// Contacts of addresses that end in `/p2p/PEER`; the address itself where one does not.
    pub fn of(addresses: &[Multiaddr]) -> Result<Vec<Contact>, Multiaddr> {
        let mut contacts = BTreeMap::<Peer, Vec<Multiaddr>>::new();
        for address in addresses {
            let (peer, rest) = split(address.clone()).ok_or_else(|| address.clone())?;
            contacts.entry(Peer(peer)).or_default().push(rest);
        }
        Ok(contacts.into_iter().map(|(peer, addresses)| Contact { peer, addresses }).collect())
    }
}

/// The peer that an address ends in, and what is before it.
pub(super) fn split(mut address: Multiaddr) -> Option<(PeerId, Multiaddr)> {
    match address.pop() {
        Some(Part::P2p(peer)) => Some((peer, address)),
        _ => None,
    }
}

impl P2p {
    /// Starts the network, and returns once it listens. `ports` is the file in which chosen ports are kept.
    pub async fn start(
        config: P2pConfig,
        key: Key,
        admission: Admission,
        ports: Option<PathBuf>,
    ) -> Result<P2p, P2pError> {
        let contacts = Contact::of(&config.peers).map_err(P2pError::NoPeer)?;
        for client in &config.clients {
            admission.set(*client, Standing::Client);
        }
        let (ready, started) = tokio::sync::oneshot::channel();
        let (done, finished) = watch::channel(false);
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let stop = tokio_util::sync::CancellationToken::new();
        let (table, stopping, let_in, me) =
            (Arc::new(Table::new()), stop.clone(), admission.clone(), key.peer());
        let known = table.clone();
        let (gossip, publications) = Gossip::new(config.link_bytes_max);
        let gossiping = Gossiping::new(&gossip, publications);
        let body = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    return drop(ready.send(Err(P2pError::Start("its runtime", error.to_string()))));
                }
            };
            runtime.block_on(async {
                let tasks = Tasks::new();
                let closing = tasks.stopping();
                tasks.spawn("p2p.alert", async move { closing.run_until_cancelled(alert::keep()).await });
                let built = behaviour::build(&key, &config, let_in.clone());
                let network = built.and_then(|swarm| {
                    Loop::new(swarm, config, known, let_in, tasks.clone(), ports, gossiping)
                });
                match network {
                    Ok(network) => {
                        let streams = network.streams();
                        // Whoever started it may have given up: then it closes again.
                        if ready.send(Ok(streams)).is_ok() {
                            network.run(inbox, stopping).await;
                        }
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
                if !tasks.stop(CLOSING).await {
                    tracing::warn!("some tasks of the network did not end in time");
                }
            });
            done.send_replace(true);
        };
        let thread = std::thread::Builder::new().name("p2p".into()).spawn(body);
        let thread = thread.map_err(|error| P2pError::Start("its thread", error.to_string()))?;
        let died = |_| P2pError::Start("its thread", "it ended at once".into());
        let streams = started.await.map_err(died)??;
        let thread = Mutex::new(Some(thread));
        let inner = Inner { me, table, admission, commands, streams, gossip, stop, finished, thread };
        let p2p = P2p(Arc::new(inner));
        for contact in contacts {
            p2p.know(contact).await;
        }
        Ok(p2p)
    }

    /// This node.
    pub fn me(&self) -> Peer {
        self.0.me
    }

    /// Where this node is reached, as far as it knows; changes are told.
    pub fn addresses(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.0.table.addresses.subscribe()
    }

    /// Who may connect.
    pub fn admission(&self) -> &Admission {
        &self.0.admission
    }

    /// How many peers are connected.
    pub fn connected(&self) -> usize {
        self.0.table.peers()
    }

    /// [`P2p::connected`], without keeping the network open.
    pub fn count(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let table = self.0.table.clone();
        move || table.peers()
    }

    /// The lanes with what goes over them, looked up without keeping the network open.
    pub fn lanes(&self) -> impl Fn() -> Vec<LaneView> + Clone + Send + Sync + use<> {
        let table = self.0.table.clone();
        move || table.lanes()
    }

    /// The lanes on which no stream to a peer stands, although one is to.
    pub fn lanes_down(&self, peer: Peer) -> Vec<Lane> {
        self.0.table.down(peer)
    }

    /// Whether there is a connection with a peer.
    pub fn is_connected(&self, peer: Peer) -> bool {
        self.0.table.is_connected(peer)
    }

    /// Notes where a peer may be reached.
    pub async fn know(&self, contact: Contact) {
        self.tell(Command::Know(contact)).await;
    }

    /// Connects with a member, and goes on to, until [`P2p::forget`]; every lane is opened with it.
    pub async fn keep(&self, peer: Peer) {
        self.tell(Command::Keep(peer)).await;
    }

    /// Ends all connections with a peer, and seeks none.
    pub async fn forget(&self, peer: Peer) {
        self.tell(Command::Forget(peer)).await;
    }

    /// Speaks a protocol on its lane from now on, with every member, and with clients if it takes them.
    pub async fn serve(&self, lane: Lane, protocol: Arc<dyn Protocol>) {
        self.tell(Command::Serve(lane, protocol)).await;
    }

    /// Answers the questions that come to a door from now on.
    pub async fn open(&self, name: Lane, door: Arc<dyn Door>) {
        self.tell(Command::Open(name, door)).await;
    }

    /// Has `listener` hear from now on what others publish.
    pub async fn listen(&self, listener: Arc<dyn Listener>) {
        self.tell(Command::Listen(listener)).await;
    }

    /// Opens streams of any protocol.
    #[cfg(test)]
    pub(super) fn streams(&self) -> libp2p_stream::Control {
        self.0.streams.clone()
    }

    /// What publishes to topics.
    pub fn gossip(&self) -> Gossip {
        self.0.gossip.clone()
    }

    /// The way to a peer on a lane, if the peer is kept.
    pub fn link(&self, peer: Peer, lane: Lane) -> Option<Link> {
        self.0.table.link(peer, lane)
    }

    pub(super) fn table(&self) -> Arc<Table> {
        self.0.table.clone()
    }

    /// Asks at a peer's door. The peer is dialed if it is not connected.
    pub async fn ask(
        &self,
        peer: Peer,
        name: Lane,
        question: &[u8],
        timeout: Duration,
    ) -> Result<Bytes, DoorError> {
        let asking = async {
            if !self.is_connected(peer) {
                self.tell(Command::Dial(peer)).await;
                self.0.table.until(peer, true).await;
            }
            let mut streams = self.0.streams.clone();
            let opened = tokio::time::timeout(OPENING, streams.open_stream(peer.0, name.name())).await;
            let unreachable = |why: String| DoorError::Unreachable(peer, why);
            let stream = opened.map_err(|_| unreachable("it does not open a stream".into()))?;
            let stream = stream.map_err(|error| unreachable(error.to_string()))?;
            door::ask(stream, question).await.map_err(|error| DoorError::NoAnswer(peer, error.to_string()))
        };
        let late = |_| DoorError::Unreachable(peer, format!("no answer within {} ms", timeout.as_millis()));
        tokio::time::timeout(timeout, asking).await.map_err(late)?
    }

    /// Ends all connections; returns once the network's thread has ended.
    pub async fn close(&self) {
        self.0.stop.cancel();
        // It can only fail when the thread has ended.
        drop(self.0.finished.clone().wait_for(|finished| *finished).await);
    }

    async fn tell(&self, command: Command) {
        // A network that has closed does nothing any more.
        drop(self.0.commands.send(command).await);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Waited for, so that its ports are free. A thread cannot wait for itself.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            drop(thread.join());
        }
    }
}
