//! What each operation does, refuses and answers.

use std::collections::BTreeSet;

use bytes::Bytes;
use tokio::sync::oneshot::error::TryRecvError;

use super::{BUCKET, bytes, config, folder, get, open, put, request};
use crate::kv::{Condition, Consistency, Expect, Kv, KvConfig, KvError, Mutation, Swap, Txn, TxnOutcome};
use crate::tasks::Tasks;

#[tokio::test]
async fn entries_know_where_they_come_from() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let created = put(&kv, "a", "1").await;
    put(&kv, "b", "1").await;
    let changed = put(&kv, "a", "2").await;
    let entry = kv.get(BUCKET, b"a", Consistency::Linearizable).await.unwrap().unwrap();
    assert_eq!((entry.created_revision, entry.revision, entry.version), (created, changed, 2));
    assert_eq!(changed, created + 2);
    let deleted = kv.delete(BUCKET, b"a", None).await.unwrap();
    assert!(deleted.value);
    let again = kv.delete(BUCKET, b"a", None).await.unwrap();
    assert!(!again.value);
    assert_eq!(again.revision, deleted.revision);
    assert!(again.log_index > deleted.log_index);
    assert_eq!(get(&kv, "a").await, None);
}

#[tokio::test]
async fn swaps_only_what_is_expected() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let swap = |expect, new: Option<&'static str>| {
        let kv = kv.clone();
        async move {
            let new = new.map(bytes);
            kv.compare_and_swap(BUCKET, b"k", expect, new, None).await.unwrap().value
        }
    };
    assert_eq!(swap(Expect::Value(bytes("1")), Some("2")).await, Swap::Conflict { current: None });
    assert_eq!(swap(Expect::Absent, Some("1")).await, Swap::Swapped);
    let Swap::Conflict { current: Some(current) } = swap(Expect::Absent, Some("2")).await else {
        panic!("an existing key was taken for absent");
    };
    assert_eq!(current.value, "1");
    assert_eq!(swap(Expect::Revision(current.revision), Some("2")).await, Swap::Swapped);
    assert!(matches!(swap(Expect::Revision(current.revision), None).await, Swap::Conflict { .. }));
    assert_eq!(swap(Expect::Value(bytes("2")), None).await, Swap::Swapped);
    assert_eq!(get(&kv, "k").await, None);
}

#[tokio::test]
async fn concurrent_increments_all_count() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let increments = (0..200).map(|_| kv.increment(BUCKET, b"n", 3, None));
    let sums: BTreeSet<u64> =
        futures::future::join_all(increments).await.into_iter().map(|reply| reply.unwrap().value).collect();
    assert_eq!(sums.len(), 200);
    assert_eq!(get(&kv, "n").await.unwrap(), "600");
    put(&kv, "n", "+1").await;
    assert!(matches!(kv.increment(BUCKET, b"n", 1, None).await, Err(KvError::NotANumber)));
    put(&kv, "n", &u64::MAX.to_string()).await;
    assert!(matches!(kv.increment(BUCKET, b"n", 1, None).await, Err(KvError::Overflow)));
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let a = kv.path(BUCKET, b"a").unwrap();
    let b = kv.path("tests/two", b"b").unwrap();
    let count = || Mutation::Increment { path: a.clone(), delta: 1 };
    let mark = Mutation::Put { path: b.clone(), value: bytes("x"), lease: None };
    let absent = Condition { path: b.clone(), expect: Expect::Absent };
    let txn = Txn { require: vec![absent], then: vec![count(), count(), mark.clone()] };
    assert_eq!(kv.batch(txn.clone(), None).await.unwrap().value, TxnOutcome::Committed);
    assert_eq!(get(&kv, "a").await.unwrap(), "2");
    assert_eq!(kv.batch(txn, None).await.unwrap().value, TxnOutcome::Refused { condition: 0 });
    let broken =
        Txn { require: vec![], then: vec![count(), mark, Mutation::Increment { path: b, delta: 1 }] };
    assert!(matches!(kv.batch(broken, None).await, Err(KvError::NotANumber)));
    assert_eq!(get(&kv, "a").await.unwrap(), "2");
}

