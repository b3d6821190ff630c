//! Where the bytes of components lie: each on as many nodes as are wanted, so that none is lost with the node that it was
//! uploaded to. Each node knows its own part without asking, and little moves when one comes or goes.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures::stream::StreamExt as _;

use super::{BUCKET, Catalog, ComponentError, Record};
use crate::ids::Digest;
use crate::kv::{Change, ChangeKind, Watch};
use crate::realm::{Realm, ranked};

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps this node's part of all components.
pub struct Spread {
    catalog: Catalog,
    realm: Realm,
    copies: usize,
    /// What was fetched since this node started: it goes when the component is removed.
    fetched: HashSet<Digest>,
}

impl Spread {
    /// For `copies` nodes a component.
    pub fn new(catalog: &Catalog, realm: &Realm, copies: usize) -> Self {
        Self { catalog: catalog.clone(), realm: realm.clone(), copies, fetched: HashSet::new() }
    }

    /// Fetches what is this node's part, whenever components or nodes come or go. Runs until it is dropped.
    pub async fn keep(mut self) {
        let mut nodes = self.realm.nodes();
        let (mut changes, mut seen) = (None, BTreeSet::new());
        loop {
            let Some(watch) = &mut changes else {
                seen = nodes.borrow_and_update().takers().collect();
                match self.fetch_all(&seen).await {
                    Ok(watch) => changes = Some(watch),
                    Err(error) => {
                        tracing::debug!(%error, "components of which this node is to have a copy cannot be had yet");
                        tokio::time::sleep(RETRY).await;
                    }
                }
                continue;
            };
            tokio::select! {
                changed = nodes.changed() => match changed {
                    Err(_) => return,
                    Ok(()) if !nodes.borrow_and_update().takers().eq(seen.iter().copied()) => changes = None,
                    Ok(()) => {}
                },
                change = watch.next() => match change {
                    None => return,
                    Some(Ok(change)) if self.follow(&change, &seen).await.is_ok() => {}
                    // Some were missed, or could not be had: all are looked at.
                    Some(_) => changes = None,
                },
            }
        }
    }

    async fn fetch_all(&mut self, nodes: &BTreeSet<u64>) -> Result<Watch, ComponentError> {
        // From before the records are read: what comes meanwhile is looked at twice.
        let kv = &self.catalog.0.kv;
        let watch = kv.watch(BUCKET, b"", None);
        let watch = watch.map_err(|error| crate::kv::KvError::Unavailable(error.to_string()))?;
        let records: Vec<Record> = kv.all_records(BUCKET).await?;
        let mut failed = None;
        for record in records {
            failed = self.fetch(record.digest, nodes).await.err().or(failed);
        }
        failed.map_or(Ok(watch), Err)
    }

    async fn follow(&mut self, change: &Change, nodes: &BTreeSet<u64>) -> Result<(), ComponentError> {
        let key = change.path.key();
        let Some(digest) = std::str::from_utf8(&key).ok().and_then(|key| key.parse().ok()) else {
            return Ok(());
        };
        match change.kind {
            ChangeKind::Put(_) => self.fetch(digest, nodes).await,
            ChangeKind::Deleted if self.fetched.remove(&digest) => Ok(self.catalog.discard(digest).await?),
            ChangeKind::Deleted => Ok(()),
        }
    }

    async fn fetch(&mut self, digest: Digest, nodes: &BTreeSet<u64>) -> Result<(), ComponentError> {
        let is_here = self.catalog.components().store().bytes(&digest).is_some();
        if !is_here && part(digest, nodes, self.copies).contains(&self.realm.me()) {
            self.catalog.bring(digest).await?;
            self.fetched.insert(digest);
        }
        Ok(())
    }
}

/// The nodes that are to have a component.
fn part(digest: Digest, nodes: &BTreeSet<u64>, copies: usize) -> Vec<u64> {
    let mut nodes = ranked(&digest.to_string(), nodes.iter().copied());
    nodes.truncate(copies);
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    #[test]
    fn parts_are_even_and_change_little() {
        let five: BTreeSet<u64> = (1..=5).collect();
        let four: BTreeSet<u64> = (1..=4).collect();
        let mut held = [0; 6];
        for number in 0..=255 {
            let before = part(digest(number), &five, 2);
            assert_eq!(before.len(), 2);
            before.iter().for_each(|node| held[*node as usize] += 1);
            let after = part(digest(number), &four, 2);
            assert!(
                before.iter().all(|node| *node == 5 || after.contains(node)),
                "only what a dead node had moves"
            );
        }
        assert!(held[1..].iter().all(|held| (60..150).contains(held)), "{held:?}");
        assert_eq!(part(digest(0), &BTreeSet::from([3]), 2), [3]);
    }
}
