//! Messages whose batch crashed. One of them is to blame: each is tried alone, until the culprit is found. The others go
//! on as if it had not been there.
//!
//! A batch is tried again only where nothing of it can have been heard: a Soul that keeps its turns says nothing before
//! a turn is kept, and any other must have said and written nothing when it crashed; nobody may have called anybody outside
//! the realm, where no turn holds anything back. Otherwise all of its senders are told
//! of the crash, as nobody knows which messages were handled, and the next ones enter one by one.

use std::collections::VecDeque;

use serde_json::json;

use super::actor::Actor;
use super::dead;
use super::entering::BATCH_MAX;
use crate::clock;
use crate::runtime::guest::Crash;
use crate::transport::envelope::{Envelope, SendError};
use crate::transport::handled::Handled;

/// What is tried alone.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    /// Messages, and how often each was tried.
    waiting: VecDeque<(u32, Envelope)>,
    /// How often what enters now was tried before.
    tried: u32,
    /// How many messages of the mailbox enter one by one.
    alone: usize,
}

impl Suspects {
    /// Whether messages wait to be tried alone.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes the next one into an empty batch. False: there is none.
    pub(crate) fn take(&mut self, batch: &mut Vec<Envelope>) -> bool {
        let next = self.waiting.pop_front();
        self.tried = next.as_ref().map_or(0, |(tried, _)| *tried);
        batch.extend(next.map(|(_, envelope)| envelope));
        self.tried > 0
    }

    /// How many messages may enter at once, of so many.
    pub(crate) fn at_most(&mut self, max: usize) -> usize {
        if self.alone == 0 {
            return max;
        }
        self.alone -= 1;
        1
    }
}

impl Actor {
    /// The guest crashed over these messages.
    pub(crate) fn fell(&mut self, envelopes: Vec<Envelope>, crash: &Crash) {
        let tried = std::mem::take(&mut self.suspects.tried) + 1;
        let unheard = !self.life.has_called() && (self.turns.is_some() || !self.life.has_acted());
        self.crashed_over(crash, tried > 1);
        let error = SendError::Failed(format!("{} crashed: {crash}", self.manifest.name));
        let is_last = tried >= self.host.config.restart.attempts.max(1) || !unheard;
        if envelopes.len() == 1 && is_last {
            for envelope in envelopes {
                self.bury(&envelope, crash, tried);
                self.refuse(envelope, error.clone());
            }
        } else if unheard && !self.restarts.gave_up() {
            // In front of those that came later.
            for envelope in envelopes.into_iter().rev() {
                self.suspects.waiting.push_front((tried, envelope));
            }
        } else {
            self.suspects.alone = BATCH_MAX;
            envelopes.into_iter().for_each(|envelope| self.refuse(envelope, error.clone()));
        }
    }

    /// Tells the senders of what was to be tried that nobody will.
    pub(crate) fn refuse_suspects(&mut self) {
        let soul = &self.manifest.name;
        let error = SendError::Failed(format!("{soul} crashed, and ended before it tried the message again"));
        for (_, envelope) in std::mem::take(&mut self.suspects.waiting) {
            self.refuse(envelope, error.clone());
        }
    }

    fn refuse(&self, envelope: Envelope, error: SendError) {
        self.host.router.reply(Handled::of(envelope).0, Err(error));
    }

    fn bury(&self, envelope: &Envelope, crash: &Crash, tried: u32) {
        let (host, soul) = (&self.host, &self.manifest.name);
        host.metrics.souls.dead_letters.add(crash.kind(), 1);
        let Envelope { id, sender, .. } = envelope;
        let detail = json!({
            "message": id.to_string(),
            "sender": sender.to_string(),
            "kind": crash.kind(),
            "reason": crash.to_string(),
            "attempts": tried,
        });
        host.report("soul.dead-letter", soul, &detail);
        tracing::warn!(%soul, %id, %sender, attempts = tried, "a message is a dead letter: its Soul does not survive it");
        let letter = dead::write(envelope, &crash.to_string(), tried, clock::now_ms());
        let (kv, soul) = (host.kv.clone(), soul.clone());
        host.tasks.spawn("soul.dead-letter", async move {
            if let Err(error) = dead::bury(&kv, &soul, letter).await {
                tracing::error!(%soul, %error, "a dead letter is lost");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::testing::envelope;

    #[test]
    fn suspects_enter_alone_and_in_their_order() {
        let mut suspects = Suspects::default();
        assert!(!suspects.take(&mut Vec::new()) && !suspects.are_waiting());
        suspects.waiting.extend([(1, envelope("a")), (2, envelope("b"))]);
        for (tried, body) in [(1, "a"), (2, "b")] {
            let mut batch = Vec::new();
            assert!(suspects.are_waiting() && suspects.take(&mut batch));
            assert_eq!(
                (suspects.tried, batch.len(), &batch[0].content.body[..]),
                (tried, 1, body.as_bytes())
            );
        }
        assert!(!suspects.take(&mut Vec::new()));
        suspects.alone = 2;
        assert_eq!([suspects.at_most(9), suspects.at_most(9), suspects.at_most(9)], [1, 1, 9]);
    }
}
