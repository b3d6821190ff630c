//! Every component of the node under its names: found, checked, joined to the host.

mod spread;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use matrix_proto::signature::{PublicKey, Signature};
use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Linker;

pub use spread::Spread;

use super::component::{Component, LinkError};
use super::components::{AdmitError, Admitted, Components};
use super::exchange::{Exchange, FetchError};
use super::guest::Crash;
use super::inspect::{ComponentInfo, Kind};
use super::limits::Limits;
use super::memory::GuestMemory;
use super::pace::Ground;
use super::rules::RulesInstance;
use super::signatures::{SealError, SignatureError};
use super::soul::SoulInstance;
use super::stage::StageInstance;
use super::state::GuestState;
use crate::capabilities::{self, Capabilities};
use crate::clock;
use crate::ids::{ComponentName, Digest, IdError};
use crate::kv::{Consistency, Kv, KvError};
use crate::telemetry::metrics::Total;

/// The bucket of the KV that holds one record a component, by digest.
pub const BUCKET: &str = "sys/components";
/// The bucket of the KV that holds, by name, the digest that the name stands for.
pub const NAMES_BUCKET: &str = "sys/component-names";

/// Components that are kept in memory before those that nobody uses are let go.
const LINKED_KEPT: usize = 128;

/// Why a component cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// Nothing is known under this name.
    #[error("there is no component called `{0}`: push it first")]
    UnknownName(ComponentName),
    /// Nothing is known under this digest.
    #[error("there is no component {0}: push it first")]
    Unknown(Digest),
    /// The text is neither a name nor a digest.
    #[error(transparent)]
    Reference(#[from] IdError),
    /// It is not admitted.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// It is not here, and could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It does not fit the host.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Nobody trusted vouches for it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It does not come to life.
    #[error("the component {0}")]
    Start(#[from] Crash),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// What is kept of a component beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its digest.
    pub digest: Digest,
    /// The name that it was uploaded under last, if any.
    pub name: Option<ComponentName>,
    /// What its bytes say.
    pub info: ComponentInfo,
    /// Milliseconds since the Unix epoch of the first upload.
    pub uploaded_at_ms: u64,
    /// Who vouches for it, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
}

/// The catalogue. Clones are the same one.
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    components: Components,
    linker: Linker<GuestState>,
    /// The same, for those that send requests: they wait for streams.
    linker_of_senders: Linker<GuestState>,
    kv: Kv,
    ground: Ground,
    check: Check,
    refused: Total,
    linked: Mutex<HashMap<Digest, Arc<Component>>>,
    /// Where components come from that are not here; none: a realm of one node.
    exchange: OnceLock<Exchange>,
}

/// How an uploaded component is tried out: instantiated once, with no way to anything.
struct Check {
    limits: Limits,
    capabilities: Box<dyn Fn() -> Capabilities + Send + Sync>,
}

impl Catalog {
    /// A catalogue of `components`, which run in `engine` and on `ground`. `limits` and `capabilities` are
    /// what an uploaded component is tried out with; `refused` counts those that fail.
    pub fn new(
        components: Components,
        engine: &Engine,
        kv: Kv,
        ground: Ground,
        limits: Limits,
        refused: Total,
        capabilities: impl Fn() -> Capabilities + Send + Sync + 'static,
    ) -> Result<Self, ComponentError> {
        let wrong = |error: wasmtime::Error| LinkError::Import(format!("{error:#}"));
        let linker = capabilities::linker(engine, false).map_err(wrong)?;
        let linker_of_senders = capabilities::linker(engine, true).map_err(wrong)?;
        let check = Check { limits, capabilities: Box::new(capabilities) };
        let (linked, exchange) = (Mutex::default(), OnceLock::new());
        let inner =
            Inner { components, linker, linker_of_senders, kv, ground, check, refused, linked, exchange };
        Ok(Self(Arc::new(inner)))
    }

