//! The audit log on disk: files of lines, each named by the number of its first line. The chain goes on from file to
//! file, and from start to start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use matrix_proto::audit::{Chain, Entry};
use rustix::fs::{FallocateFlags, fallocate};

use super::super::config::AuditConfig;
use super::super::error::{AdminError, failed};

/// The folder, in the data folder.
pub(super) const FOLDER: &str = "audit";
/// How the names of its files end.
const SUFFIX: &str = ".jsonl";
/// The most bytes of a line: far more than what is written down of a call.
const LINE_BYTES_MAX: u64 = 16 << 10;
/// Bytes of room for lines that are kept from one write to the next.
const TEXT_BYTES_KEPT: usize = 256 << 10;

/// The log, open for writing.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    config: AuditConfig,
    file: File,
    /// Of the file.
    bytes: u64,
    chain: Chain,
    /// The lines last written: room for the next. New room of this size would be new pages from the system each time.
    text: Vec<u8>,
    /// Why nothing can be written any more: nobody knows what stands at the end of the file.
    broken: Option<String>,
}

impl Disk {
    /// Opens the log in `folder`, or makes it. What was cut off with the node is removed: nothing was done for it.
    /// Blocks on the disk.
    pub(super) fn open(folder: PathBuf, config: AuditConfig) -> Result<Self, AdminError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(failed("make the folder", &folder))?;
        let mut chain = Chain::default();
        let mut newest = None;
        for (number, path) in files(&folder).map_err(failed("list the folder", &folder))?.into_iter().rev() {
            let (bytes, last) = settle(&path).map_err(failed("read", &path))?;
            newest = newest.or(Some((path.clone(), bytes)));
            let Some(last) = last else { continue };
            chain = Chain::after(&last).map(|(chain, _)| chain).unwrap_or_else(|fault| {
                tracing::error!(file = %path.display(), %fault, "the end of the audit log is damaged: a new chain begins");
                newest = None;
                // Whatever its lines are numbered, they are fewer than its bytes.
                Chain::anew(number.saturating_add(bytes))
            });
            break;
        }
        let (file, bytes) = match newest {
            Some((path, bytes)) => {
                (OpenOptions::new().append(true).open(&path).map_err(failed("open", &path))?, bytes)
            }
            None => (begin(&folder, &chain).map_err(failed("make a file in", &folder))?, 0),
        };
        let disk = Self { folder, config, file, bytes, chain, text: Vec::new(), broken: None };
        disk.reserve();
        Ok(disk)
    }

    /// Whether the next lines begin a file, which waits for the disk.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.config.file_bytes
    }

    /// Appends entries, some and then others, all of them or none; fills in their numbers. Does not wait until they are on
    /// the disk, unless the file [is full](Self::is_full).
    pub(super) fn append(&mut self, first: &mut [Entry], then: &mut [Entry]) -> Result<(), String> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.write(first.iter_mut().chain(then)).map_err(|error| {
            let whole = self.file.set_len(self.bytes);
            // That may have given back what was reserved.
            self.reserve();
            if let Err(error) = whole {
                self.broken =
                    Some(format!("its end is not known, since a line could not be removed: {error}"));
            }
            error.to_string()
        })
    }

    /// The file that is written to, to be synced.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Lets nothing more be written: what was may not be on the disk.
    pub(super) fn give_up(&mut self, error: &io::Error) {
        self.broken = Some(format!("what was written may not be on the disk: {error}"));
    }

    fn write<'a>(&mut self, entries: impl Iterator<Item = &'a mut Entry>) -> io::Result<()> {
        if self.is_full() {
            self.file.sync_data()?;
            self.file = begin(&self.folder, &self.chain)?;
            self.bytes = 0;
            self.reserve();
            self.forget_oldest();
        }
        let mut chain = self.chain.clone();
        self.text.clear();
        self.text.shrink_to(TEXT_BYTES_KEPT);
        entries.for_each(|entry| chain.seal(entry, &mut self.text));
        self.file.write_all(&self.text)?;
        self.bytes += self.text.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Takes the rest of the file's room beforehand: a disk that is full must not keep a node from what needs no room of
    /// it, such as writes that other nodes take. Where that cannot be, lines are written as long as there is room.
    fn reserve(&self) {
        let rest = self.config.file_bytes.saturating_sub(self.bytes);
        if rest > 0
            && let Err(error) = fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.bytes, rest)
        {
            tracing::debug!(%error, "no room is reserved for the audit log");
        }
    }

    fn forget_oldest(&self) {
        let Ok(files) = files(&self.folder) else { return };
        let over = files.len().saturating_sub(self.config.files);
        for (_, path) in files.into_iter().take(over) {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(file = %path.display(), %error, "the oldest file of the audit log is not removed");
            }
        }
    }
}

/// The files in `folder`, with the numbers of their first lines, the oldest first.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(number) = name.and_then(|name| name.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// The lines of a file; one that is too long, or no text, is given as far as it can be read.
pub(super) fn lines(path: &Path) -> io::Result<impl Iterator<Item = io::Result<String>> + use<>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                line.pop_if(|last| *last == b'\n');
                Some(Ok(String::from_utf8_lossy(&line).into_owned()))
            }
            Err(error) => Some(Err(error)),
        }
    }))
}

/// Checks the log in `folder` from its first line to its last. Returns how many lines there are, and the hash of the
/// last one; or the first line that is wrong, by its file and its place there, and why.
///
/// # Errors
/// What the system says.
pub(in crate::admin) fn check(folder: &Path) -> io::Result<Result<(u64, String), String>> {
    let (mut chain, mut count) = (None, 0);
    for (_, path) in files(folder)? {
        for (place, line) in (1..).zip(lines(&path)?) {
            let line = line?;
            let followed = match &mut chain {
                Some(chain) => Chain::follow(chain, &line).map(drop),
                // What was before the first that is kept is not known any more.
                None => Chain::after(&line).map(|(after, _)| chain = Some(after)),
            };
            if let Err(fault) = followed {
                return Ok(Err(format!("line {place} of {}: {fault}", path.display())));
            }
            count += 1;
        }
    }
    Ok(Ok((count, chain.unwrap_or_default().head())))
}

/// Begins the file whose first line is the chain's next. One that is there was begun before, and found no room.
fn begin(folder: &Path, chain: &Chain) -> io::Result<File> {
    let path = folder.join(format!("{:020}{SUFFIX}", chain.next()));
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// Cuts off what follows a file's last line feed. Returns its length then, and its last line.
fn settle(path: &Path) -> io::Result<(u64, Option<String>)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let bytes = file.metadata()?.len();
    let from = bytes.saturating_sub(2 * LINE_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let end = from + whole as u64;
    if end < bytes {
        file.set_len(end)?;
        file.sync_all()?;
    }
    tail.truncate(whole.saturating_sub(1));
    let last = tail.rsplit(|byte| *byte == b'\n').next().filter(|last| !last.is_empty());
    Ok((end, last.map(|last| String::from_utf8_lossy(last).into_owned())))
}
