//! What callers change, written down before it is done, and again with its outcome: a chain of lines on the node's disk,
//! in which nothing can be changed unseen. Messages to Souls are not in it: there are too many, and they are theirs.
//!
//! One task writes. What waits goes into the file in one write; it is synced once a second, so that a power cut costs a
//! second of it, and a call no sync. What cannot be written down is not done.

mod disk;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use matrix_proto::audit::Entry;
use matrix_proto::v1;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::{Code, Status};

pub(super) use disk::check;

use self::disk::{Disk, FOLDER};
use super::config::AuditConfig;
use super::convert;
use super::error::AdminError;
use crate::clock;
use crate::tasks::Tasks;

/// Lines that wait to be written, and outcomes of calls under way for which there must be room.
const WAITING_MAX: usize = 2_048;
/// Lines that are written at once, at most.
const BATCH_MAX: usize = 256;
/// Outcomes that are kept while the disk is full; of more, the node's own log tells.
const LATE_MAX: usize = 4_096;
/// How long what was written may be in the system's memory only.
const SYNC: Duration = Duration::from_secs(1);
/// The most lines that are given as the last ones.
pub(super) const LAST_MAX: usize = 10_000;
/// Lines that are read ahead of whoever reads the log.
const AHEAD: usize = 64;

/// The audit log. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Audit {
    posts: mpsc::Sender<Post>,
    folder: Arc<Path>,
}

/// What the writer is asked for.
#[derive(Debug)]
enum Post {
    /// To write down an attempt, and to say its number, or why it cannot.
    Attempt(Entry, oneshot::Sender<Result<u64, String>>),
    /// To write down an outcome.
    Outcome(Entry),
    /// To say when all that came before is written.
    Flush(oneshot::Sender<()>),
}

/// A call that is written down and under way. Dropped, its outcome is that its caller went away.
pub(super) struct Attempt<'a> {
    place: Option<mpsc::Permit<'a, Post>>,
    entry: Entry,
}

impl Attempt<'_> {
    /// Writes down how the call ended.
    pub(super) fn ended(mut self, code: Code) {
        self.tell(code);
    }

    fn tell(&mut self, code: Code) {
        if let Some(place) = self.place.take() {
            let mut entry = std::mem::take(&mut self.entry);
            (entry.at_ms, entry.outcome) = (clock::now_ms(), matrix_proto::code_name(code).to_owned());
            place.send(Post::Outcome(entry));
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.tell(Code::Cancelled);
    }
}

/// Which lines are asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    pub(super) caller: String,
    pub(super) method: String,
    /// 0: all.
    pub(super) last: usize,
}

impl Filter {
    fn takes(&self, record: &v1::AuditRecord) -> bool {
        let fits = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        fits(&self.caller, &record.caller) && fits(&self.method, &record.method)
    }
}

impl Audit {
    /// Opens the log in the data folder `data`. It is written until `tasks` are stopped and the calls that were under
    /// way then have ended. Blocks on the disk.
    pub(super) fn open(data: &Path, config: AuditConfig, tasks: &Tasks) -> Result<Self, AdminError> {
        let folder = data.join(FOLDER);
        let disk = Disk::open(folder.clone(), config)?;
        let (posts, inbox) = mpsc::channel(WAITING_MAX);
        let writer = Writer { disk: Some(disk), late: Vec::new(), syncing: None, sync_at: None };
        let stopping = tasks.stopping();
        tasks.spawn("audit.write", async move { writer.run(inbox, stopping.cancelled_owned()).await });
        Ok(Self { posts, folder: folder.into() })
    }

    /// Writes down that a call is about to be carried out. Whoever gets an error must not carry it out.
    pub(super) async fn attempt(&self, mut entry: Entry) -> Result<Attempt<'_>, Status> {
        // Both places at once: calls that held one each and waited for the other would wait for ever.
        let mut places = self.posts.reserve_many(2).await.map_err(|_| convert::stopping())?;
        let (Some(first), place) = (places.next(), places.next()) else { return Err(convert::stopping()) };
        entry.at_ms = clock::now_ms();
        let (done, written) = oneshot::channel();
        first.send(Post::Attempt(entry.clone(), done));
        let number = written.await.map_err(|_| convert::stopping())?;
        let number = number.map_err(|why| convert::audit_failed(&why))?;
        let Entry { method, caller, .. } = entry;
        Ok(Attempt { place, entry: Entry { call: number, method, caller, ..Entry::default() } })
    }

    /// The lines that pass `filter`, the oldest first.
    pub(super) async fn read(&self, filter: Filter) -> mpsc::Receiver<Result<v1::AuditRecord, Status>> {
        let (done, flushed) = oneshot::channel();
        if self.posts.send(Post::Flush(done)).await.is_ok() {
            // Where the writer has ended, all is written.
            let _ = flushed.await;
        }
        let (send, receive) = mpsc::channel(AHEAD);
        let folder = self.folder.clone();
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = tell(&folder, &filter, &send) {
                // Whoever asked may be gone.
                let _ = send.blocking_send(Err(convert::internal(&error)));
            }
        }));
        receive
    }
}

