//! What a node hears when it starts: whether it may take part. A copy of a data folder, or one that was removed from
//! the realm, must not speak for a node that others count on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use matrix_proto::wire;
use matrix_proto::wire::hello_answer::Kind;
use prost::Message as _;

use super::handle::{Inner, Realm, RealmConfig};
use super::identity::Identity;
use super::records::{NodeRecord, NodeState};
use crate::p2p::{Door, Lane, P2p, Peer};

/// The door.
pub(super) const DOOR: Lane = Lane::new("/matrix/hello/1");
/// How long a node waits for the others' word.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a node waits before it asks again whether its last start is over.
const AGAIN: Duration = Duration::from_millis(300);
/// How many leases' time it asks.
const LEASES: u32 = 4;

/// Why a node may not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the realm refuses this node: {0}")]
pub struct Refused(pub String);

/// Asks the nodes that `identity` remembers whether this one may take part. Where none answers, nothing speaks
/// against it.
///
/// # Errors
/// What speaks against it.
pub async fn report_in(network: &P2p, identity: &Identity, config: &RealmConfig) -> Result<(), Refused> {
    let deadline = tokio::time::Instant::now() + config.lease() * LEASES;
    loop {
        let answers = identity.others.iter().map(|(_, contact)| ask(network, identity, contact.peer));
        let answers: Vec<Kind> = join_all(answers).await.into_iter().flatten().collect();
        let mut runs = None;
        for answer in answers {
            match answer {
                Kind::Welcome(_) => {}
                Kind::Refused(reason) => return Err(Refused(reason)),
                Kind::Runs(reason) => runs = Some(reason),
            }
        }
        match runs {
            None => return Ok(()),
            Some(reason) if tokio::time::Instant::now() >= deadline => return Err(Refused(reason)),
            Some(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Asks other nodes, once, whether this one may still take part; none says no: nothing.
pub(super) async fn refusal(realm: &Realm) -> Option<Refused> {
    let Inner { network, identity, .. } = &*realm.0;
    let nodes = realm.nodes().borrow().clone();
    let others = nodes.nodes.values().filter(|view| view.record.node != identity.node);
    let others = others.filter(|view| view.record.state != NodeState::Removed);
    let answers = join_all(others.map(|view| ask(network, identity, view.record.peer))).await;
    answers.into_iter().flatten().find_map(|answer| match answer {
        Kind::Refused(reason) => Some(Refused(reason)),
        Kind::Welcome(_) | Kind::Runs(_) => None,
    })
}

async fn ask(network: &P2p, identity: &Identity, peer: Peer) -> Option<Kind> {
    let question = wire::HelloQuestion {
        realm: Bytes::copy_from_slice(&identity.realm.0),
        node: identity.node,
        boot: identity.boot,
        nonce: identity.nonce,
    };
    let answer = network.ask(peer, DOOR, &question.encode_to_vec(), PATIENCE).await.ok()?;
    wire::HelloAnswer::decode(answer).ok()?.kind
}

/// Answers nodes that start.
pub(super) struct HelloDoor(pub(super) Weak<Inner>);

impl Door for HelloDoor {
    fn answer(&self, peer: Peer, question: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(async move {
            let question = wire::HelloQuestion::decode(question);
            let kind = match (self.0.upgrade(), question) {
                (Some(realm), Ok(question)) => Some(judge(&Realm(realm), peer, &question)),
                _ => None,
            };
            wire::HelloAnswer { kind }.encode_to_vec().into()
        })
    }
}

/// What this node, by what it knows, has to say of one that starts.
fn judge(realm: &Realm, peer: Peer, question: &wire::HelloQuestion) -> Kind {
    let (id, node) = (realm.id(), question.node);
    if question.realm[..] != id.0 {
        return Kind::Refused(format!("this is realm {id}"));
    }
    let nodes = realm.nodes().borrow().clone();
    // One that this node has not heard of yet may be all the same.
    let Some(view) = nodes.nodes.get(&node) else { return Kind::Welcome(wire::Nothing {}) };
    let NodeRecord { boot, nonce, state, .. } = view.record;
    if view.record.peer != peer {
        return Kind::Refused(format!("node {node} is another peer: it was invited anew, or this is a copy"));
    }
    if state == NodeState::Removed {
        return Kind::Refused(format!(
            "node {node} was removed: start on an empty data folder with a new invitation"
        ));
    }
    if question.boot < boot || (question.boot == boot && question.nonce != nonce) {
        let reason = "has run since this data folder was copied: an old copy has forgotten what it promised";
        return Kind::Refused(format!("node {node} {reason}"));
    }
    // A lease counts only where somebody watches it: without a leader it is from before. One that does not decide
    // never learns that the leader is gone, but that its own lease is over.
    let is_watched = nodes.members.leader.is_some() && *realm.holds_lease().borrow();
    if question.boot > boot && view.is_alive && is_watched {
        return Kind::Runs(format!(
            "node {node} runs already, with the same key: one of two is on a copied folder"
        ));
    }
    Kind::Welcome(wire::Nothing {})
}
