//! Restoring from files that are whole, and from others. That a node writes such files is seen in `tests/realm`.

use std::path::Path;

use bytes::Bytes;
use matrix_proto::backup::Writer;
use matrix_proto::wire::{BackupFileKind, BackupHeader};
use proptest::prelude::*;

use super::{Place, RestoreError, Restored, restore};
use crate::ids::Digest;
use crate::kv::{Consistency, Kv, KvConfig};
use crate::realm::Identity;
use crate::runtime::components::ComponentsConfig;
use crate::tasks::Tasks;

const COMPONENT: &[u8] = b"the bytes of a component";
const RUN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn kv_config(dir: &Path) -> KvConfig {
    KvConfig { dir: dir.to_owned(), disk_reserve_bytes: 0, log_segment_bytes: 1 << 20, ..KvConfig::default() }
}

/// A small realm's backup, with one file of this name and kind.
async fn backup(kind: BackupFileKind, name: &str, file: &'static [u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let kv = Kv::open(kv_config(&dir.path().join("kv")), &Tasks::new()).await.expect("it opens");
    for (bucket, key, value) in [
        ("notes", "key", "value"),
        ("sys/nodes", "0000000002", "{}"),
        ("sys/placed", "ada", r#"{"node":2,"generation":4}"#),
    ] {
        kv.put(bucket, key.as_bytes(), Bytes::from(value), None, None).await.expect("room");
    }
    let export = kv.export().await.expect("it is open");
    let mut state = Vec::new();
    export.write(&mut state).expect("memory");
    let header = BackupHeader { realm: "old".into(), index: export.index(), ..BackupHeader::default() };
    let (mut writer, first) = Writer::new(header);
    let mut bytes = first.to_vec();
    bytes.extend_from_slice(&writer.kv(state.into()));
    bytes.extend_from_slice(&writer.file(kind, name.to_owned(), file.len() as u64));
    bytes.extend_from_slice(&writer.data(Bytes::from_static(file)));
    bytes.extend_from_slice(&writer.end(Vec::new()));
    bytes
}

/// Restores these bytes into `folder`.
async fn restored(bytes: &[u8], folder: &Path) -> Result<Restored, RestoreError> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("room");
    let (kv, components) = (&kv_config(folder), &ComponentsConfig::default());
    restore(file.path(), Place { folder, names: ["kv", "runs"], kv, components }).await
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("it is there").next().is_none()
}

#[tokio::test]
async fn a_whole_backup_is_a_new_realm() {
    let digest = Digest::of(COMPONENT);
    let good = backup(BackupFileKind::Component, &digest.to_string(), COMPONENT).await;
    let folder = tempfile::tempdir().expect("a folder");
    let done = restored(&good, folder.path()).await.expect("it is whole");
    assert_eq!((done.from.realm.as_str(), done.components, done.runs), ("old", 1, 0));
    let identity = Identity::load(folder.path()).expect("readable").expect("it is there");
    assert_eq!((identity.realm, identity.node, identity.took_part), (done.realm, 1, true));
    assert!(identity.others.is_empty());
    let stored = folder.path().join("components").join(format!("{}.wasm", digest.hex()));
    assert_eq!(std::fs::read(stored).expect("it is there"), COMPONENT);
    assert!(!folder.path().join("restoring").exists());
    let kv = Kv::open(kv_config(&folder.path().join("kv")), &Tasks::new()).await.expect("it opens");
    let get = async |bucket, key: &str| {
        let found = kv.get(bucket, key.as_bytes(), Consistency::Linearizable).await.expect("it answers");
        found.map(|entry| entry.value)
    };
    assert_eq!(get("notes", "key").await, Some(Bytes::from("value")));
    assert_eq!(get("sys/nodes", "0000000002").await, None);
    assert_eq!(get("sys/placed", "ada").await, Some(Bytes::from(r#"{"node":1,"generation":5}"#)));
    // Another time it is another realm.
    let again = tempfile::tempdir().expect("a folder");
    assert_ne!(restored(&good, again.path()).await.expect("it is whole").realm, done.realm);
}

#[tokio::test]
async fn what_is_there_is_not_written_over() {
    let good = backup(BackupFileKind::Run, RUN, b"log").await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), "mine").expect("room");
    let refused = restored(&good, folder.path()).await.expect_err("it is not empty");
    assert!(matches!(refused, RestoreError::NotEmpty(_)), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
    let fresh = folder.path().join("fresh");
    restored(&good, &fresh).await.expect("it is whole");
    assert_eq!(std::fs::read(fresh.join("runs").join(format!("{RUN}.log"))).expect("it is there"), b"log");
}

#[tokio::test]
async fn names_that_lead_elsewhere_and_bytes_that_are_another_component_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = Digest::of(b"something else").to_string();
    for (kind, name) in [
        (BackupFileKind::Run, "../../elsewhere"),
        (BackupFileKind::Component, "x"),
        (BackupFileKind::Component, &other),
    ] {
        let bad = backup(kind, name, COMPONENT).await;
        let refused = restored(&bad, folder.path()).await.expect_err("it is strange");
        assert!(matches!(refused, RestoreError::Strange(_) | RestoreError::Store(_)), "{refused}");
        assert!(is_empty(folder.path()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_or_torn_file_leaves_the_folder_empty(at in any::<prop::sample::Index>(), bit in 0..8_u8, torn: bool) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let mut bytes = backup(BackupFileKind::Run, RUN, b"log").await;
            let at = at.index(bytes.len());
            if torn {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1_u8 << bit;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let refused = restored(&bytes, folder.path()).await;
            prop_assert!(matches!(refused, Err(RestoreError::Backup(..))), "{:?}", refused);
            prop_assert!(is_empty(folder.path()));
            Ok(())
        })?;
    }
}
