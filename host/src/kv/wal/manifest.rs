//! The manifest: whose folder this is, its key, which segments are the log, and up to where it was purged. It is a
//! database of redb that is written when a segment is begun and when the log is purged, never with an entry.

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::disk::Disk;
use super::frame::Key;
use crate::kv::codec::{Reader, Writer};
use crate::kv::error::KvError;
use crate::kv::raft::LogId;

/// Its file, and how it is called until it says whose folder this is.
pub(in crate::kv) const FILE: &str = "manifest.redb";
const FILE_UNFINISHED: &str = "manifest.unfinished";

/// Everything, by name.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const NODE: &str = "node";
const KEY: &str = "key";
const SEGMENTS: &str = "segments";
const PURGED: &str = "purged";

/// Version of the manifest and of all that it names.
pub(in crate::kv) const FORMAT_VERSION: u8 = 2;

/// The manifest's database.
pub(super) struct Manifest {
    db: Database,
}

/// What the manifest says.
pub(super) struct Contents {
    pub(super) key: Key,
    pub(super) segments: Segments,
    pub(super) purged: Option<LogId>,
}

/// Which segments are the log: `first` to `newest`; none while `newest` is before `first`. A file that is not among
/// them is none of the log's, whatever it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segments {
    pub(super) first: u64,
    pub(super) newest: u64,
}

impl Manifest {
    /// Opens the manifest, or makes it for node `node_id`.
    pub(super) fn open(disk: &dyn Disk, node_id: u64) -> Result<(Manifest, Contents), KvError> {
        let failed = |error| KvError::io("making the log's manifest", error);
        let files = disk.list().map_err(failed)?;
        let is_there = |name| files.iter().any(|file| file == name);
        if !is_there(FILE) {
            if is_there(FILE_UNFINISHED) {
                disk.remove(FILE_UNFINISHED).map_err(failed)?;
            }
            Manifest { db: disk.database(FILE_UNFINISHED)? }.identify(node_id).map_err(explain)??;
            disk.rename(FILE_UNFINISHED, FILE).map_err(failed)?;
            disk.sync().map_err(failed)?;
        }
        let manifest = Manifest { db: disk.database(FILE)? };
        let contents = manifest.identify(node_id).map_err(explain)??;
        Ok((manifest, contents))
    }

    /// Notes which segments are the log, and up to where it was purged. When this returns it is on disk.
    pub(super) fn write(&self, segments: Segments, purged: Option<LogId>) -> Result<(), redb::Error> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        {
            let mut meta = transaction.open_table(META)?;
            let mut writer = Writer::default();
            writer.number(segments.first);
            writer.number(segments.newest);
            meta.insert(SEGMENTS, writer.0.as_slice())?;
            if let Some(id) = purged {
                let mut writer = Writer::default();
                writer.log_id(id);
                meta.insert(PURGED, writer.0.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Checks whose manifest this is, or marks a new one.
    fn identify(&self, node_id: u64) -> Result<Result<Contents, KvError>, redb::Error> {
        if self.row(FORMAT)?.is_none() {
            let mut secret = [0; blake3::KEY_LEN];
            if let Err(error) = getrandom::fill(&mut secret) {
                return Ok(Err(KvError::io("asking the system for random bytes", error)));
            }
            let mut transaction = self.db.begin_write()?;
            transaction.set_two_phase_commit(true);
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(KEY, secret.as_slice())?;
                meta.insert(NODE, node_id.to_be_bytes().as_slice())?;
                meta.insert(FORMAT, [FORMAT_VERSION].as_slice())?;
            }
            transaction.commit()?;
        }
        let format = self.row(FORMAT)?.unwrap_or_default();
        if format != [FORMAT_VERSION] {
            return Ok(Err(KvError::Format { found: format!("{format:?}"), known: FORMAT_VERSION }));
        }
        let node = self.row(NODE)?.and_then(|row| <[u8; 8]>::try_from(row).ok());
        let secret = self.row(KEY)?.and_then(|row| row.try_into().ok());
        let (Some(node), Some(secret)) = (node.map(u64::from_be_bytes), secret) else {
            return Ok(Err(KvError::corrupt("the log's manifest", "its identity is incomplete")));
        };
        if node != node_id {
            return Ok(Err(KvError::WrongNode { stored: node, configured: node_id }));
        }
        let segments = match self.row(SEGMENTS)? {
            None => Some(Segments { first: 1, newest: 0 }),
            Some(row) => read_segments(row),
        };
        let Some(segments) = segments else {
            return Ok(Err(KvError::corrupt("the log's manifest", "its list of segments cannot be read")));
        };
        let purged = self.row(PURGED)?.map(|row| Reader(row.into()).log_id()).transpose();
        let purged = match purged {
            Ok(purged) => purged,
            Err(error) => return Ok(Err(KvError::corrupt("the log's manifest", error))),
        };
        Ok(Ok(Contents { key: Key::new(secret), segments, purged }))
    }

    fn row(&self, name: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        let transaction = self.db.begin_read()?;
        match transaction.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(table?.get(name)?.map(|row| row.value().to_vec())),
        }
    }
}

fn read_segments(row: Vec<u8>) -> Option<Segments> {
    let mut reader = Reader(row.into());
    let segments = Segments { first: reader.number().ok()?, newest: reader.number().ok()? };
    (segments.first > 0 && segments.newest >= segments.first && reader.end().is_ok()).then_some(segments)
}

fn explain(error: redb::Error) -> KvError {
    match error {
        redb::Error::Corrupted(detail) => KvError::corrupt("the log's manifest", detail),
        other => KvError::io("reading the log's manifest", other),
    }
}
