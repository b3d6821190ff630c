//! Disks that fail at a moment of the test's choosing: a library that is loaded into a node's process, and finds its
//! orders in a file (`tests/faults/disk.c`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::net::{Unavailable, run};

/// What the library calls the file of its orders.
const ORDERS: &str = "MATRIX_TEST_DISK";
/// Files of the KV's log.
pub const KV_LOG: &str = ".wal";

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What is written is lost, and the next sync fails: those after it succeed, as Linux has it.
    Lose,
    /// A write fails.
    Refuse,
    /// The process ends before a write, as by `kill -9`.
    KillBefore,
    /// It ends after the write, and before the sync.
    KillAfter,
    /// It ends after the sync that follows the write, before anybody can be told.
    KillSynced,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::Lose => "lose",
            Self::Refuse => "refuse",
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::KillSynced => "kill-synced",
        }
    }
}

/// The library, built for this machine.
#[derive(Debug, Clone)]
pub struct Library(PathBuf);

impl Library {
    /// Builds it in a folder.
    ///
    /// # Errors
    /// Where there is no C compiler.
    pub fn build(folder: &Path) -> Result<Self, Unavailable> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/disk.c");
        let library = folder.join("disk.so");
        let [from, to] = [&source, &library].map(|path| path.to_str().expect("a path in UTF-8"));
        run("cc", &["-shared", "-fPIC", "-O1", "-o", to, from], "")?;
        Ok(Self(library))
    }
}

/// One process's disk.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    library: Library,
    orders: PathBuf,
}

impl FaultyDisk {
    /// A disk that works until it is told otherwise; its orders lie in `folder`.
    pub fn new(library: Library, folder: &Path) -> Self {
        Self { library, orders: folder.join("orders") }
    }

    /// What a process has to be started with to have this disk.
    pub fn settings(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library.0), (ORDERS, &self.orders)]
    }

    /// Lets something go wrong with the next write that contains `word`, to a file whose path contains `part`. Neither
    /// has blanks; `-`: whatever is written.
    pub fn order(&self, fault: Fault, part: &str, word: &str) {
        let draft = self.orders.with_extension("draft");
        // Whole or not at all.
        fs::write(&draft, format!("{} {part} {word}\n", fault.word())).expect("a file of this test's own");
        fs::rename(&draft, &self.orders).expect("a file of this test's own");
    }

    /// Takes an order back.
    pub fn forget(&self) {
        // It may be carried out in this moment.
        let _ = fs::remove_file(&self.orders);
    }

    /// Whether it has come to what was ordered.
    pub fn has_failed(&self) -> bool {
        !self.orders.exists()
    }
}
