//! The network's thread: one loop over what libp2p tells and what the node wants.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::StreamExt as _;
use libp2p::multiaddr::Protocol as Part;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, Swarm, identify, mdns, ping};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Standing};
use super::behaviour::{Behaviour, BehaviourEvent};
use super::config::P2pConfig;
use super::door::{self, Door};
use super::gossip::Listener;
use super::gossiping::Gossiping;
use super::host::{ADDRESSES_MAX, Contact, P2pError};
use super::keeping::{Keeper, Slots, accept, connect};
use super::lane::{Lane, Protocol};
use super::link::Link;
use super::peer::Peer;
use super::ports::Ports;
use super::table::Table;
use crate::tasks::Tasks;

/// Dials that wait for the loop.
const DIALS_MAX: usize = 64;
/// How long a stranger may stay.
const STRANGER: Duration = Duration::from_secs(15);
/// How often strangers are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What the node wants of the network.
pub(super) enum Command {
    Know(Contact),
    Dial(Peer),
    Keep(Peer),
    Forget(Peer),
    Serve(Lane, Arc<dyn Protocol>),
    Open(Lane, Arc<dyn Door>),
    Listen(Arc<dyn Listener>),
}

/// The loop and what it knows.
pub(super) struct Loop {
    swarm: Swarm<Behaviour>,
    config: P2pConfig,
    table: Arc<Table>,
    admission: Admission,
    tasks: Tasks,
    ports: Ports,
    /// Where peers may be reached, newest last.
    book: HashMap<Peer, Vec<Multiaddr>>,
    /// Dials of each peer since it was last connected.
    tries: HashMap<Peer, u32>,
    kept: HashMap<Peer, CancellationToken>,
    lanes: Vec<(Lane, Arc<dyn Protocol>)>,
    dials: (mpsc::Sender<Peer>, mpsc::Receiver<Peer>),
    strangers: HashMap<ConnectionId, (PeerId, tokio::time::Instant)>,
    /// Where streams of members go that they have opened.
    slots: Slots,
    gossiping: Gossiping,
}

impl Loop {
    /// Listens.
    pub(super) fn new(
        mut swarm: Swarm<Behaviour>,
        config: P2pConfig,
        table: Arc<Table>,
        admission: Admission,
        tasks: Tasks,
        ports: Option<PathBuf>,
        gossiping: Gossiping,
    ) -> Result<Self, P2pError> {
        let ports = Ports::new(ports);
        for (place, address) in config.listen.iter().enumerate() {
            let remembered = ports.remembered(place, address);
            let listening = remembered.is_some_and(|address| swarm.listen_on(address).is_ok());
            if !listening {
                let listened = swarm.listen_on(address.clone());
                listened.map_err(|error| P2pError::Listen(address.clone(), error.to_string()))?;
            }
        }
        for address in &config.external {
            swarm.add_external_address(address.clone());
        }
        Ok(Self {
            swarm,
            config,
            table,
            admission,
            tasks,
            ports,
            book: HashMap::new(),
            tries: HashMap::new(),
            kept: HashMap::new(),
            lanes: Vec::new(),
            dials: mpsc::channel(DIALS_MAX),
            strangers: HashMap::new(),
            slots: Arc::default(),
            gossiping,
        })
    }

    /// What opens streams.
    pub(super) fn streams(&self) -> libp2p_stream::Control {
        self.swarm.behaviour().streams.new_control()
    }

