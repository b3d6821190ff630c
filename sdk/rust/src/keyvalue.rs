//! The replicated key-value store (`wasi:keyvalue`), one bucket at a time.

use crate::bindings::imports::wasi::keyvalue;
pub use crate::bindings::imports::wasi::keyvalue::store::Error;
use keyvalue::{atomics, batch, store};

/// An open bucket of keys and values.
pub struct Bucket(store::Bucket);

impl Bucket {
    /// Opens a bucket by its name.
    ///
    /// # Errors
    /// Where there is no such bucket, or no grant for it.
    pub fn open(name: &str) -> Result<Self, Error> {
        store::open(name).map(Self)
    }

    /// The value of a key, where it has one.
    ///
    /// # Errors
    /// As the node says.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    /// Gives a key a value, whether or not it had one.
    ///
    /// # Errors
    /// Where the grant is for reading only, or a quota is used up.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.set(key, value)
    }

    /// Takes a key's value away; no error if it has none.
    ///
    /// # Errors
    /// Where the grant is for reading only, or a quota is used up.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// As the node says.
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        self.0.exists(key)
    }

    /// One page of the bucket's keys, and where the next one starts. `None` starts at the first.
    ///
    /// # Errors
    /// As the node says.
    pub fn keys(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), Error> {
        self.0.list_keys(cursor).map(|page| (page.keys, page.cursor))
    }

    /// Adds to the number under a key (none counts as 0), atomically, and returns the sum.
    ///
    /// # Errors
    /// Where the value is no number, or there is no grant to write.
    pub fn increment(&self, key: &str, delta: u64) -> Result<u64, Error> {
        atomics::increment(&self.0, key, delta)
    }

    /// The values of several keys, in the same order; none for a key that has none.
    ///
    /// # Errors
    /// As the node says.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let entries = batch::get_many(&self.0, keys)?;
        Ok(entries.into_iter().map(|entry| entry.map(|(_, value)| value)).collect())
    }

    /// Gives several keys their values. Not atomic: some may be set where an error is returned.
    ///
    /// # Errors
    /// Where there is no grant to write, or a quota is used up.
    pub fn set_many(&self, entries: &[(String, Vec<u8>)]) -> Result<(), Error> {
        batch::set_many(&self.0, entries)
    }

    /// Takes several keys' values away. Not atomic, as [`set_many`](Self::set_many).
    ///
    /// # Errors
    /// Where there is no grant to write, or a quota is used up.
    pub fn delete_many(&self, keys: &[String]) -> Result<(), Error> {
        batch::delete_many(&self.0, keys)
    }
}
