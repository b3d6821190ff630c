//! Compiled components on disk, each with what was found out when its bytes were read: loading one takes a
//! hundredth of the time that reading and compiling it takes.
//!
//! What is loaded here is machine code, which runs with everything that the node may do. So only files that
//! carry a tag made with the node's own key are loaded: uploads, backups and other programs put no code here.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::Hash as _;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use blake3::Hasher;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::inspect::{ComponentInfo, InspectLimits};
use crate::ids::Digest;

/// The file of the key, in the cache's folder.
pub(crate) const KEY_FILE: &str = "key";
/// Bytes of the key, and of a tag: the output of BLAKE3.
const TAG_BYTES: usize = 32;
/// Bytes of the length of what was found out about a component.
const LENGTH_BYTES: usize = 4;
/// Sets these tags apart from any other use of a key.
const PURPOSE: &[u8] = b"matrix compiled component, form 2\0";
/// How the names of artifacts end.
const SUFFIX: &str = ".cwasm";
/// How the names of files end that are being written.
const PARTIAL_SUFFIX: &str = ".part";
/// Hexadecimal digits of what an artifact fits in a file's name: they tell engines apart; the tag covers all 64.
const ENGINE_DIGITS: usize = 16;

/// Why the cache cannot do its work.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// A file or folder could not be used.
    #[error("cannot {what} `{}`: {source}; look after the disk and the folder's owner", .path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for the key of the cache: {0}")]
    Random(String),
    /// The compiler's output does not fit the engine.
    #[error(
        "the compiler's output does not fit this engine: {0}; the program was replaced while it \
         ran: restart the node"
    )]
    Load(String),
}

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CacheError {
    let path = path.to_owned();
    move |source| CacheError::File { what, path, source }
}

/// The compiled components of one engine. Its functions block on the disk.
///
/// ```text
/// file = machine code, JSON of what the component is, length of that JSON (u32, little-endian), tag
/// tag  = keyed BLAKE3 over purpose, digest, engine and limits, and all that stands before it
/// ```
#[derive(Debug)]
pub struct ArtifactCache {
    dir: PathBuf,
    key: [u8; TAG_BYTES],
    engine: Engine,
    fits: [u8; 32],
    partial: AtomicU64,
}

impl ArtifactCache {
    /// The cache in the folder `dir`, which is made (mode 0700, with a new key of mode 0600) if there is
    /// none. What another engine left there, or was let in by other limits, or was not finished, is removed.
    /// One process a folder.
    pub fn open(dir: PathBuf, engine: Engine, limits: &InspectLimits) -> Result<Self, CacheError> {
        make_private_dir(&dir).map_err(failed("make the folder", &dir))?;
        let key = read_or_make_key(&dir)?;
        let fits = fits(&engine, limits);
        let cache = Self { dir, key, engine, fits, partial: AtomicU64::new(0) };
        cache.sweep()?;
        Ok(cache)
    }

    /// The component compiled earlier, and what it is; none: it has to be read and compiled. A file whose tag
    /// is wrong counts as none, is removed, and reported in the log.
    pub fn load(&self, digest: &Digest) -> Result<Option<(ComponentInfo, Component)>, CacheError> {
        let path = self.path(digest);
        let signed = match fs::read(&path) {
            Ok(signed) => signed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let reason = match self.verified(digest, &signed) {
            Some((artifact, info)) => match self.deserialize(artifact) {
                Ok(component) => return Ok(Some((info, component))),
                Err(error) => error.to_string(),
            },
            None => "it does not carry this node's tag".to_owned(),
        };
        tracing::warn!(%digest, %reason, "a compiled component is not used, but compiled anew");
        fs::remove_file(&path).map_err(failed("remove", &path))?;
        Ok(None)
    }

    /// The length of the file of a component that was compiled earlier, in bytes; none: there is none.
    pub fn file_bytes(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().map(|file| file.len())
    }

    /// A path in the cache's folder that no file has, for the compiler to write to.
    pub fn fresh_path(&self) -> PathBuf {
        let number = self.partial.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{number}{PARTIAL_SUFFIX}"))
    }

    /// Takes in what the compiler wrote to a [`ArtifactCache::fresh_path`], and loads it. Only what this
    /// node's own compile child wrote may come here. Whatever happens, `output` is gone afterwards.
    pub fn take_in(
        &self,
        digest: &Digest,
        info: &ComponentInfo,
        output: &Path,
    ) -> Result<Component, CacheError> {
        let component = self.sign(digest, info, output);
        if component.is_err() {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(output);
        }
        component
    }

    fn sign(&self, digest: &Digest, info: &ComponentInfo, output: &Path) -> Result<Component, CacheError> {
        let mut signed = fs::read(output).map_err(failed("read", output))?;
        let component = self.deserialize(&signed)?;
        let code = signed.len();
        serde_json::to_writer(&mut signed, info).map_err(|error| CacheError::Load(error.to_string()))?;
        let length = u32::try_from(signed.len() - code).unwrap_or(u32::MAX);
        signed.extend(length.to_le_bytes());
        signed.extend(self.tag(digest, &signed).as_bytes());
        // Not synced: a file that a power cut tore has no right tag, and is compiled anew.
        let file = OpenOptions::new().append(true).open(output);
        file.and_then(|mut file| file.write_all(&signed[code..])).map_err(failed("write", output))?;
        fs::rename(output, self.path(digest)).map_err(failed("rename", output))?;
        Ok(component)
    }

    /// Removes the compiled form of a component; none is no error.
    pub fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{}-{}", digest.hex(), self.suffix()))
    }