/// Reads the log for `send`, until it ends or nobody listens any more.
fn tell(
    folder: &Path,
    filter: &Filter,
    send: &mpsc::Sender<Result<v1::AuditRecord, Status>>,
) -> io::Result<()> {
    let mut last = std::collections::VecDeque::new();
    for (_, path) in disk::files(folder)? {
        let lines = match disk::lines(&path) {
            Ok(lines) => lines,
            // Another one was begun, and this was the oldest.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in lines {
            let record = record(line?, &path);
            if !filter.takes(&record) {
                continue;
            }
            if filter.last == 0 {
                if send.blocking_send(Ok(record)).is_err() {
                    return Ok(());
                }
                continue;
            }
            if last.len() == filter.last {
                last.pop_front();
            }
            last.push_back(record);
        }
    }
    for record in last {
        if send.blocking_send(Ok(record)).is_err() {
            break;
        }
    }
    Ok(())
}

/// A line, taken apart where that can be.
fn record(line: String, path: &Path) -> v1::AuditRecord {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Entry { seq, at_ms, call, method, caller, role, via, target, request_id, outcome, .. } =
        serde_json::from_str(&line).unwrap_or_default();
    let sequence = seq;
    v1::AuditRecord {
        sequence,
        at_ms,
        call,
        method,
        caller,
        role,
        via,
        target,
        request_id,
        outcome,
        line,
        file,
    }
}

/// The one that writes.
struct Writer {
    /// None while it is written to.
    disk: Option<Disk>,
    /// Outcomes that found no room.
    late: Vec<Entry>,
    syncing: Option<JoinHandle<io::Result<()>>>,
    sync_at: Option<Instant>,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Post>, stopping: impl Future<Output = ()>) {
        let (mut batch, mut is_open) = (Vec::new(), true);
        tokio::pin!(stopping);
        loop {
            let due = self.sync_at.filter(|_| self.syncing.is_none());
            tokio::select! {
                count = inbox.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        break;
                    }
                    self.write(std::mem::take(&mut batch)).await;
                }
                // No more attempts; those under way have their places for their outcomes.
                () = &mut stopping, if is_open => {
                    is_open = false;
                    inbox.close();
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.sync(),
                synced = ended(&mut self.syncing) => self.synced(synced),
            }
        }
        // One that is under way may have begun before the last line.
        while self.syncing.is_some() || self.sync_at.is_some() {
            if self.syncing.is_none() {
                self.sync();
            }
            let synced = ended(&mut self.syncing).await;
            self.synced(synced);
        }
    }

    async fn write(&mut self, batch: Vec<Post>) {
        let Some(mut disk) = self.disk.take() else { return };
        let late = std::mem::take(&mut self.late);
        let lates = late.len();
        let (mut entries, mut waiting, mut flushed) = (late, Vec::new(), Vec::new());
        for post in batch {
            match post {
                Post::Attempt(entry, done) => {
                    waiting.push((entries.len(), done));
                    entries.push(entry);
                }
                Post::Outcome(entry) => entries.push(entry),
                Post::Flush(done) => flushed.push(done),
            }
        }
        let begins_file = disk.is_full();
        let append = move || {
            let written = if entries.is_empty() { Ok(()) } else { disk.append(&mut entries) };
            (disk, entries, written)
        };
        // Lines go into the system's memory: to hand them to another thread would take longer than to write them.
        let written = if begins_file { tokio::task::spawn_blocking(append).await } else { Ok(append()) };
        let Ok((disk, entries, written)) = written else {
            tracing::error!("the audit log's writer panicked: nothing is changed any more");
            return;
        };
        self.disk = Some(disk);
        // Whoever does not wait any more has given its call up.
        for (at, done) in waiting {
            let _ = done.send(written.clone().map(|()| entries[at].seq));
        }
        for done in flushed {
            let _ = done.send(());
        }
        match written {
            Ok(()) => self.sync_at = self.sync_at.or_else(|| Some(Instant::now() + SYNC)),
            Err(why) => self.keep(entries, lates, &why),
        }
    }

    /// Keeps the outcomes that could not be written, of which the first `lates` were known before.
    fn keep(&mut self, entries: Vec<Entry>, lates: usize, why: &str) {
        for (at, entry) in entries.into_iter().enumerate().filter(|(_, entry)| entry.call != 0) {
            if at >= lates {
                let Entry { call, method, caller, outcome, .. } = &entry;
                tracing::error!(call, method, caller, outcome, why, "an outcome is not in the audit log yet");
            }
            if self.late.len() < LATE_MAX {
                self.late.push(entry);
            }
        }
    }

    fn sync(&mut self) {
        if self.sync_at.take().is_some()
            && let Some(disk) = &self.disk
        {
            let file = disk.file();
            self.syncing = Some(tokio::task::spawn_blocking(move || file?.sync_data()));
        }
    }

    fn synced(&mut self, synced: io::Result<()>) {
        if let Err(error) = synced {
            tracing::error!(%error, "the audit log cannot be synced: nothing is changed any more");
            if let Some(disk) = &mut self.disk {
                disk.give_up(&error);
            }
        }
    }
}

/// Waits for a sync that is under way; for ever, where none is and more may come.
async fn ended(syncing: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    let Some(under_way) = syncing else { return std::future::pending().await };
    let synced = under_way.await;
    *syncing = None;
    synced.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The folder of the log in the data folder `data`.
pub(super) fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}
