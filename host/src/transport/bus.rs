//! The node's event bus: every room publishes what happens, subscribers choose by filter.
//!
//! Nothing here waits for a subscriber: events are kept in a bounded ring, and a subscriber that comes
//! too late is told exactly which it missed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::ids::{Digest, MatrixName, SoulName};
use crate::telemetry::pattern::PatternError;
use crate::telemetry::ring::{Fill, Reader, Ring, Step};
use crate::transport::envelope::{CONTENT_TYPE_BYTES_MAX, Content};

mod filter;

pub use filter::{FILTER_ITEMS_MAX, Filter};

/// The most bytes in an event's kind; longer ones are cut.
pub const KIND_BYTES_MAX: usize = 128;

/// Media type of the content that stands in for one that was too large to keep.
pub const TOO_LARGE_TYPE: &str = "application/vnd.matrix.too-large";

/// How much the bus keeps, and for how many.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusConfig {
    /// Events kept, at most. Default 16,384: a minute of 270 events a second.
    pub keep_events: usize,
    /// Memory that the kept events take, at most, in bytes. Default 16 MiB.
    pub keep_bytes: usize,
    /// The largest body of an event, in bytes; a larger one is not kept. Default 64 KiB.
    pub event_bytes_max: usize,
    /// Subscriptions at a time, at most. Default 256.
    pub subscribers_max: usize,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self { keep_events: 16_384, keep_bytes: 16 << 20, event_bytes_max: 64 << 10, subscribers_max: 256 }
    }
}

/// Whom an event concerns. Written `node`, `soul:NAME`, `matrix:NAME` or `component:DIGEST`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// The node itself.
    Node,
    /// A Soul.
    Soul(SoulName),
    /// A running Matrix.
    Matrix(MatrixName),
    /// A component.
    Component(Digest),
}

impl Source {
    /// What stands before the name, and the name.
    fn parts(&self) -> (&'static str, Cow<'_, str>) {
        match self {
            Self::Node => ("node", Cow::Borrowed("")),
            Self::Soul(name) => ("soul:", Cow::Borrowed(name.as_str())),
            Self::Matrix(name) => ("matrix:", Cow::Borrowed(name.as_str())),
            Self::Component(digest) => ("component:", Cow::Owned(digest.to_string())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{kind}{name}")
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since the Unix epoch, as the publisher gave it.
    pub at_ms: u64,
    /// A dotted name, such as `soul.failed`; at most [`KIND_BYTES_MAX`] bytes.
    pub kind: Arc<str>,
    /// Whom it concerns.
    pub source: Source,
    /// What happened. Of the media type [`TOO_LARGE_TYPE`] and empty, if it was too large.
    pub content: Content,
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event that passed the filter.
    Event {
        /// Its place among all events since the node started; the first is 1.
        sequence: u64,
        /// What happened.
        event: Arc<Event>,
    },
    /// Events that are no longer kept; some may have passed the filter.
    Missed {
        /// The sequence number of the first.
        from: u64,
        /// The sequence number of the last.
        to: u64,
    },
}

/// Why there is no subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// There are enough of them.
    #[error(
        "{limit} subscriptions are open, and no more are allowed: close one, or raise `bus.subscribers_max`"
    )]
    TooManySubscribers {
        /// The most that the node allows.
        limit: usize,
    },
    /// The filter is longer than is allowed.
    #[error("a filter takes at most {FILTER_ITEMS_MAX} `{field}`, not {given}: use shorter prefixes")]
    FilterTooLong {
        /// Which part of the filter.
        field: &'static str,
        /// How many it has.
        given: usize,
    },
    /// A kind is longer than any event's.
    #[error("a prefix of a kind has at most {KIND_BYTES_MAX} bytes, not {0}")]
    KindTooLong(usize),
    /// A pattern of sources is none.
    #[error(transparent)]
    Source(#[from] PatternError),
    /// The sequence number is beyond the next event's. It may come from before the node's last start.
    #[error("event {from} is not the next: that is {next}; numbers start anew with the node: begin at 0")]
    NotYet {
        /// The number asked for.
        from: u64,
        /// The number that the next event will have.
        next: u64,
    },
}

/// The bus. Clones are the same bus.
#[derive(Debug, Clone)]
pub struct Bus {
    ring: Arc<Ring<Event>>,
    subscribers: Arc<AtomicUsize>,
    config: BusConfig,
}

impl Bus {
    /// An empty bus.
    pub fn new(config: BusConfig) -> Self {
        let ring = Arc::new(Ring::new(config.keep_events, config.keep_bytes));
        Self { ring, subscribers: Arc::default(), config }
    }

