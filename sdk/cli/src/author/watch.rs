//! Sees that an author has changed something, by looking at the files now and then: a folder that somebody writes in is
//! small, and looking at it is the same on every system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

/// How often one looks, where that takes no time to speak of.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How many times as long as a look took one rests after it, at least: a folder of many files costs no more of a processor than this
/// leaves, five in a hundred.
pub(crate) const REST: u32 = 20;

/// For how long nothing more must have changed: editors write a file in several steps, and tools several files. What is written
/// later is built next.
const QUIET: Duration = Duration::from_millis(40);

/// The most files that are looked at: more are no folder that somebody writes in.
const FILES_MAX: usize = 10_000;

/// What tools leave behind wherever they were.
const LEFT_BEHIND: &str = "__pycache__";

/// How deep folders are gone into.
const DEPTH_MAX: usize = 16;

/// The files of a folder, and when each was written last, with its length.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Snapshot {
    /// Looks at a folder: at all but hidden files, what tools leave behind, and `unwatched`, which are names in the folder itself.
    /// What cannot be read is as if it were not there; an author who saves may be in the midst of it.
    pub(crate) fn of(folder: &Path, unwatched: &[&str]) -> Self {
        let mut found = BTreeMap::new();
        look(folder, DEPTH_MAX, &|name| unwatched.contains(&name), &mut found);
        Self(found)
    }

    /// Adds what it saw to what is hashed.
    pub(crate) fn hash_into(&self, hash: &mut Sha256) {
        for (path, (written, bytes)) in &self.0 {
            let since = written.and_then(|written| written.duration_since(SystemTime::UNIX_EPOCH).ok());
            let path = path.as_os_str().as_encoded_bytes();
            for part in [path, &since.map_or(0, |since| since.as_nanos()).to_be_bytes(), &bytes.to_be_bytes()]
            {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
    }
}

fn look(
    folder: &Path,
    depth: usize,
    is_unwatched: &dyn Fn(&str) -> bool,
    found: &mut BTreeMap<PathBuf, (Option<SystemTime>, u64)>,
) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == LEFT_BEHIND || is_unwatched(&name) || found.len() >= FILES_MAX {
            continue;
        }
        // Not through links: they may lead anywhere, and back.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            if depth > 1 {
                look(&entry.path(), depth - 1, &|_| false, found);
            }
        } else {
            found.insert(entry.path(), (metadata.modified().ok(), metadata.len()));
        }
    }
}

/// Tells when a change is over. Pure: what is seen, and when, is told to it.
#[derive(Debug)]
pub(crate) struct Debounce<T> {
    built: T,
    last: T,
    /// For how long `last` has been so.
    quiet: Duration,
}

impl<T: PartialEq> Debounce<T> {
    /// Begins with what was there when it was built last.
    pub(crate) fn new(built: T) -> Self
    where
        T: Clone,
    {
        Self { last: built.clone(), built, quiet: Duration::ZERO }
    }

    /// Takes what is there `since` so long after the look before. Whether to build: it differs from what was built, and
    /// has been as it is for long enough.
    pub(crate) fn see(&mut self, seen: T, since: Duration) -> bool {
        if seen == self.last {
            self.quiet += since;
        } else {
            self.quiet = Duration::ZERO;
            self.last = seen;
        }
        self.last != self.built && self.quiet >= QUIET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_nothing_more_changes() {
        let look = QUIET / 2;
        let mut debounce = Debounce::new(0);
        let mut see = |seen| debounce.see(seen, look);
        assert!(!see(0) && !see(0) && !see(0), "nothing has changed");
        assert!(!see(1) && !see(1), "it may go on");
        assert!(!see(2) && !see(2), "it went on");
        assert!(see(2), "it is over");
        let mut see = |seen| debounce.see(seen, look);
        assert!(!see(0) && !see(0) && !see(0), "it was taken back");
    }

    #[test]
    fn what_an_author_writes_is_seen_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        let look = || Snapshot::of(folder.path(), &["target", "Cargo.lock"]);
        write("src/lib.rs", "a");
        let before = look();
        for name in ["target/x", "Cargo.lock", ".git/index", "src/.lib.rs.swp", "src/__pycache__/a.pyc"] {
            write(name, "x");
        }
        assert_eq!(look(), before);
        write("src/lib.rs", "ab");
        let longer = look();
        assert_ne!(longer, before);
        let hashed = |seen: &Snapshot| {
            let mut hash = Sha256::new();
            seen.hash_into(&mut hash);
            hash.finalize()
        };
        assert_eq!(hashed(&longer), hashed(&look()));
        assert_ne!(hashed(&longer), hashed(&before));
        write("src/target/more.rs", "");
        assert_ne!(look(), longer);
        let gone = Snapshot::of(&folder.path().join("gone"), &[]);
        assert_eq!(gone, Snapshot::default());
    }
}
