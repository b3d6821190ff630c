//! Compiled components on disk, and what was found out when their bytes were read: loading one takes a
//! hundredth of the time that reading and compiling it takes.
//!
//! What is loaded here is machine code, which runs with everything that the node may do. So only files that
//! carry a tag made with the node's own key are loaded: uploads, backups and other programs put no code here.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::Hash as _;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use blake3::Hasher;
use bytes::Bytes;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::inspect::{ComponentInfo, InspectLimits};
use crate::ids::{CodeHash, Digest};

/// The file of the key, in the cache's folder.
pub(crate) const KEY_FILE: &str = "key";
/// Bytes of the key, and of a tag: the output of BLAKE3.
const TAG_BYTES: usize = 32;
/// Bytes of the length of what was found out about a component.
const LENGTH_BYTES: usize = 4;
/// Sets these tags apart from any other use of a key.
const PURPOSE: &[u8] = b"matrix compiled component, form 3\0";
/// How the names of files of code end.
pub(crate) const CODE_SUFFIX: &str = ".cwasm";
/// How the names of files of facts end.
const FACTS_SUFFIX: &str = ".facts";
/// How the names of files end that are being written.
const PARTIAL_SUFFIX: &str = ".part";
/// How the names of all files end but the key's.
const SUFFIXES: [&str; 3] = [CODE_SUFFIX, FACTS_SUFFIX, PARTIAL_SUFFIX];
/// Hexadecimal digits of what a file fits in a file's name: they tell engines apart; the tag covers all 64.
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

/// The compiled code of one engine's components, and what each of these is. Its functions block on the disk.
///
/// ```text
/// file of code  = machine code, tag
/// file of facts = the program, JSON of what the component is, length of that JSON (u32, little-endian), tag
/// tag           = keyed BLAKE3 over purpose, what the file is named by, engine and limits, and all that stands before it
/// ```
///
/// A file of code is named by a [`CodeHash`], a file of facts by a component and its code: so components that have the
/// same code have one file of it, which goes with the last of them.
#[derive(Debug)]
pub struct ArtifactCache {
    dir: PathBuf,
    key: [u8; TAG_BYTES],
    engine: Engine,
    fits: [u8; 32],
    partial: AtomicU64,
    /// The components of which there are facts, and their code.
    known: Mutex<BTreeMap<Digest, CodeHash>>,
}

/// What was found out when a component was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What is compiled of it.
    pub code: CodeHash,
    /// What it is.
    pub info: ComponentInfo,
    /// What it runs, where it is an interpreter.
    pub program: Bytes,
}

impl ArtifactCache {
    /// The cache in the folder `dir`, which is made (mode 0700, with a new key of mode 0600) if there is
    /// none. What another engine left there, or was let in by other limits, or was not finished, is removed.
    /// One process a folder.
    pub fn open(dir: PathBuf, engine: Engine, limits: &InspectLimits) -> Result<Self, CacheError> {
        make_private_dir(&dir).map_err(failed("make the folder", &dir))?;
        let key = read_or_make_key(&dir)?;
        let fits = fits(&engine, limits);
        let cache = Self { dir, key, engine, fits, partial: AtomicU64::new(0), known: Mutex::default() };
        cache.sweep()?;
        Ok(cache)
    }

    /// What was found out about a component earlier; none: it has to be read. A file whose tag is wrong counts as none, is
    /// removed, and reported in the log.
    pub fn facts(&self, digest: &Digest) -> Result<Option<Facts>, CacheError> {
        let Some(code) = self.known().get(digest).copied() else { return Ok(None) };
        let path = self.path_of_facts(digest, &code);
        let facts = self.read(&path, &named(digest, &code))?.and_then(|file| Facts::of(code, &file));
        if facts.is_none() {
            self.known().remove(digest);
            discard(&path)?;
        }
        Ok(facts)
    }

    /// What any component is that has this code; none is known.
    pub fn info_of(&self, code: &CodeHash) -> Result<Option<ComponentInfo>, CacheError> {
        let same = self.known().iter().find(|(_, other)| *other == code).map(|(digest, _)| *digest);
        Ok(same.map(|digest| self.facts(&digest)).transpose()?.flatten().map(|facts| facts.info))
    }

    /// Keeps what was found out about a component whose code was taken in.
    pub fn keep(&self, digest: &Digest, facts: &Facts) -> Result<(), CacheError> {
        let mut file = facts.program.to_vec();
        serde_json::to_writer(&mut file, &facts.info).map_err(|error| CacheError::Load(error.to_string()))?;
        let length = u32::try_from(file.len() - facts.program.len()).unwrap_or(u32::MAX);
        file.extend(length.to_le_bytes());
        file.extend(self.tag(&named(digest, &facts.code), &file).as_bytes());
        let (partial, path) = (self.fresh_path(), self.path_of_facts(digest, &facts.code));
        // Not synced: a file that a power cut tore has no right tag, and the component is read anew.
        fs::write(&partial, file).map_err(failed("write", &partial))?;
        fs::rename(&partial, &path).map_err(failed("rename", &partial))?;
        self.known().insert(*digest, facts.code);
        Ok(())
    }

    /// The code that was compiled earlier; none: it has to be compiled. A file whose tag is wrong counts as none, is removed,
    /// and reported in the log.
    pub fn load(&self, code: &CodeHash) -> Result<Option<Component>, CacheError> {
        let path = self.path_of_code(code);
        let Some(artifact) = self.read(&path, code.as_bytes())? else { return Ok(None) };
        match self.deserialize(&artifact) {
            Ok(component) => Ok(Some(component)),
            Err(error) => {
                tracing::warn!(%code, %error, "compiled code is not used, but compiled anew");
                discard(&path)?;
                Ok(None)
            }
        }
    }

