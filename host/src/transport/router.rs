//! The way of every message: bounds, directory, decision, mailbox.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use super::config::TransportConfig;
use super::decide::{Bounds, Decision, Head, Place, decide};
use super::directory::{Directory, Route};
pub use super::draft::{Answer, Draft, Stamp};
use super::envelope::{Address, CONTENT_TYPE_BYTES_MAX, Envelope, Reply, ReplyTo, SendError};
use super::finding::Homes;
use super::handled::Handled;
use super::limbo::Limbo;
use super::mailbox::{Mailbox, Refused};
use super::receipts::accept;
use super::remote::{Inbound, Outpost, Remotes};
use super::room::Room;
use super::stages::Way;
use super::wire::WireLimits;
use crate::clock;
use crate::ids::{IdBlock, MessageId, MessageIds};
use crate::kv::Roster;
use crate::tasks::Tasks;
use crate::telemetry::instruments::TransportMetrics;

/// Sends messages. Clones are the same router.
#[derive(Debug, Clone)]
pub struct Router(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) directory: Directory,
    ids: MessageIds,
    bounds: Bounds,
    room: Room,
    pub(super) remotes: Remotes,
    pub(super) limbo: Limbo,
    /// It knows this router itself.
    pub(super) homes: OnceLock<Weak<dyn Homes>>,
    pub(super) metrics: TransportMetrics,
}

impl Router {
    /// A router that knows nobody yet. `process` is a random number that tells this process's message
    /// ids from all others; `roster` names the other nodes.
    pub fn new(config: &TransportConfig, process: u64, roster: Roster, metrics: TransportMetrics) -> Self {
        let bounds = Bounds { body_bytes_max: config.body_bytes_max, hops_max: config.hops_max };
        let limits = WireLimits { body_bytes_max: config.body_bytes_max, hops_max: config.hops_max };
        Self(Arc::new(Inner {
            directory: Directory::new(config.topics_max),
            ids: MessageIds::new(process),
            bounds,
            room: Room::new(usize::try_from(config.mailboxes_bytes()).unwrap_or(usize::MAX)),
            remotes: Remotes::new(roster, limits),
            limbo: Limbo::default(),
            homes: OnceLock::new(),
            metrics,
        }))
    }

    /// What all mailboxes of this node may take together.
    pub fn room(&self) -> Room {
        self.0.room.clone()
    }

    /// Another node, as messages see it.
    pub fn outpost(&self, node: u64) -> Arc<Outpost> {
        self.0.remotes.outpost(node)
    }

    /// What takes the messages of other nodes, on their lane; those that are to be judged are so by `guests`.
    pub fn inbound(&self, guests: Tasks) -> Inbound {
        Inbound::new(self.clone(), guests)
    }

    /// Says that an address is one of another node.
    pub fn place(&self, address: Address, node: u64) {
        self.0.directory.insert_remote(address, self.0.remotes.outpost(node));
    }

    pub(super) fn remotes(&self) -> &Remotes {
        &self.0.remotes
    }

    /// Who is where.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// Sends a message; returns once its recipient's mailbox has accepted it. A message to a topic
    /// is accepted when every subscriber here with room has it, and it is on its way to the other nodes;
    /// one without subscribers is accepted too.
    pub fn send(&self, draft: Draft) -> Result<MessageId, SendError> {
        self.send_stamped(draft, self.stamp_now())
    }

    /// [`Router::send`], for a sender that gives stamps of its own.
    pub fn send_stamped(&self, draft: Draft, stamp: Stamp) -> Result<MessageId, SendError> {
        let route = self.0.directory.route(&draft.recipient);
        self.dispatch(draft, stamp, route.as_ref(), ReplyTo::Sender, None)
    }

    /// [`Router::send_stamped`], by a way that the sender has found in the directory before.
    pub fn send_by(&self, draft: Draft, stamp: Stamp, route: &Route) -> Result<MessageId, SendError> {
        self.dispatch(draft, stamp, Some(route), ReplyTo::Sender, None)
    }

    /// A stamp for a message that is sent at `now_ms`, with an id of the sender's own block.
    pub fn stamp(&self, block: &mut IdBlock, now_ms: u64) -> Stamp {
        Stamp { id: self.0.ids.next_of(block, now_ms), sent_at_ms: now_ms }
    }

    pub(super) fn stamp_now(&self) -> Stamp {
        let sent_at_ms = clock::now_ms();
        Stamp { id: self.0.ids.next(sent_at_ms), sent_at_ms }
    }

    /// Sends a message and waits for its reply, for at most `timeout`.
    pub async fn ask(&self, draft: Draft, timeout: Duration) -> Result<Answer, SendError> {
        self.ask_stamped(draft, self.stamp_now(), timeout).await
    }

