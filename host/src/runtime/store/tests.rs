use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;

use super::*;

struct Bench {
    folder: tempfile::TempDir,
    store: ComponentStore,
}

impl Bench {
    fn new(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = StoreConfig {
            dir: folder.path().join("components"),
            component_bytes_max: 1_000,
            total_bytes_max: 2_500,
            components_max: 8,
            uploads_max: 2,
        };
        change(&mut config);
        Self { store: ComponentStore::open(config).expect("opens"), folder }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("components")
    }

    fn files(&self) -> usize {
        fs::read_dir(self.dir()).expect("a folder").count()
    }

    async fn put(&self, bytes: &[u8]) -> Result<(Digest, bool), StoreError> {
        let mut upload = self.store.begin_upload(None, None).await?;
        for chunk in bytes.chunks(300) {
            upload.write(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish().await
    }
}

#[tokio::test]
async fn what_came_whole_stays_under_its_digest() {
    let bench = Bench::new(|_| {});
    let bytes = vec![7; 1_000];
    let digest = Digest::of(&bytes);
    assert_eq!(bench.put(&bytes).await.expect("stored"), (digest, false));
    assert_eq!(bench.put(&bytes).await.expect("stored"), (digest, true));
    assert_eq!(bench.store.read(digest).await.expect("read"), bytes);
    let (mut file, length) = bench.store.open_read(digest).await.expect("opened");
    let mut streamed = Vec::new();
    file.read_to_end(&mut streamed).await.expect("read");
    assert_eq!((length, streamed), (1_000, bytes));
    assert_eq!(bench.store.list(), [(digest, 1_000)]);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let file = bench.store.existing(&digest).expect("there");
    assert_eq!((mode(&bench.dir()), mode(&file)), (0o700, 0o600));
    assert!(bench.store.remove(digest).await.expect("removed"));
    assert!(!bench.store.remove(digest).await.expect("nothing to remove"));
    assert!(matches!(bench.store.read(digest).await, Err(StoreError::Unknown(found)) if found == digest));
    assert_eq!(bench.files(), 0);
}

#[tokio::test]
async fn refused_at_the_first_byte_too_many() {
    let bench = Bench::new(|_| {});
    assert!(bench.put(&[0; 1_000]).await.is_ok());
    assert!(matches!(bench.put(&[1; 1_001]).await, Err(StoreError::TooLarge(1_000))));
    let announced = bench.store.begin_upload(Some(1_001), None).await;
    assert!(matches!(announced, Err(StoreError::TooLarge(1_000))));
    let mut upload = bench.store.begin_upload(Some(3), None).await.expect("begun");
    upload.write(Bytes::from_static(b"abc")).await.expect("as announced");
    assert!(matches!(upload.write(Bytes::from_static(b"d")).await, Err(StoreError::Longer(3))));
    assert!(matches!(upload.write(Bytes::from_static(b"")).await, Err(StoreError::Broken)));
    assert!(matches!(upload.finish().await, Err(StoreError::Broken)));
    assert_eq!(bench.files(), 1);
}

#[tokio::test]
async fn what_is_not_as_announced_leaves_nothing() {
    let bench = Bench::new(|_| {});
    let mut upload = bench.store.begin_upload(Some(4), None).await.expect("begun");
    upload.write(Bytes::from_static(b"abc")).await.expect("written");
    assert!(matches!(upload.finish().await, Err(StoreError::Shorter { expected: 4, found: 3 })));
    let expected = Digest::of(b"abd");
    let mut upload = bench.store.begin_upload(None, Some(expected)).await.expect("begun");
    upload.write(Bytes::from_static(b"abc")).await.expect("written");
    let error = upload.finish().await.expect_err("something else came");
    assert!(matches!(error, StoreError::Different { found, .. } if found == Digest::of(b"abc")));
    let mut upload = bench.store.begin_upload(None, None).await.expect("begun");
    upload.write(Bytes::from_static(b"abc")).await.expect("written");
    assert_eq!(bench.files(), 1);
    drop(upload);
    assert_eq!(bench.files(), 0);
}

#[tokio::test]
async fn room_is_counted_with_what_is_on_its_way_and_given_back() {
    let bench = Bench::new(|config| config.uploads_max = 1);
    bench.put(&[1; 1_000]).await.expect("stored");
    bench.put(&[2; 1_000]).await.expect("stored");
    assert!(matches!(bench.put(&[3; 501]).await, Err(StoreError::Full(2_000))));
    bench.put(&[3; 500]).await.expect("just fits: the refused one took no room");
    assert!(bench.store.remove(Digest::of(&[1; 1_000])).await.expect("removed"));
    bench.put(&[4; 1_000]).await.expect("fits again");
    let _first = bench.store.begin_upload(None, None).await.expect("begun");
    assert!(matches!(bench.store.begin_upload(None, None).await, Err(StoreError::Busy(1))));
}

#[tokio::test]
async fn no_more_components_than_may_be_listed() {
    let bench = Bench::new(|config| config.components_max = 1);
    bench.put(b"one").await.expect("stored");
    assert!(matches!(bench.put(b"two").await, Err(StoreError::TooMany(1))));
    assert!(bench.put(b"one").await.expect("there already").1);
    assert_eq!(bench.files(), 1);
}

#[tokio::test]
async fn opening_finds_what_was_stored_and_removes_what_was_cut_off() {
    let bench = Bench::new(|_| {});
    let (digest, _) = bench.put(b"kept").await.expect("stored");
    fs::write(bench.dir().join("9.part"), b"half").expect("written");
    let again = ComponentStore::open(bench.store.shared.config.clone()).expect("opens");
    assert_eq!(again.list(), [(digest, 4)]);
    assert_eq!(bench.files(), 1);
    fs::write(again.existing(&digest).expect("there"), b"kepd").expect("written");
    assert!(matches!(again.read(digest).await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn two_uploads_of_the_same_bytes_make_one_component() {
    let bench = Bench::new(|_| {});
    let (first, second) = tokio::join!(bench.put(b"same"), bench.put(b"same"));
    let existed = [first.expect("stored").1, second.expect("stored").1];
    assert_eq!(existed.iter().filter(|&&existed| existed).count(), 1);
    assert_eq!(bench.store.shared.index().stored_bytes, 4);
}