    /// The length of the file of code that was compiled earlier, in bytes; none: there is none.
    pub fn file_bytes(&self, code: &CodeHash) -> Option<u64> {
        fs::metadata(self.path_of_code(code)).ok().map(|file| file.len())
    }

    /// What this code is called where other nodes of this user may take it up, whose engines and limits are the same.
    pub fn shared_name(&self, code: &CodeHash) -> blake3::Hash {
        Hasher::new().update(PURPOSE).update(&self.fits).update(code.as_bytes()).finalize()
    }

    /// A path in the cache's folder that no file has, for the compiler to write to.
    pub fn fresh_path(&self) -> PathBuf {
        let number = self.partial.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{number}{PARTIAL_SUFFIX}"))
    }

    /// Takes in what the compiler wrote to a [`ArtifactCache::fresh_path`], and loads it. Only what this
    /// node's own compile child wrote may come here. Whatever happens, `output` is gone afterwards.
    pub fn take_in(&self, code: &CodeHash, output: &Path) -> Result<Component, CacheError> {
        let component = self.sign(code, output);
        if component.is_err() {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(output);
        }
        component
    }

    fn sign(&self, code: &CodeHash, output: &Path) -> Result<Component, CacheError> {
        let artifact = fs::read(output).map_err(failed("read", output))?;
        let component = self.deserialize(&artifact)?;
        let tag = self.tag(code.as_bytes(), &artifact);
        // Not synced: a file that a power cut tore has no right tag, and is compiled anew.
        let file = OpenOptions::new().append(true).open(output);
        file.and_then(|mut file| file.write_all(tag.as_bytes())).map_err(failed("write", output))?;
        fs::rename(output, self.path_of_code(code)).map_err(failed("rename", output))?;
        Ok(component)
    }

    /// Removes what is known of a component, and its code where no other has the same; none is no error.
    pub fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        // Held throughout, so that nobody takes the code up who is not seen here.
        let mut known = self.known();
        let Some(code) = known.remove(digest) else { return Ok(()) };
        discard(&self.path_of_facts(digest, &code))?;
        if known.values().any(|other| *other == code) { Ok(()) } else { discard(&self.path_of_code(&code)) }
    }

    /// Nothing can panic while this lock is held, so a poisoned one still holds the truth.
    fn known(&self) -> MutexGuard<'_, BTreeMap<Digest, CodeHash>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path_of_code(&self, code: &CodeHash) -> PathBuf {
        self.dir.join(format!("{}-{}{CODE_SUFFIX}", code.hex(), self.engine_digits()))
    }

    fn path_of_facts(&self, digest: &Digest, code: &CodeHash) -> PathBuf {
        self.dir.join(format!("{}-{}-{}{FACTS_SUFFIX}", digest.hex(), code.hex(), self.engine_digits()))
    }

    fn engine_digits(&self) -> String {
        Digest::from_bytes(self.fits).hex()[..ENGINE_DIGITS].to_owned()
    }

    fn tag(&self, named: &[u8], signed: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(PURPOSE).update(named).update(&self.fits).update(signed);
        hasher.finalize()
    }

    /// What a file holds before its tag, if it is there and the tag is right. Tags are compared in a time that tells nothing.
    fn read(&self, path: &Path, named: &[u8]) -> Result<Option<Vec<u8>>, CacheError> {
        let mut file = match fs::read(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", path)(error)),
        };
        let tagged = file.split_last_chunk::<TAG_BYTES>();
        let signed =
            tagged.filter(|(signed, tag)| self.tag(named, signed) == blake3::Hash::from_bytes(**tag));
        let Some(length) = signed.map(|(signed, _)| signed.len()) else {
            tracing::warn!(path = %path.display(), "it does not carry this node's tag: it is not used, but made anew");
            return discard(path).map(|()| None);
        };
        file.truncate(length);
        Ok(Some(file))
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

    /// Removes files of other engines, unfinished ones, and code that nothing is known to have; remembers the rest.
    fn sweep(&self) -> Result<(), CacheError> {
        let what = "list the folder";
        let facts = format!("-{}{FACTS_SUFFIX}", self.engine_digits());
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed(what, &self.dir))? {
            let path = entry.map_err(failed(what, &self.dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match name.strip_suffix(&facts).and_then(components_named) {
                Some((digest, code)) => drop(self.known().insert(digest, code)),
                None if SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) => files.push(path),
                None => {}
            }
        }
        let used: BTreeSet<_> = self.known().values().map(|code| self.path_of_code(code)).collect();
        files.iter().filter(|path| !used.contains(*path)).try_for_each(|path| discard(path))
    }
}

impl Facts {
    /// What a file says of a component of this code.
    fn of(code: CodeHash, file: &[u8]) -> Option<Self> {
        let (rest, length) = file.split_last_chunk::<LENGTH_BYTES>()?;
        let (program, info) = rest.split_at(rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?);
        Some(Self {
            code,
            info: serde_json::from_slice(info).ok()?,
            program: Bytes::copy_from_slice(program),
        })
    }
}

/// What a file of facts is named by.
fn named(digest: &Digest, code: &CodeHash) -> Vec<u8> {
    [*digest.as_bytes(), *code.as_bytes()].concat()
}

/// A component and its code, in the name of a file of facts.
fn components_named(name: &str) -> Option<(Digest, CodeHash)> {
    let (digest, code) = name.split_once('-')?;
    Some((format!("sha256:{digest}").parse().ok()?, format!("code:{code}").parse().ok()?))
}

/// Removes a file, if it is there.
fn discard(path: &Path) -> Result<(), CacheError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
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
