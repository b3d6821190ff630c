//! Gossipsub among members alone. To gossipsub itself a connection exists only from when its peer is a member: no
//! word of a stranger's or client's gets to it, and none goes out.
//!
//! Two nodes do not learn at the same moment that the other is a member, and gossipsub asks for its stream only once.
//! So the stream of a peer that is no member is agreed on, and lies there unread: at most one a connection, with what
//! yamux lets a peer send unasked. It is read once the peer is let in, and ends with the connection otherwise.
//!
//! Of several connections with a peer, one is spoken on, so that what is said in order arrives in order: gossipsub itself
//! sends on all of them as it comes. All are listened to, for the peer may have chosen another.
//!
//! Gossipsub ends a stream that it cannot read, and hears the next; what is not signed well it lets fall. Neither costs
//! a peer anything there, since scores by topic are not kept: so it is told of from here.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{ConnectedPoint, Endpoint, Multiaddr};
use libp2p::gossipsub::{
    self, IdentityTransform, MaxCountSubscriptionFilter, TopicHash, TopicSubscriptionFilter,
};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use super::admission::Admission;
use super::gossip::GossipTopic;
use super::peer::Peer;

/// Gossipsub; topics that are not written as ours do not exist for it.
pub(super) type Gossipsub = gossipsub::Behaviour<IdentityTransform, MaxCountSubscriptionFilter<Ours>>;

type Inner = THandler<Gossipsub>;
type Listen = <Inner as ConnectionHandler>::InboundProtocol;
type Ask = <Inner as ConnectionHandler>::OutboundProtocol;
type Heard = <Inner as ConnectionHandler>::ToBehaviour;

/// Streams that a peer may open on one connection, one after the other; what comes on those beyond is not read. It is as
/// many as gossipsub itself reads.
const STREAMS_MAX: usize = 5;

/// Lets through what is written as a topic of ours.
pub(super) struct Ours;

impl TopicSubscriptionFilter for Ours {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        GossipTopic::of(topic).is_some()
    }
}

/// What this room is told.
#[derive(Debug)]
pub(super) enum Told {
    /// Gossipsub says it.
    Gossip(Box<gossipsub::Event>),
    /// So many messages of a member were not signed by whom they name, or streams of it could not be read.
    Malformed(PeerId, u64),
}

/// The behaviour.
pub(super) struct Members {
    inner: Gossipsub,
    admission: Admission,
    /// How streams are agreed on.
    listen: Listen,
    /// Connections with peers that are no members.
    waiting: HashMap<ConnectionId, (PeerId, ConnectedPoint)>,
    /// Connections that gossipsub knows, by peer; the first is spoken on.
    open: HashMap<PeerId, Vec<ConnectionId>>,
    /// What connections' parts are told next.
    telling: VecDeque<(PeerId, ConnectionId, ToGuarded)>,
    /// How often peers were not understood, since that was told.
    malformed: HashMap<PeerId, u64>,
}

impl Members {
    /// `pattern` is a second one made like `inner`: it is asked how streams are agreed on, and dropped.
    pub(super) fn new(inner: Gossipsub, mut pattern: Gossipsub, admission: Admission) -> Option<Self> {
        let (nowhere, connection) = (Multiaddr::empty(), ConnectionId::new_unchecked(0));
        let nobody = PeerId::random();
        let handler =
            pattern.handle_established_inbound_connection(connection, nobody, &nowhere, &nowhere).ok()?;
        Some(Self {
            inner,
            admission,
            listen: handler.listen_protocol().into_upgrade().0,
            waiting: HashMap::new(),
            open: HashMap::new(),
            telling: VecDeque::new(),
            malformed: HashMap::new(),
        })
    }

    /// Gossipsub itself.
    pub(super) fn gossipsub(&mut self) -> &mut Gossipsub {
        &mut self.inner
    }

    /// Lets the connections of a peer in that has become a member.
    pub(super) fn let_in(&mut self, peer: PeerId) {
        let waiting: Vec<_> = self.waiting.extract_if(|_, (other, _)| *other == peer).collect();
        for (connection, (_, endpoint)) in waiting {
            let handler = match &endpoint {
                ConnectedPoint::Dialer { address, role_override, port_use } => {
                    self.inner.handle_established_outbound_connection(
                        connection,
                        peer,
                        address,
                        *role_override,
                        *port_use,
                    )
                }
                ConnectedPoint::Listener { local_addr, send_back_addr } => self
                    .inner
                    .handle_established_inbound_connection(connection, peer, local_addr, send_back_addr),
            };
            // It refuses none.
            let Ok(handler) = handler else { continue };
            let open = self.open.entry(peer).or_default();
            self.inner.on_swarm_event(FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id: peer,
                connection_id: connection,
                endpoint: &endpoint,
                failed_addresses: &[],
                other_established: open.len(),
            }));
            let is_first = open.is_empty();
            open.push(connection);
            self.telling.push_back((peer, connection, ToGuarded::LetIn(Box::new(handler))));
            if is_first {
                self.telling.push_back((peer, connection, ToGuarded::Speak));
            }
        }
    }

    fn closed(&mut self, closed: ConnectionClosed<'_>) {
        let (peer, connection) = (closed.peer_id, closed.connection_id);
        if self.waiting.remove(&connection).is_some() {
            return;
        }
        self.telling.retain(|(_, other, _)| *other != connection);
        let Some(open) = self.open.get_mut(&peer) else { return };
        let was_first = open.first() == Some(&connection);
        open.retain(|other| *other != connection);
        let remaining_established = open.len();
        match open.first() {
            None => drop(self.open.remove(&peer)),
            Some(next) if was_first => self.telling.push_back((peer, *next, ToGuarded::Speak)),
            Some(_) => {}
        }
        self.inner.on_swarm_event(FromSwarm::ConnectionClosed(ConnectionClosed {
            remaining_established,
            ..closed
        }));
    }
}

