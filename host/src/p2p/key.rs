//! The key that a node is known by.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use libp2p::identity::Keypair;

use super::peer::Peer;

/// Bytes of an Ed25519 seed (RFC 8032).
const SEED_BYTES: usize = 32;
/// Permissions of anybody but the owner.
const OTHERS: u32 = 0o077;

/// A node's key. Whoever has the file is the node.
#[derive(Clone)]
pub struct Key(pub(super) Keypair);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key of {}", self.peer())
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot use the key {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Others than its owner may read or write the file.
    #[error("others may use the key {0} (mode {1:o}): run `chmod 600` on it, and replace it if it was read")]
    Exposed(PathBuf, u32),
    /// The file holds something else.
    #[error("{0} is no key: it must hold the 32 bytes of an Ed25519 seed")]
    Malformed(PathBuf),
}

impl Key {
    /// The key in the file `path`; where there is none, a new one that is kept there, readable by its owner alone.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::Io(path.to_owned(), error);
        match File::open(path) {
            Ok(file) => Self::load(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(failed(error)),
        }
    }

    fn load(mut file: File, path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::Io(path.to_owned(), error);
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & OTHERS != 0 {
            return Err(KeyError::Exposed(path.to_owned(), mode));
        }
        let mut seed = [0; SEED_BYTES];
        let malformed = |_| KeyError::Malformed(path.to_owned());
        file.read_exact(&mut seed).map_err(malformed)?;
        if file.read(&mut [0]).map_err(failed)? != 0 {
            return Err(KeyError::Malformed(path.to_owned()));
        }
        Keypair::ed25519_from_bytes(seed).map(Self).map_err(|_| KeyError::Malformed(path.to_owned()))
    }

    fn create(path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::Io(path.to_owned(), error);
        let mut seed = [0; SEED_BYTES];
        getrandom::fill(&mut seed).map_err(|error| failed(io::Error::other(error)))?;
        // Under another name first: a file that was cut off must not be taken for a key.
        let unfinished = path.with_extension("unfinished");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
        let file = file.as_mut().map_err(|error| failed(io::Error::new(error.kind(), error.to_string())))?;
        file.write_all(&seed).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&unfinished, path).map_err(failed)?;
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Keypair::ed25519_from_bytes(seed).map(Self).map_err(|_| KeyError::Malformed(path.to_owned()))
    }

    /// The peer whose key this is.
    pub fn peer(&self) -> Peer {
        Peer(self.0.public().to_peer_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let key = Key::load_or_create(&path).expect("an empty folder");
        let mode = std::fs::metadata(&path).expect("the key").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let again = Key::load_or_create(&path).expect("the key");
        assert_eq!(again.peer(), key.peer());
        assert_eq!(key.peer().to_string().parse(), Ok(key.peer()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("our own file");
        assert!(matches!(Key::load_or_create(&path), Err(KeyError::Exposed(_, 0o640))));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for length in [0, SEED_BYTES - 1, SEED_BYTES + 1] {
            std::fs::write(&path, vec![1; length]).expect("our own file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("our own file");
            assert!(matches!(Key::load_or_create(&path), Err(KeyError::Malformed(_))), "{length} bytes");
        }
    }
}