    /// Publishes an event that happened at `at_ms`, milliseconds since the Unix epoch, and returns its
    /// sequence number. Never waits and never fails: too long a kind is cut, and too large a content is
    /// replaced by an empty one of the type [`TOO_LARGE_TYPE`].
    pub fn publish(&self, kind: impl Into<Arc<str>>, source: Source, content: Content, at_ms: u64) -> u64 {
        let mut kind = kind.into();
        if kind.len() > KIND_BYTES_MAX {
            kind = kind[..kind.floor_char_boundary(KIND_BYTES_MAX)].into();
        }
        let event = Event { at_ms, kind, source, content: self.clamped(content) };
        let texts = event.kind.len() + event.content.content_type.len();
        let bytes = size_of::<Event>() + texts + event.content.body.len();
        self.ring.push(event, bytes)
    }

    /// [`Bus::publish`], of what the node itself tells, and of now: `detail` as JSON, of texts and numbers alone.
    pub fn report(&self, kind: &'static str, source: Source, detail: &impl Serialize) {
        let body = serde_json::to_vec(detail).expect("a detail has only texts and numbers");
        let content = Content { content_type: "application/json".into(), body: body.into() };
        self.publish(kind, source, content, clock::now_ms());
    }

    /// Subscribes to the events that pass `filter`: those to come, or, with `from`, also those kept
    /// from that sequence number on; 0 means everything that is kept.
    pub fn subscribe(&self, filter: Filter, from: Option<u64>) -> Result<Subscription, BusError> {
        let next = self.ring.fill().latest + 1;
        let start = match from {
            None => next,
            Some(0) => self.ring.first(),
            Some(from) if from > next => return Err(BusError::NotYet { from, next }),
            Some(from) => from,
        };
        let place = Place::take(&self.subscribers, self.config.subscribers_max)?;
        Ok(Subscription { reader: self.ring.reader(start), filter, _place: place })
    }

    /// How full the bus is, and the sequence number of the latest event.
    pub fn fill(&self) -> Fill {
        self.ring.fill()
    }

    /// How many subscriptions are open.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    fn clamped(&self, content: Content) -> Content {
        let fits = content.body.len() <= self.config.event_bytes_max
            && content.content_type.len() <= CONTENT_TYPE_BYTES_MAX;
        if fits { content } else { Content { content_type: TOO_LARGE_TYPE.into(), body: Default::default() } }
    }
}

/// A subscription; dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    reader: Reader<Event>,
    filter: Filter,
    _place: Place,
}

impl Subscription {
    /// The next event that passes the filter, or gap, once there is one. Dropping the future loses
    /// nothing. What the filter holds back is no gap.
    pub async fn next(&mut self) -> Item {
        loop {
            match self.reader.next().await {
                Step::Missed(from, to) => return Item::Missed { from, to },
                Step::Item(sequence, event) if self.filter.passes(&event) => {
                    return Item::Event { sequence, event };
                }
                // A filter that lets little pass must not keep its thread from other tasks.
                Step::Item(..) => tokio::task::coop::consume_budget().await,
            }
        }
    }
}

