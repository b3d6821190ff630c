//! From a component's code to machine code in memory: that which is there, that on disk, that which others of this user have
//! compiled, or what is compiled now.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};

use wasmtime::component::Component;

use super::super::code::Code;
use super::super::compile::{Compiled, CompilerConfig};
use super::super::functions::Tally;
use super::super::shared::Shared;
use super::super::store::blocking;
use super::{AdmitError, Components};
use crate::ids::{CodeHash, Digest};

/// What the log says where what is shared cannot be read or written.
const NOT_SHARED: &str = "compiled components are not shared, so that each node compiles its own: look after the disk and the \
                          folder of functions (`components.compiler.functions_dir`)";

/// Machine code that is in memory: components of the same code share it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) component: Component,
    /// The room that it takes.
    pub(super) _room: Code,
}

/// Where those whose functions lie in a folder of their own share what they compile whole; none where that cannot be had.
pub(super) fn shared(config: &CompilerConfig) -> Option<Shared> {
    let functions = config.functions_dir.as_ref().filter(|_| config.functions_bytes_max > 0)?;
    let opened = Shared::open(functions, config.functions_bytes_max);
    opened.inspect_err(|error| tracing::warn!(%error, "{NOT_SHARED}")).ok()
}

impl Components {
    /// The machine code of a component: that in memory, that on disk, or what is compiled now, and how long that took, in
    /// microseconds.
    pub(super) async fn machine(
        &self,
        digest: Digest,
        code: CodeHash,
    ) -> Result<(Arc<Machine>, u64), AdmitError> {
        if let Some(machine) = self.machines().get(&code).and_then(Weak::upgrade) {
            return Ok((machine, 0));
        }
        let mut loaded = None;
        if let Some(bytes) = self.cache.file_bytes(&code) {
            let (cache, room) = (Arc::clone(&self.cache), self.room(bytes)?);
            loaded = blocking(move || cache.load(&code)).await?.map(|component| (component, room, 0));
        }
        let (component, _room, compile_us) = match loaded {
            Some(loaded) => loaded,
            None => self.compile(digest, code).await?,
        };
        let machine = Arc::new(Machine { component, _room });
        let mut machines = self.machines();
        machines.retain(|_, machine| machine.strong_count() > 0);
        machines.insert(code, Arc::downgrade(&machine));
        Ok((machine, compile_us))
    }

    async fn compile(&self, digest: Digest, hash: CodeHash) -> Result<(Component, Code, u64), AdmitError> {
        let output = self.cache.fresh_path();
        if let Some(bytes) = self.compiled_elsewhere(&hash, &output).await {
            match self.take_in(hash, output, bytes).await {
                Err(AdmitError::Cache(error)) => {
                    tracing::warn!(%error, "what others have compiled is of no use here, and compiled anew");
                }
                taken => return taken.map(|(component, room)| (component, room, 0)),
            }
        }
        let (input, output) = (self.store.existing(&digest)?, self.cache.fresh_path());
        let Compiled { micros, bytes, functions: Tally { found, made } } =
            self.compiler.compile(&input, &output).await?;
        tracing::info!(%digest, micros, found, made, "compiled a component");
        self.share(&hash, &output).await;
        let (component, room) = self.take_in(hash, output, bytes).await?;
        Ok((component, room, micros))
    }

    /// Takes machine code of so many bytes in, where there is room for it. Whatever happens, `output` is gone afterwards.
    async fn take_in(
        &self,
        code: CodeHash,
        output: PathBuf,
        bytes: u64,
    ) -> Result<(Component, Code), AdmitError> {
        let room = match self.room(bytes) {
            Ok(room) => room,
            Err(error) => {
                // The error that led here is the one to tell.
                let _ = blocking(move || std::fs::remove_file(output)).await;
                return Err(error);
            }
        };
        let cache = Arc::clone(&self.cache);
        Ok((blocking(move || cache.take_in(&code, &output)).await?, room))
    }

    /// Has code that another node, check or test of this user compiled written to `output`, and says how long it is; none: nobody
    /// has.
    async fn compiled_elsewhere(&self, code: &CodeHash, output: &Path) -> Option<u64> {
        let (shared, name) = (self.shared.clone()?, self.cache.shared_name(code));
        let to = output.to_owned();
        let found: std::io::Result<_> = blocking(move || shared.find(&name, &to)).await;
        found.inspect_err(|error| tracing::warn!(%error, "{NOT_SHARED}")).ok().flatten()
    }

    /// Lets others of this user take up what was compiled.
    async fn share(&self, code: &CodeHash, output: &Path) {
        let Some(shared) = self.shared.clone() else { return };
        let (name, from) = (self.cache.shared_name(code), output.to_owned());
        let kept: std::io::Result<()> = blocking(move || shared.keep(&name, &from)).await;
        if let Err(error) = kept {
            tracing::warn!(%error, "{NOT_SHARED}");
        }
    }

    /// Room for so many bytes of machine code: where none is left, what nobody uses is let go, the one that was used
    /// longest ago first.
    pub(super) fn room(&self, bytes: u64) -> Result<Code, AdmitError> {
        loop {
            if let Some(code) = self.code.take(bytes) {
                return Ok(code);
            }
            if !self.let_go() {
                return Err(AdmitError::NoRoom { bytes, used: self.code.used(), max: self.code.max() });
            }
        }
    }

    /// Nothing can panic while this lock is held, so a poisoned one still holds the truth.
    fn machines(&self) -> MutexGuard<'_, HashMap<CodeHash, Weak<Machine>>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