#[tokio::test]
async fn a_request_id_makes_retries_harmless() {
    let dir = folder();
    let kv = open(dir.path()).await;
    let first = kv.increment(BUCKET, b"n", 5, request(1)).await.unwrap();
    assert_eq!(kv.increment(BUCKET, b"n", 5, request(1)).await.unwrap(), first);
    assert_eq!(kv.increment(BUCKET, b"n", 5, request(2)).await.unwrap().value, 10);
    assert!(matches!(kv.delete(BUCKET, b"n", request(1)).await, Err(KvError::RequestIdReused)));
    kv.close().await;
    drop(kv);
    let kv = open(dir.path()).await;
    assert_eq!(kv.increment(BUCKET, b"n", 5, request(1)).await.unwrap(), first);
    assert_eq!(get(&kv, "n").await.unwrap(), "10");
}

#[tokio::test]
async fn ranges_page_through_one_bucket_only() {
    let dir = folder();
    let kv = open(dir.path()).await;
    for key in ["a", "b", "b\u{0}", "c", "d"] {
        put(&kv, key, key).await;
    }
    for other in ["tests/on", "tests/one/below", "tests/one.more"] {
        kv.put(other, b"b", bytes("other"), None, None).await.unwrap();
    }
    let mut keys = Vec::new();
    let mut start = Bytes::new();
    loop {
        let page = kv.range(BUCKET, &start, None, 2, Consistency::Linearizable).await.unwrap();
        assert!(page.entries.len() <= 2);
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        let Some(next) = page.next else { break };
        start = next;
    }
    assert_eq!(keys, ["a", "b", "b\u{0}", "c", "d"]);
    let page = kv.range(BUCKET, b"b", Some(b"c"), 10, Consistency::Local).await.unwrap();
    assert_eq!(page.entries.len(), 2);
    assert_eq!(page.next, None);
    let many = kv.get_many(BUCKET, &[bytes("d"), bytes("x"), bytes("a")], Consistency::Local).await.unwrap();
    let found: Vec<_> = many.into_iter().map(|entry| entry.map(|entry| entry.value)).collect();
    assert_eq!(found, [Some(bytes("d")), None, Some(bytes("a"))]);
}

#[tokio::test]
async fn a_page_is_bounded_in_bytes() {
    let dir = folder();
    let config = KvConfig { range_page_bytes: 2_500, ..config(dir.path()) };
    let kv = Kv::open(config, &Tasks::new()).await.unwrap();
    for key in ["a", "b", "c"] {
        put(&kv, key, &"x".repeat(1_000)).await;
    }
    put(&kv, "d", &"x".repeat(5_000)).await;
    let page = kv.range(BUCKET, b"", None, 100, Consistency::Linearizable).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (2, Some(bytes("c"))));
    let page = kv.range(BUCKET, b"d", None, 100, Consistency::Linearizable).await.unwrap();
    assert_eq!((page.entries.len(), page.next), (1, None));
}