/// A subscriber's place among those allowed, given back when dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(count: &Arc<AtomicUsize>, limit: usize) -> Result<Self, BusError> {
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < limit).then_some(open + 1))
            .map(|_| Self(Arc::clone(count)))
            .map_err(|_| BusError::TooManySubscribers { limit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    const ALL: [&str; 0] = [];

    fn bus(keep_events: usize) -> Bus {
        Bus::new(BusConfig { keep_events, event_bytes_max: 10, subscribers_max: 2, ..BusConfig::default() })
    }

    fn content(body: &'static str) -> Content {
        Content { content_type: "text/plain".into(), body: Bytes::from_static(body.as_bytes()) }
    }

    fn source(number: usize) -> Source {
        let name = |text: &str| text.parse().expect("a name");
        match number % 4 {
            0 => Source::Node,
            1 => Source::Soul(name("neo")),
            2 => Source::Matrix("market".parse().expect("a name")),
            _ => Source::Component(Digest::of(b"")),
        }
    }

    #[test]
    fn sources_are_written_as_the_interface_says() {
        let written: Vec<_> = (0..3).map(|number| source(number).to_string()).collect();
        assert_eq!(written, ["node", "soul:neo", "matrix:market"]);
        assert!(source(3).to_string().starts_with("component:sha256:e3b0c442"));
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_what_it_missed_and_holds_nobody_up() {
        let bus = bus(3);
        let mut slow = bus.subscribe(Filter::default(), None).expect("room");
        let mut quick = bus.subscribe(Filter::default(), None).expect("room");
        for sequence in 1..=8 {
            assert_eq!(bus.publish("k", Source::Node, content("x"), 0), sequence);
            assert!(matches!(quick.next().await, Item::Event { sequence: got, .. } if got == sequence));
        }
        assert_eq!(slow.next().await, Item::Missed { from: 1, to: 5 });
        for expected in 6..=8 {
            assert!(matches!(slow.next().await, Item::Event { sequence, .. } if sequence == expected));
        }
        assert!(slow.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_subscription_resumes_where_it_is_told_to() {
        let bus = bus(2);
        for _ in 0..4 {
            bus.publish("k", Source::Node, content("x"), 0);
        }
        let first = |from| bus.subscribe(Filter::default(), from).map(|mut sub| sub.next().now_or_never());
        assert!(matches!(first(Some(0)), Ok(Some(Item::Event { sequence: 3, .. }))));
        assert_eq!(first(Some(1)), Ok(Some(Item::Missed { from: 1, to: 2 })));
        assert!(matches!(first(Some(4)), Ok(Some(Item::Event { sequence: 4, .. }))));
        assert_eq!((first(Some(5)), first(None)), (Ok(None), Ok(None)));
        assert_eq!(first(Some(6)), Err(BusError::NotYet { from: 6, next: 5 }));
    }

    #[test]
    fn everything_is_bounded() {
        let bus = bus(9);
        let held = (bus.subscribe(Filter::default(), None), bus.subscribe(Filter::default(), None));
        let refused = bus.subscribe(Filter::default(), None).map(drop);
        assert_eq!(refused, Err(BusError::TooManySubscribers { limit: 2 }));
        drop(held);
        assert_eq!(bus.subscribers(), 0);
        let mut sub = bus.subscribe(Filter::default(), Some(0)).expect("room again");
        bus.publish("é".repeat(100), Source::Node, content("eleven byte"), 7);
        let Some(Item::Event { event, .. }) = sub.next().now_or_never() else { panic!("no event") };
        assert_eq!((event.kind.len(), event.at_ms), (KIND_BYTES_MAX, 7));
        assert_eq!((&*event.content.content_type, event.content.body.len()), (TOO_LARGE_TYPE, 0));
        let many = ["x"; FILTER_ITEMS_MAX + 1];
        assert_eq!(Filter::new(&many, &ALL), Err(BusError::FilterTooLong { field: "kinds", given: 33 }));
        assert!(Filter::new(&ALL, &["a*b"]).is_err());
        assert_eq!(Filter::new(&["x".repeat(129)], &ALL), Err(BusError::KindTooLong(129)));
    }

    proptest! {
        /// The bus against a plain list of everything that was published.
        #[test]
        fn subscribers_get_what_passes_and_know_what_they_missed(
            keep_events in 1usize..20,
            kinds in proptest::collection::vec("[ab]", 0..3),
            sources in proptest::collection::vec(prop_oneof!["soul:neo", "matrix:\\*", "n\\*", "component:\\*"], 0..3),
            script in proptest::collection::vec((prop_oneof!["a.x", "b", "c"], 0usize..4, 0usize..3), 0..80),
        ) {
            let bus = bus(keep_events);
            let wanted = |kind: &str, source: &str| {
                (kinds.is_empty() || kinds.iter().any(|prefix| kind.starts_with(prefix)))
                    && (sources.is_empty() || sources.iter().any(|want| match want.strip_suffix('*') {
                        Some(head) => source.starts_with(head),
                        None => source == want,
                    }))
            };
            let filter = Filter::new(&kinds, &sources).expect("a sound filter");
            let mut subscription = bus.subscribe(filter, None).expect("room");
            let mut model = vec![];
            let mut seen = 0;
            for (kind, number, reads) in script {
                bus.publish(&*kind, source(number), content(""), 0);
                model.push((kind, source(number).to_string()));
                for _ in 0..reads {
                    let (from, until) = match subscription.next().now_or_never() {
                        Some(Item::Event { sequence, event }) => {
                            let (kind, source) = &model[sequence as usize - 1];
                            prop_assert_eq!((&*event.kind, event.source.to_string()), (&**kind, source.clone()));
                            prop_assert!(wanted(kind, source));
                            (sequence, sequence)
                        }
                        Some(Item::Missed { from, to }) => {
                            prop_assert!(to as usize <= model.len() - keep_events);
                            (from, to)
                        }
                        None => (model.len() as u64 + 1, model.len() as u64),
                    };
                    let between = &model[seen as usize..from as usize - 1];
                    prop_assert!(!between.iter().any(|(kind, source)| wanted(kind, source)), "lost unreported");
                    seen = until;
                }
            }
        }
    }
}