    /// [`Router::ask`], for a caller that gives a stamp of its own.
    pub async fn ask_stamped(
        &self,
        draft: Draft,
        stamp: Stamp,
        timeout: Duration,
    ) -> Result<Answer, SendError> {
        let (caller, reply) = oneshot::channel();
        let (sender, recipient) = (draft.sender.clone(), draft.recipient.clone());
        if matches!(recipient, Address::Topic(_) | Address::Client(_)) {
            return Err(SendError::UnknownRecipient(recipient));
        }
        let deadline = Instant::now() + timeout;
        let route = self.found_by(&recipient, deadline).await?;
        let caller = ReplyTo::Caller(caller);
        let _asked = matches!(route, Some(Route::There(_))).then(|| self.0.remotes.asked(stamp.id));
        let question = self.dispatch(draft, stamp, route.as_ref(), caller, Some(deadline))?;
        match tokio::time::timeout_at(deadline.into(), reply).await {
            Ok(Ok(reply)) => {
                let reply = self.judge_reply(Way::Inbound, question, (&sender, &recipient), reply);
                reply.map(|content| Answer { question, content })
            }
            // Who comes too late is not handled, and not answered.
            Ok(Err(_)) if Instant::now() >= deadline => Err(SendError::DeadlineExceeded),
            Ok(Err(_)) => Err(SendError::Failed(format!("{recipient} stopped before it answered"))),
            Err(_) => Err(SendError::DeadlineExceeded),
        }
    }

    /// Carries a recipient's answer to whoever wants it. `handled` is the message that it answers.
    pub fn reply(&self, handled: Handled, reply: Reply) {
        let between = (&handled.sender, &handled.recipient);
        let leaving = |reply| self.judge_reply(Way::Outbound, handled.id, between, self.bounded(reply));
        match handled.reply_to {
            // A caller who gave up wants nothing any more.
            ReplyTo::Caller(caller) => drop(caller.send(leaving(reply))),
            ReplyTo::Remote(caller) => caller.answer(&leaving(reply)),
            ReplyTo::Sender => {
                let Ok(Some(content)) = reply else { return };
                if self.0.directory.route(&handled.sender).is_none() {
                    return;
                }
                // A sender without a mailbox, or with a full one, does without the reply: `send`
                // promises acceptance of the message, and `ask` is for those who need the answer.
                let _ = self.send(Draft {
                    sender: handled.recipient,
                    recipient: handled.sender,
                    content,
                    in_reply_to: Some(handled.id),
                    hops: handled.hops,
                    trace: handled.trace,
                });
            }
        }
    }

    /// A reply within the bounds of messages: whoever asks must not be flooded by whom it asks.
    fn bounded(&self, reply: Reply) -> Reply {
        let Ok(Some(content)) = &reply else { return reply };
        let limit = self.0.bounds.body_bytes_max;
        if content.body.len() > limit {
            return Err(SendError::TooLarge { limit: limit as u64 });
        }
        if content.content_type.len() > CONTENT_TYPE_BYTES_MAX {
            return Err(SendError::TooLarge { limit: CONTENT_TYPE_BYTES_MAX as u64 });
        }
        reply
    }

    /// An id for a message that does not pass through a mailbox.
    pub fn next_id(&self) -> MessageId {
        self.0.ids.next(clock::now_ms())
    }

    /// Counts a message that nobody got.
    pub(super) fn undelivered(&self, error: &SendError) {
        self.0.metrics.undelivered.add(error.kind(), 1);
    }

    fn dispatch(
        &self,
        draft: Draft,
        stamp: Stamp,
        route: Option<&Route>,
        reply_to: ReplyTo,
        deadline: Option<Instant>,
    ) -> Result<MessageId, SendError> {
        let result = self.try_dispatch(draft, stamp, route, reply_to, deadline);
        if let Err(error) = &result {
            self.undelivered(error);
        }
        result
    }

    fn try_dispatch(
        &self,
        draft: Draft,
        stamp: Stamp,
        route: Option<&Route>,
        reply_to: ReplyTo,
        deadline: Option<Instant>,
    ) -> Result<MessageId, SendError> {
        let envelope = Envelope { deadline, reply_to, ..draft.stamped(stamp) };
        self.check(&envelope, route)?;
        self.forward(envelope, route)?;
        Ok(stamp.id)
    }

