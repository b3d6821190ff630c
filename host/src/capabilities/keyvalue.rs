//! `wasi:keyvalue/{store,atomics,batch}`: the replicated KV, as far as a guest was granted it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource};

use super::grants::Grants;
use super::quota::Quota;
use super::rehearsal::Deed;
use crate::kv::{Condition, Consistency, Kv, KvError, Mutation, Txn, TxnOutcome};
use crate::runtime::bindings::wasi::keyvalue::store::{Error, KeyResponse};
use crate::runtime::bindings::wasi::keyvalue::{atomics, batch, store};
use crate::runtime::limits::Limits;
use crate::runtime::state::{GuestState, TooLate};
use crate::telemetry::metrics::TotalBy;

/// How many keys one page of `list-keys` has at most.
pub const PAGE_KEYS: usize = 256;
/// How many keys one call of `batch` may name.
pub const BATCH_KEYS_MAX: usize = 256;
/// How many bytes of values one call of `batch` may return: as many as one may set. Each is copied, also where a key is
/// named many times.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// The bucket of the KV that a Soul knows as `default`.
pub(crate) fn own_bucket(soul: &str) -> String {
    format!("soul/{soul}")
}

/// What this guest may read and write.
#[derive(Debug)]
pub struct Ctx {
    kv: Kv,
    own: String,
    /// What holds as long as the guest may write.
    fence: Condition,
    grants: Arc<Grants>,
    quota: Quota,
}

impl Ctx {
    /// For a Soul called `soul`, whose own bucket `default` is kept under its name. It may write as long as `fence`
    /// holds, which is checked in the same round as the write.
    pub fn new(
        kv: Kv,
        soul: &str,
        fence: Condition,
        grants: Arc<Grants>,
        limits: &Limits,
        refused: &TotalBy,
    ) -> Self {
        let quota = Quota::new("kv_per_second", limits.kv_per_second, refused);
        Self { kv, own: own_bucket(soul), fence, grants, quota }
    }

    /// The bucket of the KV behind a name that a guest gave.
    fn open(&self, name: &str) -> Result<Bucket, Error> {
        if name.is_empty() || name == "default" {
            return Ok(Bucket { name: self.own.as_str().into(), write: true });
        }
        let granted = self.grants.buckets.iter().filter(|grant| grant.bucket == name);
        match granted.map(|grant| grant.write).max() {
            Some(write) => Ok(Bucket { name: name.into(), write }),
            None => Err(Error::AccessDenied),
        }
    }
}

/// An open bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: Arc<str>,
    write: bool,
}

/// One call's view of the guest.
pub struct View<'a>(&'a mut GuestState);

struct KeyValue;

impl HasData for KeyValue {
    type Data<'a> = View<'a>;
}

/// Lets components import the interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    store::add_to_linker::<_, KeyValue>(linker, |state| View(state))?;
    atomics::add_to_linker::<_, KeyValue>(linker, |state| View(state))?;
    batch::add_to_linker::<_, KeyValue>(linker, |state| View(state))
}

/// Returns the guest's error from a host function that answers `Ok(Err(...))`.
macro_rules! attempt {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        }
    };
}

type Opened = Result<(Kv, Bucket), Error>;

impl View<'_> {
    fn ctx(&mut self) -> wasmtime::Result<&mut Ctx> {
        let none = || wasmtime::Error::msg("rules have no KV: their state is their own");
        self.0.capabilities.keyvalue.as_mut().ok_or_else(none)
    }

    /// The KV and the bucket behind a handle, if one more operation is within the quota.
    fn take(&mut self, bucket: &Resource<Bucket>, write: bool) -> wasmtime::Result<Opened> {
        let bucket = self.0.table.get(bucket)?.clone();
        let ctx = self.ctx()?;
        let allowed = if !ctx.quota.take() {
            Err(Error::Other("the quota is used up: raise `limits.kv_per_second`".into()))
        } else if write && !bucket.write {
            Err(Error::AccessDenied)
        } else {
            Ok((ctx.kv.clone(), bucket))
        };
        match &allowed {
            Ok(_) => self.0.usage.used_kv(),
            Err(_) => self.0.usage.refused(),
        }
        Ok(allowed)
    }

    /// Changes some keys, all or none; where the guest is only tried, that is written down.
    async fn change(
        &mut self,
        kv: &Kv,
        changes: impl IntoIterator<Item = Result<Mutation, KvError>>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let require = vec![self.ctx()?.fence.clone()];
        let then: Vec<_> = attempt!(changes.into_iter().collect::<Result<_, _>>().map_err(other));
        if let Some(noted) = self.0.noted(|| Deed::Write(then.clone())) {
            let full = || Error::Other("a rehearsal writes no more than this down".into());
            return Ok(noted.then_some(()).ok_or_else(full));
        }
        let done = attempt!(self.wait(kv.batch(Txn { require, then }, None)).await);
        Ok(if done.value == TxnOutcome::Committed { Ok(()) } else { Err(elsewhere()) })
    }

    /// Waits for the KV, and no longer than somebody waits for the guest. What is given up may be done all the same.
    async fn wait<T>(&mut self, future: impl Future<Output = Result<T, KvError>>) -> Result<T, Error> {
        let late = |_| Error::Other(TooLate.to_string());
        let most = self.0.moment.at_most(Duration::MAX).map_err(late)?;
        let bounded = async {
            match most {
                Duration::MAX => Ok(future.await),
                left => tokio::time::timeout(left, future).await.map_err(|_| TooLate),
            }
        };
        self.0.wait(bounded).await.map_err(late)?.map_err(|error| Error::Other(error.to_string()))
    }
}