    /// The components' bytes, where uploads begin.
    pub fn components(&self) -> &Components {
        &self.0.components
    }

    /// Takes up a component whose bytes are stored: read, compiled, joined, and instantiated once. A `signature` that it
    /// has already stays, where none is given. Returns its record, and how long compiling took, in microseconds. What
    /// is refused is deleted again.
    pub async fn admit(
        &self,
        digest: Digest,
        name: Option<ComponentName>,
        signature: Option<Signature>,
    ) -> Result<(Record, u64), ComponentError> {
        let before = self.record(digest).await?;
        let signature = signature.or_else(|| before.as_ref().and_then(|record| record.signature.clone()));
        let checked = self.checked(digest, signature.as_ref()).await;
        let (component, compile_us) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                self.0.refused.add(1);
                if before.is_none() {
                    self.discard(digest).await?;
                }
                return Err(error);
            }
        };
        let uploaded_at_ms = before.as_ref().map_or_else(clock::now_ms, |record| record.uploaded_at_ms);
        let name = name.or(before.and_then(|record| record.name));
        let record = Record { digest, name, info: component.info().clone(), uploaded_at_ms, signature };
        self.0.kv.put_record(BUCKET, &digest.to_string(), &record, None).await?;
        if let Some(name) = &record.name {
            let value = Bytes::from(digest.to_string());
            self.0.kv.put(NAMES_BUCKET, name.as_str().as_bytes(), value, None, None).await?;
        }
        Ok((record, compile_us))
    }

    /// Whether a Soul may live whose file is signed with `key`.
    ///
    /// # Errors
    /// Whatever [`SealError`] names.
    pub fn judge_seal(&self, key: Option<PublicKey>) -> Result<(), SealError> {
        self.0.components.signatures().judge_seal(key)
    }

    /// The linear memory of all guests together.
    pub fn memory(&self) -> &GuestMemory {
        &self.0.ground.memory
    }

    /// How many components are compiled and in memory.
    pub fn loaded(&self) -> usize {
        self.linked().len()
    }

    /// A component, ready to be instantiated.
    pub async fn get(&self, digest: Digest) -> Result<Arc<Component>, ComponentError> {
        if let Some(component) = self.linked().get(&digest) {
            return Ok(component.clone());
        }
        self.bring(digest).await?;
        let admitted = self.admitted(digest).await?;
        let signatures = self.0.components.signatures();
        if !signatures.is_off() {
            let record = self.record(digest).await?;
            let signature = record.as_ref().and_then(|record| record.signature.as_ref());
            signatures.judge(digest, &admitted.info, signature)?;
        }
        self.link(&admitted)
    }

    /// Sees to it that a component's bytes are here, if any node of the realm that can be reached has them.
    pub async fn bring(&self, digest: Digest) -> Result<(), FetchError> {
        match self.0.exchange.get() {
            Some(exchange) if self.0.components.store().bytes(&digest).is_none() => {
                exchange.fetch(digest).await
            }
            _ => Ok(()),
        }
    }

    /// Lets components be fetched from other nodes.
    pub fn fetch_from(&self, exchange: Exchange) {
        // The first one stays.
        let _ = self.0.exchange.set(exchange);
    }

    /// The digest behind a digest or a name.
    pub async fn resolve(&self, reference: &str) -> Result<Digest, ComponentError> {
        if reference.starts_with("sha256:") {
            let digest: Digest = reference.parse()?;
            return self.record(digest).await?.map(|_| digest).ok_or(ComponentError::Unknown(digest));
        }
        let name: ComponentName = reference.parse()?;
        let found = self.0.kv.get(NAMES_BUCKET, name.as_str().as_bytes(), Consistency::Linearizable).await?;
        let entry = found.ok_or_else(|| ComponentError::UnknownName(name.clone()))?;
        Ok(String::from_utf8_lossy(&entry.value).parse()?)
    }

    /// What is kept of a component.
    pub async fn record(&self, digest: Digest) -> Result<Option<Record>, ComponentError> {
        Ok(self.0.kv.record(BUCKET, &digest.to_string()).await?)
    }

    /// At most `limit` records after `after`, in the order of their digests.
    pub async fn list(&self, after: Option<Digest>, limit: usize) -> Result<Vec<Record>, ComponentError> {
        // The first key after a digest's text is that text and a zero byte.
        let start = after.map_or_else(String::new, |digest| format!("{digest}\0"));
        Ok(self.0.kv.records_from(BUCKET, &start, limit).await?)
    }

    /// All code that was uploaded under a name last.
    pub async fn codes_of(&self, name: &ComponentName) -> Result<BTreeSet<Digest>, ComponentError> {
        let records: Vec<Record> = self.0.kv.all_records(BUCKET).await?;
        let named = records.into_iter().filter(|record| record.name.as_ref() == Some(name));
        Ok(named.map(|record| record.digest).collect())
    }

    /// Forgets a component; the caller has seen to it that nobody uses it. Forgetting one that is not
    /// there is no error.
    pub async fn remove(&self, digest: Digest) -> Result<(), ComponentError> {
        if let Some(name) = self.record(digest).await?.and_then(|record| record.name)
            && self.resolve(name.as_str()).await.is_ok_and(|named| named == digest)
        {
            self.0.kv.delete(NAMES_BUCKET, name.as_str().as_bytes(), None).await?;
        }
        self.0.kv.delete(BUCKET, digest.to_string().as_bytes(), None).await?;
        Ok(self.discard(digest).await?)
    }

    /// Deletes what this node has of a component.
    async fn discard(&self, digest: Digest) -> Result<(), AdmitError> {
        self.linked().remove(&digest);
        self.0.components.remove(digest).await.map(drop)
    }

    async fn checked(
        &self,
        digest: Digest,
        signature: Option<&Signature>,
    ) -> Result<(Arc<Component>, u64), ComponentError> {
        let admitted = self.admitted(digest).await?;
        self.0.components.signatures().judge(digest, &admitted.info, signature)?;
        let component = self.link(&admitted)?;
        let check = &self.0.check;
        // Nobody knows yet how long it takes: the thread of whoever brings it is not held up.
        let state = GuestState::new(&check.limits, (check.capabilities)()).apart();
        match component.info().kind {
            Kind::Soul => SoulInstance::check(&component, state).await?,
            Kind::Rules => drop(RulesInstance::new(&component, state).await?),
            Kind::Transport => StageInstance::check(&component, state).await?,
        }
        Ok((component, admitted.compile_us))
    }

    /// A component that may be run. Where its machine code finds no room, what nobody runs is let go first.
    async fn admitted(&self, digest: Digest) -> Result<Arc<Admitted>, AdmitError> {
        match self.0.components.admit(digest).await {
            Err(AdmitError::NoRoom { .. }) => {
                self.linked().retain(|_, component| Arc::strong_count(component) > 1);
                self.0.components.admit(digest).await
            }
            done => done,
        }
    }

    fn link(&self, admitted: &Arc<Admitted>) -> Result<Arc<Component>, ComponentError> {
        let Inner { linker, linker_of_senders, ground, .. } = &*self.0;
        let linker = if admitted.info.sends_requests() { linker_of_senders } else { linker };
        let linked = Component::link(admitted, linker, ground)?;
        let mut kept = self.linked();
        if kept.len() >= LINKED_KEPT {
            kept.retain(|_, component| Arc::strong_count(component) > 1);
        }
        Ok(kept.entry(admitted.digest).or_insert_with(|| Arc::new(linked)).clone())
    }

    /// Nothing can panic while this lock is held, so a poisoned one still holds the truth.
    fn linked(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Arc<Component>>> {
        self.0.linked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalog").field("components", &self.0.components).finish_non_exhaustive()
    }
}
