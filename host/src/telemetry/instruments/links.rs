//! What is counted of the links to other nodes: by lane, all peers together, so that a large realm has as many series as
//! a small one.

use opentelemetry::metrics::Meter;

use crate::telemetry::metrics::{observe_by, observe_total_by};

/// The links of one lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// The lane's name.
    pub lane: &'static str,
    /// Links on which a stream stands.
    pub up: u64,
    /// Links on which none stands.
    pub down: u64,
    /// Bytes that wait to be written.
    pub waiting: u64,
    /// Frames that were taken to be sent.
    pub frames: u64,
    /// Their bytes.
    pub sent: u64,
    /// Bytes that came.
    pub received: u64,
    /// Frames that were refused, because as much waited as may.
    pub refused: u64,
    /// Streams that came to stand: what exceeds the links is reconnects.
    pub opened: u64,
}

/// One of a lane's figures.
type Figure = fn(&LinkFigures) -> u64;

/// What `p2p` counts.
#[derive(Debug, Clone)]
pub struct LinkMetrics {
    meter: Meter,
}

impl LinkMetrics {
    pub(super) fn new(meter: &Meter) -> Self {
        Self { meter: meter.clone() }
    }

    /// `matrix_links{lane}`, `matrix_links_down{lane}`, `matrix_link_waiting_bytes{lane}`, and the totals
    /// `matrix_link_frames`, `_sent_bytes`, `_received_bytes`, `_refused` and `_opened` of the same label: the fields of
    /// [`LinkFigures`], looked up by `look`.
    pub fn observe(&self, look: impl Fn() -> Vec<LinkFigures> + Clone + Send + Sync + 'static) {
        let by = |figure: Figure| {
            let look = look.clone();
            move || look().into_iter().map(move |lane| (lane.lane, figure(&lane)))
        };
        let gauge =
            |name, description, figure| observe_by(&self.meter, name, "lane", description, by(figure));
        gauge("matrix_links", "Links on which a stream stands.", |lane| lane.up);
        gauge("matrix_links_down", "Links on which none stands.", |lane| lane.down);
        gauge("matrix_link_waiting_bytes", "Bytes that wait to be written.", |lane| lane.waiting);
        let total =
            |name, description, figure| observe_total_by(&self.meter, name, "lane", description, by(figure));
        total("matrix_link_frames", "Frames that were taken to be sent.", |lane| lane.frames);
        total("matrix_link_sent_bytes", "Bytes that were taken to be sent.", |lane| lane.sent);
        total("matrix_link_received_bytes", "Bytes that came.", |lane| lane.received);
        total("matrix_link_refused", "Frames refused, because as much waited as may.", |lane| lane.refused);
        total("matrix_link_opened", "Streams that came to stand.", |lane| lane.opened);
    }
}
