//! A tick's questions to Souls of other nodes: those of one node go there together. Whoever asks first sends for all
//! who ask at the same moment.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fleet::Fleet;
use super::jobs::{ActError, ActRequest};
use super::wire;
use crate::ids::SoulName;

/// How long a Soul has to act where the asker says nothing.
const WITHIN: Duration = Duration::from_secs(60);
/// The most questions of one batch: what they see and answer must fit into one call.
const BATCH_MAX: usize = 1_000;

type Acted = Result<Vec<Vec<u8>>, ActError>;

/// Questions that wait to leave, by node.
#[derive(Debug, Default)]
pub(super) struct Batches(Mutex<HashMap<u64, Vec<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    soul: SoulName,
    request: ActRequest,
    answer: oneshot::Sender<Acted>,
}

impl Batches {
    /// Asks a Soul of another node.
    pub(super) async fn act(&self, fleet: &Fleet, node: u64, soul: &SoulName, request: ActRequest) -> Acted {
        let (acted, opened) = self.join(node, soul, request);
        if let Some(opened) = opened {
            // All who are asked in this tick are asked by one task, one after another: they have their turn first.
            tokio::task::yield_now().await;
            for part in split(opened.close()) {
                send(fleet, node, part).await;
            }
        }
        acted.await.unwrap_or(Err(ActError::Away))
    }

    /// Joins those who wait for a node. Whoever is the first has to send for all.
    fn join(
        &self,
        node: u64,
        soul: &SoulName,
        request: ActRequest,
    ) -> (oneshot::Receiver<Acted>, Option<Opened<'_>>) {
        let (answer, acted) = oneshot::channel();
        let mut batches = self.batches();
        let batch = batches.entry(node).or_default();
        batch.push(Waiting { soul: soul.clone(), request, answer });
        let is_first = batch.len() == 1;
        drop(batches);
        (acted, is_first.then(|| Opened { batches: Some(self), node }))
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<u64, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch that others still join. Where whoever opened it is given up before it is sent, as with a Matrix that moves, it
/// must not stay: those who joined it later would wait for a sender that is gone.
struct Opened<'a> {
    /// None: it is closed.
    batches: Option<&'a Batches>,
    node: u64,
}

impl Opened<'_> {
    /// All who wait; whoever comes now opens another one.
    fn close(mut self) -> Vec<Waiting> {
        let batches = self.batches.take();
        batches.and_then(|batches| batches.batches().remove(&self.node)).unwrap_or_default()
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if let Some(batches) = self.batches {
            drop(batches.batches().remove(&self.node));
        }
    }
}

fn split(mut batch: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut parts = Vec::new();
    while batch.len() > BATCH_MAX {
        let rest = batch.split_off(BATCH_MAX);
        parts.push(std::mem::replace(&mut batch, rest));
    }
    parts.push(batch);
    parts
}

async fn send(fleet: &Fleet, node: u64, batch: Vec<Waiting>) {
    let deadlines = batch.iter().filter_map(|waiting| waiting.request.deadline);
    let within =
        deadlines.max().map_or(WITHIN, |deadline| deadline.saturating_duration_since(Instant::now()));
    let question = wire::turns(batch.iter().map(|waiting| (&waiting.soul, &waiting.request)), within);
    let answers = fleet.ask(node, &question, within).await.map(wire::actions);
    let mut answers = answers.ok().flatten().unwrap_or_default().into_iter();
    for waiting in batch {
        // Whoever asked may have given up.
        drop(waiting.answer.send(answers.next().unwrap_or(Err(ActError::Away))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ActRequest {
        ActRequest {
            run: "run".into(),
            matrix: "ring".parse().expect("a name"),
            tick: 1,
            previous: None,
            turns: Vec::new().into(),
            now_ms: 0,
            deadline: None,
        }
    }

    #[tokio::test]
    async fn a_batch_whose_sender_is_given_up_holds_up_nobody() {
        let (batches, neo, eve) =
            (Batches::default(), "neo".parse().expect("a name"), "eve".parse().expect("a name"));
        let (first, opened) = batches.join(2, &neo, request());
        let (second, joined) = batches.join(2, &eve, request());
        assert!(opened.is_some() && joined.is_none());
        drop(opened);
        assert!(first.await.is_err() && second.await.is_err(), "who waits is told, and asks again");

        let (_acted, opened) = batches.join(2, &neo, request());
        let (_other, joined) = batches.join(2, &eve, request());
        assert!(joined.is_none());
        let sent = opened.expect("it is the first again").close();
        assert_eq!(sent.iter().map(|waiting| waiting.soul.as_str()).collect::<Vec<_>>(), ["neo", "eve"]);
        assert!(batches.join(2, &neo, request()).1.is_some(), "what was closed is sent without it");
    }
}
