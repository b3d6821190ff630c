//! Messages that have come to stay. A receipt says so: the mailbox of most recipients gives it as soon as it has the
//! message; a recipient that keeps every turn gives it once the turn is kept that handled the message. What a sender keeps
//! until it has a receipt, and sends again under the same id, such a recipient handles once, whatever ends meanwhile.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::directory::Route;
use super::envelope::{Address, Envelope, Reply, ReplyTo, SendError};
use super::mailbox::{Mailbox, Refused};
use super::router::{Draft, Router, Stamp};
use crate::clock;
use crate::ids::{Digest, MessageId};

impl Stamp {
    /// A stamp with an id that its sender answers for: a message with the same one is the same message.
    pub fn named(id: MessageId) -> Self {
        Self { id, sent_at_ms: clock::now_ms() }
    }
}

/// The id of the message that these texts name, told apart from all others by them alone.
pub fn named(texts: &[&str]) -> MessageId {
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    let digest = Digest::of(&bytes);
    MessageId(digest.as_bytes().iter().take(16).fold(0, |sum: u128, &byte| sum << 8 | u128::from(byte)))
}

/// What became of a message that its sender keeps.
#[derive(Debug)]
pub enum Posted {
    /// Nobody gives receipts for it.
    Left,
    /// The receipt comes here, or an error; neither, where whoever had it is gone.
    Under(oneshot::Receiver<Reply>),
}

impl Router {
    /// A message, stamped, as its sender keeps it until there is a receipt.
    ///
    /// # Errors
    /// What is known now of why it will never arrive.
    pub fn letter(&self, draft: Draft, stamp: Stamp) -> Result<Envelope, SendError> {
        let letter = draft.stamped(stamp);
        let checked = self.check(&letter, self.directory().route(&letter.recipient).as_ref());
        checked.inspect_err(|error| self.undelivered(error))?;
        Ok(letter)
    }

    /// Sends a message that its sender keeps; of topics there are no receipts.
    ///
    /// # Errors
    /// Those of [`Router::send`].
    pub fn post(&self, letter: &Envelope) -> Result<Posted, SendError> {
        let (caller, receipt) = oneshot::channel();
        let is_topic = matches!(letter.recipient, Address::Topic(_));
        let reply_to = if is_topic { ReplyTo::Sender } else { ReplyTo::Caller(caller) };
        let envelope = Envelope {
            sender: letter.sender.clone(),
            recipient: letter.recipient.clone(),
            content: letter.content.clone(),
            reply_to,
            receipt: !is_topic,
            ..*letter
        };
        let route = self.directory().route(&letter.recipient);
        let sent =
            self.check(&envelope, route.as_ref()).and_then(|()| self.forward(envelope, route.as_ref()));
        sent.inspect_err(|error| self.undelivered(error))?;
        Ok(if is_topic { Posted::Left } else { Posted::Under(receipt) })
    }

    /// Sends a message, and waits for its receipt, for at most `timeout`. After an error that does not say that the
    /// message was refused it may be handled all the same: sent again under the same id, it is handled once by whoever
    /// keeps every turn.
    ///
    /// # Errors
    /// Those of [`Router::send`]; `DeadlineExceeded`; `Failed`, where the recipient did.
    pub async fn send_for_good(
        &self,
        draft: Draft,
        stamp: Option<Stamp>,
        timeout: Duration,
    ) -> Result<MessageId, SendError> {
        let stamp = stamp.unwrap_or_else(|| self.stamp_now());
        if matches!(draft.recipient, Address::Topic(_)) {
            return self.send_stamped(draft, stamp);
        }
        let (caller, receipt) = oneshot::channel();
        let deadline = Instant::now() + timeout;
        let route = self.found_by(&draft.recipient, deadline).await?;
        let reply_to = ReplyTo::Caller(caller);
        let envelope = Envelope { deadline: Some(deadline), reply_to, receipt: true, ..draft.stamped(stamp) };
        let _asked = matches!(route, Some(Route::There(_))).then(|| self.remotes().asked(stamp.id));
        let sent =
            self.check(&envelope, route.as_ref()).and_then(|()| self.forward(envelope, route.as_ref()));
        sent.inspect_err(|error| self.undelivered(error))?;
        match tokio::time::timeout_at(deadline.into(), receipt).await {
            Ok(Ok(given)) => given.map(|_| stamp.id),
            Ok(Err(_)) => Err(SendError::Unreachable),
            Err(_) => Err(SendError::DeadlineExceeded),
        }
    }
}

