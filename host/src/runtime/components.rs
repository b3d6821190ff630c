//! From a digest to something that may be run: taken from the cache, or read, inspected and compiled.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use matrix_proto::signature::PublicKey;
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::{ArtifactCache, CacheError};
use super::code::{Code, CodeMemory};
use super::compile::{CompileError, Compiler, CompilerConfig};
use super::engine::EngineConfig;
use super::functions::Tally;
use super::inspect::{ComponentInfo, InspectLimits, Refusal, inspect};
use super::signatures::{Policy, Signatures};
use super::store::{ComponentStore, StoreConfig, StoreError, blocking};
use crate::ids::Digest;

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
    /// Bytes of machine code of components in memory. What nobody uses goes first; what does not fit then is refused.
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
    /// How long compiling took, in microseconds; 0: it had been compiled earlier.
    pub compile_us: u64,
    /// The component, ready to be linked.
    pub component: Component,
    /// The room that its machine code takes.
    pub code: Arc<Code>,
}

/// What is admitted, or being admitted: whoever comes second waits for the first.
type Slot = Arc<OnceCell<Arc<Admitted>>>;

/// All components of a node.
#[derive(Debug)]
pub struct Components {
    store: ComponentStore,
    cache: Arc<ArtifactCache>,
    compiler: Compiler,
    limits: Arc<InspectLimits>,
    /// One at a time: an inspection holds the whole component in memory.
    inspecting: Semaphore,
    loaded_max: usize,
    signatures: Signatures,
    loaded: Mutex<Loaded>,
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
            compiler: Compiler::new(config.compiler, engine_config, data),
            limits: Arc::new(config.inspect),
            inspecting: Semaphore::new(1),
            loaded_max: config.loaded_max,
            signatures: Signatures::new(config.signatures, &config.trusted_keys),
            loaded: Mutex::default(),
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
        if let Some(bytes) = self.cache.file_bytes(&digest) {
            let (cache, code) = (Arc::clone(&self.cache), self.room(bytes)?);
            if let Some((info, component)) = blocking(move || cache.load(&digest)).await? {
                return Ok(Arc::new(Admitted { digest, info, compile_us: 0, component, code }));
            }
        }
        let info = self.inspect(digest).await?;
        let (component, code, compile_us) = self.compile(digest, &info).await?;
        Ok(Arc::new(Admitted { digest, info, compile_us, component, code }))
    }

    async fn inspect(&self, digest: Digest) -> Result<ComponentInfo, AdmitError> {
        let _turn = self.inspecting.acquire().await.expect("the semaphore is never closed");
        let bytes = self.store.read(digest).await?;
        let limits = Arc::clone(&self.limits);
        Ok(blocking(move || inspect(&bytes, &limits)).await?)
    }

    async fn compile(
        &self,
        digest: Digest,
        info: &ComponentInfo,
    ) -> Result<(Component, Arc<Code>, u64), AdmitError> {
        let (input, output) = (self.store.existing(&digest)?, self.cache.fresh_path());
        let compiled = self.compiler.compile(&input, &output).await?;
        let Tally { found, made } = compiled.functions;
        tracing::info!(%digest, micros = compiled.micros, found, made, "compiled a component");
        let code = match self.room(compiled.bytes) {
            Ok(code) => code,
            Err(error) => {
                // The error that led here is the one to tell.
                let _ = blocking(move || std::fs::remove_file(output)).await;
                return Err(error);
            }
        };
        let (cache, info) = (Arc::clone(&self.cache), info.clone());
        let component = blocking(move || cache.take_in(&digest, &info, &output)).await?;
        Ok((component, code, compiled.micros))
    }

    /// The machine code that is in memory.
    pub fn code(&self) -> &CodeMemory {
        &self.code
    }

    /// Room for so many bytes of machine code: where none is left, what nobody uses is let go, the one that was used
    /// longest ago first.
    fn room(&self, bytes: u64) -> Result<Arc<Code>, AdmitError> {
        loop {
            if let Some(code) = self.code.take(bytes) {
                return Ok(Arc::new(code));
            }
            if !self.let_go() {
                return Err(AdmitError::NoRoom { bytes, used: self.code.used(), max: self.code.max() });
            }
        }
    }

    /// Lets go of one component that nobody else has. False: there is none.
    fn let_go(&self) -> bool {
        let mut loaded = self.loaded();
        let is_idle = |slot: &Slot| {
            let admitted = slot.get().filter(|_| Arc::strong_count(slot) == 1);
            admitted.is_some_and(|admitted| {
                Arc::strong_count(admitted) == 1 && Arc::strong_count(&admitted.code) == 1
            })
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

    fn loaded(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.loaded.lock().expect("nobody panics while they hold the list")
    }
}
