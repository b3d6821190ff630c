//! The run log of a Matrix of another node, fetched to be gone through here.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::wire::{OPENING, part};
use crate::matrices::error::MatrixError;
use crate::matrices::host::MatrixHost;
use crate::matrices::records::Record;
use crate::matrices::runlog::failed;
use crate::matrices::sweep::fetched;
use crate::p2p::Peer;
use crate::p2p::rpc::{CallError, Rpc};

/// A run log that can be read here.
#[derive(Debug)]
pub enum RunFile {
    /// This node's own, or its copy.
    Here(PathBuf),
    /// One that was fetched for this.
    Fetched(Fetched),
}

impl RunFile {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Here(path) | Self::Fetched(Fetched(path)) => path,
        }
    }
}

/// A log that was fetched; the file goes with this.
#[derive(Debug)]
pub struct Fetched(PathBuf);

impl Drop for Fetched {
    fn drop(&mut self) {
        // What stays is swept at the next start.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Fetches the run log of a Matrix from the node that runs it, or from one that has a copy. It is as long as it was
/// when this began, or longer.
///
/// # Errors
/// `Away` if no such node answers; `Log`.
pub(crate) async fn fetch(host: &MatrixHost, rpc: &Rpc, record: &Record) -> Result<Fetched, MatrixError> {
    let path = fetched(&host.config.runs_dir, &record.run, host.router.next_id());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = file.map_err(failed("create", &path))?;
    let fetched = Fetched(path);
    let mut offset = 0;
    for node in std::iter::once(record.node).chain(record.copies.iter().copied()) {
        let Some(peer) = host.realm.roster().peer(node).filter(|_| node != host.node) else { continue };
        rpc.until_up(peer, OPENING).await;
        // All copies begin alike: where one node fails, the next goes on.
        match fetch_from(rpc, peer, record, &mut offset, &mut file, &fetched).await? {
            Ok(()) => return Ok(fetched),
            Err(error) => tracing::info!(node, %error, "a run log could not be fetched"),
        }
    }
    Err(MatrixError::Away { matrix: record.manifest.name.clone(), node: record.node })
}

async fn fetch_from(
    rpc: &Rpc,
    peer: Peer,
    record: &Record,
    offset: &mut u64,
    file: &mut File,
    fetched: &Fetched,
) -> Result<Result<(), CallError>, MatrixError> {
    loop {
        let answer = match part(rpc, peer, &record.run, *offset).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        file.write_all(&answer.data).map_err(failed("write", &fetched.0))?;
        *offset += answer.data.len() as u64;
        if answer.data.is_empty() || *offset >= answer.length {
            return Ok(Ok(()));
        }
    }
}