    fn suffix(&self) -> String {
        let engine = Digest::from_bytes(self.fits).hex();
        format!("{}{SUFFIX}", &engine[..ENGINE_DIGITS])
    }

    fn tag(&self, digest: &Digest, signed: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(PURPOSE).update(digest.as_bytes()).update(&self.fits).update(signed);
        hasher.finalize()
    }

    /// The machine code and what it is, if the tag is right. Tags are compared in a time that tells nothing.
    fn verified<'a>(&self, digest: &Digest, file: &'a [u8]) -> Option<(&'a [u8], ComponentInfo)> {
        let (signed, tag) = file.split_last_chunk::<TAG_BYTES>()?;
        if self.tag(digest, signed) != blake3::Hash::from_bytes(*tag) {
            return None;
        }
        let (rest, length) = signed.split_last_chunk::<LENGTH_BYTES>()?;
        let code = rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?;
        let (artifact, info) = rest.split_at(code);
        Some((artifact, serde_json::from_slice(info).ok()?))
    }

    fn deserialize(&self, artifact: &[u8]) -> Result<Component, CacheError> {
        #[expect(
            unsafe_code,
            reason = "the engine cannot know where machine code comes from: this file does"
        )]
        // SAFETY: the bytes are what `Engine::precompile_component` returned, unchanged: they come either
        // straight from the compile child, or with a tag made over them by a key that only this node has.
        let component = unsafe { Component::deserialize(&self.engine, artifact) };
        component.map_err(|error| CacheError::Load(format!("{error:#}")))
    }

    /// Removes files of other engines, and unfinished ones.
    fn sweep(&self) -> Result<(), CacheError> {
        let what = "list the folder";
        let ours = self.suffix();
        for entry in fs::read_dir(&self.dir).map_err(failed(what, &self.dir))? {
            let path = entry.map_err(failed(what, &self.dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(PARTIAL_SUFFIX) || (name.ends_with(SUFFIX) && !name.ends_with(&ours)) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// Makes a folder that only its owner can enter, or makes an existing one so.
pub(super) fn make_private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

/// The key in the folder, made if there is none. One that is no key, or that others could read, is replaced: then nothing that was
/// compiled before is trusted, which costs time and no more.
pub(super) fn read_or_make_key(dir: &Path) -> Result<[u8; TAG_BYTES], CacheError> {
    let path = dir.join(KEY_FILE);
    match read_key(&path) {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {
            tracing::warn!(path = %path.display(), "the key of compiled components is unsafe: it is replaced")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", &path)(error)),
    }
    let mut key = [0; TAG_BYTES];
    getrandom::fill(&mut key).map_err(|error| CacheError::Random(error.to_string()))?;
    let partial = dir.join(format!("{KEY_FILE}{PARTIAL_SUFFIX}"));
    let _ = fs::remove_file(&partial);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
    file.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
        .map_err(failed("write", &partial))?;
    fs::rename(&partial, &path).map_err(failed("rename", &partial))?;
    Ok(key)
}

fn read_key(path: &Path) -> io::Result<Option<[u8; TAG_BYTES]>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.len() != TAG_BYTES as u64 || metadata.permissions().mode() & 0o077 != 0 {
        return Ok(None);
    }
    let mut key = [0; TAG_BYTES];
    file.read_exact(&mut key)?;
    Ok(Some(key))
}

/// What decides whether an artifact may be used, as one hash: the engine, what components are let in, and the
/// program that read them.
fn fits(engine: &Engine, limits: &InspectLimits) -> [u8; 32] {
    let mut hasher = Fingerprint(Hasher::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    limits.hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.0.finalize().into()
}

/// Feeds what implements `Hash` to BLAKE3, whose result no two engines share.
struct Fingerprint(Hasher);

impl std::hash::Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.0.finalize().as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}
