//! What a power cut or a bad disk took from a run log on its own node, had back from the copies. Ticks are told once the
//! operating systems of all have them: the disk here may lack the last of them, and the disks of the others need not.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Copies;
use super::wire::{OPENING, part};
use crate::matrices::deed::Deed;
use crate::matrices::disk::Disk;
use crate::matrices::error::MatrixError;
use crate::matrices::runlog::reader::Reader;
use crate::matrices::runlog::{self, LogError, failed};
use crate::p2p::Peer;
use crate::p2p::rpc::{CallError, Rpc};
use crate::realm::Realm;

/// How long after the start a holder is waited for where this node's log is torn, and so known to have been longer: one that
/// is off as well, as after a cut of everybody's power, may take as long as this node did.
const LOST: Duration = Duration::from_secs(30);

/// Has back what holders of copies have beyond this node's log. Those that do not answer are struck off the record: what
/// they have more than this node may from now on be something else than what becomes of the run.
///
/// # Errors
/// `Moved` if the Matrix was taken from this node; `Log`.
pub(crate) async fn recover(
    realm: &Realm,
    rpc: &Rpc,
    copies: &Copies,
    deed: &Deed,
    run: &str,
    log: &Path,
    bytes_max: u64,
) -> Result<(), MatrixError> {
    let holders = copies.in_sync();
    if holders.is_empty() {
        return Ok(());
    }
    let disk = Disk::new(realm.on_fatal());
    // The whole log is read for it, so once.
    let (mut end, is_torn) = end_of(log).await?;
    for node in holders {
        let Some(peer) = realm.roster().peer(node) else {
            copies.strike(deed, node).await?;
            continue;
        };
        let patience = if is_torn { LOST.saturating_sub(copies.age()).max(OPENING) } else { OPENING };
        if is_torn && !rpc.is_up(peer) {
            tracing::warn!(
                run,
                node,
                ?patience,
                "a run log has lost its end: a node that has a copy is waited for"
            );
        }
        rpc.until_up(peer, patience).await;
        match tail(rpc, peer, run, end, bytes_max).await {
            Ok(tail) if tail.is_empty() => {}
            Ok(tail) => {
                let gained = append(log, end, tail, disk.clone()).await?;
                end += gained;
                tracing::warn!(
                    run,
                    node,
                    gained,
                    "the end of a run log was lost here, and had back from a copy"
                );
            }
            Err(error) => {
                tracing::info!(run, node, %error, "a copy of a run log cannot be compared, and counts no more");
                copies.strike(deed, node).await?;
            }
        }
    }
    Ok(())
}

/// Where the whole records of a log end, or the first of them that is damaged begins; and whether there is more behind that.
async fn end_of(log: &Path) -> Result<(u64, bool), LogError> {
    let log = log.to_owned();
    runlog::blocking(move || {
        let length = std::fs::metadata(&log).map_err(failed("read", &log))?.len();
        let (_, mut reader) = Reader::open(&log)?;
        let end = loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => break reader.offset(),
                Err(LogError::Damaged { offset, .. }) => break offset,
                Err(error) => return Err(error),
            }
        };
        Ok((end, end < length))
    })
    .await
}

/// What a peer has from an offset on.
async fn tail(rpc: &Rpc, peer: Peer, run: &str, from: u64, bytes_max: u64) -> Result<Vec<u8>, CallError> {
    let mut tail = Vec::new();
    loop {
        let offset = from + tail.len() as u64;
        let data = part(rpc, peer, run, offset).await?.data;
        if data.is_empty() || offset + data.len() as u64 > bytes_max {
            return Ok(tail);
        }
        tail.extend_from_slice(&data);
    }
}

/// Puts a tail in the place of what was torn. What is no record is cut off again. How many bytes the log gained.
async fn append(log: &Path, end: u64, tail: Vec<u8>, disk: Disk) -> Result<u64, LogError> {
    let path: PathBuf = log.to_owned();
    runlog::blocking(move || {
        let file = OpenOptions::new().write(true).open(&path).map_err(failed("open", &path))?;
        let written = file.set_len(end).and_then(|()| file.write_all_at(&tail, end));
        written.map_err(failed("write", &path))?;
        let (_, mut reader) = Reader::open(&path)?;
        reader.skip_to(end)?;
        while matches!(reader.next(), Ok(Some(_))) {}
        let kept = reader.offset();
        file.set_len(kept).and_then(|()| disk.sync(&file, &path)).map_err(failed("write", &path))?;
        Ok(kept - end)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrices::runlog::tests::sample;

    #[tokio::test]
    async fn whatever_was_lost_or_flipped_is_put_back() {
        let (whole, starts) = sample();
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("run.log");
        let flipped = |at: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            bytes
        };
        let header = starts[1];
        let cut = (header..whole.len()).map(|length| whole[..length].to_vec());
        for harmed in cut.chain((header..whole.len()).map(flipped)) {
            std::fs::write(&log, &harmed).expect("written");
            let (end, is_torn) = end_of(&log).await.expect("readable");
            assert_eq!(is_torn, !starts.contains(&harmed.len()) || harmed.len() == whole.len());
            assert!(starts.contains(&(end as usize)), "{end}");
            let gained =
                append(&log, end, whole[end as usize..].to_vec(), Disk::default()).await.expect("written");
            assert_eq!(
                (gained, std::fs::read(&log).expect("a file")),
                (whole.len() as u64 - end, whole.clone())
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_record_is_not_kept() {
        let (whole, starts) = sample();
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("run.log");
        std::fs::write(&log, &whole[..starts[2]]).expect("written");
        let (end, next) = (starts[2] as u64, starts[3] - starts[2]);
        let tail = [&whole[starts[2]..starts[3]], &[7; 40]].concat();
        assert_eq!(append(&log, end, tail, Disk::default()).await.expect("written"), next as u64);
        assert_eq!(std::fs::read(&log).expect("a file"), &whole[..starts[3]]);
    }
}
