//! Compiled components that nodes, checks and tests of one user share: what one of them has compiled whole, none of the others
//! compiles. They lie beside the compiled functions, in a folder that outlives the data folders.
//!
//! ```text
//! file = machine code, tag
//! tag  = keyed BLAKE3 over what the file is named by, and the machine code
//! ```
//!
//! A file is named by the code, the engine and its limits. Its tag is made with a key that no compile child is told.

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::cache::{CacheError, failed, make_private_dir, read_or_make_key};
use crate::clock;

/// The folder, in the folder of compiled functions.
const WHOLE_DIR: &str = "whole";
/// How the names of files end that are being written.
const PARTIAL_SUFFIX: &str = ".part";
/// After how long a file that is being written was left behind by somebody who is gone.
const ABANDONED: Duration = Duration::from_secs(3600);
/// Sets these tags apart from any other use of the key.
const PURPOSE: &str = "matrix compiled components that are shared, form 1";

/// What a compiled component is named by here.
pub(super) type Name = blake3::Hash;

/// The folder, as one process sees it. Its functions block on the disk.
#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    key: [u8; blake3::OUT_LEN],
    bytes_max: u64,
}

impl Shared {
    /// What lies in the folder of compiled functions `functions`, which is made if there is none, and takes at most `bytes_max`
    /// bytes.
    pub(super) fn open(functions: &Path, bytes_max: u64) -> Result<Self, CacheError> {
        let dir = functions.join(WHOLE_DIR);
        make_private_dir(functions).map_err(failed("make the folder", functions))?;
        make_private_dir(&dir).map_err(failed("make the folder", &dir))?;
        let key = blake3::derive_key(PURPOSE, &read_or_make_key(functions)?);
        Ok(Self { dir, key, bytes_max })
    }

    /// Writes machine code that was compiled earlier to the new file `output`, and says how long it is. None: there is none, or
    /// none whose tag is right.
    pub(super) fn find(&self, name: &Name, output: &Path) -> io::Result<Option<u64>> {
        let path = self.path(name);
        let file = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let tagged = file.split_last_chunk::<{ blake3::OUT_LEN }>();
        let Some((code, _)) = tagged.filter(|(code, tag)| self.tag(name, code) == **tag) else {
            return fs::remove_file(&path).map(|()| None);
        };
        fs::write(output, code)?;
        // It was of use: others go before it does.
        File::options()
            .append(true)
            .open(&path)?
            .set_modified(UNIX_EPOCH + Duration::from_millis(clock::now_ms()))?;
        Ok(Some(code.len() as u64))
    }

    /// Keeps the machine code in the file `output`, if there is room for so much. What was of no use for the longest time goes.
    pub(super) fn keep(&self, name: &Name, output: &Path) -> io::Result<()> {
        let code = fs::read(output)?;
        let bytes = (code.len() + blake3::OUT_LEN) as u64;
        if bytes > self.bytes_max {
            return Ok(());
        }
        self.make_room(self.bytes_max - bytes)?;
        let partial = self.dir.join(format!("{}-{}{PARTIAL_SUFFIX}", name.to_hex(), std::process::id()));
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        // Not synced: a file that a power cut tore has no right tag, and is made anew.
        let written = file.write_all(&code).and_then(|()| file.write_all(self.tag(name, &code).as_bytes()));
        let kept = written.and_then(|()| fs::rename(&partial, self.path(name)));
        kept.inspect_err(|_| drop(fs::remove_file(&partial)))
    }

    /// Removes files until the others take no more than so many bytes.
    fn make_room(&self, bytes_max: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // Others remove files too.
            let Ok(metadata) = path.metadata() else { continue };
            let written = metadata.modified()?;
            let is_partial = path.to_string_lossy().ends_with(PARTIAL_SUFFIX);
            if !is_partial {
                files.push((written, metadata.len(), path));
            } else if written.elapsed().is_ok_and(|age| age > ABANDONED) {
                drop(fs::remove_file(path));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, length, path) in files {
            if bytes <= bytes_max {
                break;
            }
            drop(fs::remove_file(path));
            bytes -= length;
        }
        Ok(())
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.dir.join(name.to_hex().as_str())
    }

    fn tag(&self, name: &Name, code: &[u8]) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(name.as_bytes()).update(code).finalize()
    }
}
