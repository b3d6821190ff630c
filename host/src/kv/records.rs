//! Records: values that are JSON, for the rooms above that keep what should run here.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Consistency, Kv, KvError, RequestId};

/// How many records are read at once.
const PAGE: usize = 500;

impl Kv {
    /// Stores `record` as JSON; durable when it returns.
    ///
    /// # Errors
    /// Those of [`Kv::put`], and `Corrupt` if the record has no form in JSON.
    pub async fn put_record<T: Serialize>(
        &self,
        bucket: &str,
        key: &str,
        record: &T,
        request: Option<RequestId>,
    ) -> Result<(), KvError> {
        let value = serde_json::to_vec(record);
        let value = value.map_err(|error| KvError::corrupt(format!("{bucket}/{key}"), error))?;
        self.put(bucket, key.as_bytes(), Bytes::from(value), None, request).await?;
        Ok(())
    }

    /// The record under a key, read linearizably.
    ///
    /// # Errors
    /// Those of [`Kv::get`], and `Corrupt` if the value is no such record.
    pub async fn record<T: DeserializeOwned>(&self, bucket: &str, key: &str) -> Result<Option<T>, KvError> {
        let entry = self.get(bucket, key.as_bytes(), Consistency::Linearizable).await?;
        entry.map(|entry| parse(bucket, key.as_bytes(), &entry.value)).transpose()
    }

    /// At most `limit` records from the key `start` on, in the order of their keys, read linearizably.
    ///
    /// # Errors
    /// Those of [`Kv::range`], and `Corrupt` if a value is no such record.
    pub async fn records_from<T: DeserializeOwned>(
        &self,
        bucket: &str,
        start: &str,
        limit: usize,
    ) -> Result<Vec<T>, KvError> {
        let page = self.range(bucket, start.as_bytes(), None, limit, Consistency::Linearizable).await?;
        page.entries.iter().map(|(key, entry)| parse(bucket, key, &entry.value)).collect()
    }

    /// All records of a bucket, in the order of their keys, read linearizably.
    ///
    /// # Errors
    /// Those of [`Kv::range`], and `Corrupt` if a value is no such record.
    pub async fn all_records<T: DeserializeOwned>(&self, bucket: &str) -> Result<Vec<T>, KvError> {
        let mut records = Vec::new();
        let mut start = Bytes::new();
        loop {
            let page = self.range(bucket, &start, None, PAGE, Consistency::Linearizable).await?;
            for (key, entry) in &page.entries {
                records.push(parse(bucket, key, &entry.value)?);
            }
            match page.next {
                Some(next) => start = next,
                None => return Ok(records),
            }
        }
    }
}

fn parse<T: DeserializeOwned>(bucket: &str, key: &[u8], value: &[u8]) -> Result<T, KvError> {
    let what = || format!("{bucket}/{}", String::from_utf8_lossy(key));
    serde_json::from_slice(value).map_err(|error| KvError::corrupt(what(), error))
}