/// Puts a message into a mailbox. Who waits for a receipt has it by that, unless the owner gives it.
#[expect(clippy::result_large_err, reason = "a message that is given back is not copied to the heap first")]
#[inline]
pub(super) fn accept(mailbox: &Mailbox, envelope: Envelope) -> Result<(), (Envelope, Refused)> {
    match envelope.receipt && !mailbox.gives_receipts() {
        true => accept_and_tell(mailbox, envelope),
        false => mailbox.push(envelope),
    }
}

#[expect(clippy::result_large_err, reason = "a message that is given back is not copied to the heap first")]
fn accept_and_tell(mailbox: &Mailbox, mut envelope: Envelope) -> Result<(), (Envelope, Refused)> {
    let waiting = std::mem::replace(&mut envelope.reply_to, ReplyTo::Sender);
    envelope.receipt = false;
    match mailbox.push(envelope) {
        Ok(()) => {
            match waiting {
                ReplyTo::Sender => {}
                // A caller who gave up wants nothing any more.
                ReplyTo::Caller(caller) => drop(caller.send(Ok(None))),
                ReplyTo::Remote(caller) => caller.answer(&Ok(None)),
            }
            Ok(())
        }
        Err((envelope, refused)) => Err((Envelope { reply_to: waiting, receipt: true, ..envelope }, refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::router::TransportConfig;
    use super::super::testing::{content, envelope};
    use super::*;
    use crate::kv::Roster;
    use crate::telemetry::{Telemetry, TelemetryConfig};
    use crate::transport::room::Room;

    fn router() -> Router {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        let metrics = telemetry.metrics().transport.clone();
        Router::new(&TransportConfig::default(), 1, Roster::default(), metrics)
    }

    fn draft() -> Draft {
        Draft {
            sender: "client:trinity".parse().expect("an address"),
            recipient: "soul:neo".parse().expect("an address"),
            content: content("hi"),
            in_reply_to: None,
            hops: 0,
            trace: None,
        }
    }

    #[test]
    fn names_are_told_apart_by_their_parts() {
        assert_eq!(named(&["a", "b"]), named(&["a", "b"]));
        let all = [named(&["a", "b"]), named(&["ab", ""]), named(&["", "ab"]), named(&["ab"])];
        assert!((1..all.len()).all(|place| !all[..place].contains(&all[place])), "{all:?}");
    }

    #[tokio::test]
    async fn most_mailboxes_give_a_receipt_as_soon_as_they_have_the_message() {
        let router = router();
        let (mailbox, mut inbox) = Mailbox::new(1);
        router.directory().insert("soul:neo".parse().expect("an address"), mailbox);
        let stamp = Stamp::named(MessageId(7));
        let sent = router.send_for_good(draft(), Some(stamp), Duration::from_secs(9)).await;
        assert_eq!(sent, Ok(MessageId(7)));
        let mut batch = Vec::new();
        inbox.drain(&mut batch, 9);
        assert!(matches!(batch[0].reply_to, ReplyTo::Sender) && !batch[0].receipt, "{batch:?}");
    }

    #[tokio::test]
    async fn who_keeps_turns_gives_receipts_itself_and_one_that_is_refused_still_waits() {
        let router = router();
        let (mailbox, mut inbox) = Mailbox::keeping(Room::new(usize::MAX), 1);
        router.directory().insert("soul:neo".parse().expect("an address"), mailbox.clone());
        let letter = router.letter(draft(), Stamp::named(MessageId(7))).expect("a sound message");
        let Ok(Posted::Under(mut receipt)) = router.post(&letter) else { panic!("it has room") };
        assert!(receipt.try_recv().is_err(), "it is not handled yet");
        assert!(matches!(router.post(&letter), Err(SendError::MailboxFull)));
        let mut batch = Vec::new();
        inbox.drain(&mut batch, 9);
        let ReplyTo::Caller(caller) = batch.remove(0).reply_to else { panic!("its sender waits") };
        caller.send(Ok(None)).expect("its sender waits");
        assert_eq!(receipt.try_recv(), Ok(Ok(None)));
        drop(inbox);
        assert!(matches!(router.post(&letter), Err(SendError::Unreachable)), "it may come back");
        let (caller, _kept) = oneshot::channel();
        let waits = Envelope { receipt: true, reply_to: ReplyTo::Caller(caller), ..envelope("x") };
        let (back, _) = accept(&mailbox, waits).expect_err("it is closed");
        assert!(back.receipt && matches!(back.reply_to, ReplyTo::Caller(_)));
    }
}
