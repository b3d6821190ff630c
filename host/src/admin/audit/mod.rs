//! What callers change, written down before it is done, and again with its outcome: a chain of lines on the node's disk,
//! in which nothing can be changed unseen. Messages to Souls are not in it: there are too many, and they are theirs.
//!
//! An attempt is written by whoever makes it, and those that a thread makes together by one of them, into the system's
//! memory, which takes less than to hand it on; outcomes go with the next attempt, or within a second. Once a second all
//! is synced, so that a power cut costs a second of it, and a call no sync. What cannot be written down is not done.

mod disk;
mod gather;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use matrix_proto::audit::Entry;
use matrix_proto::v1;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

pub(super) use disk::check;

use self::disk::{Disk, FOLDER};
use self::gather::Gathered;
use super::config::AuditConfig;
use super::convert;
use super::error::AdminError;
use crate::clock;
use crate::tasks::Tasks;

/// So many outcomes are written without waiting for the next attempt.
const OUTCOMES_MAX: usize = 256;
/// Outcomes that are kept while the disk is full; of more, the node's own log tells.
const LATE_MAX: usize = 4_096;
/// How long an outcome may wait to be written, and what was written may be in the system's memory only.
const SYNC: Duration = Duration::from_secs(1);
/// The most lines that are given as the last ones.
pub(super) const LAST_MAX: usize = 10_000;
/// Lines that are read ahead of whoever reads the log.
const AHEAD: usize = 64;

/// The audit log. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Audit(Arc<Log>);

#[derive(Debug)]
struct Log {
    folder: PathBuf,
    book: Mutex<Book>,
    /// Something is to be written or synced, or a call has ended while the node stops.
    changed: Notify,
    stopping: CancellationToken,
}

/// What stands in the log, and what is to.
#[derive(Debug)]
struct Book {
    disk: Disk,
    /// Attempts that are not written yet: nothing is done for them.
    gathered: Gathered,
    /// Outcomes that are not written yet.
    outcomes: Vec<Entry>,
    /// How many of them found no room.
    late: usize,
    /// Calls whose outcomes are to come.
    under_way: usize,
    /// Whether there are lines that may be in the system's memory only.
    unsynced: bool,
}

/// A call that is written down and under way. Dropped, its outcome is that its caller went away.
#[derive(Debug)]
pub(super) struct Attempt {
    log: Arc<Log>,
    entry: Option<Entry>,
}

impl Attempt {
    /// The call whose first line is `written`.
    fn begun(log: &Arc<Log>, written: Entry) -> Self {
        let Entry { seq: call, method, caller, .. } = written;
        Self { log: Arc::clone(log), entry: Some(Entry { call, method, caller, ..Entry::default() }) }
    }

    /// Writes down how the call ended.
    pub(super) fn ended(mut self, code: Code) {
        self.tell(code);
    }

    fn tell(&mut self, code: Code) {
        if let Some(mut entry) = self.entry.take() {
            (entry.at_ms, entry.outcome) = (clock::now_ms(), matrix_proto::code_name(code).into());
            self.log.ended(entry);
        }
    }
}

impl Drop for Attempt {
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
        let (gathered, outcomes) = (Gathered::default(), Vec::new());
        let book = Book { disk, gathered, outcomes, late: 0, under_way: 0, unsynced: false };
        let (book, stopping) = (Mutex::new(book), tasks.stopping());
        let log = Arc::new(Log { folder, book, changed: Notify::new(), stopping });
        let keeping = log.clone();
        tasks.spawn("audit.sync", async move { keeping.keep_synced().await });
        Ok(Self(log))
    }

    /// Writes down that calls are about to be carried out, all or none. Whoever gets an error must not carry them out.
    pub(super) fn attempts(&self, mut entries: Vec<Entry>) -> Result<Vec<Attempt>, Status> {
        if !entries.is_empty() {
            self.0.begin(&mut entries)?;
        }
        Ok(entries.into_iter().map(|entry| Attempt::begun(&self.0, entry)).collect())
    }

    /// As [`Audit::attempts`], for one, and for those that other calls make at the same time.
    pub(super) async fn attempt(&self, entry: Entry) -> Result<Attempt, Status> {
        let is_alone = self.0.book().under_way == 0;
        if is_alone {
            let mut entries = [entry];
            self.0.begin(&mut entries)?;
            let [entry] = entries;
            return Ok(Attempt::begun(&self.0, entry));
        }
        gather::write(&self.0, entry).await
    }

    /// The lines that pass `filter`, the oldest first.
    pub(super) fn read(&self, filter: Filter) -> mpsc::Receiver<Result<v1::AuditRecord, Status>> {
        // What finds no room is told of by the node's own log.
        let _ = self.0.book().write(&mut []);
        let (send, receive) = mpsc::channel(AHEAD);
        let log = self.0.clone();
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = tell(&log.folder, &filter, &send) {
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
        method: method.into_owned(),
        caller,
        role: role.into_owned(),
        via,
        target,
        request_id,
        outcome: outcome.into_owned(),
        line,
        file,
    }
}

