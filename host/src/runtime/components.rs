//! From a digest to something that may be run: taken from the cache, or read, inspected and compiled.

mod machine;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use matrix_proto::signature::PublicKey;
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::Engine;
use wasmtime::component::Component;

use machine::{Machine, shared};

use super::cache::{ArtifactCache, CacheError, Facts};
use super::code::{Code, CodeMemory};
use super::compile::{CompileError, Compiler, CompilerConfig};
use super::engine::EngineConfig;
use super::inspect::{ComponentInfo, InspectLimits, Outline, Refusal, inspect};
use super::shared::Shared;
use super::signatures::{Policy, Signatures};
use super::store::{ComponentStore, StoreConfig, StoreError, blocking};
use crate::ids::{CodeHash, Digest};

/// The folder of uploaded components, in the data folder.
const COMPONENTS_DIR: &str = "components";
/// The folder of compiled components, in the data folder.
pub(crate) const COMPILED_DIR: &str = "compiled";

/// How components are kept and admitted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComponentsConfig {
    /// Bytes of all components on disk.
    pub total_bytes_max: u64,
    /// How many components there may be on disk.
    pub components_max: usize,
    /// How many uploads may go on at once.
    pub uploads_max: usize,
    /// How many nodes of the realm are to have a component, whoever else has fetched it to run it.
    pub copies: usize,
    /// How many admitted components are kept in memory; those in use stay beyond that.
    pub loaded_max: usize,
    /// What becomes of components that nobody trusted has signed: `off`, the default: they run; `warn`: they run, and the
    /// log says so; `require`: they do not. The same holds for files that Souls are imported from.
    pub signatures: Policy,
    /// The keys that are trusted, as `matrix components keygen` prints them.
    pub trusted_keys: Vec<PublicKey>,
    /// Bytes of machine code of components in memory, and of the programs of interpreters. What nobody uses goes first; what
    /// does not fit then is refused.
    pub code_bytes_max: u64,
    /// How much a component may hold.
    pub inspect: InspectLimits,
    /// The limits of the compile child.
    pub compiler: CompilerConfig,
}

impl Default for ComponentsConfig {
    fn default() -> Self {
        Self {
            total_bytes_max: 8 << 30,
            components_max: 10_000,
            uploads_max: 8,
            copies: 2,
            loaded_max: 128,
            signatures: Policy::Off,
            trusted_keys: Vec::new(),
            code_bytes_max: 2 << 30,
            inspect: InspectLimits::default(),
            compiler: CompilerConfig::default(),
        }
    }
}

impl ComponentsConfig {
    /// Where the components' bytes are in the data folder `data`, and within which bounds.
    pub fn store(&self, data: &Path) -> StoreConfig {
        StoreConfig {
            dir: data.join(COMPONENTS_DIR),
            component_bytes_max: self.inspect.component_bytes_max,
            total_bytes_max: self.total_bytes_max,
            components_max: self.components_max,
            uploads_max: self.uploads_max,
        }
    }
}

/// Why a component may not be run.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// It is not there, or its file is of no use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was read, and refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// There is no room for its machine code.
    #[error(
        "the component has {bytes} bytes of machine code, {used} are in use, and this node keeps {max} in memory \
         (`components.code_bytes_max`): stop what runs of others, or raise it"
    )]
    NoRoom {
        /// How much it has.
        bytes: u64,
        /// How much is in use.
        used: u64,
        /// How much there may be.
        max: u64,
    },
    /// It was not loaded.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// A component that may be run.
#[derive(Debug)]
pub struct Admitted {
    /// What it is called.
    pub digest: Digest,
    /// What it is.
    pub info: ComponentInfo,
    /// What it runs, where it is an interpreter.
    pub program: Bytes,
    /// How long compiling took, in microseconds; 0: it had been compiled earlier, or another that has the same code.
    pub compile_us: u64,
    machine: Arc<Machine>,
    /// The room that its program takes.
    _room: Code,
}

impl Admitted {
    /// What was compiled of it, ready to be linked.
    pub fn compiled(&self) -> &Component {
        &self.machine.component
    }
}

/// What is admitted, or being admitted: whoever comes second waits for the first.
type Slot = Arc<OnceCell<Arc<Admitted>>>;

/// All components of a node.
#[derive(Debug)]
pub struct Components {
    store: ComponentStore,
    cache: Arc<ArtifactCache>,
    compiler: Compiler,
    /// None: nobody else is to have what is compiled here.
    shared: Option<Arc<Shared>>,
    limits: Arc<InspectLimits>,
    /// One at a time: an inspection holds the whole component in memory.
    inspecting: Semaphore,
    loaded_max: usize,
    signatures: Signatures,
    loaded: Mutex<Loaded>,
    machines: Mutex<HashMap<CodeHash, Weak<Machine>>>,
    code: CodeMemory,
}

#[derive(Debug, Default)]
struct Loaded {
    slots: HashMap<Digest, (Slot, u64)>,
    /// Counts the uses of all slots, so that the one used longest ago can be found.
    uses: u64,
}

