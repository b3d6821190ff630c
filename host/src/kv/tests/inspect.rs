//! A look at a store that nobody runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{BUCKET, bytes, config, folder, open, put};
use crate::kv::{KvConfig, KvError, inspect, is_store};

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[tokio::test]
async fn what_is_looked_at_is_as_it_was() {
    let dir = folder();
    assert!(!is_store(dir.path()));
    let kv = open(dir.path()).await;
    for key in 0..50 {
        put(&kv, &format!("{key:02}"), "kept").await;
    }
    let locked = inspect(&config(dir.path())).err();
    assert!(matches!(locked, Some(KvError::Locked { .. })), "{locked:?}");
    let last = kv.stats().last_log_index;
    kv.close().await;
    drop(kv);
    assert!(is_store(dir.path()));
    // A snapshot that was cut off, and a segment that is none of the log's, stay where they are.
    std::fs::write(dir.path().join("snapshots/1.unfinished"), "x").unwrap();
    let before = files(dir.path());
    let found = inspect(&config(dir.path())).unwrap();
    assert_eq!((found.last_index, files(dir.path()) == before), (last, true));
    // The last ones may not have been known to be decided yet.
    assert!(found.committed_index + 2 > last, "{found:?}");
    assert!(found.values(BUCKET).len() >= 49);
    assert_eq!(found.values(BUCKET)[7], (bytes("07"), bytes("kept")));
    let other = inspect(&KvConfig { node_id: 9, ..config(dir.path()) }).err();
    assert!(matches!(other, Some(KvError::WrongNode { .. })), "{other:?}");
    open(dir.path()).await.close().await;
}

#[tokio::test]
async fn damage_is_named() {
    let dir = folder();
    let kv = open(dir.path()).await;
    for key in 0..50 {
        put(&kv, &format!("{key:02}"), "kept").await;
    }
    kv.close().await;
    drop(kv);
    let segment = files(&dir.path().join("log")).into_keys().find(|path| !path.ends_with("manifest.redb"));
    let segment = segment.unwrap();
    let mut damaged = std::fs::read(&segment).unwrap();
    damaged[200] ^= 1;
    std::fs::write(&segment, damaged).unwrap();
    let error = inspect(&config(dir.path())).err();
    assert!(matches!(error, Some(KvError::Corrupt { .. })), "{error:?}");
}