impl Log {
    /// Writes attempts, whose numbers are filled in.
    fn begin(&self, entries: &mut [Entry]) -> Result<(), Status> {
        let mut book = self.book();
        if self.stopping.is_cancelled() {
            return Err(convert::stopping());
        }
        let now = clock::now_ms();
        entries.iter_mut().for_each(|entry| entry.at_ms = now);
        let was_synced = !book.unsynced;
        book.write(entries).map_err(|why| convert::audit_failed(&why))?;
        book.under_way += entries.len();
        drop(book);
        if was_synced {
            self.changed.notify_one();
        }
        Ok(())
    }

    fn ended(&self, outcome: Entry) {
        let mut book = self.book();
        let is_first = book.outcomes.is_empty();
        book.under_way -= 1;
        book.keep(outcome);
        if book.outcomes.len() - book.late >= OUTCOMES_MAX {
            // Those that find no room are kept, and told of.
            let _ = book.write(&mut []);
        }
        drop(book);
        if is_first || self.stopping.is_cancelled() {
            self.changed.notify_one();
        }
    }

    /// Writes and syncs what is due, until the node stops and no call is under way.
    async fn keep_synced(&self) {
        loop {
            let is_over = self.stopping.is_cancelled() && self.book().under_way == 0;
            self.sync().await;
            if is_over {
                return;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = self.stopping.cancelled(), if !self.stopping.is_cancelled() => {}
            }
            // What comes meanwhile is synced with it.
            let _ = tokio::time::timeout(SYNC, self.stopping.cancelled()).await;
        }
    }

    async fn sync(&self) {
        let file = {
            let mut book = self.book();
            if book.write(&mut []).is_err() {
                self.changed.notify_one();
            }
            if !std::mem::take(&mut book.unsynced) {
                return;
            }
            book.disk.file()
        };
        let synced = tokio::task::spawn_blocking(move || file?.sync_data()).await;
        if let Err(error) = synced.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::error!(%error, "the audit log cannot be synced: nothing is changed any more");
            self.book().disk.give_up(&error);
        }
    }

    /// Lines are appended whole or not at all, also where a writer of them panics.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Writes the outcomes that wait, then attempts; all of them or none. Numbers are filled in.
    fn write(&mut self, attempts: &mut [Entry]) -> Result<(), String> {
        if self.outcomes.is_empty() && attempts.is_empty() {
            return Ok(());
        }
        let Self { disk, outcomes, late, unsynced, .. } = self;
        if let Err(why) = disk.append(outcomes, attempts) {
            for entry in outcomes.iter().skip(*late) {
                let Entry { call, method, caller, outcome, .. } = entry;
                tracing::error!(
                    call,
                    %method,
                    caller,
                    %outcome,
                    why,
                    "an outcome is not in the audit log yet"
                );
            }
            *late = outcomes.len();
            return Err(why);
        }
        outcomes.clear();
        outcomes.shrink_to(2 * OUTCOMES_MAX);
        (*late, *unsynced) = (0, true);
        Ok(())
    }

    fn keep(&mut self, outcome: Entry) {
        if self.outcomes.len() < LATE_MAX {
            return self.outcomes.push(outcome);
        }
        let Entry { call, method, caller, outcome, .. } = &outcome;
        tracing::error!(
            call,
            %method,
            caller,
            %outcome,
            "an outcome will not be in the audit log: its disk is full"
        );
    }
}

/// The folder of the log in the data folder `data`.
pub(super) fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}
