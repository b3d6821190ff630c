//! What Souls of this node do, added to their experience: some at a time, so that it costs a write now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Learning, New};
use crate::ids::SoulName;
use crate::souls::capture::Captured;

/// How long what was captured waits for more.
const GATHER: Duration = Duration::from_millis(500);
/// How much is gathered: what one request may bring, at the longest that is captured.
const GATHERED_MAX: usize = 256;
/// How much of one Soul is added at once.
const AT_ONCE: usize = 16;

/// Adds what is captured, until the node stops.
pub(super) async fn add(learning: Learning, mut captured: mpsc::Receiver<Captured>) {
    let mut gathered = Vec::with_capacity(GATHERED_MAX);
    while let Some(first) = captured.recv().await {
        gathered.push(first);
        let more = async {
            while gathered.len() < GATHERED_MAX
                && let Some(next) = captured.recv().await
            {
                gathered.push(next);
            }
        };
        // What is not there by then comes with the next.
        let _ = tokio::time::timeout(GATHER, more).await;
        let mut by_soul: BTreeMap<SoulName, Vec<New>> = BTreeMap::new();
        for (soul, new) in gathered.drain(..) {
            by_soul.entry(soul).or_default().push(new);
        }
        for (soul, experiences) in by_soul {
            for some in experiences.chunks(AT_ONCE) {
                if let Err(error) = learning.teach(&soul, some.to_vec(), None).await {
                    tracing::warn!(%soul, %error, "what a Soul did was not added to its experience");
                }
            }
        }
    }
}
