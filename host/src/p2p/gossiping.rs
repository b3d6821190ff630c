//! The network's part of [`super::gossip`]: what is published goes out, what comes in is judged, and whoever passes on
//! what no honest member does loses score, until it is not heard any more.

mod budget;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use libp2p::gossipsub::{
    self, ConfigBuilder, Event, IdentTopic, MaxCountSubscriptionFilter, Message, MessageAcceptance,
    MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, PublishError, ValidationMode,
    Version,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::budget::Budget;
use super::admission::{Admission, Standing};
use super::config::P2pConfig;
use super::gossip::{Gossip, GossipTopic, Listener, Lost, Publication, Shared, TOPICS_MAX, Verdict};
use super::key::Key;
use super::members::{Gossipsub, Members, Ours, Told};
use super::peer::Peer;

/// Gossipsub of Matrix OS.
const PROTOCOL: &str = "/matrix/gossip/1";
/// What this node publishes in a second, in bytes, so that the network's one thread has time for the lanes.
const BYTES_PER_SECOND: u32 = 8 << 20;
/// What is taken of one member in a second: an honest one stays below it, also after a pause of the network.
const BYTES_PER_SECOND_MAX: u32 = 2 * BYTES_PER_SECOND;
/// Topics that are entered and left at one look, and the time until the next: guests may change their minds often, and
/// all members are told.
const WISHES: (usize, Duration) = (64, Duration::from_millis(10));
/// Messages that wait for one peer; those beyond are lost to it. Frames leave one by one, by a stream of their own, so
/// that at most one stands in front of what other lanes send.
const WAITING_MAX: usize = 256;
/// The longest frame is as long at least: it holds the names of all topics of a node.
const FRAME_BYTES_MIN: usize = 1 << 20;
/// What a frame takes beyond a message's bytes: names and a signature, and what was read of the next frame.
const FRAME_BYTES_MORE: usize = 64 << 10;
/// The most ids of messages that a peer tells of, or asks for, at a time.
const IDS_MAX: usize = 5_000;
/// For how long gossipsub remembers which messages it has seen. What comes again later is late.
const SEEN: Duration = Duration::from_secs(10);
/// For how many heartbeats, of a second, a message is kept for members that lost it; for how many it is told of.
const HISTORY: (usize, usize) = (3, 2);
/// Penalties for what is hidden from others by it: a peer at this score is told nothing that it can ask for; at this
/// one nothing; at this one it is not heard.
const THRESHOLDS: [f64; 3] = [-10.0, -50.0, -80.0];
/// What a message costs that no honest member says.
const MALFORMED: f64 = 20.0;
/// What a message costs that an honest member may say or pass on, and the most that such messages add up to: members
/// do not learn at the same moment who is new, and a network that stood still brings much at once.
const DOUBTFUL: (f64, f64) = (1.0, 40.0);
/// The most that a peer can owe.
const OWED_MAX: f64 = 1_000.0;
/// How long the score of a peer that has gone is kept.
const KEPT: Duration = Duration::from_secs(600);

/// Gossipsub with our bounds, among members. An error says what is wrong with the settings.
pub(super) fn behaviour(key: &Key, config: &P2pConfig, admission: Admission) -> Result<Members, String> {
    let settings = ConfigBuilder::default()
        .protocol_id(PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(id_of)
        .max_transmit_size(FRAME_BYTES_MIN.max(config.gossip_bytes_max + FRAME_BYTES_MORE))
        .connection_handler_queue_len(WAITING_MAX)
        // Names and ids fill a frame, but not more.
        .max_control_message_size(FRAME_BYTES_MIN)
        .max_control_messages_sent(IDS_MAX)
        .duplicate_cache_time(SEEN)
        .history_length(HISTORY.0)
        .history_gossip(HISTORY.1)
        .build()
        .map_err(|error| error.to_string())?;
    let make = || -> Result<Gossipsub, String> {
        let filter = MaxCountSubscriptionFilter {
            filter: Ours,
            max_subscribed_topics: TOPICS_MAX,
            max_subscriptions_per_request: TOPICS_MAX,
        };
        let signed = MessageAuthenticity::Signed(key.0.clone());
        let mut made = Gossipsub::new_with_subscription_filter(signed, settings.clone(), filter)?;
        made.with_peer_score(score(), thresholds())?;
        Ok(made)
    };
    Members::new(make()?, make()?, admission).ok_or_else(|| "it takes no connection".to_owned())
}

/// Named by who signed it and by the number that it was given, which is signed too: an id that the message brought
/// along could be made that of somebody else's, which would then be lost.
fn id_of(message: &Message) -> MessageId {
    let mut id = message.source.map(|source| source.to_bytes()).unwrap_or_default();
    id.extend_from_slice(&message.sequence_number.unwrap_or_default().to_be_bytes());
    MessageId::from(id)
}

/// Members are known by their keys, many may share an address, and one that is slow means no harm. Scores by topic are
/// not kept: gossipsub never forgets them, and guests name topics.
fn score() -> PeerScoreParams {
    PeerScoreParams {
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        slow_peer_weight: 0.0,
        behaviour_penalty_threshold: 6.0,
        retain_score: KEPT,
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    let [gossip_threshold, publish_threshold, graylist_threshold] = THRESHOLDS;
    PeerScoreThresholds {
        gossip_threshold,
        publish_threshold,
        graylist_threshold,
        ..PeerScoreThresholds::default()
    }
}

/// What the rooms above want done.
pub(super) enum Work {
    Publish(Publication),
    /// Listen to other topics than before.
    Wishes,
}

/// The network's part.
pub(super) struct Gossiping {
    shared: Arc<Shared>,
    publications: mpsc::Receiver<Publication>,
    pub(super) listener: Option<Arc<dyn Listener>>,
    /// The topics that are listened to, and the number of each member's newest message there.
    topics: HashMap<GossipTopic, HashMap<PeerId, u64>>,
    /// What is to be entered (true) and left next, and when it was looked at.
    wishes: VecDeque<(GossipTopic, bool)>,
    looked: Instant,
    /// What this node may still publish, and other members.
    own: Budget,
    budgets: HashMap<PeerId, Budget>,
    /// What peers owe: their score, with its sign turned.
    owed: HashMap<PeerId, f64>,
}

impl Gossiping {
    pub(super) fn new(gossip: &Gossip, publications: mpsc::Receiver<Publication>) -> Self {
        let now = Instant::now();
        Self {
            shared: gossip.0.clone(),
            publications,
            listener: None,
            topics: HashMap::new(),
            wishes: VecDeque::new(),
            looked: now,
            own: Budget::new(BYTES_PER_SECOND, now),
            budgets: HashMap::new(),
            owed: HashMap::new(),
        }
    }

    /// Waits for something to do, and until there is time for it.
    pub(super) async fn next(&mut self) -> Work {
        let Self { shared, publications, wishes, looked, own, .. } = self;
        let published = async {
            sleep_until(own.ready()).await;
            publications.recv().await
        };
        let wished = async {
            sleep_until(*looked + WISHES.1).await;
            if wishes.is_empty() {
                shared.wished.notified().await;
            }
        };
        tokio::select! {
            Some(publication) = published => Work::Publish(publication),
            () = wished => Work::Wishes,
        }
    }

    /// Does it.
    pub(super) fn work(&mut self, work: Work, members: &mut Members) {
        match work {
            Work::Publish(publication) => self.publish(publication, members),
            Work::Wishes => self.fulfil(members),
        }
    }

    fn fulfil(&mut self, members: &mut Members) {
        // All of one look before those of the next: who changes its mind often keeps nobody waiting for ever.
        if self.wishes.is_empty() {
            self.wishes.extend(self.shared.take_wishes());
        }
        self.looked = Instant::now();
        for _ in 0..WISHES.0 {
            let Some((topic, listen)) = self.wishes.pop_front() else { return };
            let named = IdentTopic::new(topic.hash().into_string());
            if !listen {
                self.topics.remove(&topic);
                members.gossipsub().unsubscribe(&named);
            } else if members.gossipsub().subscribe(&named).is_ok() {
                self.topics.entry(topic).or_default();
            }
        }
    }

    fn publish(&mut self, publication: Publication, members: &mut Members) {
        let Publication { topic, bytes } = publication;
        self.shared.taken(bytes.len());
        self.own.take(bytes.len(), Instant::now());
        match members.gossipsub().publish(topic.hash(), bytes) {
            // Whoever listened has gone; a queue that is full is told of by itself.
            Ok(_) | Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "a message to a topic is not published");
                self.lost(Lost::Failed, 1);
            }
        }
    }

    /// Takes what is told.
    pub(super) fn take(&mut self, told: Told, members: &mut Members, admission: &Admission) {
        let event = match told {
            Told::Gossip(event) => *event,
            Told::Malformed(peer, count) => {
                tracing::debug!(%peer, count, "what a member says of topics is malformed");
                self.lost(Lost::Malformed, count);
                let cost = MALFORMED * count.min(OWED_MAX as u64) as f64;
                return self.owe(peer, cost, OWED_MAX, members.gossipsub());
            }
        };
        match event {
            Event::Message { propagation_source: from, message_id, message } => {
                let verdict = self.judge(from, message, members.gossipsub(), admission);
                let acceptance = match verdict {
                    Verdict::Accept => MessageAcceptance::Accept,
                    Verdict::Ignore => MessageAcceptance::Ignore,
                    Verdict::Reject => MessageAcceptance::Reject,
                };
                members.gossipsub().report_message_validation_result(&message_id, &from, acceptance);
            }
            Event::Subscribed { peer_id, topic } => self.note(peer_id, &topic, true),
            Event::Unsubscribed { peer_id, topic } => self.note(peer_id, &topic, false),
            Event::SlowPeer { failed_messages, .. } => {
                self.lost(Lost::Slow, failed_messages.non_priority as u64);
            }
            Event::GossipsubNotSupported { peer_id } => {
                tracing::warn!(%peer_id, "a member does not speak of topics");
            }
        }
    }

    fn judge(
        &mut self,
        from: PeerId,
        message: Message,
        gossipsub: &mut Gossipsub,
        admission: &Admission,
    ) -> Verdict {
        let topic = GossipTopic::of(&message.topic);
        // Left meanwhile.
        let Some((topic, newest)) = topic.and_then(|topic| Some((topic, self.topics.get_mut(&topic)?)))
        else {
            return Verdict::Ignore;
        };
        // Strict validation lets no message pass without them.
        let (Some(source), Some(number)) = (message.source, message.sequence_number) else {
            return Verdict::Reject;
        };
        match admission.standing(Peer(source)) {
            Standing::Member => {}
            standing => {
                tracing::debug!(%source, %from, ?standing, "a message of one who is no member");
                let (cost, most) =
                    if standing == Standing::Stranger { DOUBTFUL } else { (MALFORMED, OWED_MAX) };
                self.owe(from, cost, most, gossipsub);
                self.lost(Lost::NotMember, 1);
                return Verdict::Reject;
            }
        }
        if newest.get(&source).is_some_and(|newest| *newest >= number) {
            // Those behind this node got the later one from it, too.
            self.lost(Lost::Late, 1);
            return Verdict::Ignore;
        }
        newest.insert(source, number);
        let now = Instant::now();
        let budget = self.budgets.entry(source).or_insert_with(|| Budget::new(BYTES_PER_SECOND_MAX, now));
        if !budget.take(message.data.len(), now) {
            self.lost(Lost::Flood, 1);
            self.owe(source, DOUBTFUL.0, DOUBTFUL.1, gossipsub);
            return Verdict::Ignore;
        }
        let Some(listener) = &self.listener else { return Verdict::Ignore };
        let verdict = listener.heard(topic, Peer(source), message.data.into());
        if verdict == Verdict::Reject {
            self.owe(from, MALFORMED, OWED_MAX, gossipsub);
            if source != from {
                self.owe(source, MALFORMED, OWED_MAX, gossipsub);
            }
        }
        verdict
    }

    /// Adds to what a peer owes, if that is less than `most`.
    fn owe(&mut self, peer: PeerId, cost: f64, most: f64, gossipsub: &mut Gossipsub) {
        let owed = self.owed.entry(peer).or_default();
        if *owed < most {
            *owed = (*owed + cost).min(most);
            gossipsub.set_application_score(&peer, -*owed);
        }
    }

    /// Halves what is owed, and forgets who has published little; called at a steady pace.
    pub(super) fn forgive(&mut self, members: &mut Members) {
        let now = Instant::now();
        self.budgets.retain(|_, budget| !budget.is_full(now));
        self.owed.retain(|peer, owed| {
            *owed = if *owed < 1.0 { 0.0 } else { *owed / 2.0 };
            members.gossipsub().set_application_score(peer, -*owed);
            *owed > 0.0
        });
    }

    /// A peer is connected that was not. Its numbers begin with the time of its start, and clocks are set back.
    pub(super) fn met(&mut self, peer: PeerId) {
        self.topics.values_mut().for_each(|newest| {
            newest.remove(&peer);
        });
    }

    /// A peer is connected no more.
    pub(super) fn gone(&self, peer: PeerId) {
        self.shared.gone(peer);
    }

    fn note(&self, peer: PeerId, topic: &gossipsub::TopicHash, listens: bool) {
        if let Some(topic) = GossipTopic::of(topic) {
            self.shared.note(topic, peer, listens);
        }
    }

    fn lost(&self, why: Lost, count: u64) {
        if let Some(listener) = &self.listener {
            listener.lost(why, count);
        }
    }
}

#[cfg(test)]
mod tests;
