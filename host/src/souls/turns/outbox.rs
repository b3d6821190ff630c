//! What a Soul said in turns that are kept, until each recipient has it for good.

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, Stream as _};
use tokio::sync::oneshot::error::RecvError;
use tokio::time::Sleep;

use crate::capabilities::messaging::holding::Room;
use crate::transport::envelope::{Address, Envelope, Reply, SendError};
use crate::transport::receipts::Posted;
use crate::transport::router::Router;
use crate::transport::wire::{self, Frame, WireLimits};

/// The most messages that wait for receipts.
const LETTERS_MAX: usize = 1_024;
/// The most bytes of their bodies: with what is written beside them they fit into one value of the KV.
const BYTES_MAX: usize = 512 * 1024;
/// How long after a failure a message is sent again at first; twice as long each time.
const AGAIN: Duration = Duration::from_millis(20);
/// How long after a failure a message is sent again at last.
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// How long a message is tried that does not arrive.
const PATIENCE: Duration = Duration::from_secs(600);

/// The messages, in the order in which they were said.
#[derive(Default)]
pub(super) struct Outbox {
    letters: BTreeMap<u64, Letter>,
    next: u64,
    bytes: usize,
    under_way: FuturesUnordered<BoxFuture<'static, Receipt>>,
    again: Option<Pin<Box<Sleep>>>,
    pause: Duration,
    /// Some have arrived since the KV was told last.
    changed: bool,
}

/// What came of a message that was sent; an error: whoever had it is gone.
pub(crate) type Receipt = (u64, Result<Reply, RecvError>);

struct Letter {
    envelope: Envelope,
    under_way: bool,
    /// When it was tried first, in this process.
    tried: Option<Instant>,
}

/// What makes an outbox go on.
pub(crate) enum Event {
    /// Something came of a message.
    Receipt(Receipt),
    /// Messages are to be sent again.
    Again,
}

fn limits() -> WireLimits {
    WireLimits { body_bytes_max: BYTES_MAX, hops_max: u16::MAX }
}

