//! The log's tables in redb, and what goes in and out of them. Only the writer's thread writes.

use std::path::Path;

use bytes::Bytes;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::codec::{Reader, Writer};
use super::error::KvError;
use super::raft::{LogEntry, LogId, Vote};

/// Log entries by index.
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
/// Everything else, by name.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const NODE: &str = "node";
const MASK: &str = "mask";
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// Version of the tables' layout.
const FORMAT_VERSION: u8 = 1;

/// The log's file.
pub(super) struct Store {
    db: Database,
    mask: Mask,
    two_phase_commit: bool,
}

/// What the file holds beside the entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Meta {
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
}

/// One transaction's worth of changes, in the order: purged, rows removed, rows written, metadata.
#[derive(Default)]
pub(super) struct Changes {
    /// Rows from this index on are removed before any is written.
    pub(super) truncate_from: Option<u64>,
    pub(super) rows: Vec<(u64, Vec<u8>)>,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    /// How many of the rows purged earlier may be removed now.
    pub(super) sweep: usize,
}

impl Store {
    /// Opens the file at `path`, or makes it for node `node_id`.
    pub(super) fn open(
        path: &Path,
        node_id: u64,
        cache_bytes: usize,
        two_phase_commit: bool,
    ) -> Result<(Store, Meta), KvError> {
        let opened = Database::builder().set_cache_size(cache_bytes).create(path);
        let db = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => KvError::Locked { path: path.to_path_buf() },
            other => KvError::io(format!("opening {}", path.display()), other),
        })?;
        let mut store = Store { db, mask: Mask([0; 2]), two_phase_commit };
        store.mask = store.identify(node_id).map_err(|error| store.explain(path, error))??;
        let meta = store.read_meta().map_err(|error| store.explain(path, error))?;
        Ok((store, meta))
    }

    /// Encodes an entry as its row is stored.
    pub(super) fn encode(&self, entry: &LogEntry, index: u64) -> std::io::Result<Vec<u8>> {
        let mut writer = Writer::default();
        writer.log_entry(entry)?;
        self.mask.apply(index, &mut writer.0);
        Ok(writer.0)
    }

    /// Makes the changes in one transaction. When this returns they are on disk.
    pub(super) fn commit(&self, changes: &Changes) -> Result<(), redb::Error> {
        let mut transaction = self.db.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(self.two_phase_commit);
        {
            let mut log = transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            if let Some(from) = changes.truncate_from {
                log.retain_in(from.., |_, _| false)?;
            }
            for (index, row) in &changes.rows {
                log.insert(index, row.as_slice())?;
            }
            if let Some(vote) = &changes.vote {
                let mut writer = Writer::default();
                writer.vote(vote);
                meta.insert(VOTE, writer.0.as_slice())?;
            }
            for (name, id) in [(COMMITTED, changes.committed), (PURGED, changes.purged)] {
                if let Some(id) = id {
                    let mut writer = Writer::default();
                    writer.log_id(id);
                    meta.insert(name, writer.0.as_slice())?;
                }
            }
            let purged = meta.get(PURGED)?.map(|row| Bytes::copy_from_slice(row.value()));
            if let Some(Ok(purged)) = purged.map(|bytes| Reader(bytes).log_id()) {
                for _ in 0..changes.sweep {
                    if log.first()?.is_none_or(|(index, _)| index.value() > purged.index) {
                        break;
                    }
                    log.pop_first()?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The entries from `from` up to, not including, `to`, in order.
    pub(super) fn read(&self, from: u64, to: u64) -> std::io::Result<Vec<LogEntry>> {
        let rows = || -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
            let table = self.db.begin_read()?.open_table(LOG)?;
            let mut rows = Vec::new();
            for row in table.range(from..to)? {
                let (index, bytes) = row?;
                rows.push((index.value(), bytes.value().to_vec()));
            }
            Ok(rows)
        };
        let decode = |(index, mut row): (u64, Vec<u8>)| {
            self.mask.apply(index, &mut row);
            Reader(row.into()).log_entry().map_err(std::io::Error::other)
        };
        rows().map_err(std::io::Error::other)?.into_iter().map(decode).collect()
    }

    /// Checks whose file this is, or marks a new one; returns its mask.
    fn identify(&self, node_id: u64) -> Result<Result<Mask, KvError>, redb::Error> {
        let transaction = self.db.begin_write()?;
        let found = {
            transaction.open_table(LOG)?;
            let mut meta = transaction.open_table(META)?;
            if meta.get(FORMAT)?.is_none() {
                let mut secret = [0; 16];
                if let Err(error) = getrandom::fill(&mut secret) {
                    return Ok(Err(KvError::io("asking the system for random bytes", error)));
                }
                meta.insert(MASK, secret.as_slice())?;
                meta.insert(NODE, node_id.to_be_bytes().as_slice())?;
                meta.insert(FORMAT, [FORMAT_VERSION].as_slice())?;
            }
            let row =
                |name| meta.get(name).map(|row| row.map(|row| row.value().to_vec()).unwrap_or_default());
            (row(FORMAT)?, row(NODE)?, row(MASK)?)
        };
        transaction.commit()?;
        let (format, node, mask) = found;
        if format != [FORMAT_VERSION] {
            return Ok(Err(KvError::corrupt(
                "the log",
                format!("its format is {format:?}, not {FORMAT_VERSION}"),
            )));
        }
        let (Ok(node), Ok(mask)) = (<[u8; 8]>::try_from(node), <[u8; 16]>::try_from(mask)) else {
            return Ok(Err(KvError::corrupt("the log", "its identity is incomplete")));
        };
        let stored = u64::from_be_bytes(node);
        if stored != node_id {
            return Ok(Err(KvError::WrongNode { stored, configured: node_id }));
        }
        Ok(Ok(Mask::new(mask)))
    }

    fn read_meta(&self) -> Result<Meta, redb::Error> {
        let transaction = self.db.begin_read()?;
        let table = transaction.open_table(META)?;
        let row = |name| -> Result<Option<Reader>, redb::Error> {
            Ok(table.get(name)?.map(|row| Reader(Bytes::copy_from_slice(row.value()))))
        };
        let id = |name| -> Result<Option<LogId>, redb::Error> {
            row(name)?.map(|mut reader| reader.log_id()).transpose().map_err(|_| damaged(name))
        };
        let vote = row(VOTE)?.map(|mut reader| reader.vote()).transpose().map_err(|_| damaged(VOTE))?;
        let (committed, purged) = (id(COMMITTED)?, id(PURGED)?);
        let log = transaction.open_table(LOG)?;
        let last = match log.last()? {
            None => None,
            Some((index, bytes)) => {
                let (index, mut row) = (index.value(), bytes.value().to_vec());
                self.mask.apply(index, &mut row);
                Some(Reader(row.into()).log_id().map_err(|_| damaged("last entry"))?)
            }
        };
        // Purged rows are swept later: they are no longer part of the log.
        let last = last.filter(|last| purged.is_none_or(|purged| last.index > purged.index)).or(purged);
        Ok(Meta { vote, committed, purged, last })
    }

    fn explain(&self, path: &Path, error: redb::Error) -> KvError {
        match error {
            redb::Error::Corrupted(detail) => KvError::corrupt(path.display().to_string(), detail),
            other => KvError::io(format!("reading {}", path.display()), other),
        }
    }
}

fn damaged(name: &str) -> redb::Error {
    redb::Error::Corrupted(format!("the record '{name}' cannot be read"))
}

/// Hides on disk the bytes that guests chose. redb tells a torn commit by a checksum that is no cryptographic one;
/// whoever knows what the pages hold could craft a torn commit that passes. With a secret of the file's own in
/// every row nobody knows. It is no encryption: it protects the checksum, not the data.
struct Mask([u64; 2]);

impl Mask {
    fn new(secret: [u8; 16]) -> Mask {
        let number = u128::from_le_bytes(secret);
        Mask([number as u64, (number >> 64) as u64])
    }

    /// Masks, or unmasks, the row at `index`.
    fn apply(&self, index: u64, row: &mut [u8]) {
        let mut state = self.0[0] ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for chunk in row.chunks_mut(8) {
            // One step of splitmix64, keyed by the second half of the secret.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state ^ self.0[1];
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.iter_mut().zip(word.to_le_bytes()).for_each(|(byte, mask)| *byte ^= mask);
        }
    }
}