#[tokio::test]
async fn what_breaks_a_limit_is_refused_by_name() {
    let dir = folder();
    let config =
        KvConfig { value_bytes_max: 10, state_bytes_max: 2_000, txn_ops_max: 2, ..config(dir.path()) };
    let kv = Kv::open(config, &Tasks::new()).await.unwrap();
    for bucket in ["", "Upper", "a b", "a\u{0}b", "ü", &"x".repeat(129)] {
        let refused = kv.put(bucket, b"k", Bytes::new(), None, None).await;
        assert!(matches!(refused, Err(KvError::InvalidBucket { .. })), "{bucket:?} was taken");
    }
    let long = [b'k'; 513];
    assert!(matches!(
        kv.get(BUCKET, &long, Consistency::Local).await,
        Err(KvError::KeyTooLarge { limit: 512, .. })
    ));
    assert!(matches!(kv.get(BUCKET, b"", Consistency::Local).await, Err(KvError::KeyEmpty)));
    let large = kv.put(BUCKET, b"k", bytes("12345678901"), None, None).await;
    assert!(matches!(large, Err(KvError::ValueTooLarge { limit: 10, size: 11 })));
    let delete = Mutation::Delete { path: kv.path(BUCKET, b"k").unwrap() };
    let txn = Txn { require: vec![], then: vec![delete; 3] };
    assert!(matches!(kv.batch(txn, None).await, Err(KvError::TxnTooLarge { limit: 2, size: 3, .. })));
    let mut taken = 0;
    let full = loop {
        match kv.put(BUCKET, format!("k{taken}").as_bytes(), bytes("1234567890"), None, None).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, KvError::Full { limit: 2_000 }), "{full}");
    assert!(taken > 5);
    kv.delete(BUCKET, b"k0", None).await.unwrap();
    assert_eq!(kv.stats().keys, taken - 1);
}

#[tokio::test]
async fn too_much_at_once_is_refused_at_once() {
    let dir = folder();
    let config = KvConfig { value_bytes_max: 1 << 10, inflight_bytes_max: 2 << 20, ..config(dir.path()) };
    let kv = Kv::open(config, &Tasks::new()).await.unwrap();
    let keys: Vec<String> = (0..3_000).map(|key| key.to_string()).collect();
    let puts = keys.iter().map(|key| kv.put(BUCKET, key.as_bytes(), bytes(&"x".repeat(1 << 10)), None, None));
    let results = futures::future::join_all(puts).await;
    let refused = results.iter().filter(|result| matches!(result, Err(KvError::Overloaded))).count();
    assert!(refused > 0);
    assert_eq!(kv.stats().keys, (results.len() - refused) as u64);
    assert_eq!(kv.stats().writes_failed, refused as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_says_of_which_moment_it_is() {
    let dir = folder();
    let kv = open(dir.path()).await;
    put(&kv, "k", "x").await;
    let writer = kv.clone();
    let mut writes = Tasks::new().spawn("writes", async move {
        let mut written = Vec::new();
        for _ in 0..500 {
            let reply = writer.put(BUCKET, b"k", bytes("x"), None, None).await.unwrap();
            written.push((reply.log_index, reply.revision));
        }
        written
    });
    let mut seen = Vec::new();
    let written = loop {
        let look = kv.look(BUCKET, b"k", Consistency::Local).await.unwrap();
        let page = kv.range(BUCKET, b"", None, 1, Consistency::Local).await.unwrap();
        seen.push((look.log_index, look.entry.unwrap().revision));
        seen.push((page.log_index, page.revision));
        match writes.try_recv() {
            Err(TryRecvError::Empty) => {}
            ended => break ended.unwrap(),
        }
    };
    let first = written[0];
    for (log_index, revision) in seen {
        let at = written.partition_point(|(index, _)| *index <= log_index);
        let wanted = if at == 0 { first.1 - 1 } else { written[at - 1].1 };
        assert_eq!(revision, wanted, "at {log_index}");
    }
}

#[tokio::test]
async fn a_fenced_increment_counts_only_while_its_condition_holds() {
    let dir = folder();
    let kv = open(dir.path()).await;
    put(&kv, "home", "1").await;
    let fence = Condition { path: kv.path(BUCKET, b"home").unwrap(), expect: Expect::Value(bytes("1")) };
    let count = async || kv.increment_if(fence.clone(), BUCKET, b"count", 2).await.map(|reply| reply.value);
    assert_eq!((count().await.unwrap(), count().await.unwrap()), (Some(2), Some(4)));
    put(&kv, "home", "2").await;
    assert_eq!(count().await.unwrap(), None);
    assert_eq!(get(&kv, "count").await.unwrap(), "4", "nothing was changed");
    put(&kv, "home", "1").await;
    put(&kv, "count", "no number").await;
    assert!(matches!(count().await, Err(KvError::NotANumber)));
    kv.close().await;
}
