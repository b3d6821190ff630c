//! Safe retries: a mutation that comes again under its request id is answered as it was the first time.
//!
//! The table is in memory: after a restart of the node a repeated mutation is done again, which is why
//! mutations are idempotent by name besides.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tokio::sync::OnceCell;
use tonic::Status;

use super::convert;
use crate::ids::{ClientName, Digest};
use crate::kv;

/// The most bytes in a request id.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 64;
/// How long an answer is kept, as the interface promises.
const KEEP: Duration = Duration::from_secs(600);
/// The most answers that are kept: 16 mutations a second for ten minutes.
const ANSWERS_MAX: usize = 10_000;
/// The most bytes of answers that are kept; beyond either bound the oldest go first.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Which call this is a repetition of, if it is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    caller: ClientName,
    method: &'static str,
    request_id: Box<str>,
}

impl Key {
    /// The key of a call; none for an empty request id, which means "never repeated".
    pub(super) fn new(
        caller: &ClientName,
        method: &'static str,
        request_id: &str,
    ) -> Result<Option<Self>, Status> {
        if request_id.len() > REQUEST_ID_BYTES_MAX {
            let problem = format!("has {} bytes: use at most {REQUEST_ID_BYTES_MAX}", request_id.len());
            return Err(convert::bad_field("request_id", &problem));
        }
        let key = Self { caller: caller.clone(), method, request_id: request_id.into() };
        Ok((!request_id.is_empty()).then_some(key))
    }

    /// The name of the call in the replicated KV, which remembers across nodes and restarts.
    pub(super) fn kv_request(&self) -> kv::RequestId {
        let digest = Digest::of(format!("{}\0{}\0{}", self.caller, self.method, self.request_id).as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_bytes()[..16]);
        kv::RequestId(id)
    }
}

/// One call's answer, encoded, once there is one: whoever comes second waits for the first.
type Slot = Arc<OnceCell<Bytes>>;

/// The answers of the last mutations. Failures are not kept: a repetition tries again.
#[derive(Debug)]
pub(super) struct Replays {
    table: Mutex<Table>,
    answers_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    /// Each with the bytes that are counted for it.
    slots: HashMap<Key, (Slot, usize)>,
    /// The keys in the order in which they came.
    order: VecDeque<(Instant, Key)>,
    bytes: usize,
}

impl Default for Replays {
    fn default() -> Self {
        Self::new(ANSWERS_MAX, ANSWER_BYTES_MAX)
    }
}

impl Replays {
    fn new(answers_max: usize, bytes_max: usize) -> Self {
        Self { table: Mutex::default(), answers_max, bytes_max }
    }

    /// The answer that was given before, or what `work` answers now.
    pub(super) async fn once<T: Message + Default>(
        &self,
        key: Key,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let slot = self.slot(&key, Instant::now());
        let mut fresh = None;
        let answer = slot.get_or_try_init(|| async {
            let answer = work.await?;
            let bytes = Bytes::from(answer.encode_to_vec());
            fresh = Some(answer);
            Ok::<_, Status>(bytes)
        });
        let bytes = answer.await?.clone();
        match fresh {
            Some(answer) => {
                self.weigh(&key, &slot, bytes.len());
                Ok(answer)
            }
            None => T::decode(bytes).map_err(|error| convert::internal(&error)),
        }
    }

    fn slot(&self, key: &Key, now: Instant) -> Slot {
        let mut table = self.table();
        table.forget_older(now.checked_sub(KEEP));
        if let Some((slot, _)) = table.slots.get(key) {
            return slot.clone();
        }
        while table.slots.len() >= self.answers_max && table.forget_oldest() {}
        let slot = Slot::default();
        table.slots.insert(key.clone(), (slot.clone(), 0));
        table.order.push_back((now, key.clone()));
        slot
    }

    /// Counts a new answer, if it is still kept.
    fn weigh(&self, key: &Key, slot: &Slot, bytes: usize) {
        let mut table = self.table();
        if let Some((kept, counted)) = table.slots.get_mut(key)
            && Arc::ptr_eq(kept, slot)
        {
            *counted = bytes;
            table.bytes += bytes;
            while table.bytes > self.bytes_max && table.forget_oldest() {}
        }
    }

    /// Nothing can panic while this lock is held, so a poisoned one still holds the truth.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget_older(&mut self, than: Option<Instant>) {
        let Some(than) = than else { return };
        while self.order.front().is_some_and(|(at, _)| *at < than) {
            self.forget_oldest();
        }
    }

    /// False: there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, key)) = self.order.pop_front() else { return false };
        if let Some((_, counted)) = self.slots.remove(&key) {
            self.bytes -= counted;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use matrix_proto::v1::KeepAliveResponse as Answer;
    use tonic::Code;

    use super::*;

    fn key(id: &str) -> Key {
        Key::new(&"local".parse().expect("a name"), "Souls/Spawn", id).expect("short").expect("not empty")
    }

    async fn count(replays: &Replays, id: &str, calls: &AtomicU64) -> u64 {
        let work = async {
            tokio::task::yield_now().await;
            Ok(Answer { ttl_ms: calls.fetch_add(1, Ordering::Relaxed) })
        };
        replays.once(key(id), work).await.expect("it succeeds").ttl_ms
    }

    #[test]
    fn keys_are_bounded_and_apart() {
        let local: ClientName = "local".parse().expect("a name");
        assert!(matches!(Key::new(&local, "m", ""), Ok(None)));
        let error = Key::new(&local, "m", &"x".repeat(65)).expect_err("too long");
        assert_eq!(error.code(), Code::InvalidArgument);
        let other = Key::new(&local, "Souls/Stop", "a").expect("short").expect("not empty");
        assert_ne!(key("a").kv_request(), other.kv_request());
        assert_eq!(key("a").kv_request(), key("a").kv_request());
    }

    #[tokio::test]
    async fn a_repetition_repeats_the_answer_and_waits_for_it() {
        let (replays, calls) = (Replays::default(), AtomicU64::new(0));
        let both = tokio::join!(count(&replays, "a", &calls), count(&replays, "a", &calls));
        assert_eq!(both, (0, 0));
        assert_eq!((count(&replays, "b", &calls).await, count(&replays, "a", &calls).await), (1, 0));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let (replays, calls) = (Replays::default(), AtomicU64::new(7));
        let failing = replays.once::<Answer>(key("a"), async { Err(Status::unavailable("later")) });
        assert_eq!(failing.await.expect_err("it fails").code(), Code::Unavailable);
        assert_eq!(count(&replays, "a", &calls).await, 7);
    }

    #[tokio::test]
    async fn the_oldest_answers_go_first() {
        let (replays, calls) = (Replays::new(2, 1_000), AtomicU64::new(1));
        for id in ["a", "b", "c"] {
            count(&replays, id, &calls).await;
        }
        assert_eq!((count(&replays, "c", &calls).await, count(&replays, "a", &calls).await), (3, 4));
        assert_eq!(replays.table().slots.len(), 2);
        let small = Replays::new(100, 5);
        for id in ["a", "b", "c"] {
            count(&small, id, &calls).await;
        }
        let table = small.table();
        assert!(table.bytes <= 5 && table.slots.len() == 2, "{table:?}");
    }

    #[test]
    fn answers_are_forgotten_in_time() {
        let replays = Replays::default();
        let start = Instant::now();
        let first = replays.slot(&key("a"), start);
        assert!(Arc::ptr_eq(&first, &replays.slot(&key("a"), start + KEEP)));
        assert!(!Arc::ptr_eq(&first, &replays.slot(&key("a"), start + KEEP + Duration::from_secs(1))));
    }
}
