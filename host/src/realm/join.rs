//! Coming into a realm by an invitation.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use matrix_proto::wire;
use matrix_proto::wire::join_answer::Kind;
use prost::Message as _;

use super::error::RealmError;
use super::handle::{Inner, Realm, RealmConfig};
use super::identity::Identity;
use super::records::{self, Invitation, NodeRecord, NodeState};
use super::token::{Token, of_wire, to_wire};
use crate::clock;
use crate::kv::{Condition, Consistency, Entry, Expect, Mutation, Txn, TxnOutcome};
use crate::p2p::{Contact, Door, Lane, P2p, Peer};

/// The door.
pub(super) const DOOR: Lane = Lane::new("/matrix/join/1");
/// How long one node may take to let another in.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rounds in which all nodes that an invitation names are asked, and the pause between two: a connection can break,
/// and asking again is safe.
const ROUNDS: usize = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// Tries at an invitation that is used at the same time.
const TRIES_MAX: usize = 8;
/// The most labels, and the most bytes of one name or value.
const LABELS_MAX: usize = 32;
const LABEL_BYTES_MAX: usize = 128;

/// Asks the nodes that a token names to be let in; the identity is not saved yet.
///
/// # Errors
/// `Refused` with the realm's reason, or `Unreachable`.
pub async fn ask_to_join(network: &P2p, token: &Token, config: &RealmConfig) -> Result<Identity, RealmError> {
    let addresses = network.addresses().borrow().iter().map(ToString::to_string).collect();
    let question = wire::JoinQuestion {
        realm: Bytes::copy_from_slice(&token.realm.0),
        number: token.number,
        secret: Bytes::copy_from_slice(&token.secret),
        addresses,
        name: config.name.clone(),
        labels: config.labels.clone().into_iter().collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (question, mut failures) = (question.encode_to_vec(), Vec::new());
    for (turn, contact) in std::iter::repeat_n(&token.contacts, ROUNDS).flatten().enumerate() {
        if turn > 0 && turn.is_multiple_of(token.contacts.len()) {
            tokio::time::sleep(PAUSE).await;
        }
        network.know(contact.clone()).await;
        let answer = match network.ask(contact.peer, DOOR, &question, PATIENCE).await {
            Ok(answer) => answer,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        match wire::JoinAnswer::decode(answer).ok().and_then(|answer| answer.kind) {
            Some(Kind::Welcome(welcome)) => {
                let others: Option<Vec<(u64, Contact)>> = welcome.nodes.iter().map(of_wire).collect();
                let others = others.unwrap_or_default();
                return Ok(Identity {
                    realm: token.realm,
                    node: welcome.node,
                    boot: 0,
                    nonce: 0,
                    took_part: false,
                    others,
                });
            }
            Some(Kind::Refused(reason)) => return Err(RealmError::Refused(reason)),
            None => failures.push(format!("{} does not speak this version", contact.peer)),
        }
    }
    Err(RealmError::Unreachable(failures.join("; ")))
}

/// Answers whoever has an invitation.
pub(super) struct JoinDoor(pub(super) Weak<Inner>);

impl Door for JoinDoor {
    fn answer(&self, peer: Peer, question: Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send + '_>> {
        Box::pin(async move {
            let refused = |reason: &str| Some(Kind::Refused(reason.to_owned()));
            let kind = match (self.0.upgrade(), wire::JoinQuestion::decode(question)) {
                (Some(realm), Ok(question)) => match let_in(&Realm(realm), peer, question).await {
                    Ok(welcome) => Some(Kind::Welcome(welcome)),
                    Err(error) => refused(&error.to_string()),
                },
                (None, _) => refused("this node is stopping"),
                (_, Err(_)) => refused("the question is malformed"),
            };
            wire::JoinAnswer { kind }.encode_to_vec().into()
        })
    }
}

/// Lets a peer in whose invitation is good. The same peer may ask again, and gets the same answer.
async fn let_in(
    realm: &Realm,
    peer: Peer,
    question: wire::JoinQuestion,
) -> Result<wire::Welcome, RealmError> {
    let refuse = |reason: &str| Err(RealmError::Refused(reason.to_owned()));
    let (kv, key) = (&realm.0.kv, Invitation::key(question.number));
    if question.realm[..] != realm.id().0 {
        return refuse("the invitation is of another realm");
    }
    let labels = check(&question)?;
    for _ in 0..TRIES_MAX {
        let entry = kv.get(records::INVITATIONS, key.as_bytes(), Consistency::Linearizable).await?;
        let Some(entry) = entry else { return refuse("there is no such invitation") };
        let Ok(invitation) = serde_json::from_slice::<Invitation>(&entry.value) else {
            return refuse("the invitation cannot be read");
        };
        if invitation.hash != blake3::hash(&question.secret).to_hex().as_str() {
            return refuse("the invitation's proof is wrong");
        }
        match invitation.used {
            Some((user, node)) if user == peer => return welcome(realm, node).await,
            Some(_) => return refuse("the invitation has been used: each is for one node"),
            None if invitation.expires_at_ms <= clock::now_ms() => {
                return refuse("the invitation has expired");
            }
            None => {}
        }
        let known = realm.0.nodes.borrow().clone();
        let is = known
            .nodes
            .values()
            .find(|view| view.record.peer == peer && view.record.state != NodeState::Removed);
        if let Some(view) = is {
            return refuse(&format!("this peer is node {} already", view.record.node));
        }
        let node = kv.increment(records::REALM, records::LAST_NODE.as_bytes(), 1, None).await?.value;
        let record = NodeRecord {
            node,
            peer,
            addresses: question.addresses.clone(),
            name: question.name.clone(),
            labels: labels.clone(),
            state: NodeState::Member,
            version: question.version.clone(),
            boot: 0,
            nonce: 0,
            joined_at_ms: clock::now_ms(),
        };
        if enter(realm, &key, &entry, invitation, &record).await? {
            tracing::info!(node, %peer, "a node was let in");
            return welcome(realm, node).await;
        }
    }
    refuse("the invitation is being used by another")
}

/// Uses the invitation and writes the record, both or neither. False: the invitation changed at the same time.
async fn enter(
    realm: &Realm,
    key: &str,
    entry: &Entry,
    invitation: Invitation,
    record: &NodeRecord,
) -> Result<bool, RealmError> {
    let kv = &realm.0.kv;
    let unwritable = |error: serde_json::Error| RealmError::Refused(error.to_string());
    let used = Invitation { used: Some((record.peer, record.node)), ..invitation };
    let path = kv.path(records::INVITATIONS, key.as_bytes())?;
    let node = kv.path(records::NODES, NodeRecord::key(record.node).as_bytes())?;
    let require = vec![
        Condition { path: path.clone(), expect: Expect::Revision(entry.revision) },
        Condition { path: node.clone(), expect: Expect::Absent },
    ];
    let put = |path, value: Vec<u8>| Mutation::Put { path, value: Bytes::from(value), lease: None };
    let then = vec![
        put(path, serde_json::to_vec(&used).map_err(unwritable)?),
        put(node, serde_json::to_vec(record).map_err(unwritable)?),
    ];
    Ok(kv.batch(Txn { require, then }, None).await?.value == TxnOutcome::Committed)
}

/// What a stranger says of itself is bounded before it is kept.
fn check(question: &wire::JoinQuestion) -> Result<BTreeMap<String, String>, RealmError> {
    let fits = |text: &String| text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control);
    let labels_fit = question.labels.len() <= LABELS_MAX
        && question.labels.iter().all(|(name, value)| fits(name) && fits(value));
    let addresses_fit = question.addresses.len() <= 16 && question.addresses.iter().all(fits);
    if !labels_fit || !addresses_fit || !fits(&question.name) || !fits(&question.version) {
        let reason = "names, labels and addresses have at most 128 bytes each, and are 32 and 16 at most";
        return Err(RealmError::Refused(reason.into()));
    }
    Ok(question.labels.clone().into_iter().collect())
}

async fn welcome(realm: &Realm, node: u64) -> Result<wire::Welcome, RealmError> {
    let here =
        Contact { peer: realm.0.network.me(), addresses: realm.0.network.addresses().borrow().clone() };
    let mut nodes = vec![to_wire(&here, realm.me())];
    let known = realm.0.nodes.borrow().clone();
    let others = known.nodes.values().map(|view| &view.record);
    let others = others.filter(|record| record.node != node && record.node != realm.me());
    let others = others.filter(|record| record.state != NodeState::Removed);
    nodes.extend(others.map(|record| to_wire(&record.contact(), record.node)));
    Ok(wire::Welcome { node, nodes })
}
