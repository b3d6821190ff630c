//! A run as it stood after one of its ticks, kept beside its run log, so that bringing a run back costs no more
//! the longer it has lasted. The log stays the truth: a checkpoint that is damaged, or does not fit its log, is
//! passed over.
//!
//! ```text
//! file  = BLAKE3 of the rest (32 bytes), then the rest:
//!         format (number), run, where the record of the tick starts in the log (number),
//!         tick (number), hash of the state (32 bytes), actions missed (number),
//!         signals: how many, then each: name, value (8 bytes); result: 0 | 1, media type, body,
//!         players: how many, then what each was told: first tick, last tick (each 0 | 1, number),
//!         finished (1 byte), prompts: how many, then each: player, seat, observation, reward (8 bytes),
//!         final (1 byte),
//!         switches of rules before it: how many, then each: tick (number), digests before and after, hash of the
//!         state (32 bytes each); the last names the component that wrote the state, or else the log's header does,
//!         source of chance (JSON), name of the state's layout, state
//! ```
//!
//! Numbers and texts are those of a run log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::course::{Course, Next, Told};
use super::runlog::bytes::{Cursor, Wrong, put_bytes, put_number};
use super::runlog::{LogError, blocking, failed};
use super::status::Figures;
use super::switches::Switch;
use crate::capabilities::random;
use crate::ids::{Digest, StateHash};
use crate::runtime::rules::Prompt;
use crate::runtime::stateful::Snapshot;
use crate::transport::envelope::Content;

/// The version of the format that this node writes, and the only one that it reads.
const FORMAT: u64 = 2;
/// The longest file: twice what a snapshot and the prompts of one call can be.
const FILE_BYTES_MAX: u64 = 40 << 20;
/// How long the older checkpoint stays before a newer one takes its place: Souls come back from states that are
/// some seconds old, and are told again what they missed from a checkpoint before that.
const AGED: Duration = Duration::from_secs(30);
/// Of the rules' own time at most this part again goes into checkpoints.
const COST_SHARE: u32 = 20;
/// Bytes of the hash in front.
const HASH_BYTES: usize = 32;

/// A run as it stood.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    /// Where the record of its last tick starts in the run log.
    pub(crate) record: u64,
    pub(crate) course: Course,
    pub(crate) next: Next,
    /// The rules' source of chance, as far as it was used.
    pub(crate) chance: random::Ctx,
    pub(crate) state: Snapshot,
}

/// The checkpoints of a run log: the newest, and an older one.
pub(crate) fn files(log: &Path) -> [PathBuf; 2] {
    [log.with_extension("checkpoint"), log.with_extension("checkpoint-aged")]
}

/// What is being written.
pub(crate) fn unfinished(log: &Path) -> PathBuf {
    log.with_extension("checkpoint-new")
}

/// Every file of a run, its log first.
pub(crate) fn files_of(log: &Path) -> [PathBuf; 4] {
    let [newest, aged] = files(log);
    [log.to_owned(), newest, aged, unfinished(log)]
}

/// A checkpoint as a file holds it, but for the hash, whose place is left; the fields are those of
/// [`Checkpoint`].
pub(crate) fn encode(
    run: &str,
    record: u64,
    course: &Course,
    next: &Next,
    chance: &random::Ctx,
    state: &Snapshot,
) -> Vec<u8> {
    let mut out = vec![0; HASH_BYTES];
    put_number(&mut out, FORMAT);
    put_bytes(&mut out, run.as_bytes());
    put_number(&mut out, record);
    put_figures(&mut out, &course.figures);
    put_number(&mut out, course.told.len() as u64);
    for tick in course.told.iter().flat_map(|told| [told.first, told.previous]) {
        out.push(tick.is_some().into());
        tick.into_iter().for_each(|tick| put_number(&mut out, tick));
    }
    out.push(next.finished.into());
    put_number(&mut out, next.prompts.len() as u64);
    for prompt in &next.prompts {
        put_number(&mut out, prompt.player.into());
        put_number(&mut out, prompt.seat.into());
        put_bytes(&mut out, &prompt.observation);
        out.extend_from_slice(&prompt.reward.to_bits().to_le_bytes());
        out.push(prompt.final_.into());
    }
    put_number(&mut out, course.switches.len() as u64);
    for Switch { tick, before, after, state } in &course.switches {
        put_number(&mut out, *tick);
        [before.as_bytes(), after.as_bytes(), state.as_bytes()]
            .into_iter()
            .for_each(|hash| out.extend_from_slice(hash));
    }
    put_bytes(&mut out, &serde_json::to_vec(chance).expect("four numbers have a form in JSON"));
    put_bytes(&mut out, state.schema.as_bytes());
    put_bytes(&mut out, &state.bytes);
    out
}

