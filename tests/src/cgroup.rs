//! Control groups that bound what a process may have of the machine's memory: the system ends what takes more.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::yield_now;

use crate::net::Unavailable;
use crate::setting;

/// Where the system keeps the groups, the file that bounds one, and the one that tells how often something was ended for
/// it: of the first version, and of the second.
const VERSIONS: [[&str; 3]; 2] = [
    ["/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"],
    ["/sys/fs/cgroup", "memory.max", "memory.events"],
];
/// How the names of all groups of tests begin; the id of the process that made it follows.
const PREFIX: &str = "matrix-memory-";
/// Counts the groups of this process.
static GROUPS: AtomicUsize = AtomicUsize::new(0);

/// How many MiB this process may have, together with all that it starts; 0, or none: as much as there is.
const MEMORY: &str = "MATRIX_TEST_MEMORY_MIB";
/// The group that bounds this process.
static BOUND: OnceLock<Option<MemoryGroup>> = OnceLock::new();

/// The group that bounds this process, if its settings say so. It is left behind, and goes with the next sweep.
///
/// # Panics
/// Where such a group can be made, and not entered.
pub fn bound() -> Option<&'static MemoryGroup> {
    let bound = BOUND.get_or_init(|| {
        let bytes = setting(MEMORY).filter(|mib| *mib > 0)? << 20;
        let group =
            MemoryGroup::new(bytes).inspect_err(|why| why.report("the bound of these tests' memory")).ok()?;
        fs::write(group.members(), std::process::id().to_string())
            .expect("this process enters its own group");
        Some(group)
    });
    bound.as_ref()
}

/// A group. Dropping it takes it away, once what ran in it has ended.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
    told: &'static str,
}

impl MemoryGroup {
    /// A group whose processes may have so many bytes together.
    ///
    /// # Errors
    /// Where this machine cannot have it, and why.
    pub fn new(bytes: u64) -> Result<Self, Unavailable> {
        let name = format!("{PREFIX}{}-{}", std::process::id(), GROUPS.fetch_add(1, Ordering::Relaxed));
        let mut why = "no group bounds memory here".to_owned();
        for [above, limit, told] in VERSIONS {
            sweep(Path::new(above));
            let folder = Path::new(above).join(&name);
            if !Path::new(above).join("cgroup.procs").exists() {
                continue;
            }
            // In the folder of a new group, the system makes the files that there are.
            match fs::create_dir(&folder) {
                Ok(()) if folder.join(limit).exists() => {}
                Ok(()) => {
                    drop(fs::remove_dir(&folder));
                    continue;
                }
                Err(error) => {
                    why = format!("{}: {error}", folder.display());
                    continue;
                }
            }
            let group = Self { folder, told };
            let bounded = fs::write(group.folder.join(limit), bytes.to_string());
            return bounded.map(|()| group).map_err(|error| Unavailable::new(format!("{limit}: {error}")));
        }
        Err(Unavailable::new(why))
    }

    /// The file to which a process writes its id to be in the group.
    pub fn members(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// How many processes the system has ended because the group had no memory left.
    pub fn ended(&self) -> u64 {
        let told = fs::read_to_string(self.folder.join(self.told)).expect("a group of this test's own");
        let line = told.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.expect("the system counts it").parse().expect("a number")
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // What was killed leaves the group in its own time; whatever is left goes with the next sweep.
        for _ in 0..1_000 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            yield_now();
        }
    }
}

/// Takes away the groups whose process is gone.
fn sweep(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
            drop(fs::remove_dir(entry.path()));
        }
    }
}
