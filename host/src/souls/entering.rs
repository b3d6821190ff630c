//! Messages enter a guest: a batch at a time, of a size that suits it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::actor::Actor;
use super::turns;
use crate::runtime::batch::Batch;
use crate::runtime::guest::Crash;
use crate::runtime::state::Moment;
use crate::transport::envelope::{Content, Envelope};

/// The most messages that enter a guest at once.
pub(crate) const BATCH_MAX: usize = 64;
/// How long a batch should take: longer ones would keep other Souls waiting.
const BATCH_TARGET: Duration = Duration::from_millis(1);

/// What a guest made of a batch: one result a message.
type Received = Result<Vec<Result<Option<Content>, String>>, Crash>;

impl Actor {
    /// Whether the guest can wait for answers: then one question enters at a time.
    fn can_wait(&self) -> bool {
        self.component.as_ref().is_some_and(|component| component.info().can_block)
    }

    /// The messages that enter next: suspects first, then what the mailbox holds; without what came too late.
    pub(super) fn next_batch(&mut self) -> Vec<Envelope> {
        let mut envelopes = Vec::new();
        if !self.suspects.take(&mut envelopes) {
            // Who can read a clock sees one message at a time: its time would depend on the batch.
            let sees_time = self.component.as_ref().is_some_and(|component| component.info().sees_time);
            let batches = if self.turns.is_some() { turns::BATCHES } else { 1 };
            let max = if sees_time { 1 } else { self.batch_max * batches };
            let (max, waits) = (self.suspects.at_most(max), self.can_wait());
            self.inbox.drain_apart(&mut envelopes, max, waits);
        }
        if envelopes.iter().any(|envelope| envelope.deadline.is_some()) {
            let now = Instant::now();
            envelopes.retain(|envelope| !envelope.is_late(now));
        }
        envelopes
    }

    /// Lets the guest handle a batch; none: there is none, or no guest.
    pub(crate) async fn enter(&mut self, envelopes: &[Envelope]) -> Option<Received> {
        let first = envelopes.first()?;
        let moment = Moment {
            now_ms: envelopes.iter().map(|e| e.sent_at_ms).max().unwrap_or(0),
            hops: envelopes.iter().map(|e| e.hops).max().unwrap_or(0),
            trace: first.trace,
            // Who can wait, waits no longer than whoever asked.
            deadline: first.deadline.filter(|_| self.can_wait()),
        };
        let count = envelopes.len();
        let span = tracing::debug_span!("receive", soul = %self.manifest.name, messages = count);
        let batch = Batch::of(envelopes);
        let instance = self.life.instance()?;
        let result = tracing::Instrument::instrument(instance.receive(batch, moment), span).await;
        self.active = Instant::now();
        let took = self.active.duration_since(instance.entered());
        self.stopwatch.record(took);
        self.pace(took, count);
        self.status.handled.fetch_add(count as u64, Ordering::Relaxed);
        self.host.metrics.transport.delivered.add(count as u64);
        Some(result)
    }

    /// Finds the number of messages that enter at once, so that a batch takes about `BATCH_TARGET`.
    fn pace(&mut self, took: Duration, count: usize) {
        let each = (took / u32::try_from(count).unwrap_or(u32::MAX).max(1)).max(Duration::from_nanos(1));
        self.inbox.took(each);
        let fits = BATCH_TARGET.as_nanos() / each.as_nanos();
        self.batch_max = usize::try_from(fits).unwrap_or(BATCH_MAX).clamp(1, BATCH_MAX);
    }
}
