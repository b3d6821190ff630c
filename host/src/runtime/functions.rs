//! Compiled functions, kept for later compilations: where a line was changed, or another component has the same interpreter or
//! library, only what is new is compiled.
//!
//! They stand in two files. What is new is appended to the young one, and so is what was found in the old one. Where the young
//! one would take more than half of the bytes allowed, it takes the old one's place: so what nobody needs goes, and nobody has
//! to write down when a function was used last.
//!
//! ```text
//! file   = records
//! record = name (32), tag (32), length of the code (u32, little-endian), code
//! name   = SHA-256 over the function as the compiler was given it, and its settings (by Cranelift)
//! code   = what Cranelift writes down of a compiled function: first its version, as it takes no other's
//! tag    = keyed BLAKE3 over name and code
//! ```
//!
//! The node lends the files to the compile child, which reads them and writes what the young one is to have; the node appends
//! it. Nothing is synced, and no mark says where an append ended: a record that a power cut tore has no right tag, and counts
//! as none.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use wasmtime::CacheStore;

use super::cache::{CacheError, failed, make_private_dir, read_or_make_key};

/// The folder of compiled functions, in the data folder.
pub(super) const FUNCTIONS_DIR: &str = "functions";
/// The file that new functions are appended to.
const YOUNG: &str = "young";
/// The file that was the young one before.
const OLD: &str = "old";
/// The file that is locked by whoever appends: more than one node may use a folder.
const LOCK: &str = "lock";
/// Bytes of a function's name.
const NAME_BYTES: usize = 32;
/// Bytes of a tag.
const TAG_BYTES: usize = 32;
/// Bytes of all that stands before a function's code.
const HEAD_BYTES: usize = NAME_BYTES + TAG_BYTES + 4;
/// Sets these tags apart from any other use of the key.
const PURPOSE: &str = "matrix compiled functions, form 1";

type Name = [u8; NAME_BYTES];

/// The functions that are kept in one folder, as a node sees them. Its functions block on the disk.
#[derive(Debug)]
pub(super) struct FunctionStore {
    dir: PathBuf,
    key: [u8; TAG_BYTES],
    bytes_max: u64,
}

/// What the compile child is told of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Loan {
    dir: PathBuf,
    /// How many bytes of functions it may bring.
    room: u64,
}

/// Where the functions of a component came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Functions that were compiled earlier.
    pub found: u32,
    /// Functions that were compiled now.
    pub made: u32,
}

impl FunctionStore {
    /// The functions in the folder `dir`, which is made (mode 0700, with a new key of mode 0600) if there is none, and keeps at
    /// most `bytes_max` bytes. Other nodes of this user may use it too.
    pub(super) fn open(dir: PathBuf, bytes_max: u64) -> Result<Self, CacheError> {
        make_private_dir(&dir).map_err(failed("make the folder", &dir))?;
        let key = blake3::derive_key(PURPOSE, &read_or_make_key(&dir)?);
        Ok(Self { dir, key, bytes_max })
    }

    /// What a compile child is told that may write files of `file_bytes_max` bytes.
    pub(super) fn loan(&self, file_bytes_max: u64) -> Loan {
        Loan { dir: self.dir.clone(), room: file_bytes_max.min(self.bytes_max / 2) }
    }

    /// The key of the tags. Whoever has it may put code here that every component of the node may come to run.
    pub(super) fn key(&self) -> &[u8; TAG_BYTES] {
        &self.key
    }

    /// Takes in what a child of this node wrote beside its `output`, and removes it.
    pub(super) fn take_in(&self, output: &Path) -> io::Result<Tally> {
        let path = brought_beside(output);
        let mut brought = File::open(&path)?;
        fs::remove_file(&path)?;
        let mut tally = [0; Tally::BYTES];
        brought.read_exact(&mut tally)?;
        self.append(&mut brought)?;
        Ok(Tally::from_bytes(tally))
    }

    /// Appends what stands in a file from where it was read to.
    fn append(&self, brought: &mut File) -> io::Result<()> {
        let bytes = brought.metadata()?.len().saturating_sub(brought.stream_position()?);
        if bytes == 0 {
            return Ok(());
        }
        let lock = private(OpenOptions::new().create(true).append(true)).open(self.dir.join(LOCK))?;
        lock.lock()?;
        let young = self.dir.join(YOUNG);
        let open = || private(OpenOptions::new().create(true).read(true).append(true)).open(&young);
        let mut file = open()?;
        // What was torn would hide all that follows.
        let whole = whole_records(&file, |_, _| ())?;
        file.set_len(whole)?;
        if whole.saturating_add(bytes) > self.bytes_max / 2 {
            fs::rename(&young, self.dir.join(OLD))?;
            file = open()?;
        }
        io::copy(brought, &mut file).map(drop)
    }
}