impl store::Host for View<'_> {
    fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        let opened = self.ctx()?.open(&identifier);
        if opened.is_err() {
            self.0.usage.refused();
        }
        let bucket = attempt!(opened);
        Ok(Ok(self.0.table.push(bucket)?))
    }
}

impl store::HostBucket for View<'_> {
    async fn get(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let (kv, bucket) = attempt!(self.take(&bucket, false)?);
        let entry =
            attempt!(self.wait(kv.get(&bucket.name, key.as_bytes(), Consistency::Linearizable)).await);
        Ok(Ok(entry.map(|entry| entry.value.into())))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let (kv, bucket) = attempt!(self.take(&bucket, true)?);
        let put = kv.path(&bucket.name, key.as_bytes()).map(|path| Mutation::Put {
            path,
            value: value.into(),
            lease: None,
        });
        self.change(&kv, [put]).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        let (kv, bucket) = attempt!(self.take(&bucket, true)?);
        let path = kv.path(&bucket.name, key.as_bytes());
        self.change(&kv, [path.map(|path| Mutation::Delete { path })]).await
    }

    async fn exists(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let (kv, bucket) = attempt!(self.take(&bucket, false)?);
        let entry =
            attempt!(self.wait(kv.get(&bucket.name, key.as_bytes(), Consistency::Linearizable)).await);
        Ok(Ok(entry.is_some()))
    }

    /// The standard's cursor is a number, so a page is found by counting: a bucket that changes
    /// meanwhile may show a key twice, or not at all, as the standard allows.
    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<KeyResponse, Error>> {
        let mut skip = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
        let mut start = Bytes::new();
        let page = loop {
            // A cursor far into a large bucket costs what it makes the KV do.
            let (kv, bucket) = attempt!(self.take(&bucket, false)?);
            let page = kv.range(&bucket.name, &start, None, PAGE_KEYS, Consistency::Linearizable);
            let page = attempt!(self.wait(page).await);
            match page.next.clone() {
                Some(next) if skip >= page.entries.len() => {
                    skip -= page.entries.len();
                    start = next;
                }
                _ => break page,
            }
        };
        let more = page.next.is_some();
        let keys: Vec<_> = page.entries.into_iter().skip(skip).map(|(key, _)| key).collect();
        let next = cursor.unwrap_or(0) + keys.len() as u64;
        let keys = keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        Ok(Ok(KeyResponse { keys, cursor: more.then_some(next) }))
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.0.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for View<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let (kv, bucket) = attempt!(self.take(&bucket, true)?);
        if self.0.rehearsal.is_some() {
            let entry = self.wait(kv.get(&bucket.name, key.as_bytes(), Consistency::Linearizable)).await;
            let number = attempt!(entry).map(|entry| String::from_utf8_lossy(&entry.value).parse::<u64>());
            let sum = number.unwrap_or(Ok(0)).ok().and_then(|number| number.checked_add(delta));
            let Some(sum) = sum else { return Ok(Err(Error::Other("it holds no number".into()))) };
            let path = kv.path(&bucket.name, key.as_bytes());
            let added = self.change(&kv, [path.map(|path| Mutation::Increment { path, delta })]).await?;
            return Ok(added.map(|()| sum));
        }
        let fence = self.ctx()?.fence.clone();
        let sum = kv.increment_if(fence, &bucket.name, key.as_bytes(), delta);
        Ok(attempt!(self.wait(sum).await).value.ok_or_else(elsewhere))
    }
}

fn bounded(keys: usize) -> Result<(), Error> {
    if keys <= BATCH_KEYS_MAX {
        return Ok(());
    }
    Err(Error::Other(format!("{keys} keys in one call, and {BATCH_KEYS_MAX} are allowed")))
}

impl batch::Host for View<'_> {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        attempt!(bounded(keys.len()));
        let (kv, bucket) = attempt!(self.take(&bucket, false)?);
        let names: Vec<_> = keys.iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect();
        let found = attempt!(self.wait(kv.get_many(&bucket.name, &names, Consistency::Linearizable)).await);
        let bytes: usize = found.iter().flatten().map(|entry| entry.value.len()).sum();
        if bytes > BATCH_BYTES_MAX {
            let reason = format!("{bytes} bytes of values in one call, and {BATCH_BYTES_MAX} are allowed");
            return Ok(Err(Error::Other(reason)));
        }
        let pairs = keys.into_iter().zip(found);
        Ok(Ok(pairs.map(|(key, entry)| entry.map(|entry| (key, entry.value.into()))).collect()))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        key_values: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        attempt!(bounded(key_values.len()));
        let (kv, bucket) = attempt!(self.take(&bucket, true)?);
        let put = |(key, value): (String, Vec<u8>)| {
            let path = kv.path(&bucket.name, key.as_bytes())?;
            Ok(Mutation::Put { path, value: value.into(), lease: None })
        };
        self.change(&kv, key_values.into_iter().map(put)).await
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        attempt!(bounded(keys.len()));
        let (kv, bucket) = attempt!(self.take(&bucket, true)?);
        let delete = |key: String| Ok(Mutation::Delete { path: kv.path(&bucket.name, key.as_bytes())? });
        self.change(&kv, keys.into_iter().map(delete)).await
    }
}

fn other(error: KvError) -> Error {
    Error::Other(error.to_string())
}

/// What a guest hears whose Soul was taken up by another node: it is the old one, and writes nothing any more.
fn elsewhere() -> Error {
    Error::Other("this Soul lives on another node by now, and does not write from here".into())
}
