//! The record of a Matrix, in the hands of the node that runs it. Every change of it is conditional on what this node
//! wrote or read last: a node that a Matrix was taken from learns it at its next change, and changes nothing.

use tokio::sync::Mutex;

use super::error::MatrixError;
use super::records::{BUCKET, Filed, Record};
use crate::ids::MatrixName;
use crate::kv::{Expect, Kv, KvError, RequestId, Swap};

/// The right to run a Matrix.
#[derive(Debug)]
pub(crate) struct Deed {
    kv: Kv,
    matrix: MatrixName,
    generation: u64,
    filed: Mutex<Filed>,
}

impl Deed {
    /// Of a record that was read, and names this node.
    pub(crate) fn of(kv: &Kv, filed: Filed) -> Self {
        let (matrix, generation) = (filed.record.manifest.name.clone(), filed.record.generation);
        Self { kv: kv.clone(), matrix, generation, filed: Mutex::new(filed) }
    }

    /// Of a new Matrix; its record is durable when this returns.
    ///
    /// # Errors
    /// `Exists` if there is a record of this name; `Kv`.
    pub(crate) async fn make(
        kv: &Kv,
        record: Record,
        request: Option<RequestId>,
    ) -> Result<Self, MatrixError> {
        let deed = Self::of(kv, Filed::of(record)?);
        let filed = deed.filed.lock().await.clone();
        match deed.swap(Expect::Absent, Some(&filed), request).await? {
            Swap::Swapped => Ok(deed),
            Swap::Conflict { .. } => Err(MatrixError::Exists(deed.matrix)),
        }
    }

    /// How many nodes the Matrix has run on, this one counted.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The record, as this node wrote or read it last.
    pub(crate) async fn record(&self) -> Record {
        self.filed.lock().await.record.clone()
    }

    /// Changes the record; durable when this returns.
    ///
    /// # Errors
    /// `Moved` if the Matrix was taken from this node, or deleted; `Kv`.
    pub(crate) async fn change(
        &self,
        mut request: Option<RequestId>,
        change: impl Fn(&mut Record),
    ) -> Result<(), MatrixError> {
        let mut filed = self.filed.lock().await;
        loop {
            if filed.record.generation != self.generation {
                return Err(MatrixError::Moved(self.matrix.clone()));
            }
            let mut record = filed.record.clone();
            change(&mut record);
            if record == filed.record {
                return Ok(());
            }
            let next = Filed::of(record)?;
            let expect = Expect::Value(filed.value.clone());
            match self.swap(expect, Some(&next), request.take()).await? {
                Swap::Swapped => {
                    *filed = next;
                    return Ok(());
                }
                Swap::Conflict { current } => *filed = self.mine(current, &filed.record)?,
            }
        }
    }

    /// Deletes the record.
    ///
    /// # Errors
    /// Those of [`Deed::change`].
    pub(crate) async fn delete(&self, mut request: Option<RequestId>) -> Result<(), MatrixError> {
        let mut filed = self.filed.lock().await;
        loop {
            match self.swap(Expect::Value(filed.value.clone()), None, request.take()).await? {
                Swap::Swapped | Swap::Conflict { current: None } => return Ok(()),
                Swap::Conflict { current } => *filed = self.mine(current, &filed.record)?,
            }
        }
    }

    async fn swap(
        &self,
        expect: Expect,
        next: Option<&Filed>,
        request: Option<RequestId>,
    ) -> Result<Swap, KvError> {
        let next = next.map(|filed| filed.value.clone());
        Ok(self
            .kv
            .compare_and_swap(BUCKET, self.matrix.as_str().as_bytes(), expect, next, request)
            .await?
            .value)
    }

    /// What stands instead of what this node expected, if it is still this node's: a change of its own whose answer
    /// it did not hear.
    fn mine(&self, current: Option<crate::kv::Entry>, before: &Record) -> Result<Filed, MatrixError> {
        let moved = || MatrixError::Moved(self.matrix.clone());
        let filed = Filed::read(self.matrix.as_str(), current.ok_or_else(moved)?.value)?;
        let same = (filed.record.node, filed.record.generation, &filed.record.run);
        if same == (before.node, before.generation, &before.run) { Ok(filed) } else { Err(moved()) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::manifest::MatrixManifest;
    use super::super::moving::replace;
    use super::super::records::{self, Wanted};
    use super::*;
    use crate::ids::Digest;
    use crate::kv::KvConfig;
    use crate::tasks::Tasks;

    fn record() -> Record {
        let manifest = MatrixManifest {
            name: "market".parse().expect("a name"),
            rules: Digest::of(b"rules"),
            players: Vec::new(),
            config: String::new(),
            seed: 1,
            tick_deadline_ms: 0,
            tick_interval_ms: 0,
            memory_bytes: 0,
            call_fuel: 0,
        };
        let copies = BTreeSet::from([2, 3]);
        Record {
            manifest,
            run: "run".to_owned(),
            wanted: Wanted::Running,
            node: 1,
            generation: 1,
            copies,
            claimed: Default::default(),
            switches: Default::default(),
        }
    }

    #[tokio::test]
    async fn who_is_struck_off_is_not_given_the_matrix_and_who_has_it_is_not_struck_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let name = record().manifest.name;
        let read = async || records::load(&kv, &name).await.expect("it is read").expect("it is there");
        let deed = Deed::make(&kv, record(), None).await.expect("there is none");
        // The leader has read the record, and the node that it takes for dead strikes a copy off meanwhile.
        let seen = read().await;
        deed.change(None, |record| _ = record.copies.remove(&2)).await.expect("it is its own");
        assert!(!replace(&kv, &seen, 2).await.expect("a quorum"), "its copy may lack what was told since");
        let seen = read().await;
        assert_eq!((seen.record.node, &seen.record.copies), (1, &BTreeSet::from([3])));
        // The other way round: what was not struck off before is not left behind.
        assert!(replace(&kv, &seen, 3).await.expect("a quorum"));
        let struck = deed.change(None, |record| _ = record.copies.remove(&3)).await;
        assert!(matches!(struck, Err(MatrixError::Moved(_))), "{struck:?}");
        let last = read().await.record;
        assert_eq!((last.node, last.generation), (3, 2));
        kv.close().await;
    }
}
