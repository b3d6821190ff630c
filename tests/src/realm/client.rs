//! One client of the KV: it calls, waits for an answer or gives up, and calls again; all is written down.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use matrix_proto::v1;
use matrix_proto::v1::compare_and_swap_request::Expected;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{Code, Status};

use super::chance::Chance;
use super::door::{Door, reason};
use crate::history::{Done, Expect, Held, Kind, Operation, Outcome, Reply};

/// The bucket that clients write to.
pub(super) const BUCKET: &str = "history";
/// How long a client waits before it tries again what failed at once.
const PAUSE: Duration = Duration::from_millis(20);

/// The bytes of a key.
pub(super) fn key_bytes(key: u32) -> Vec<u8> {
    format!("key-{key}").into_bytes()
}

/// The bytes of a value.
fn value_bytes(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// What an entry holds; all entries in the bucket are clients'.
pub(super) fn held(entry: &v1::KvEntry) -> Held {
    Held { value: value_of(&entry.value), revision: entry.revision }
}

/// The value that bytes stand for.
pub(super) fn value_of(bytes: &[u8]) -> u64 {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    text.unwrap_or_else(|| panic!("nobody wrote {bytes:?}"))
}

/// A client's calls before it goes on to other keys.
const CALLS_PER_ERA: u64 = 500;

/// A client.
pub(super) struct Client {
    pub(super) id: u32,
    /// The ways to the nodes that it asks.
    pub(super) doors: Vec<Door>,
    pub(super) keys: u32,
    /// How long it rests between two calls.
    pub(super) pace: Duration,
    /// How long it waits for one answer.
    pub(super) patience: Duration,
    /// For how long it tries one call again.
    pub(super) budget: Duration,
    pub(super) chance: Chance,
    pub(super) clock: Instant,
    /// When the last call began that was answered.
    pub(super) progress: watch::Sender<u64>,
    /// What it saw of each key last.
    pub(super) seen: BTreeMap<u32, Option<Held>>,
}

impl Client {
    /// Calls until it is told to stop; returns all calls.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Vec<Operation> {
        let (mut operations, mut pace) = (Vec::new(), interval(self.pace));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // It fails only when nobody is left to tell it to go on.
                _ = stop.wait_for(|stop| *stop) => return operations,
                _ = pace.tick() => {}
            }
            let operation = self.call(operations.len() as u64).await;
            operations.push(operation);
        }
    }

    /// The next call and what came of it.
    async fn call(&mut self, number: u64) -> Operation {
        // Other keys after a while: one key's calls are few enough to be searched for an order, however long it takes.
        let era = u32::try_from(number / CALLS_PER_ERA).expect("a test ends within years") * self.keys;
        let key = era + self.chance.below(self.keys as usize) as u32;
        let kind = self.choose(key, number);
        let invoked = self.now();
        let outcome = self.outcome(key, kind, number, invoked).await;
        if let Outcome::Done(done) = &outcome {
            self.note(key, kind, done);
            self.progress.send_replace(invoked);
        }
        Operation { client: self.id, key, kind, invoked, outcome }
    }

    fn choose(&mut self, key: u32, number: u64) -> Kind {
        // From 1: no value is 0.
        let value = u64::from(self.id) << 32 | (number + 1);
        match self.chance.below(10) {
            0..4 => Kind::Put(value),
            4..7 => Kind::Get,
            7..9 => {
                let expect = match self.seen.get(&key).copied().flatten() {
                    None => Expect::Absent,
                    Some(held) if number.is_multiple_of(2) => Expect::Value(held.value),
                    Some(held) => Expect::Revision(held.revision),
                };
                Kind::Cas { expect, new: (!number.is_multiple_of(5)).then_some(value) }
            }
            _ => Kind::Delete,
        }
    }

    /// Tries until there is an answer, a refusal of the first try, or no time left.
    async fn outcome(&mut self, key: u32, kind: Kind, number: u64, invoked: u64) -> Outcome {
        let request_id = format!("client-{}-{number}", self.id);
        let mut is_open = false;
        loop {
            let door = &self.doors[self.chance.below(self.doors.len())];
            match timeout(self.patience, ask(door, key, kind, &request_id)).await {
                Ok(Ok((log_index, result))) => {
                    return Outcome::Done(Done { returned: self.now(), log_index, result });
                }
                Ok(Err(status)) if is_refusal(&status) => {
                    // An earlier try may have been applied all the same.
                    return if is_open {
                        Outcome::Unknown
                    } else {
                        Outcome::Refused { returned: self.now() }
                    };
                }
                Ok(Err(_)) | Err(_) => is_open = true,
            }
            if Duration::from_nanos(self.now() - invoked) >= self.budget {
                return Outcome::Unknown;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&mut self, key: u32, kind: Kind, done: &Done) {
        let left = match (done.result, kind) {
            (Reply::Wrote { revision } | Reply::Swapped { revision }, Kind::Put(value))
            | (Reply::Swapped { revision }, Kind::Cas { new: Some(value), .. }) => {
                Some(Held { value, revision })
            }
            (Reply::Read(held) | Reply::Conflict { current: held, .. }, _) => held,
            _ => None,
        };
        self.seen.insert(key, left);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).expect("a test ends within centuries")
    }
}

/// Whether a failure says that nothing was done, and nothing will be.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::ResourceExhausted
    ) || reason(status) == "NOT_LEADER"
}

/// Asks once: the index and the result of the answer.
async fn ask(door: &Door, key: u32, kind: Kind, request_id: &str) -> Result<(u64, Reply), Status> {
    let (bucket, key, request_id) = (BUCKET.to_owned(), key_bytes(key).into(), request_id.to_owned());
    let mut kv = door.kv();
    Ok(match kind {
        Kind::Put(value) => {
            let value = value_bytes(value).into();
            let put = v1::KvPutRequest { bucket, key, value, lease: 0, request_id };
            let done = kv.put(door.request(put)).await?.into_inner();
            (done.log_index, Reply::Wrote { revision: done.revision })
        }
        Kind::Get => {
            let done = kv.get(door.request(v1::KvGetRequest { bucket, key, local: false })).await?;
            let done = done.into_inner();
            (done.log_index, Reply::Read(done.entry.as_ref().map(held)))
        }
        Kind::Delete => {
            let delete = v1::KvDeleteRequest { bucket, key, request_id };
            let done = kv.delete(door.request(delete)).await?.into_inner();
            (done.log_index, Reply::Deleted { existed: done.existed, revision: done.revision })
        }
        Kind::Cas { expect, new } => {
            let expected = Some(match expect {
                Expect::Absent => Expected::Absent(true),
                Expect::Value(value) => Expected::Value(value_bytes(value).into()),
                Expect::Revision(revision) => Expected::Revision(revision),
            });
            let new_value = new.map(|value| value_bytes(value).into());
            let swap = v1::CompareAndSwapRequest { bucket, key, expected, new_value, request_id };
            let done = kv.compare_and_swap(door.request(swap)).await?.into_inner();
            let (revision, current) = (done.revision, done.current.as_ref().map(held));
            let swapped = Reply::Swapped { revision };
            (done.log_index, if done.swapped { swapped } else { Reply::Conflict { current, revision } })
        }
    })
}
