//! Small disks, in memory, that a test can fill to the last byte: what a node meets there is the system's own refusal.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::net::{Unavailable, run};

/// How the names of all disks begin, as the system lists them; the id of the process that made each follows.
const PREFIX: &str = "matrix-disk-";
/// The file that fills a disk.
const FILLER: &str = "filler";
/// Bytes that are written at a time.
const PIECE: usize = 64 << 10;

/// A disk, mounted on a folder. Dropping it takes it away, with what is on it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes on a folder, which is made.
    ///
    /// # Errors
    /// Where this machine cannot have it, and why.
    pub fn mount(folder: &Path, bytes: u64) -> Result<Self, Unavailable> {
        sweep();
        fs::create_dir(folder).map_err(|error| Unavailable::new(error.to_string()))?;
        let (options, name) = (format!("size={bytes},mode=0700"), format!("{PREFIX}{}", std::process::id()));
        let path = folder.to_str().expect("a folder of this test's own");
        run("mount", &["-t", "tmpfs", "-o", &options, &name, path], "")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Fills it until nothing more goes in.
    pub fn fill(&self) {
        let file = fs::File::options().create(true).append(true).open(self.folder.join(FILLER));
        let mut file = file.expect("a file on a disk of this test's own");
        let mut piece = PIECE;
        while piece > 0 {
            match file.write(&vec![7; piece]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece /= 2,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Takes away again what [`SmallDisk::fill`] wrote.
    pub fn free(&self) {
        fs::remove_file(self.folder.join(FILLER)).expect("it was filled before");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.folder);
    }
}

/// Takes away the disks whose process is gone.
fn sweep() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(name), Some(folder)) = (words.next(), words.next()) else { continue };
        let maker = name.strip_prefix(PREFIX).and_then(|maker| maker.parse::<u32>().ok());
        if maker.is_some_and(|maker| fs::read_link(format!("/proc/{maker}/exe")).is_err()) {
            unmount(Path::new(folder));
        }
    }
}

/// Also where a process that was just killed has files open on it.
fn unmount(folder: &Path) {
    let path = folder.to_str().expect("a folder of a test");
    if let Err(error) = run("umount", &["--lazy", path], "") {
        eprintln!("a disk is left: {error}");
    }
}
