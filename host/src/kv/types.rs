//! What callers of the KV hand in and get back.

use std::fmt;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::error::KvError;

/// Longest bucket name, in bytes: long enough for `realm/soul-name/purpose`, short enough to repeat in every key.
pub const BUCKET_BYTES_MAX: usize = 128;
/// Shortest time to live of a lease: expiry is checked ten times a second, so less would be noise.
pub const LEASE_TTL_MIN: Duration = Duration::from_millis(500);
/// Longest time to live of a lease: what shall live longer needs no lease.
pub const LEASE_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Separates the bucket from the key inside a [`Path`]; no bucket name can hold it.
const SEPARATOR: u8 = 0;

/// The client's name for one mutation, the same in every retry of it. A mutation whose id is still in the
/// replicated window of recent ids is not applied again: its first reply is given once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub [u8; 16]);

/// Names a lease. Never used twice within a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One key's present value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes stored.
    pub value: Bytes,
    /// The store's revision at the last change of this key.
    pub revision: u64,
    /// The store's revision when the key was created.
    pub created_revision: u64,
    /// Changes since creation; 1 for a key just created.
    pub version: u64,
    /// The lease with which the key is deleted, if any.
    pub lease: Option<LeaseId>,
}

/// What a key holds, and of which moment that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The entry; `None` where the key does not exist.
    pub entry: Option<Entry>,
    /// Index of the last log entry that had been applied when the key was read.
    pub log_index: u64,
}

/// What a mutation came to, and where it stands in the order of all mutations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<T> {
    /// Index of the Raft log entry that carried the mutation.
    pub log_index: u64,
    /// The store's revision right after it.
    pub revision: u64,
    /// The result itself.
    pub value: T,
}

/// What a compare-and-swap requires of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key was last changed at this revision.
    Revision(u64),
    /// The key holds exactly this value.
    Value(Bytes),
}

/// Result of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The expectation held; the new value stands.
    Swapped,
    /// It did not hold, and nothing was changed.
    Conflict {
        /// What the key holds instead; `None` where it does not exist.
        current: Option<Entry>,
    },
}

/// A bucket and a key, checked once, and kept as the one byte string that orders the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path(Bytes);

impl Path {
    /// Joins `bucket` (1 to 128 bytes of `[a-z0-9._/-]`) and `key` (1 to `key_bytes_max` bytes).
    ///
    /// # Errors
    /// `InvalidBucket`, `KeyEmpty` or `KeyTooLarge`.
    pub fn new(bucket: &str, key: &[u8], key_bytes_max: usize) -> Result<Path, KvError> {
        check_bucket(bucket)?;
        if key.is_empty() {
            return Err(KvError::KeyEmpty);
        }
        if key.len() > key_bytes_max {
            return Err(KvError::KeyTooLarge { limit: key_bytes_max, size: key.len() });
        }
        Ok(Path(join(bucket, key)))
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        std::str::from_utf8(&self.0[..self.split()]).unwrap_or_default()
    }

    /// The key within its bucket; shares the path's memory.
    pub fn key(&self) -> Bytes {
        self.0.slice((self.split() + 1).min(self.0.len())..)
    }

    /// The ordered byte string.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// A path out of the log or a snapshot, which was checked before it was written.
    pub(super) fn from_stored(bytes: Bytes) -> Path {
        Path(bytes)
    }

    fn split(&self) -> usize {
        self.0.iter().position(|byte| *byte == SEPARATOR).unwrap_or(self.0.len())
    }
}

/// One change inside a [`Txn`] (and, alone, what `put`, `delete` and `increment` propose).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Stores `value`, and binds the key to `lease` (`None` unbinds it).
    Put {
        /// Where.
        path: Path,
        /// What.
        value: Bytes,
        /// The lease with which the key dies.
        lease: Option<LeaseId>,
    },
    /// Deletes the key; nothing happens where it does not exist.
    Delete {
        /// Where.
        path: Path,
    },
    /// Adds to a decimal number; a key that does not exist counts as 0.
    Increment {
        /// Where.
        path: Path,
        /// What to add.
        delta: u64,
    },
}

/// What a [`Txn`] requires of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The key looked at.
    pub path: Path,
    /// What it must hold.
    pub expect: Expect,
}

/// All of `then`, in order, if all of `require` holds; otherwise nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// Conditions, checked against the state before the first mutation.
    pub require: Vec<Condition>,
    /// Mutations; a later one sees what an earlier one did.
    pub then: Vec<Mutation>,
}

/// Result of a [`Txn`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnOutcome {
    /// Every condition held, every mutation stands.
    Committed,
    /// A condition did not hold; nothing was changed.
    Refused {
        /// Position in `require` of the first condition that failed.
        condition: usize,
    },
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Sees every mutation acknowledged anywhere before the read began. Costs a read index.
    #[default]
    Linearizable,
    /// Sees what this node has applied; may lag behind.
    Local,
}

/// One page of a range read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Keys with their entries, in order of keys.
    pub entries: Vec<(Bytes, Entry)>,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<Bytes>,
    /// The store's revision that the page shows; a watch from the next one misses nothing.
    pub revision: u64,
    /// Index of the last log entry that had been applied when the page was read.
    pub log_index: u64,
}

/// One key's change, as a watch shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The store's revision; each change has its own, without gaps.
    pub revision: u64,
    /// Where it happened.
    pub path: Path,
    /// What happened.
    pub kind: ChangeKind,
    /// What the key held before.
    pub previous: Option<Entry>,
}

impl Change {
    /// The bucket of the key changed.
    pub fn bucket(&self) -> &str {
        self.path.bucket()
    }

    /// The key changed.
    pub fn key(&self) -> Bytes {
        self.path.key()
    }
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Created or overwritten.
    Put(Entry),
    /// Deleted, by request or with its lease.
    Deleted,
}

/// Checks a bucket's name.
pub(super) fn check_bucket(bucket: &str) -> Result<(), KvError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'/' | b'-');
    if bucket.is_empty() || bucket.len() > BUCKET_BYTES_MAX || !bucket.bytes().all(allowed) {
        // The name may be hostile: it is escaped and cut before anybody reads it.
        let shown: String = bucket.escape_debug().take(BUCKET_BYTES_MAX).collect();
        return Err(KvError::InvalidBucket { bucket: shown });
    }
    Ok(())
}

/// The ordered byte string of `key` in `bucket`; an empty key gives the lower bound of the bucket.
pub(super) fn join(bucket: &str, key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(bucket.len() + 1 + key.len());
    bytes.put_slice(bucket.as_bytes());
    bytes.put_u8(SEPARATOR);
    bytes.put_slice(key);
    bytes.freeze()
}

/// The first byte string after every key of `bucket`.
pub(super) fn end_of(bucket: &str) -> Bytes {
    let mut bytes = BytesMut::with_capacity(bucket.len() + 1);
    bytes.put_slice(bucket.as_bytes());
    bytes.put_u8(SEPARATOR + 1);
    bytes.freeze()
}
