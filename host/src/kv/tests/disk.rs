//! A disk that can be cut off from its power, can fail to sync, and can be full. What was written and not synced is
//! kept apart, sector by sector: a cut keeps any part of it, a failed sync forgets it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::{Database, StorageBackend};

use crate::kv::KvError;
use crate::kv::wal::{Disk, DiskFile};

/// What a disk writes whole or not at all, at best and at worst.
const GRANULES: [usize; 2] = [512, 4_096];

/// The disk. Clones are the same disk; whoever opens the log on it anew is a new process.
#[derive(Clone, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    files: Vec<Content>,
    /// The names as a process sees them, and as the disk has them.
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Names given, or taken, since the folder was synced.
    pending_names: Vec<(String, Option<usize>)>,
    /// Operations until the power is cut; writes at the cut may still reach the disk.
    operations_left: Option<u64>,
    is_off: bool,
    /// Syncs until one fails.
    syncs_left: Option<u64>,
    /// Bytes that files may still be made of.
    room: Option<u64>,
}

#[derive(Default)]
struct Content {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// What was written since the last sync: where, and what.
    pending: Vec<(usize, Vec<u8>)>,
}

/// Chance, the same for the same seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl FaultyDisk {
    /// Cuts the power at the operation after so many more.
    pub(super) fn cut_after(&self, operations: Option<u64>) {
        self.world().operations_left = operations;
    }

    /// Lets a sync fail after so many more.
    pub(super) fn fail_sync_after(&self, syncs: Option<u64>) {
        self.world().syncs_left = syncs;
    }

    /// Leaves room for files of so many bytes.
    pub(super) fn leave_room(&self, bytes: Option<u64>) {
        self.world().room = bytes;
    }

    /// The process ends here; what it wrote stays in the system's memory.
    pub(super) fn restart_process(&self) {
        let mut world = self.world();
        (world.operations_left, world.syncs_left, world.is_off) = (None, None, false);
    }

    /// The machine loses its power, and has it again: chance says what of the unsynced writes is there.
    pub(super) fn restart_machine(&self, chance: &mut Chance) {
        self.restart_process();
        let mut world = self.world();
        let granule = GRANULES[chance.below(2) as usize];
        // All, nothing, or of every part half.
        let mood = chance.below(4);
        let keeps = |chance: &mut Chance| mood == 1 || (mood > 1 && chance.below(2) == 0);
        for (name, file) in std::mem::take(&mut world.pending_names) {
            if keeps(chance) {
                match file {
                    Some(file) => drop(world.durable_names.insert(name, file)),
                    None => drop(world.durable_names.remove(&name)),
                }
            }
        }
        world.names = world.durable_names.clone();
        for content in &mut world.files {
            content.lose_power(granule, &mut || keeps(chance));
        }
    }

    /// The bytes of a file, to be damaged.
    pub(super) fn damage<T>(&self, name: &str, damage: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut world = self.world();
        let file = world.names[name];
        let result = damage(&mut world.files[file].cached);
        world.files[file].durable = world.files[file].cached.clone();
        result
    }

    /// A disk with the same files.
    pub(super) fn copy(&self) -> FaultyDisk {
        let world = self.world();
        let mut copy = World::default();
        for (name, file) in &world.names {
            let bytes = world.files[*file].cached.clone();
            let file = copy.add(name, bytes.clone());
            copy.files[file].durable = bytes;
        }
        copy.durable_names = copy.names.clone();
        FaultyDisk(Arc::new(Mutex::new(copy)))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl World {
    /// Counts an operation; the one at which the power is cut fails, as all that follow.
    fn operate(&mut self) -> io::Result<()> {
        if !self.is_off && self.operations_left == Some(0) {
            self.is_off = true;
        }
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        self.operations_left = self.operations_left.map(|left| left - 1);
        Ok(())
    }

    fn add(&mut self, name: &str, cached: Vec<u8>) -> usize {
        self.files.push(Content { cached, ..Content::default() });
        let file = self.files.len() - 1;
        self.names.insert(name.into(), file);
        self.pending_names.push((name.into(), Some(file)));
        file
    }

    fn write(&mut self, file: usize, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let was_off = self.is_off;
        let operated = self.operate();
        if !was_off {
            let content = &mut self.files[file];
            content.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
            content.pending.push((offset, bytes.to_vec()));
        }
        operated
    }

    fn sync(&mut self, file: usize) -> io::Result<()> {
        self.operate()?;
        let fails = self.syncs_left == Some(0);
        self.syncs_left = if fails { None } else { self.syncs_left.map(|left| left - 1) };
        let content = &mut self.files[file];
        if fails {
            // The system marks as clean what it could not write: it is still read, and never written again.
            content.pending.clear();
            return Err(io::Error::from_raw_os_error(5));
        }
        for (offset, bytes) in std::mem::take(&mut content.pending) {
            content.durable.resize(content.durable.len().max(offset + bytes.len()), 0);
            content.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
        content.durable.resize(content.cached.len(), 0);
        Ok(())
    }
}

impl Content {
    /// Of every sector that was written to, some version from the synced one to the latest is on the disk.
    fn lose_power(&mut self, granule: usize, keeps: &mut impl FnMut() -> bool) {
        if keeps() {
            self.durable.resize(self.cached.len(), 0);
        }
        let mut stopped = std::collections::BTreeSet::new();
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            let mut at = offset;
            while at < offset + bytes.len() {
                let sector = at / granule;
                let end = ((sector + 1) * granule).min(offset + bytes.len());
                if stopped.contains(&sector) || !keeps() {
                    stopped.insert(sector);
                } else if end <= self.durable.len() {
                    self.durable[at..end].copy_from_slice(&bytes[at - offset..end - offset]);
                }
                at = end;
            }
        }
        self.cached = self.durable.clone();
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    file: usize,
}

impl Disk for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.world().names.keys().cloned().collect())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.world();
        if world.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if let Some(room) = world.room {
            world.room = Some(room.checked_sub(bytes).ok_or(io::ErrorKind::StorageFull)?);
        }
        let was_off = world.is_off;
        let operated = world.operate();
        if was_off {
            return Err(io::Error::other("the power is off"));
        }
        let file = world.add(name, vec![0; bytes as usize]);
        operated?;
        Ok(Arc::new(FaultyFile { disk: self.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.world().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(FaultyFile { disk: self.clone(), file }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        world.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        world.pending_names.push((name.into(), None));
        Ok(())
    }

    fn rename(&self, name: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        let file = world.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.into(), file);
        world.pending_names.extend([(name.into(), None), (to.into(), Some(file))]);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world();
        world.operate()?;
        world.pending_names.clear();
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn database(&self, name: &str) -> Result<Database, KvError> {
        let file = {
            let mut world = self.world();
            let found = world.names.get(name).copied();
            found.unwrap_or_else(|| world.add(name, Vec::new()))
        };
        let backend = FaultyFile { disk: self.clone(), file };
        Database::builder().create_with_backend(backend).map_err(|error| KvError::io("the manifest", error))
    }
}

impl DiskFile for FaultyFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.world().files[self.file].cached.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let world = self.disk.world();
        let range = offset as usize..offset as usize + into.len();
        let bytes = world.files[self.file].cached.get(range).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.world().write(self.file, offset as usize, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.world().sync(self.file)
    }
}

impl std::fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FaultyFile({})", self.file)
    }
}

impl StorageBackend for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.bytes()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_at(out, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        world.operate()?;
        world.files[self.file].cached.resize(bytes as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        DiskFile::sync(self)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(bytes, offset)
    }
}
