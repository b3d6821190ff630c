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
        let (answer, acted) = oneshot::channel();
        let first = {
            let mut batches = self.batches();
            let batch = batches.entry(node).or_default();
            batch.push(Waiting { soul: soul.clone(), request, answer });
            batch.len() == 1
        };
        if first {
            // All who are asked in this tick are asked by one task, one after another: they have their turn first.
            tokio::task::yield_now().await;
            let batch = self.batches().remove(&node).unwrap_or_default();
            for part in split(batch) {
                send(fleet, node, part).await;
            }
        }
        acted.await.unwrap_or(Err(ActError::Away))
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<u64, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