impl Components {
    /// Opens what is kept in the data folder `data`, for `engine`, which was made with the settings
    /// `engine_config`. Blocks on the disk. One process a folder.
    pub fn open(
        data: &Path,
        config: ComponentsConfig,
        engine: Engine,
        engine_config: &EngineConfig,
    ) -> Result<Self, AdmitError> {
        let store = ComponentStore::open(config.store(data))?;
        Ok(Self {
            store,
            cache: Arc::new(ArtifactCache::open(data.join(COMPILED_DIR), engine, &config.inspect)?),
            shared: shared(&config.compiler).map(Arc::new),
            compiler: Compiler::new(config.compiler, engine_config, data),
            limits: Arc::new(config.inspect),
            inspecting: Semaphore::new(1),
            loaded_max: config.loaded_max,
            signatures: Signatures::new(config.signatures, &config.trusted_keys),
            loaded: Mutex::default(),
            machines: Mutex::default(),
            code: CodeMemory::new(config.code_bytes_max),
        })
    }

    /// Which signatures count.
    pub(super) fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// The components' bytes.
    pub fn store(&self) -> &ComponentStore {
        &self.store
    }

    /// Makes a stored component ready to run, or says why not. Done once a digest, however many ask; a
    /// failure is not remembered. Where the future is dropped, the work stops.
    pub async fn admit(&self, digest: Digest) -> Result<Arc<Admitted>, AdmitError> {
        let slot = self.slot(digest);
        slot.get_or_try_init(|| self.prepare(digest)).await.cloned()
    }

    /// Takes a component away: its bytes, its compiled form, and what is kept in memory. What runs goes
    /// on running. False: there was none.
    pub async fn remove(&self, digest: Digest) -> Result<bool, AdmitError> {
        let removed = self.store.remove(digest).await?;
        self.loaded().slots.remove(&digest);
        let cache = Arc::clone(&self.cache);
        blocking(move || cache.remove(&digest)).await?;
        Ok(removed)
    }

    async fn prepare(&self, digest: Digest) -> Result<Arc<Admitted>, AdmitError> {
        // Where the bytes are gone, what was made of them is not used either.
        self.store.existing(&digest)?;
        let cache = Arc::clone(&self.cache);
        let (facts, is_new) = match blocking(move || cache.facts(&digest)).await? {
            Some(facts) => (facts, false),
            None => (self.inspect(digest).await?, true),
        };
        let (machine, compile_us) = self.machine(digest, facts.code).await?;
        if is_new {
            let (cache, facts) = (Arc::clone(&self.cache), facts.clone());
            blocking(move || cache.keep(&digest, &facts)).await?;
        }
        let Facts { info, program, .. } = facts;
        let _room = self.room(program.len() as u64)?;
        Ok(Arc::new(Admitted { digest, info, program, compile_us, machine, _room }))
    }

    /// Reads a component; its code only where none is known that has the same.
    async fn inspect(&self, digest: Digest) -> Result<Facts, AdmitError> {
        let _turn = self.inspecting.acquire().await.expect("the semaphore is never closed");
        let bytes = self.store.read(digest).await?;
        let (limits, cache) = (Arc::clone(&self.limits), Arc::clone(&self.cache));
        blocking(move || {
            let Outline { code, label, program } = Outline::of(&bytes, &limits)?;
            let info = match cache.info_of(&code)? {
                Some(same) => same.of_same_code(bytes.len() as u64, label),
                None => inspect(&bytes, &limits)?,
            };
            let program = if info.reads_program() { Bytes::copy_from_slice(program) } else { Bytes::new() };
            Ok(Facts { code, info, program })
        })
        .await
    }

    /// The machine code that is in memory.
    pub fn code(&self) -> &CodeMemory {
        &self.code
    }

    /// Lets go of one component that nobody else has. False: there is none.
    fn let_go(&self) -> bool {
        let mut loaded = self.loaded();
        let is_idle = |slot: &Slot| {
            let admitted = slot.get().filter(|_| Arc::strong_count(slot) == 1);
            admitted.is_some_and(|admitted| Arc::strong_count(admitted) == 1)
        };
        let idle = loaded.slots.iter().filter(|(_, (slot, _))| is_idle(slot));
        let oldest = idle.min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest);
        oldest.is_some_and(|digest| loaded.slots.remove(&digest).is_some())
    }

    /// The slot of a digest, made if there is none; in its place goes, if there are too many, the one that
    /// was used longest ago and that nobody waits for.
    fn slot(&self, digest: Digest) -> Slot {
        let mut loaded = self.loaded();
        loaded.uses += 1;
        let now = loaded.uses;
        if let Some((slot, used)) = loaded.slots.get_mut(&digest) {
            *used = now;
            return Arc::clone(slot);
        }
        if loaded.slots.len() >= self.loaded_max {
            let idle = loaded.slots.iter().filter(|(_, (slot, _))| Arc::strong_count(slot) == 1);
            if let Some(oldest) = idle.min_by_key(|(_, (_, used))| *used).map(|(digest, _)| *digest) {
                loaded.slots.remove(&oldest);
            }
        }
        let slot = Slot::default();
        loaded.slots.insert(digest, (Arc::clone(&slot), now));
        slot
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().expect("nobody panics while they hold the list")
    }
}
