//! Messages that came before their recipient did. Nodes learn one after another where somebody lives; a message that
//! overtakes the news waits here for a moment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::envelope::{Address, Envelope};
use super::mailbox::Mailbox;

/// The most messages that wait, for all recipients together.
const MESSAGES_MAX: usize = 4_096;
/// The most bytes of their bodies.
const BYTES_MAX: usize = 16 << 20;
/// How long they wait at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// The messages.
#[derive(Debug, Default)]
pub(super) struct Limbo(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    messages: HashMap<Address, Vec<(Instant, Envelope)>>,
    count: usize,
    bytes: usize,
}

/// What became of a message that came early.
pub(super) enum Early {
    /// It waits.
    Waiting,
    /// Its recipient has come meanwhile.
    Settled(Box<Envelope>, Arc<Mailbox>),
    /// Too many wait.
    TooMany(Box<Envelope>),
}

impl Limbo {
    /// Lets a message wait, unless its recipient is there after all.
    pub(super) fn wait(
        &self,
        envelope: Envelope,
        is_here: impl FnOnce(&Address) -> Option<Arc<Mailbox>>,
    ) -> Early {
        let mut early = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Looked at under the lock: whoever settles does so under it too.
        if let Some(mailbox) = is_here(&envelope.recipient) {
            return Early::Settled(Box::new(envelope), mailbox);
        }
        let bytes = envelope.content.body.len();
        if early.count >= MESSAGES_MAX || early.bytes + bytes > BYTES_MAX {
            return Early::TooMany(Box::new(envelope));
        }
        early.count += 1;
        early.bytes += bytes;
        early.messages.entry(envelope.recipient.clone()).or_default().push((Instant::now(), envelope));
        Early::Waiting
    }

    /// Takes out what has waited in vain.
    pub(super) fn late(&self) -> Vec<Envelope> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).late(Instant::now())
    }

    /// Gives `push` what waits for an address, and then lets `insert` make it known.
    pub(super) fn settle(&self, address: &Address, push: impl FnMut(Envelope), insert: impl FnOnce()) {
        let mut early = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        early.take(address).into_iter().for_each(push);
        insert();
    }
}

impl Queue {
    fn take(&mut self, address: &Address) -> Vec<Envelope> {
        let taken = self.messages.remove(address).unwrap_or_default();
        self.count -= taken.len();
        self.bytes -= taken.iter().map(|(_, envelope)| envelope.content.body.len()).sum::<usize>();
        taken.into_iter().map(|(_, envelope)| envelope).collect()
    }

    /// Takes out all for whom the first message has waited too long.
    fn late(&mut self, now: Instant) -> Vec<Envelope> {
        let is_late = |messages: &Vec<(Instant, Envelope)>| {
            messages.first().is_some_and(|(since, _)| now.duration_since(*since) >= PATIENCE)
        };
        let late = self.messages.iter().filter(|(_, messages)| is_late(messages));
        let late: Vec<Address> = late.map(|(address, _)| address.clone()).collect();
        late.iter().flat_map(|address| self.take(address)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::envelope;
    use super::*;

    #[test]
    fn what_came_early_goes_first_and_in_order() {
        let limbo = Limbo::default();
        for text in ["a", "b"] {
            assert!(matches!(limbo.wait(envelope(text), |_| None), Early::Waiting));
        }
        let neo: Address = "soul:neo".parse().expect("an address");
        let (mut pushed, mut inserted) = (Vec::new(), false);
        limbo.settle(&neo, |envelope| pushed.push(envelope.content.body), || inserted = true);
        assert_eq!((pushed, inserted), (vec!["a".into(), "b".into()], true));
        let (mailbox, _inbox) = Mailbox::new(1);
        assert!(matches!(limbo.wait(envelope("c"), |_| Some(mailbox)), Early::Settled(..)));
        limbo.settle(&neo, |_| panic!("nothing waits any more"), || {});
    }

    #[test]
    fn it_is_bounded() {
        let limbo = Limbo::default();
        for _ in 0..MESSAGES_MAX {
            assert!(matches!(limbo.wait(envelope("a"), |_| None), Early::Waiting));
        }
        assert!(matches!(limbo.wait(envelope("a"), |_| None), Early::TooMany(_)));
        assert!(limbo.late().is_empty());
        let late = limbo.0.lock().expect("mine").late(Instant::now() + PATIENCE);
        assert_eq!(late.len(), MESSAGES_MAX);
        assert!(matches!(limbo.wait(envelope("a"), |_| None), Early::Waiting));
    }
}
