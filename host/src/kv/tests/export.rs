//! A state that is taken out of one realm and put into another.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Duration;

use super::{BUCKET, bytes, config, folder, get, open, put, request};
use crate::kv::{Consistency, Export, Import, KvError, WatchError};

/// The state as a file.
fn file(export: &Export) -> File {
    let mut file = tempfile::tempfile().unwrap();
    export.write(&file).unwrap();
    file.rewind().unwrap();
    file
}

#[tokio::test]
async fn a_new_realm_goes_on_from_the_state_of_another() {
    let (from, to) = (folder(), folder());
    let kv = open(from.path()).await;
    for key in 0..300 {
        put(&kv, &format!("{key:03}"), "kept").await;
    }
    let counted = kv.increment(BUCKET, b"count", 7, request(1)).await.unwrap();
    let lease = kv.grant_lease(Duration::from_secs(60), None).await.unwrap().value;
    kv.put(BUCKET, b"leased", bytes("gone"), Some(lease), None).await.unwrap();
    kv.put("sys/old", b"node", bytes("gone"), None, None).await.unwrap();
    let before = kv.get(BUCKET, b"007", Consistency::Local).await.unwrap();
    let export = kv.export().await.unwrap();
    assert_eq!(export.revision(), kv.stats().revision);
    assert_eq!(export.values("sys/old"), [(bytes("node"), bytes("gone"))]);
    // What comes after the moment is not in it.
    put(&kv, "007", "later").await;

    let config = config(&to.path().join("kv"));
    let mut import = Import::read(&mut file(&export), &config).unwrap();
    import.clear("sys/old").unwrap();
    import.put("sys/new", b"node", bytes("1")).unwrap();
    import.found(&config).unwrap();
    for _ in 0..2 {
        let new = crate::kv::Kv::open(config.clone(), &crate::tasks::Tasks::new()).await.unwrap();
        assert_eq!(new.get(BUCKET, b"007", Consistency::Linearizable).await.unwrap(), before);
        assert_eq!(get(&new, "leased").await, None);
        assert_eq!(new.stats().leases, 0);
        assert!(new.get("sys/old", b"node", Consistency::Local).await.unwrap().is_none());
        assert!(new.get("sys/new", b"node", Consistency::Local).await.unwrap().is_some());
        // What was acknowledged there is acknowledged here, and not done again.
        assert_eq!(new.increment(BUCKET, b"count", 7, request(1)).await.unwrap(), counted);
        assert!(new.members().is_leader() && new.members().voters.len() == 1);
        let (index, revision) = (new.stats().applied_index, new.stats().revision);
        assert!(index > export.index() && revision > export.revision());
        assert!(matches!(new.watch(BUCKET, b"", Some(1)), Err(WatchError::Compacted { .. })));
        assert_eq!(put(&new, "more", "x").await, revision + 1);
        new.close().await;
    }
}

#[tokio::test]
async fn a_changed_state_is_refused() {
    let from = folder();
    let kv = open(from.path()).await;
    put(&kv, "key", "value").await;
    let mut file = file(&kv.export().await.unwrap());
    file.seek(std::io::SeekFrom::Start(40)).unwrap();
    file.write_all(b"?").unwrap();
    let refused = Import::read(&mut file, &config(from.path()));
    assert!(matches!(refused, Err(KvError::Corrupt { .. })), "{refused:?}");
}
