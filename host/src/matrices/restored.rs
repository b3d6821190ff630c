//! Records of Matrices, as a backup and a realm that is made from one see them.

use std::collections::BTreeSet;

use bytes::Bytes;

pub(crate) use super::records::BUCKET;
use super::records::{Record, Wanted};
use super::status::Figures;
use crate::ids::MatrixName;

/// Why a Matrix does not go on whose run log was not in the backup.
const NO_LOG: &str = "its run log was on nodes that did not answer when the backup was taken: create it anew";

/// The Matrix and the run of which a record tells; none: it is no record of a Matrix.
pub fn run_of(record: &[u8]) -> Option<(MatrixName, String)> {
    serde_json::from_slice(record).ok().map(|record: Record| (record.manifest.name, record.run))
}

/// The record as it is in a new realm, where the Matrix is on `node`; without its run log, a Matrix that was not over
/// has failed. None: it is no record of a Matrix.
pub fn restored(record: &[u8], node: u64, has_log: bool) -> Option<Bytes> {
    let record: Record = serde_json::from_slice(record).ok()?;
    let goes_on = matches!(record.wanted, Wanted::Running | Wanted::Paused);
    let wanted = if goes_on && !has_log {
        Wanted::Failed { reason: NO_LOG.to_owned(), summary: (&Figures::default()).into() }
    } else {
        record.wanted.clone()
    };
    let copies = BTreeSet::new();
    serde_json::to_vec(&Record { wanted, node, generation: 1, copies, ..record }).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::manifest;
    use super::*;

    fn record(wanted: Wanted) -> Vec<u8> {
        let (manifest, run) = (manifest(&["neo"]), "r".to_owned());
        let (copies, switches, claimed) = ([5].into(), Vec::new(), None);
        let record = Record { manifest, run, wanted, node: 3, generation: 4, copies, switches, claimed };
        serde_json::to_vec(&record).expect("JSON")
    }

    fn after(wanted: Wanted, has_log: bool) -> (u64, Wanted) {
        let value = restored(&record(wanted), 1, has_log).expect("it is a record");
        let record: Record = serde_json::from_slice(&value).expect("JSON");
        assert_eq!((record.generation, record.copies.len()), (1, 0));
        (record.node, record.wanted)
    }

    #[test]
    fn only_what_has_its_run_log_goes_on() {
        assert_eq!(after(Wanted::Running, true), (1, Wanted::Running));
        let finished = Wanted::Finished { summary: (&Figures::default()).into() };
        assert_eq!(after(finished.clone(), false), (1, finished));
        for wanted in [Wanted::Running, Wanted::Paused] {
            let (node, wanted) = after(wanted, false);
            assert!(
                matches!(wanted, Wanted::Failed { reason, .. } if reason.contains("run log")) && node == 1
            );
        }
        assert!(run_of(&record(Wanted::Paused)).is_some_and(|(_, run)| run == "r"));
        assert!(run_of(b"{}").is_none() && restored(b"{}", 1, true).is_none());
    }
}
