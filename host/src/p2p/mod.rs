//! The realm's other nodes, over libp2p; only here libp2p is named.
//!
//! Every node is a *peer*, named by its Ed25519 key. Who may connect is said by the rooms above, in [`Admission`]: the
//! realm's members, its clients, and for a short time a few strangers, who may ask to be let in and nothing else.
//!
//! Between two members stand *lanes*: one long-lived stream for each [`Protocol`], so that bulk never stands in front
//! of a vote. Of two members the one with the smaller id opens the streams, and both write on them. What is sent on a
//! lane goes into its [`Link`], a bounded buffer that is handed to the stream whole: many frames become one write.
//! [`rpc`] makes questions and answers of frames. A [`Door`] is for single questions of whoever is connected. What is
//! for many at once is published to a topic, by [`Gossip`].
//!
//! ```text
//! Link::push --> buffer --> lane task --> yamux stream --> noise --> TCP or QUIC
//! Protocol::received <-- lane task <------------'
//! ```
//!
//! All of it runs on one thread of its own: guests that keep the node's threads busy do not delay it, and it does not
//! delay them.

mod admission;
mod behaviour;
mod config;
mod door;
mod events;
pub mod frame;
mod gate;
mod gossip;
mod gossiping;
mod host;
mod keeping;
mod key;
mod lane;
mod link;
mod members;
mod muxing;
mod peer;
mod ports;
pub mod rpc;
mod table;

#[cfg(test)]
mod tests;

pub use admission::{Admission, Standing};
pub use config::P2pConfig;
pub use door::{Door, DoorError};
pub use gossip::{Gossip, GossipTopic, Listener, Lost, TOPICS_MAX, Verdict};
pub use host::{Contact, P2p, P2pError};
pub use key::{Key, KeyError};
pub use lane::{Lane, Protocol, Violation};
pub use link::{Link, PushError, Traffic};
pub use peer::Peer;
pub use table::LaneView;