impl Checkpoint {
    /// Reads a whole file of this run.
    pub(crate) fn decode(run: &str, file: &[u8]) -> Result<Self, Wrong> {
        let (hash, rest) = file.split_first_chunk::<HASH_BYTES>().ok_or("it ends too early")?;
        if StateHash::of(rest).as_bytes() != hash {
            return Err("it does not have the hash that it begins with");
        }
        let mut from = Cursor(rest);
        if from.number()? != FORMAT {
            return Err("its format is another");
        }
        if from.text()? != run {
            return Err("it is of another run");
        }
        let record = from.number()?;
        let figures = figures(&mut from)?;
        let told = list(&mut from, |from| Ok(Told { first: optional(from)?, previous: optional(from)? }))?;
        let finished = flag(&mut from)?;
        let prompts = list(&mut from, |from| {
            Ok(Prompt {
                player: from.number_u32()?,
                seat: from.number_u32()?,
                observation: from.bytes()?.to_vec(),
                reward: double(from)?,
                final_: flag(from)?,
            })
        })?;
        let switches = list(&mut from, |from| {
            Ok(Switch {
                tick: from.number()?,
                before: Digest::from_bytes(from.array()?),
                after: Digest::from_bytes(from.array()?),
                state: StateHash::from_bytes(from.array()?),
            })
        })?;
        let chance = serde_json::from_slice(from.bytes()?).map_err(|_| "its source of chance is none")?;
        let state = Snapshot { schema: from.text()?.to_owned(), bytes: from.bytes()?.to_vec() };
        if !from.is_at_end() {
            return Err("bytes are left over");
        }
        let course = Course { figures, told, switches };
        Ok(Self { record, course, next: Next { prompts, finished }, chance, state })
    }

    /// Reads a file; none: it is not there. The error says what is wrong with it.
    pub(crate) fn read(run: &str, path: &Path) -> Result<Option<Self>, String> {
        let length = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if length > FILE_BYTES_MAX {
            return Err(format!("it has {length} bytes; the most are {FILE_BYTES_MAX}"));
        }
        let file = std::fs::read(path).map_err(|error| error.to_string())?;
        Ok(Some(Self::decode(run, &file)?))
    }
}

