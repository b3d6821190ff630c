//! What watches show, and what they say when they cannot.

use std::time::Duration;

use futures::StreamExt;

use super::{BUCKET, bytes, config, folder, open, put};
use crate::kv::{Change, ChangeKind, Kv, KvConfig, Watch, WatchError};
use crate::tasks::Tasks;

/// The next item, which must come at once.
async fn next(watch: &mut Watch) -> Result<Change, WatchError> {
    let item = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
    item.expect("the watch yields").expect("the store is open")
}

async fn next_keys(watch: &mut Watch, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..count {
        let change = next(watch).await.unwrap();
        keys.push(String::from_utf8(change.key().to_vec()).unwrap());
    }
    keys
}

#[tokio::test]
async fn shows_the_prefix_only_and_in_order() {
    let dir = folder();
    let kv = open(dir.path()).await;
    put(&kv, "a/0", "before").await;
    let mut watch = kv.watch(BUCKET, b"a/", None).unwrap();
    kv.put("tests/other", b"a/1", bytes("x"), None, None).await.unwrap();
    put(&kv, "b/1", "x").await;
    let first = put(&kv, "a/1", "x").await;
    put(&kv, "a/1", "y").await;
    kv.delete(BUCKET, b"a/1", None).await.unwrap();
    let changes =
        [next(&mut watch).await.unwrap(), next(&mut watch).await.unwrap(), next(&mut watch).await.unwrap()];
    assert_eq!(changes.each_ref().map(|change| change.revision), [first, first + 1, first + 2]);
    assert_eq!(changes[0].previous, None);
    assert_eq!(changes[1].previous.as_ref().unwrap().value, "x");
    assert!(matches!(&changes[1].kind, ChangeKind::Put(entry) if entry.value == "y"));
    assert_eq!(changes[2].kind, ChangeKind::Deleted);
    assert_eq!(changes[2].bucket(), BUCKET);
}

#[tokio::test]
async fn resumes_where_it_stopped_also_after_a_restart() {
    let dir = folder();
    let kv = open(dir.path()).await;
    for key in ["1", "2", "3", "4"] {
        put(&kv, key, "x").await;
    }
    let mut watch = kv.watch(BUCKET, b"", Some(1)).unwrap();
    assert_eq!(next_keys(&mut watch, 2).await, ["1", "2"]);
    kv.close().await;
    drop((watch, kv));
    let kv = open(dir.path()).await;
    let mut watch = kv.watch(BUCKET, b"", Some(3)).unwrap();
    put(&kv, "5", "x").await;
    assert_eq!(next_keys(&mut watch, 3).await, ["3", "4", "5"]);
    kv.close().await;
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn says_exactly_what_it_missed() {
    let dir = folder();
    let config = KvConfig { history_revisions: 4, watch_buffer: 1, ..config(dir.path()) };
    let kv = Kv::open(config, &Tasks::new()).await.unwrap();
    let mut watch = kv.watch(BUCKET, b"", None).unwrap();
    for key in 1..=10 {
        put(&kv, &key.to_string(), "x").await;
    }
    assert_eq!(next(&mut watch).await, Err(WatchError::Lagged { missed_from: 1, resumed_at: 7 }));
    assert_eq!(next_keys(&mut watch, 4).await, ["7", "8", "9", "10"]);
    let compacted = kv.watch(BUCKET, b"", Some(6)).err();
    assert_eq!(compacted, Some(WatchError::Compacted { oldest: 7 }));
    assert_eq!(kv.stats().watch_lags, 1);
    put(&kv, "11", "x").await;
    assert_eq!(next_keys(&mut watch, 1).await, ["11"]);
}