impl NetworkBehaviour for Members {
    type ConnectionHandler = Guarded;
    type ToSwarm = Told;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Guarded::new(self.listen.clone()))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(Guarded::new(self.listen.clone()))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let peer = established.peer_id;
                self.waiting.insert(established.connection_id, (peer, established.endpoint.clone()));
                if self.admission.is_member(Peer(peer)) {
                    self.let_in(peer);
                }
            }
            FromSwarm::ConnectionClosed(closed) => self.closed(closed),
            FromSwarm::AddressChange(change) => match self.waiting.get_mut(&change.connection_id) {
                Some((_, endpoint)) => *endpoint = change.new.clone(),
                None => self.inner.on_swarm_event(event),
            },
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        // Whoever is a member no more is not heard, also before its connections have ended.
        if !self.admission.is_member(Peer(peer)) {
            return;
        }
        let count = match &event {
            FromGuarded::Inner(Heard::Message { invalid_messages, .. }) => invalid_messages.len() as u64,
            FromGuarded::Inner(_) => 0,
            FromGuarded::Reopened => 1,
        };
        if count > 0 {
            *self.malformed.entry(peer).or_default() += count;
        }
        if let FromGuarded::Inner(event) = event {
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection, event)) = self.telling.pop_front() {
            let handler = NotifyHandler::One(connection);
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event });
        }
        if let Some(peer) = self.malformed.keys().next().copied() {
            let count = self.malformed.remove(&peer).unwrap_or_default();
            return Poll::Ready(ToSwarm::GenerateEvent(Told::Malformed(peer, count)));
        }
        let told = self.inner.poll(context);
        told.map(|event| event.map_in(ToGuarded::Inner).map_out(|event| Told::Gossip(Box::new(event))))
    }
}

/// One connection's part: gossipsub's, once the peer is a member.
pub(super) struct Guarded {
    listen: Listen,
    inner: Option<Inner>,
    /// The newest stream of a peer that is no member.
    unread: Option<FullyNegotiatedInbound<Listen, ()>>,
    /// Whether this connection is spoken on, and a stream that gossipsub wants for that, while it is not.
    speaks: bool,
    wanted: Option<SubstreamProtocol<Ask>>,
    /// Streams that the peer has opened.
    streams: usize,
    /// Of those, how many it opened because the one before had ended, and that is not told yet.
    reopened: usize,
}

impl Guarded {
    fn new(listen: Listen) -> Self {
        Self { listen, inner: None, unread: None, speaks: false, wanted: None, streams: 0, reopened: 0 }
    }

    /// Counts a stream that the peer has opened; false: it is one too many.
    fn count(&mut self) -> bool {
        self.streams += 1;
        self.reopened += usize::from(self.inner.is_some() && self.streams > 1);
        self.streams <= STREAMS_MAX
    }
}

/// What a connection's part says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and each is moved only")]
pub(super) enum FromGuarded {
    /// Gossipsub's part says it.
    Inner(Heard),
    /// The peer's stream has ended, or could not be read, and there is another.
    Reopened,
}

/// What a connection's part is told.
pub(super) enum ToGuarded {
    /// The peer is a member.
    LetIn(Box<Inner>),
    /// This connection is spoken on from now on.
    Speak,
    /// What gossipsub says.
    Inner(<Inner as ConnectionHandler>::FromBehaviour),
}

impl fmt::Debug for ToGuarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LetIn(_) => f.write_str("LetIn"),
            Self::Speak => f.write_str("Speak"),
            Self::Inner(event) => event.fmt(f),
        }
    }
}

impl ConnectionHandler for Guarded {
    type FromBehaviour = ToGuarded;
    type ToBehaviour = FromGuarded;
    type InboundProtocol = Listen;
    type OutboundProtocol = Ask;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Listen> {
        match &self.inner {
            Some(inner) => inner.listen_protocol(),
            None => SubstreamProtocol::new(self.listen.clone(), ()),
        }
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.as_ref().is_some_and(Inner::connection_keep_alive)
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Ask, (), Self::ToBehaviour>> {
        if self.reopened > 0 {
            self.reopened -= 1;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(FromGuarded::Reopened));
        }
        if self.speaks
            && let Some(protocol) = self.wanted.take()
        {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        // Whoever lets the peer in has this polled again.
        let Some(inner) = &mut self.inner else { return Poll::Pending };
        let mut told = inner.poll(context);
        if !self.speaks
            && let Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol }) = told
        {
            // It wants no second one while it waits for this.
            self.wanted = Some(protocol);
            told = inner.poll(context);
        }
        told.map(|event| event.map_custom(FromGuarded::Inner))
    }

    fn on_behaviour_event(&mut self, event: ToGuarded) {
        match event {
            ToGuarded::LetIn(mut inner) => {
                if let Some(stream) = self.unread.take() {
                    inner.on_connection_event(ConnectionEvent::FullyNegotiatedInbound(stream));
                }
                self.inner = Some(*inner);
            }
            ToGuarded::Speak => self.speaks = true,
            ToGuarded::Inner(event) => {
                if let Some(inner) = &mut self.inner {
                    inner.on_behaviour_event(event);
                }
            }
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Listen, Ask>) {
        if matches!(event, ConnectionEvent::FullyNegotiatedInbound(_)) && !self.count() {
            return;
        }
        match (&mut self.inner, event) {
            (Some(inner), event) => inner.on_connection_event(event),
            (None, ConnectionEvent::FullyNegotiatedInbound(stream)) => self.unread = Some(stream),
            (None, _) => {}
        }
    }
}