fn put_figures(out: &mut Vec<u8>, figures: &Figures) {
    put_number(out, figures.tick);
    out.extend_from_slice(figures.state_hash.as_bytes());
    put_number(out, figures.missed_actions);
    put_number(out, figures.signals.len() as u64);
    for (name, value) in &figures.signals {
        put_bytes(out, name.as_bytes());
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
    out.push(figures.result.is_some().into());
    if let Some(result) = &figures.result {
        put_bytes(out, result.content_type.as_bytes());
        put_bytes(out, &result.body);
    }
}

fn figures(from: &mut Cursor<'_>) -> Result<Figures, Wrong> {
    Ok(Figures {
        tick: from.number()?,
        state_hash: StateHash::from_bytes(from.array()?),
        missed_actions: from.number()?,
        signals: list(from, |from| Ok((from.text()?.to_owned(), double(from)?)))?.into_iter().collect(),
        result: match flag(from)? {
            false => None,
            true => Some(Content {
                content_type: from.text()?.into(),
                body: bytes::Bytes::copy_from_slice(from.bytes()?),
            }),
        },
    })
}

fn list<T>(
    from: &mut Cursor<'_>,
    mut item: impl FnMut(&mut Cursor<'_>) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    (0..from.number()?).map(|_| item(from)).collect()
}

fn optional(from: &mut Cursor<'_>) -> Result<Option<u64>, Wrong> {
    Ok(if flag(from)? { Some(from.number()?) } else { None })
}

fn flag(from: &mut Cursor<'_>) -> Result<bool, Wrong> {
    Ok(from.byte()? != 0)
}

fn double(from: &mut Cursor<'_>) -> Result<f64, Wrong> {
    Ok(f64::from_bits(u64::from_le_bytes(from.array()?)))
}

/// Keeps the checkpoints of one run: it says when one is due, and writes it where nothing waits for it.
#[derive(Debug)]
pub(crate) struct Keeper {
    log: PathBuf,
    every: Duration,
    /// What the rules did since the last checkpoint, in time of their own.
    work: Duration,
    /// How long the last one took to be written.
    cost: Duration,
    /// When the older one was last replaced.
    aged: Instant,
    writing: Option<JoinHandle<Result<Duration, LogError>>>,
    /// Counts those that were written.
    written: watch::Sender<u64>,
}

impl Keeper {
    /// For the run of this log: a checkpoint after every so much work of the rules; zero: after every tick.
    /// `written` is told of each.
    pub(crate) fn new(log: &Path, every: Duration, written: watch::Sender<u64>) -> Self {
        let (work, cost) = (Duration::ZERO, Duration::ZERO);
        Self { log: log.to_owned(), every, work, cost, aged: Instant::now(), writing: None, written }
    }

    /// The rules worked for so long.
    pub(crate) fn worked(&mut self, time: Duration) {
        self.work += time;
    }

    /// Whether a checkpoint should be kept now.
    pub(crate) fn is_due(&self) -> bool {
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        self.every.is_zero() || !busy && self.work >= self.every.max(self.cost * COST_SHARE)
    }

    /// Keeps what [`encode`] made; `file` is the run log, in which the checkpoint's tick is.
    pub(crate) async fn keep(&mut self, mut checkpoint: Vec<u8>, file: Arc<File>) {
        self.finish().await;
        self.work = Duration::ZERO;
        let age = self.aged.elapsed() >= AGED;
        if age {
            self.aged = Instant::now();
        }
        let (log, written) = (self.log.clone(), self.written.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            // A checkpoint is never ahead of its log, not even after a power cut.
            file.sync_data().map_err(failed("make durable", &log))?;
            let hash = StateHash::of(&checkpoint[HASH_BYTES..]);
            checkpoint[..HASH_BYTES].copy_from_slice(hash.as_bytes());
            write(&log, &checkpoint, age)?;
            written.send_modify(|count| *count += 1);
            Ok(began.elapsed())
        }));
    }

    /// Waits until nothing is being written. What cannot be written is told, and missed by nobody: the log has it.
    pub(crate) async fn finish(&mut self) {
        let Some(writing) = self.writing.take() else { return };
        match writing.await {
            Ok(Ok(cost)) => self.cost = cost,
            Ok(Err(error)) => {
                tracing::warn!(%error, "a checkpoint of a Matrix was not written");
                self.every *= 2;
            }
            // The node is stopping.
            Err(_) => {}
        }
    }
}

/// Puts a file into the place of the newest checkpoint, whole or not at all; `age`: that one becomes the older.
fn write(log: &Path, checkpoint: &[u8], age: bool) -> Result<(), LogError> {
    let new = unfinished(log);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
    let mut file = file.map_err(failed("create", &new))?;
    file.write_all(checkpoint).and_then(|()| file.sync_data()).map_err(failed("write", &new))?;
    put_in_place(log, age)
}

/// Makes what was written under [`unfinished`] the newest checkpoint; `age`: the one before becomes the older.
fn put_in_place(log: &Path, age: bool) -> Result<(), LogError> {
    let ([newest, aged], new) = (files(log), unfinished(log));
    if age && newest.exists() {
        std::fs::rename(&newest, &aged).map_err(failed("rename", &newest))?;
    }
    std::fs::rename(&new, &newest).map_err(failed("rename", &new))
}

/// Makes a checkpoint of another node that is whole under [`unfinished`] the newest; one before it becomes the older
/// when the older one there has aged.
pub(crate) fn publish(log: &Path) -> Result<(), LogError> {
    let [_, aged] = files(log);
    let age = std::fs::metadata(&aged).and_then(|metadata| metadata.modified());
    let is_old = age.map_or(true, |at| at.elapsed().is_ok_and(|age| age >= AGED));
    put_in_place(log, is_old)
}

/// Removes a run log and its checkpoints. What is not there is no error.
pub(crate) async fn remove(log: PathBuf) -> Result<(), LogError> {
    blocking(move || {
        files_of(&log).iter().try_for_each(|path| match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
            _ => Ok(()),
        })
    })
    .await
}