    /// Whether a message may leave on this way.
    #[inline]
    pub(super) fn check(&self, envelope: &Envelope, route: Option<&Route>) -> Result<(), SendError> {
        let head = Head {
            recipient: &envelope.recipient,
            hops: envelope.hops,
            body_bytes: envelope.content.body.len(),
            content_type_bytes: envelope.content.content_type.len(),
        };
        let place = match route {
            Some(Route::Here(_)) => Place::Here,
            Some(Route::There(_)) => Place::There,
            None => Place::Nowhere,
        };
        match decide(head, self.0.bounds, place) {
            Decision::Refuse(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Lets a message leave that has been checked.
    #[inline]
    pub(super) fn forward(&self, mut envelope: Envelope, route: Option<&Route>) -> Result<(), SendError> {
        self.judge_sent(&mut envelope, matches!(route, Some(Route::Here(_))))?;
        match route {
            Some(Route::Here(mailbox)) => match accept(mailbox, envelope) {
                Ok(()) => {}
                // It has moved since the sender looked.
                Err((envelope, Refused::Closed)) if self.moved(&envelope.recipient).is_some() => {
                    let outpost = self.moved(&envelope.recipient).ok_or(SendError::Unreachable)?;
                    self.0.remotes.send(&outpost, envelope)?;
                }
                Err(refused) => return Err(refusal(refused).1),
            },
            Some(Route::There(outpost)) => self.0.remotes.send(outpost, envelope)?,
            None => self.publish(&envelope)?,
        }
        Ok(())
    }

    /// The node that an address has moved to.
    fn moved(&self, address: &Address) -> Option<Arc<Outpost>> {
        match self.0.directory.route(address) {
            Some(Route::There(outpost)) => Some(outpost),
            _ => None,
        }
    }
}

/// Puts a message into a mailbox; what is refused says who waits for an answer.
pub(super) fn push(mailbox: &Mailbox, envelope: Envelope) -> Result<(), (ReplyTo, SendError)> {
    accept(mailbox, envelope).map_err(refusal)
}

fn refusal((envelope, refused): (Envelope, Refused)) -> (ReplyTo, SendError) {
    let error = match refused {
        Refused::Full => SendError::MailboxFull,
        // It may be another's in a moment: whoever wants to be sure tries again.
        Refused::Closed if envelope.receipt => SendError::Unreachable,
        Refused::Closed => SendError::Failed(format!("{} is stopped", envelope.recipient)),
    };
    (envelope.reply_to, error)
}

#[cfg(test)]
mod tests {
    use super::super::testing::content;
    use super::*;
    use crate::telemetry::{Telemetry, TelemetryConfig};

    fn router(config: TransportConfig) -> Router {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        Router::new(&config, 1, Roster::default(), telemetry.metrics().transport.clone())
    }

    fn draft(recipient: &str) -> Draft {
        Draft {
            sender: "soul:neo".parse().expect("an address"),
            recipient: recipient.parse().expect("an address"),
            content: content("hi"),
            in_reply_to: None,
            hops: 0,
            trace: None,
        }
    }

    #[tokio::test]
    async fn ask_is_answered_and_send_is_replied_to_the_mailbox() {
        let router = router(TransportConfig::default());
        let (smith, mut smiths) = Mailbox::new(8);
        let (neo, mut neos) = Mailbox::new(8);
        router.directory().insert("soul:smith".parse().expect("an address"), smith);
        router.directory().insert("soul:neo".parse().expect("an address"), neo);
        let sent = router.send(draft("soul:smith")).expect("smith has a mailbox");
        let answering = async {
            let mut batch = Vec::new();
            while batch.len() < 2 {
                smiths.ready().await;
                smiths.drain(&mut batch, 9);
            }
            for envelope in batch {
                router.reply(Handled::of(envelope).0, Ok(Some(content("yo"))));
            }
        };
        let (answer, ()) = tokio::join!(router.ask(draft("soul:smith"), Duration::from_secs(5)), answering);
        assert_eq!(answer.expect("an answer").content, Some(content("yo")));
        let mut batch = Vec::new();
        neos.drain(&mut batch, 9);
        assert_eq!(batch.iter().map(|e| (e.in_reply_to, e.hops)).collect::<Vec<_>>(), [(Some(sent), 2)]);
    }

    #[tokio::test]
    async fn refusals_are_answers() {
        let router = router(TransportConfig { hops_max: 3, ..Default::default() });
        let nobody = router.send(draft("soul:nobody"));
        assert!(matches!(nobody, Err(SendError::UnknownRecipient(_))));
        let (mailbox, inbox) = Mailbox::new(1);
        router.directory().insert("soul:smith".parse().expect("an address"), mailbox);
        assert_eq!(
            router.send(Draft { hops: 3, ..draft("soul:smith") }),
            Err(SendError::TooManyHops { limit: 3 })
        );
        let silence = router.ask(draft("soul:smith"), Duration::from_millis(5)).await;
        assert!(matches!(silence, Err(SendError::DeadlineExceeded)));
        assert_eq!(router.send(draft("soul:smith")), Err(SendError::MailboxFull));
        drop(inbox);
        assert_eq!(router.send(draft("soul:smith")), Err(SendError::Failed("soul:smith is stopped".into())));
    }
}
