//! Leases end when nobody keeps them alive, and take their keys with them.

use std::time::{Duration, Instant};

use futures::StreamExt;

use super::{BUCKET, bytes, folder, get, open, put};
use crate::kv::{ChangeKind, KvError, LEASE_TTL_MIN, LeaseId};

#[tokio::test]
async fn an_expired_lease_deletes_its_keys() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let granted = Instant::now();
    let lease = kv.grant_lease(LEASE_TTL_MIN, None).await.unwrap().value;
    kv.put(BUCKET, b"bound", bytes("x"), Some(lease), None).await.unwrap();
    kv.put(BUCKET, b"freed", bytes("x"), Some(lease), None).await.unwrap();
    put(&kv, "freed", "y").await;
    let mut watch = kv.watch(BUCKET, b"", None).unwrap();
    let change = tokio::time::timeout(Duration::from_secs(10), watch.next()).await.unwrap().unwrap().unwrap();
    assert_eq!((change.kind.clone(), change.key()), (ChangeKind::Deleted, bytes("bound")));
    assert!(granted.elapsed() >= LEASE_TTL_MIN);
    assert_eq!(get(&kv, "freed").await.unwrap(), "y");
    let late = kv.put(BUCKET, b"late", bytes("x"), Some(lease), None).await;
    assert!(matches!(late, Err(KvError::NoSuchLease)));
    assert!(matches!(kv.keep_alive(lease).await, Err(KvError::NoSuchLease)));
}

#[tokio::test]
async fn a_lease_kept_alive_lives() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let kept = kv.grant_lease(LEASE_TTL_MIN, None).await.unwrap().value;
    let left = kv.grant_lease(LEASE_TTL_MIN, None).await.unwrap().value;
    kv.put(BUCKET, b"kept", bytes("x"), Some(kept), None).await.unwrap();
    kv.put(BUCKET, b"left", bytes("x"), Some(left), None).await.unwrap();
    let mut watch = kv.watch(BUCKET, b"left", None).unwrap();
    let mut beat = tokio::time::interval(LEASE_TTL_MIN / 10);
    // Kept alive for as long as it takes the other to end.
    loop {
        tokio::select! {
            change = watch.next() => {
                assert_eq!(change.unwrap().unwrap().kind, ChangeKind::Deleted);
                break;
            }
            _ = beat.tick() => assert_eq!(kv.keep_alive(kept).await.unwrap(), LEASE_TTL_MIN),
        }
    }
    assert_eq!(get(&kv, "kept").await.unwrap(), "x");
}

#[tokio::test]
async fn after_a_restart_a_lease_has_its_full_time() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let ttl = Duration::from_secs(2);
    let lease = kv.grant_lease(ttl, None).await.unwrap().value;
    kv.put(BUCKET, b"bound", bytes("x"), Some(lease), None).await.unwrap();
    kv.close().await;
    drop(kv);
    let kv = open(dir.path()).await;
    let reopened = Instant::now();
    let mut watch = kv.watch(BUCKET, b"", None).unwrap();
    let change = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(change.kind, ChangeKind::Deleted);
    // Counted from just after the opening, hence the allowance for what opening took.
    assert!(reopened.elapsed() >= ttl - Duration::from_millis(500));
}

#[tokio::test]
async fn revoking_deletes_any_number_of_keys() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let lease = kv.grant_lease(Duration::from_secs(600), None).await.unwrap().value;
    let keys: Vec<String> = (0..2_500).map(|key| key.to_string()).collect();
    let puts = keys.iter().map(|key| kv.put(BUCKET, key.as_bytes(), bytes("x"), Some(lease), None));
    assert!(futures::future::join_all(puts).await.into_iter().all(|put| put.is_ok()));
    put(&kv, "other", "x").await;
    kv.revoke_lease(lease).await.unwrap();
    assert_eq!((kv.stats().keys, kv.stats().leases), (1, 0));
    assert!(matches!(kv.revoke_lease(lease).await, Err(KvError::NoSuchLease)));
    assert!(matches!(kv.revoke_lease(LeaseId(7_777)).await, Err(KvError::NoSuchLease)));
    let short = kv.grant_lease(Duration::from_millis(1), None).await;
    assert!(matches!(short, Err(KvError::InvalidTtl)));
}
