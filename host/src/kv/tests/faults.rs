//! The whole store on a log that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::disk::{Chance, FaultyDisk};
use super::{BUCKET, bytes, config, folder, get, put};
use crate::kv::{Kv, KvConfig, KvError, OnFatal};
use crate::tasks::Tasks;

/// Longer than the store takes to notice anything about its disk or about Raft.
const NOTICED: Duration = Duration::from_secs(30);

async fn open_on(disk: &FaultyDisk, config: KvConfig) -> Kv {
    Kv::open_alone(config, Arc::new(disk.clone()), &Tasks::new()).await.unwrap()
}

#[tokio::test]
async fn a_failed_sync_ends_the_store_once() {
    let (dir, disk, fatal) = (folder(), FaultyDisk::default(), Arc::new(AtomicU64::new(0)));
    let (told, mut heard) = tokio::sync::mpsc::channel(8);
    let counted = Arc::clone(&fatal);
    let on_fatal = OnFatal(Arc::new(move |reason| {
        counted.fetch_add(1, Ordering::Relaxed);
        told.try_send(reason).unwrap();
    }));
    let settings = KvConfig { on_fatal, ..config(dir.path()) };
    let kv = open_on(&disk, settings).await;
    put(&kv, "before", "x").await;
    disk.fail_sync_after(Some(0));
    let lost = kv.put(BUCKET, b"lost", bytes("x"), None, None).await;
    assert!(matches!(lost, Err(KvError::Unavailable(_))), "{lost:?}");
    let reason = tokio::time::timeout(NOTICED, heard.recv()).await.unwrap().unwrap();
    assert!(reason.contains("writing the log failed"), "{reason}");
    for _ in 0..10 {
        assert!(kv.put(BUCKET, b"after", bytes("x"), None, None).await.is_err());
    }
    kv.close().await;
    drop(kv);
    assert_eq!(fatal.load(Ordering::Relaxed), 1);
    disk.restart_machine(&mut Chance(1));
    let kv = open_on(&disk, config(dir.path())).await;
    assert_eq!(get(&kv, "before").await.unwrap(), "x");
    assert_eq!(get(&kv, "after").await, None);
}

#[tokio::test]
async fn without_room_for_the_log_writes_are_refused_and_reads_are_not() {
    const SEGMENT_BYTES: u64 = 16 << 20;
    let (dir, disk) = (folder(), FaultyDisk::default());
    disk.leave_room(Some(SEGMENT_BYTES));
    let settings = KvConfig { log_segment_bytes: SEGMENT_BYTES, ..config(dir.path()) };
    let kv = open_on(&disk, settings).await;
    let value = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..9 {
        kv.put(BUCKET, b"large", value.clone(), None, None).await.unwrap();
    }
    let refused = async {
        loop {
            match kv.put(BUCKET, b"small", bytes("x"), None, None).await {
                Ok(_) => {}
                Err(KvError::DiskFull(_)) => return,
                Err(other) => panic!("{other}"),
            }
        }
    };
    tokio::time::timeout(NOTICED, refused).await.expect("writes are refused");
    assert_eq!(get(&kv, "small").await.unwrap(), "x");
    disk.leave_room(None);
    let taken = async { while kv.put(BUCKET, b"small", bytes("y"), None, None).await.is_err() {} };
    tokio::time::timeout(NOTICED, taken).await.expect("writes are taken again");
    assert_eq!(get(&kv, "small").await.unwrap(), "y");
}