/// Where a child writes which functions the young file is to have.
pub(super) fn brought_beside(output: &Path) -> PathBuf {
    output.with_extension("functions.part")
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Reads the heads of all records, in order, up to the first that is not whole, and says how many bytes they take; `each` is told
/// each head, and where its code begins.
fn whole_records(file: &File, mut each: impl FnMut(Head, u64)) -> io::Result<u64> {
    let (length, mut at) = (file.metadata()?.len(), 0);
    while at + HEAD_BYTES as u64 <= length {
        let head = head(file, at)?;
        let code = at + HEAD_BYTES as u64;
        let end = code + u64::from(head.length);
        if end > length {
            break;
        }
        each(head, code);
        at = end;
    }
    Ok(at)
}

#[derive(Debug)]
struct Head {
    name: Name,
    tag: [u8; TAG_BYTES],
    length: u32,
}

fn head(file: &File, at: u64) -> io::Result<Head> {
    let mut bytes = [0; HEAD_BYTES];
    file.read_exact_at(&mut bytes, at)?;
    let (name, rest) = bytes.split_first_chunk().expect("a head begins with a name");
    let (tag, length) = rest.split_first_chunk().expect("then comes a tag");
    let length = u32::from_le_bytes(length.try_into().expect("then four bytes"));
    Ok(Head { name: *name, tag: *tag, length })
}

impl Tally {
    const BYTES: usize = 8;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let both = u64::from(self.found) << 32 | u64::from(self.made);
        both.to_be_bytes()
    }

    fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let both = u64::from_be_bytes(bytes);
        Self { found: (both >> 32) as u32, made: both as u32 }
    }
}

/// The functions that are kept, as a compile child sees them.
#[derive(Debug)]
pub(super) struct Borrowed {
    key: [u8; TAG_BYTES],
    young: Kept,
    old: Kept,
    brought: Mutex<Brought>,
    found: AtomicU32,
    made: AtomicU32,
}

/// One of the files.
#[derive(Debug, Default)]
struct Kept {
    file: Option<File>,
    /// The head of each function, and where its code begins.
    places: HashMap<Name, (Head, u64)>,
}

/// What the young file is to have.
#[derive(Debug)]
struct Brought {
    file: BufWriter<File>,
    names: HashSet<Name>,
    /// How many bytes more it may have.
    room: u64,
}

impl Borrowed {
    /// Opens what was lent; `output` is where the child writes the artifact, `key` what the node told it.
    pub(super) fn open(loan: &Loan, key: [u8; TAG_BYTES], output: &Path) -> io::Result<Self> {
        let mut file =
            private(OpenOptions::new().write(true).create_new(true)).open(brought_beside(output))?;
        file.seek(SeekFrom::Start(Tally::BYTES as u64))?;
        let brought = Brought { file: BufWriter::new(file), names: HashSet::new(), room: loan.room };
        Ok(Self {
            key,
            // Before the old one: meanwhile it may take its place.
            young: Kept::open(&loan.dir.join(YOUNG))?,
            old: Kept::open(&loan.dir.join(OLD))?,
            brought: Mutex::new(brought),
            found: AtomicU32::default(),
            made: AtomicU32::default(),
        })
    }

    /// Writes down what the node is to take in.
    pub(super) fn finish(&self) -> io::Result<()> {
        let tally =
            Tally { found: self.found.load(Ordering::Relaxed), made: self.made.load(Ordering::Relaxed) };
        let mut brought = self.brought();
        brought.file.flush()?;
        brought.file.get_ref().write_all_at(&tally.to_bytes(), 0)
    }

    fn brought(&self) -> MutexGuard<'_, Brought> {
        self.brought.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring(&self, name: Name, code: &[u8]) {
        let tag = tag(&self.key, &name, code);
        let mut brought = self.brought();
        let bytes = (HEAD_BYTES + code.len()) as u64;
        if brought.room < bytes || !brought.names.insert(name) {
            return;
        }
        brought.room -= bytes;
        let length = (code.len() as u32).to_le_bytes();
        let written = [&name[..], tag.as_bytes(), &length, code].map(|part| brought.file.write_all(part));
        if written.iter().any(Result::is_err) {
            // A full disk costs later compilations time, and this one nothing.
            brought.room = 0;
        }
    }
}

impl CacheStore for Borrowed {
    fn get(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let name = name.try_into().ok()?;
        let code = match self.young.code(&self.key, &name) {
            Some(code) => code,
            None => {
                let code = self.old.code(&self.key, &name)?;
                self.bring(name, &code);
                code
            }
        };
        self.found.fetch_add(1, Ordering::Relaxed);
        Some(Cow::Owned(code))
    }

    fn insert(&self, name: &[u8], code: Vec<u8>) -> bool {
        self.made.fetch_add(1, Ordering::Relaxed);
        let Ok(name) = name.try_into() else { return false };
        self.bring(name, &code);
        true
    }
}

impl Kept {
    fn open(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut places = HashMap::new();
        // Of two of one name the later counts: it was made because the other is of no use.
        whole_records(&file, |head, at| {
            places.insert(head.name, (head, at));
        })?;
        Ok(Self { file: Some(file), places })
    }

    /// The code of a function, if it is here and its tag is right.
    fn code(&self, key: &[u8; TAG_BYTES], name: &Name) -> Option<Vec<u8>> {
        let ((head, at), file) = (self.places.get(name)?, self.file.as_ref()?);
        let mut code = vec![0; head.length as usize];
        file.read_exact_at(&mut code, *at).ok()?;
        (tag(key, name, &code) == blake3::Hash::from_bytes(head.tag)).then_some(code)
    }
}

fn tag(key: &[u8; TAG_BYTES], name: &Name, code: &[u8]) -> blake3::Hash {
    blake3::Hasher::new_keyed(key).update(name).update(code).finalize()
}

/// Reads the key that the node says on the child's standard input.
pub(super) fn key_from(mut input: impl io::Read) -> io::Result<[u8; TAG_BYTES]> {
    let mut key = [0; TAG_BYTES];
    input.read_exact(&mut key)?;
    Ok(key)
}
