//! What is counted of messages on their way.

use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::{CALL_SECONDS, QuickSecondsBy, Total, TotalBy, TotalByTwo, observe};

/// How full what the transport keeps is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransportFigures {
    /// Messages that wait in mailboxes.
    pub waiting: u64,
    /// The sequence number of the latest event.
    pub events: u64,
    /// Open subscriptions to events.
    pub subscribers: u64,
}

/// What `transport` counts.
#[derive(Debug, Clone)]
pub struct TransportMetrics {
    meter: Meter,
    /// `matrix_messages_delivered_total`: messages that Souls took out of their mailboxes.
    pub delivered: Total,
    /// `matrix_messages_undelivered_total{reason}`: messages that were not accepted, by the name of the
    /// error in `wit/messaging.wit`.
    pub undelivered: TotalBy,
    /// `matrix_topic_messages_total{result}`: messages to topics between nodes: `published`, `received`, `dropped`
    /// (too many waited here), `slow-peer` (too many waited for one peer), `failed`, and those of others that were not
    /// taken: `late`, `flood`, `no-member`, `malformed`, `denied`, `over-limits`.
    pub topics: TotalBy,
}

impl TransportMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        let undelivered = "Messages that were not accepted.";
        Self {
            meter: meter.clone(),
            delivered: Total::new(
                meter,
                "matrix_messages_delivered",
                "Messages that Souls took out of their mailboxes.",
            ),
            undelivered: TotalBy::new(meter, "matrix_messages_undelivered", "reason", undelivered),
            topics: TotalBy::new(
                meter,
                "matrix_topic_messages",
                "result",
                "Messages to topics between nodes.",
            ),
        }
    }

    /// `matrix_mailbox_messages`, `matrix_events`, `matrix_event_subscribers`: looked up by `look`.
    pub fn observe(&self, look: impl Fn() -> TransportFigures + Clone + Send + Sync + 'static) {
        let (waiting, events, subscribers) = (look.clone(), look.clone(), look);
        let description = "Messages that wait in mailboxes.";
        observe(&self.meter, "matrix_mailbox_messages", description, move || waiting().waiting);
        let description = "The sequence number of the latest event.";
        observe(&self.meter, "matrix_events", description, move || events().events);
        let description = "Open subscriptions to events.";
        observe(&self.meter, "matrix_event_subscribers", description, move || subscribers().subscribers);
    }
}

/// What interceptors are counted by: their place in the chain, from 1 on.
#[derive(Debug, Clone)]
pub struct InterceptorMetrics {
    /// `matrix_interceptor_verdicts_total{stage,verdict}`: messages judged, by `pass`, `rewrite`, `reject` or `fail`.
    pub verdicts: TotalByTwo,
    /// `matrix_interceptor_seconds{stage}`: how long it took.
    pub seconds: QuickSecondsBy,
}

impl InterceptorMetrics {
    pub(super) fn new(meter: &Meter, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let (judged, took) = ("Messages that interceptors judged.", "How long interceptors took.");
        let (verdicts, seconds) = ("matrix_interceptor_verdicts", "matrix_interceptor_seconds");
        Ok(Self {
            verdicts: TotalByTwo::new(meter, verdicts, ["stage", "verdict"], judged),
            seconds: QuickSecondsBy::new(registry, seconds, "stage", took, &CALL_SECONDS)?,
        })
    }
}