    /// Runs until `stop`, or until nobody can want anything any more.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.carry_out(command),
                    None => break,
                },
                Some(peer) = self.dials.1.recv() => self.dial(peer),
                event = self.swarm.select_next_some() => self.take(event),
                work = self.gossiping.next() => {
                    self.gossiping.work(work, &mut self.swarm.behaviour_mut().gossip);
                    // A flood of publications must not keep the lanes waiting.
                    tokio::task::yield_now().await;
                }
                _ = look.tick() => {
                    self.send_strangers_away();
                    self.gossiping.forgive(&mut self.swarm.behaviour_mut().gossip);
                }
            }
        }
        self.kept.values().for_each(CancellationToken::cancel);
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Know(contact) => {
                for address in contact.addresses {
                    self.learn(contact.peer, address);
                }
            }
            Command::Dial(peer) => self.dial(peer),
            Command::Keep(peer) => self.keep(peer),
            Command::Forget(peer) => {
                if let Some(kept) = self.kept.remove(&peer) {
                    kept.cancel();
                }
                self.table.forget(peer);
                self.slots().retain(|(known, _), _| *known != peer);
                // There may be no connection.
                let _ = self.swarm.disconnect_peer_id(peer.0);
            }
            Command::Serve(lane, protocol) => self.serve(lane, protocol),
            Command::Listen(listener) => self.gossiping.listener = Some(listener),
            Command::Open(name, door) => match self.streams().accept(name.name()) {
                Ok(incoming) => drop(self.tasks.spawn("p2p.doors", {
                    let (tasks, stopping) = (self.tasks.clone(), self.tasks.stopping());
                    async move { stopping.run_until_cancelled(door::keep(incoming, door, tasks)).await }
                })),
                Err(_) => tracing::error!(door = name.protocol(), "a door is opened a second time"),
            },
        }
    }

    fn keep(&mut self, peer: Peer) {
        self.swarm.behaviour_mut().gossip.let_in(peer.0);
        if peer.0 == *self.swarm.local_peer_id() || self.kept.contains_key(&peer) {
            return;
        }
        let stop = self.tasks.stopping().child_token();
        self.kept.insert(peer, stop.clone());
        let (table, dials) = (self.table.clone(), self.dials.0.clone());
        self.tasks
            .spawn("p2p.connect", async move { stop.run_until_cancelled(connect(peer, table, dials)).await });
        for (lane, protocol) in self.lanes.clone() {
            self.keep_lane(peer, lane, protocol);
        }
    }

    fn serve(&mut self, lane: Lane, protocol: Arc<dyn Protocol>) {
        let Ok(incoming) = self.streams().accept(lane.name()) else {
            return tracing::error!(lane = lane.protocol(), "a lane is served a second time");
        };
        let (slots, admission, tasks) = (self.slots.clone(), self.admission.clone(), self.tasks.clone());
        let (served, bytes_max) = (protocol.clone(), self.config.link_bytes_max);
        let stopping = self.tasks.stopping();
        self.tasks.spawn("p2p.accept", async move {
            let accepting = accept(incoming, lane, served, slots, admission, tasks, bytes_max);
            stopping.run_until_cancelled(accepting).await
        });
        self.lanes.push((lane, protocol.clone()));
        for peer in self.kept.keys().copied().collect::<Vec<_>>() {
            self.keep_lane(peer, lane, protocol.clone());
        }
    }

    fn keep_lane(&mut self, peer: Peer, lane: Lane, protocol: Arc<dyn Protocol>) {
        let Some(stop) = self.kept.get(&peer).cloned() else { return };
        let link = Link::new(peer, self.config.link_bytes_max);
        self.table.keep(lane, link.clone());
        let (slot, incoming) = mpsc::channel(1);
        self.slots().insert((peer, lane), slot);
        let opens = *self.swarm.local_peer_id() < peer.0;
        let (table, streams) = (self.table.clone(), self.streams());
        let keeper = Keeper { link, lane, protocol, table, streams, opens, incoming };
        self.tasks.spawn("p2p.lane", async move { stop.run_until_cancelled(keeper.run()).await });
    }

    /// Dials a peer, if it is not connected or being dialed. TCP goes first: it carries twice as much as QUIC here, and
    /// tells at once when a process ends. Each second try takes all addresses.
    fn dial(&mut self, peer: Peer) {
        let mut addresses = self.book.get(&peer).cloned().unwrap_or_default();
        let tries = self.tries.entry(peer).or_default();
        *tries += 1;
        let is_tcp = |address: &Multiaddr| address.iter().any(|part| matches!(part, Part::Tcp(_)));
        if !tries.is_multiple_of(2) && addresses.iter().any(is_tcp) {
            addresses.retain(is_tcp);
        }
        let all = tries.is_multiple_of(2) || addresses.is_empty();
        let dial = DialOpts::peer_id(peer.0)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(addresses);
        let dial = if all { dial.extend_addresses_through_behaviour().build() } else { dial.build() };
        if let Err(error) = self.swarm.dial(dial) {
            tracing::debug!(%peer, %error, "a peer is not dialed");
        }
    }

    fn learn(&mut self, peer: Peer, address: Multiaddr) {
        let address = match super::host::split(address.clone()) {
            Some((named, rest)) if named == peer.0 => rest,
            // The address of a relay ends in the peer behind it; any other peer there is a lie.
            Some(_) => return,
            None => address,
        };
        let known = self.book.entry(peer).or_default();
        known.retain(|other| *other != address);
        known.push(address.clone());
        if known.len() > ADDRESSES_MAX {
            known.remove(0);
        }
        if let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() {
            kademlia.add_address(&peer.0, address);
        }
    }

    fn take(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening for peers");
                self.ports.remember(&self.config.listen, &address);
                self.show_addresses();
            }
            SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. } => self.show_addresses(),
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener has trouble"),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, num_established, .. } => {
                self.tries.remove(&Peer(peer_id));
                if num_established.get() == 1 {
                    self.gossiping.met(peer_id);
                }
                self.table.connections(Peer(peer_id), num_established.get() as usize);
                if matches!(self.admission.standing(Peer(peer_id)), Standing::Stranger | Standing::Refused(_))
                {
                    self.strangers.insert(connection_id, (peer_id, tokio::time::Instant::now()));
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, num_established, .. } => {
                self.strangers.remove(&connection_id);
                if num_established == 0 {
                    self.gossiping.gone(peer_id);
                }
                self.table.connections(Peer(peer_id), num_established as usize);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                tracing::debug!(%peer, %error, "a peer cannot be reached");
            }
            SwarmEvent::Behaviour(event) => self.take_of_behaviour(event),
            _ => {}
        }
    }

    fn take_of_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            // A peer that is silent for so long is not there, whatever its connection says.
            BehaviourEvent::Ping(ping::Event { peer, connection, result: Err(error) })
                if !matches!(error, ping::Failure::Unsupported) =>
            {
                tracing::debug!(%peer, %error, "a connection is dead");
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })
                if self.admission.is_member(Peer(peer_id)) =>
            {
                for address in info.listen_addrs.into_iter().take(ADDRESSES_MAX) {
                    self.learn(Peer(peer_id), address);
                }
            }
            BehaviourEvent::Gossip(told) => {
                let members = &mut self.swarm.behaviour_mut().gossip;
                self.gossiping.take(told, members, &self.admission);
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    if self.admission.is_member(Peer(peer)) {
                        self.learn(Peer(peer), address);
                    }
                }
            }
            _ => {}
        }
    }

    /// Ends connections with strangers who have had their time.
    fn send_strangers_away(&mut self) {
        let mut gone = HashSet::new();
        for (connection, (peer, since)) in &self.strangers {
            let admitted =
                matches!(self.admission.standing(Peer(*peer)), Standing::Member | Standing::Client);
            if admitted || since.elapsed() >= STRANGER {
                gone.insert((*connection, admitted));
            }
        }
        for (connection, admitted) in gone {
            self.strangers.remove(&connection);
            if !admitted {
                self.swarm.close_connection(connection);
            }
        }
    }

    fn show_addresses(&self) {
        let mut addresses: Vec<Multiaddr> = self.config.external.clone();
        let heard = self.swarm.external_addresses().chain(self.swarm.listeners());
        for address in heard.filter(|address| !is_unspecified(address)) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses.truncate(ADDRESSES_MAX);
        self.table.addresses.send_replace(addresses);
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<(Peer, Lane), mpsc::Sender<Stream>>> {
        self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn is_unspecified(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Part::Ip4(address)) => address.is_unspecified(),
        Some(Part::Ip6(address)) => address.is_unspecified(),
        _ => false,
    }
}
