//! Tests of the room as a whole.

mod cuts;
mod damage;
mod disk;
mod export;
mod faults;
mod inspect;
mod journal;
mod leases;
mod model;
mod operations;
mod realm;
mod recovery;
mod suite;
mod watches;

use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;

use super::{Consistency, Kv, KvConfig, OnFatal, RequestId};
use crate::tasks::Tasks;

/// How long any one thing may take before a test gives up: far beyond what a busy machine needs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A bucket for tests that need only one.
const BUCKET: &str = "tests/one";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn config(dir: &Path) -> KvConfig {
    let on_fatal = OnFatal(std::sync::Arc::new(|reason| panic!("{reason}")));
    KvConfig {
        dir: dir.to_path_buf(),
        disk_reserve_bytes: 0,
        log_segment_bytes: 1 << 20,
        on_fatal,
        ..KvConfig::default()
    }
}

async fn open(dir: &Path) -> Kv {
    Kv::open(config(dir), &Tasks::new()).await.unwrap()
}

fn request(number: u8) -> Option<RequestId> {
    Some(RequestId([number; 16]))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn put(kv: &Kv, key: &str, value: &str) -> u64 {
    kv.put(BUCKET, key.as_bytes(), bytes(value), None, None).await.unwrap().revision
}

async fn get(kv: &Kv, key: &str) -> Option<Bytes> {
    let entry = kv.get(BUCKET, key.as_bytes(), Consistency::Linearizable).await.unwrap();
    entry.map(|entry| entry.value)
}
