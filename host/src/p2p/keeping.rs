//! Keeping connections and streams: what is lost is sought again, with pauses that grow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::StreamExt as _;
use libp2p::Stream;
use libp2p_stream::{Control, IncomingStreams};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::admission::{Admission, Standing};
use super::host::OPENING;
use super::lane::{self, Lane, Protocol};
use super::link::Link;
use super::peer::Peer;
use super::table::Table;
use crate::tasks::Tasks;

/// The first pause after a failure; it doubles up to the last.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// The longest pause while the peer is connected: a node that starts opens one room after another.
const OPENING_PAUSE_MAX: Duration = Duration::from_millis(200);
/// What has stood for so long has not failed when it ends.
const STOOD: Duration = Duration::from_secs(1);
/// The most streams of clients of one lane at a time.
const CLIENTS_MAX: usize = 64;

/// Where streams of members go that they have opened.
pub(super) type Slots = Arc<Mutex<HashMap<(Peer, Lane), mpsc::Sender<Stream>>>>;

/// Keeps a connection with a peer.
pub(super) async fn connect(peer: Peer, table: Arc<Table>, dials: mpsc::Sender<Peer>) {
    let mut pause = PAUSE;
    loop {
        // The loop is gone: so will this be.
        if dials.send(peer).await.is_err() {
            return;
        }
        // A dial that fails is not told of here; the next one is made after the pause.
        if tokio::time::timeout(pause, table.until(peer, true)).await.is_err() {
            pause = longer(pause);
            continue;
        }
        let since = Instant::now();
        table.until(peer, false).await;
        pause = if since.elapsed() >= STOOD { PAUSE } else { longer(pause) };
        tokio::time::sleep(jittered(PAUSE)).await;
    }
}

/// Keeps one lane to one peer.
pub(super) struct Keeper {
    pub(super) link: Link,
    pub(super) lane: Lane,
    pub(super) protocol: Arc<dyn Protocol>,
    pub(super) table: Arc<Table>,
    pub(super) streams: Control,
    /// Whether this node opens the stream; otherwise the peer does.
    pub(super) opens: bool,
    pub(super) incoming: mpsc::Receiver<Stream>,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        let (mut pause, mut next) = (PAUSE, None);
        loop {
            let stream = match next.take() {
                Some(stream) => stream,
                None if self.opens => match self.open().await {
                    Ok(stream) => stream,
                    Err(why) => {
                        tracing::debug!(peer = %self.link.peer(), lane = self.lane.protocol(), why, "no stream");
                        tokio::time::sleep(jittered(pause)).await;
                        pause = longer(pause).min(OPENING_PAUSE_MAX);
                        continue;
                    }
                },
                None => match self.incoming.recv().await {
                    Some(stream) => stream,
                    None => return,
                },
            };
            let since = Instant::now();
            // A stream that the peer opens while one stands takes its place: the peer knows better that it is dead.
            let why = tokio::select! {
                why = lane::run(stream, &self.link, &self.protocol) => why,
                Some(stream) = self.incoming.recv() => {
                    next = Some(stream);
                    "the peer opened another".to_owned()
                }
            };
            tracing::debug!(peer = %self.link.peer(), lane = self.lane.protocol(), why, "a stream has ended");
            if since.elapsed() >= STOOD {
                pause = PAUSE;
            } else if self.opens {
                tokio::time::sleep(jittered(pause)).await;
                pause = longer(pause).min(OPENING_PAUSE_MAX);
            }
        }
    }

    async fn open(&mut self) -> Result<Stream, String> {
        let peer = self.link.peer();
        // Asked for a stream to a peer that is not connected, libp2p-stream may never answer.
        self.table.until(peer, true).await;
        let opening = self.streams.open_stream(peer.0, self.lane.name());
        match tokio::time::timeout(OPENING, opening).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the peer does not open it".to_owned()),
        }
    }
}

/// Takes the streams of a lane that peers open: a member's go to its keeper, a client's is served here.
pub(super) async fn accept(
    mut incoming: IncomingStreams,
    lane: Lane,
    protocol: Arc<dyn Protocol>,
    slots: Slots,
    admission: Admission,
    tasks: Tasks,
    bytes_max: usize,
) {
    let places = Arc::new(tokio::sync::Semaphore::new(CLIENTS_MAX));
    while let Some((peer, stream)) = incoming.next().await {
        let peer = Peer(peer);
        match admission.standing(peer) {
            Standing::Member => {
                let slot = slots.lock().unwrap_or_else(PoisonError::into_inner).get(&(peer, lane)).cloned();
                // Where its keeper is not there yet, or has one waiting, the peer tries again.
                let taken = slot.is_some_and(|slot| slot.try_send(stream).is_ok());
                tracing::debug!(%peer, lane = lane.protocol(), taken, "a member opened a stream");
            }
            Standing::Client if protocol.takes_clients() => {
                let Ok(place) = places.clone().try_acquire_owned() else { continue };
                let (protocol, link, stopping) =
                    (protocol.clone(), Link::new(peer, bytes_max), tasks.stopping());
                tasks.spawn("p2p.client", async move {
                    let _place = place;
                    stopping.run_until_cancelled(lane::run(stream, &link, &protocol)).await
                });
            }
            standing => tracing::info!(%peer, ?standing, lane = lane.protocol(), "a stream is refused"),
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(PAUSE_MAX)
}

/// Three quarters to five quarters of a pause: nodes that lost each other must not go on in step.
fn jittered(pause: Duration) -> Duration {
    let mut chance = [0];
    // Without chance it is the whole pause.
    let part = getrandom::fill(&mut chance).map_or(64, |()| u32::from(chance[0]) / 2);
    pause * (192 + part) / 256
}