/// Messages as the KV holds them: frames of `message.proto`.
fn write<'a>(letters: impl Iterator<Item = &'a Envelope>, out: &mut BytesMut) {
    for letter in letters {
        let written = wire::encode_message(letter, false, Instant::now, &limits(), out);
        // Bounds were checked when it was said.
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

impl Outbox {
    /// Reads what the KV holds.
    pub(super) fn read(bytes: &Bytes) -> Result<Self, String> {
        let (mut outbox, mut input) = (Self::default(), BytesMut::from(&bytes[..]));
        while !input.is_empty() {
            match wire::decode(&mut input, &limits(), Instant::now()).map_err(|error| error.to_string())? {
                Some(Frame::Message { envelope, .. }) => outbox.add([envelope]),
                _ => return Err("a message of its outbox is cut off, or none".to_owned()),
            }
        }
        Ok(outbox)
    }

    /// What the KV is to hold, with messages that are about to be added.
    pub(super) fn write(&self, added: &[Envelope], out: &mut BytesMut) {
        write(self.letters.values().map(|letter| &letter.envelope).chain(added), out);
    }

    /// How much may be added.
    pub(super) fn room(&self) -> Room {
        Room {
            messages: LETTERS_MAX.saturating_sub(self.letters.len()),
            bytes: BYTES_MAX.saturating_sub(self.bytes),
        }
    }

    /// Takes messages in that are kept.
    pub(super) fn add(&mut self, letters: impl IntoIterator<Item = Envelope>) {
        for envelope in letters {
            self.bytes += envelope.content.body.len();
            self.letters.insert(self.next, Letter { envelope, under_way: false, tried: None });
            self.next += 1;
        }
    }

    /// Whether the KV holds messages that have arrived.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// The KV holds what is here.
    pub(super) fn is_kept(&mut self) {
        self.changed = false;
    }

    /// Whether receipts are on their way.
    pub(super) fn is_waiting(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Sends what waits, in order; behind what a recipient does not take now, nothing goes to it.
    pub(super) fn send(&mut self, router: &Router) {
        let (now, mut behind) = (Instant::now(), HashSet::<Address>::new());
        let (mut arrived, mut failed) = (Vec::new(), false);
        for (number, letter) in self.letters.iter_mut().filter(|(_, letter)| !letter.under_way) {
            if behind.contains(&letter.envelope.recipient) {
                continue;
            }
            let tried = *letter.tried.get_or_insert(now);
            match router.post(&letter.envelope) {
                Ok(Posted::Left) => arrived.push(*number),
                Ok(Posted::Under(receipt)) => {
                    let number = *number;
                    letter.under_way = true;
                    self.under_way.push(Box::pin(async move { (number, receipt.await) }));
                }
                Err(error) if may_pass(&error) && now.duration_since(tried) < PATIENCE => {
                    behind.insert(letter.envelope.recipient.clone());
                    failed = true;
                }
                Err(error) => {
                    lost(&letter.envelope, &error);
                    arrived.push(*number);
                }
            }
        }
        arrived.into_iter().for_each(|number| self.remove(number));
        if failed {
            self.wait();
        } else {
            (self.again, self.pause) = (None, AGAIN);
        }
    }

    /// Something came of a message.
    pub(super) fn receive(&mut self, (number, receipt): Receipt) {
        let Some(letter) = self.letters.get_mut(&number) else { return };
        let patient = letter.tried.is_none_or(|tried| tried.elapsed() < PATIENCE);
        match receipt {
            // That the recipient refused it is an answer too.
            Ok(Ok(_) | Err(SendError::Failed(_))) => self.remove(number),
            Ok(Err(error)) if !may_pass(&error) || !patient => {
                lost(&letter.envelope, &error);
                self.remove(number);
            }
            _ => {
                letter.under_way = false;
                self.wait();
            }
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(letter) = self.letters.remove(&number) {
            self.bytes -= letter.envelope.content.body.len();
            self.changed = true;
        }
    }

    fn wait(&mut self) {
        self.pause = self.pause.clamp(AGAIN, AGAIN_MAX);
        if self.again.is_none() {
            self.again = Some(Box::pin(tokio::time::sleep(self.pause)));
            self.pause *= 2;
        }
    }

    /// What happens next; it never comes while nothing waits.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(receipt)) = Pin::new(&mut self.under_way).poll_next(context) {
            return Poll::Ready(Event::Receipt(receipt));
        }
        match &mut self.again {
            Some(again) => {
                let again = again.as_mut().poll(context);
                if again.is_ready() {
                    self.again = None;
                }
                again.map(|()| Event::Again)
            }
            None => Poll::Pending,
        }
    }
}

/// Whether a message may arrive later that did not now. Nodes learn one after another where somebody lives.
fn may_pass(error: &SendError) -> bool {
    matches!(
        error,
        SendError::MailboxFull
            | SendError::Unreachable
            | SendError::UnknownRecipient(_)
            | SendError::DeadlineExceeded
    )
}

fn lost(letter: &Envelope, error: &SendError) {
    let Envelope { id, sender, recipient, .. } = letter;
    tracing::warn!(%id, %sender, %recipient, %error, "a message that was kept does not arrive");
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::ids::MessageId;
    use crate::kv::Roster;
    use crate::telemetry::{Telemetry, TelemetryConfig};
    use crate::transport::envelope::ReplyTo;
    use crate::transport::mailbox::{Inbox, Mailbox};
    use crate::transport::room::Room;
    use crate::transport::router::TransportConfig;
    use crate::transport::testing::{content, envelope};

    fn router() -> Router {
        let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
        let metrics = telemetry.metrics().transport.clone();
        Router::new(&TransportConfig::default(), 1, Roster::default(), metrics)
    }

    fn letter(number: u128, to: &str) -> Envelope {
        let recipient = to.parse().expect("an address");
        Envelope { id: MessageId(number), recipient, content: content(&number.to_string()), ..envelope("") }
    }

    async fn go_on(outbox: &mut Outbox, router: &Router) {
        match poll_fn(|context| outbox.poll(context)).await {
            Event::Receipt(receipt) => outbox.receive(receipt),
            Event::Again => outbox.send(router),
        }
    }

    fn kept(outbox: &Outbox) -> Vec<u128> {
        let mut bytes = BytesMut::new();
        outbox.write(&[], &mut bytes);
        let back = Outbox::read(&bytes.freeze()).expect("as it was written");
        assert_eq!(back.room(), outbox.room());
        back.letters.values().map(|letter| letter.envelope.id.0).collect()
    }

    fn handle(inbox: &mut Inbox, reply: Reply) -> Vec<u128> {
        let mut batch = Vec::new();
        inbox.drain(&mut batch, 99);
        let ids = batch.iter().map(|envelope| envelope.id.0).collect();
        for envelope in batch {
            let ReplyTo::Caller(caller) = envelope.reply_to else { panic!("a letter waits for its receipt") };
            caller.send(reply.clone()).expect("it waits");
        }
        ids
    }

    #[tokio::test]
    async fn letters_stay_until_their_receipts_come_and_keep_their_order() {
        let (router, mut outbox) = (router(), Outbox::default());
        let (mailbox, mut neo) = Mailbox::keeping(Room::new(usize::MAX), 2);
        router.directory().insert("soul:neo".parse().expect("an address"), mailbox);
        outbox.add((1..=4).map(|number| letter(number, "soul:neo")));
        outbox.send(&router);
        assert_eq!(kept(&outbox), [1, 2, 3, 4]);
        // The mailbox holds two: the third waits, and the fourth behind it.
        assert_eq!(handle(&mut neo, Ok(None)), [1, 2]);
        for _ in 0..3 {
            go_on(&mut outbox, &router).await;
        }
        assert_eq!(kept(&outbox), [3, 4]);
        assert_eq!(handle(&mut neo, Err(SendError::Failed("no".into()))), [3, 4]);
        for _ in 0..2 {
            go_on(&mut outbox, &router).await;
        }
        assert!(kept(&outbox).is_empty() && outbox.has_changed() && !outbox.is_waiting());
    }

    #[tokio::test]
    async fn who_is_gone_gets_its_letters_again_and_who_never_comes_loses_them() {
        let (router, mut outbox) = (router(), Outbox::default());
        let (mailbox, neo) = Mailbox::keeping(Room::new(usize::MAX), 2);
        router.directory().insert("soul:neo".parse().expect("an address"), mailbox);
        outbox.add([letter(1, "soul:neo"), letter(2, "soul:nobody"), letter(3, "topic:news")]);
        outbox.send(&router);
        assert_eq!(kept(&outbox), [1, 2], "nobody answers for a topic");
        drop(neo);
        go_on(&mut outbox, &router).await;
        let (mailbox, mut neo) = Mailbox::new(2);
        router.directory().insert("soul:neo".parse().expect("an address"), mailbox);
        while kept(&outbox).contains(&1) {
            go_on(&mut outbox, &router).await;
        }
        let mut batch = Vec::new();
        neo.drain(&mut batch, 9);
        assert_eq!(batch.iter().map(|envelope| envelope.id.0).collect::<Vec<_>>(), [1]);
        assert_eq!(kept(&outbox), [2], "it may still come");
        for letter in outbox.letters.values_mut() {
            letter.tried = Instant::now().checked_sub(PATIENCE);
        }
        outbox.send(&router);
        assert!(kept(&outbox).is_empty());
    }

    #[test]
    fn what_is_cut_off_is_no_outbox() {
        let mut bytes = BytesMut::new();
        write([&letter(1, "soul:neo")].into_iter(), &mut bytes);
        let bytes = bytes.freeze();
        assert!(Outbox::read(&bytes.slice(..bytes.len() - 1)).is_err());
        assert!(Outbox::read(&Bytes::new()).is_ok_and(|outbox| outbox.letters.is_empty()));
    }
}
