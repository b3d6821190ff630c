//! The gate of the network: refuses connections with peers that may not connect, and bounds the number of strangers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent,
    ToSwarm, dummy,
};

use super::admission::{Admission, Standing};
use super::peer::Peer;

/// Part of the network's behaviour; it never acts by itself.
pub(super) struct Gate {
    admission: Admission,
    strangers_max: usize,
    /// Connections with peers that were strangers when they connected.
    strangers: HashMap<ConnectionId, PeerId>,
}

#[derive(Debug, thiserror::Error)]
#[error("there are {0} strangers connected already")]
struct TooManyStrangers(usize);

impl Gate {
    pub(super) fn new(admission: Admission, strangers_max: usize) -> Self {
        Self { admission, strangers_max, strangers: HashMap::new() }
    }

    /// A peer that is refused may still connect as a stranger does: it is to hear why.
    fn check(&mut self, connection: ConnectionId, peer: PeerId) -> Result<(), ConnectionDenied> {
        match self.admission.standing(Peer(peer)) {
            Standing::Member | Standing::Client => Ok(()),
            Standing::Stranger | Standing::Refused(_) => {
                if self.strangers.len() >= self.strangers_max {
                    return Err(ConnectionDenied::new(TooManyStrangers(self.strangers_max)));
                }
                self.strangers.insert(connection, peer);
                Ok(())
            }
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(connection, peer)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _connection: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // This node chose whom to dial.
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => drop(self.strangers.remove(&closed.connection_id)),
            FromSwarm::ListenFailure(failed) => drop(self.strangers.remove(&failed.connection_id)),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _peer: PeerId,
        _connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
