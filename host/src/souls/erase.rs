//! Forgetting a Soul for good: what it kept in its own bucket, what it remembered, its checkpoint, and last its record. A
//! node that is killed on the way goes on with it when it starts next, because the record says so first.

use futures::future::try_join_all;

use super::checkpoint::{self, CheckpointError};
use super::{dead, pieces, placed, records, swap, taught, turns};
use crate::capabilities::keyvalue;
use crate::ids::SoulName;
use crate::kv::{Consistency, Kv, KvError, RequestId};
use crate::memory;

/// Keys that are read at once.
const PAGE_KEYS: usize = 500;
/// Keys that are deleted at the same time: they share the log's transactions.
const AT_ONCE: usize = 64;

/// Deletes everything that is a Soul's own. It must not run any more. That there is nothing is no error.
pub async fn erase(kv: &Kv, soul: &SoulName, request: Option<RequestId>) -> Result<(), CheckpointError> {
    for bucket in [keyvalue::own_bucket(soul.as_str()), turns::window_bucket(soul), memory::bucket(soul)] {
        empty(kv, &bucket).await?;
    }
    dead::forget(kv, soul).await?;
    kv.delete(turns::BUCKET, soul.as_str().as_bytes(), None).await?;
    checkpoint::delete(kv, soul).await?;
    swap::forget(kv, soul).await?;
    kv.delete(placed::BUCKET, soul.as_str().as_bytes(), None).await?;
    // Added to, as long as the Soul lives somewhere.
    taught::forget(kv, soul).await?;
    empty(kv, &pieces::bucket(soul)).await?;
    Ok(records::delete(kv, soul, request).await?)
}

pub(super) async fn empty(kv: &Kv, bucket: &str) -> Result<(), KvError> {
    loop {
        let page = kv.range(bucket, b"", None, PAGE_KEYS, Consistency::Linearizable).await?;
        for keys in page.entries.chunks(AT_ONCE) {
            let deletions: Vec<_> = keys.iter().map(|(key, _)| kv.delete(bucket, key, None)).collect();
            try_join_all(deletions).await?;
        }
        if page.next.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::kv::KvConfig;
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn a_soul_that_is_erased_leaves_nothing_and_takes_nothing_of_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, range_page_max: 10, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let own = keyvalue::own_bucket("neo");
        let others = [keyvalue::own_bucket("neo2"), "shared".to_owned()];
        let put = |bucket: String, key: String| {
            let kv = kv.clone();
            async move { kv.put(&bucket, key.as_bytes(), Bytes::from("x"), None, None).await.expect("room") }
        };
        for bucket in others.iter().chain([&checkpoint::BUCKET.to_owned(), &records::BUCKET.to_owned()]) {
            put(bucket.clone(), "neo".to_owned()).await;
        }
        for key in 0..25 {
            put(own.clone(), key.to_string()).await;
            put(memory::bucket(&"neo".parse().expect("a name")), key.to_string()).await;
            put(pieces::bucket(&"neo".parse().expect("a name")), key.to_string()).await;
        }
        let neo: SoulName = "neo".parse().expect("a name");
        for _ in 0..2 {
            erase(&kv, &neo, None).await.expect("that there is nothing is no error");
        }
        assert_eq!(kv.stats().keys, 2, "those of others");
        for bucket in &others {
            assert!(kv.get(bucket, b"neo", Consistency::Local).await.expect("a key").is_some());
        }
        kv.close().await;
    }
}
