//! The files of runs on this node, in the service of the others: copies that it holds for them, and logs that they read.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use matrix_proto::wire::runs_question::Kind;
use matrix_proto::wire::{RunFile, RunPart, RunPiece, RunStand, RunsAnswer};
use prost::Message as _;

use super::wire::{PIECE_BYTES, digest, read};
use crate::ids::{Digest, MessageId};
use crate::matrices::checkpoint;
use crate::matrices::disk::Disk;
use crate::p2p::Peer;
use crate::p2p::rpc::{Reply, Serve};
use crate::runtime::catalog::Catalog;
use crate::tasks::Tasks;

/// How many runs a node may know.
const RUNS_MAX: usize = 1 << 16;

/// What is wrong with a question about a run, or with its files.
type Why = String;

/// The folder of the run logs, as other nodes see it.
#[derive(Debug)]
pub(crate) struct Holder {
    folder: PathBuf,
    log_bytes_max: u64,
    disk: Disk,
    /// The highest generation that was heard of each run. Whoever changes a run's files holds its lock.
    runs: Mutex<HashMap<MessageId, Arc<Mutex<u64>>>>,
}

impl Holder {
    /// Of the run logs in a folder on a disk, none longer than `log_bytes_max`.
    pub(crate) fn new(folder: PathBuf, log_bytes_max: u64, disk: Disk) -> Self {
        Self { folder, log_bytes_max, disk, runs: Mutex::default() }
    }

    /// From now on, nodes that ran this Matrix before `generation` change nothing here.
    pub(crate) fn seal(&self, run: &str, generation: u64) {
        let Ok(run) = run.parse() else { return };
        let known = self.generation(run);
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = generation.max(*known);
    }

    /// Nothing is kept of a run any more.
    pub(crate) fn forget(&self, run: &str) {
        if let Ok(run) = run.parse() {
            self.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        }
    }

    fn generation(&self, run: MessageId) -> Arc<Mutex<u64>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).entry(run).or_default().clone()
    }

    /// A run that another node speaks of: this node need not have heard of it yet.
    fn admit(&self, run: MessageId) -> Result<Arc<Mutex<u64>>, Why> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.len() >= RUNS_MAX && !runs.contains_key(&run) {
            return Err(format!("it knows {RUNS_MAX} runs, and takes no more"));
        }
        Ok(runs.entry(run).or_default().clone())
    }

    fn answer(&self, question: &Kind) -> Result<RunsAnswer, Why> {
        match question {
            Kind::Stand(stand) => self.stand(stand),
            Kind::Piece(piece) => self.append(piece),
            Kind::Part(part) => self.part(part),
        }
    }

    fn log(&self, run: MessageId) -> PathBuf {
        self.folder.join(format!("{run}.log"))
    }

    /// Does something with the files of a run that this node may change for its asker.
    fn change<T>(
        &self,
        run: &str,
        generation: u64,
        change: impl FnOnce(&Path) -> Result<T, Why>,
    ) -> Result<T, Why> {
        let run = parse(run)?;
        let known = self.admit(run)?;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if generation < *known {
            return Err(format!("the Matrix runs on another node, for the {known}. time"));
        }
        *known = generation;
        change(&self.log(run))
    }

    fn stand(&self, question: &RunStand) -> Result<RunsAnswer, Why> {
        self.change(&question.run, question.generation, |log| {
            let file = open(log)?;
            let length = length(&file)?.min(question.length);
            file.set_len(length).map_err(io)?;
            let digest = digest(&file, length).map_err(io)?;
            Ok(RunsAnswer { length, digest, data: Bytes::new() })
        })
    }

    fn append(&self, piece: &RunPiece) -> Result<RunsAnswer, Why> {
        if piece.data.len() as u64 > PIECE_BYTES {
            return Err(format!("a piece has {PIECE_BYTES} bytes at most"));
        }
        let end = piece.offset.saturating_add(piece.data.len() as u64);
        if end > self.log_bytes_max {
            return Err("the copy would be longer than `matrices.run_log_bytes_max` here".to_owned());
        }
        let is_log = piece.file() == RunFile::Log;
        self.change(&piece.run, piece.generation, |log| {
            let file = if is_log { open(log)? } else { open(&checkpoint::unfinished(log))? };
            let there = length(&file)?;
            if there < piece.offset {
                return Err(format!("there are only {there} bytes"));
            }
            if there > piece.offset {
                file.set_len(piece.offset).map_err(io)?;
            }
            file.write_all_at(&piece.data, piece.offset).map_err(io)?;
            match (is_log, piece.seals) {
                (_, false) => {}
                (true, true) => self.disk.sync(&file, log).map_err(io)?,
                (false, true) => checkpoint::publish(log).map_err(|error| error.to_string())?,
            }
            Ok(RunsAnswer { length: end, ..RunsAnswer::default() })
        })
    }

    fn part(&self, part: &RunPart) -> Result<RunsAnswer, Why> {
        let log = self.log(parse(&part.run)?);
        let [newest, _] = checkpoint::files(&log);
        let path = if part.file() == RunFile::Log { log } else { newest };
        let mut file = File::open(path).map_err(io)?;
        let length = length(&file)?;
        let wanted = u64::from(part.length).min(PIECE_BYTES).min(length.saturating_sub(part.offset));
        let mut data = Vec::with_capacity(usize::try_from(wanted).unwrap_or(0));
        file.seek(SeekFrom::Start(part.offset.min(length))).map_err(io)?;
        file.take(wanted).read_to_end(&mut data).map_err(io)?;
        Ok(RunsAnswer { length, digest: Bytes::new(), data: data.into() })
    }
}

fn parse(run: &str) -> Result<MessageId, Why> {
    run.parse().map_err(|_| "it names no run".to_owned())
}

fn open(path: &Path) -> Result<File, Why> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)
}

fn length(file: &File) -> Result<u64, Why> {
    Ok(file.metadata().map_err(io)?.len())
}

#[expect(clippy::needless_pass_by_value, reason = "it is made for map_err")]
fn io(error: std::io::Error) -> Why {
    format!("the file cannot be used: {error}")
}

/// The holder, where questions come in.
pub(crate) struct Server {
    pub(crate) holder: Arc<Holder>,
    pub(crate) components: Catalog,
    pub(crate) tasks: Tasks,
}

impl Server {
    /// Makes the rules ready that this node may have to run.
    fn prepare(&self, rules: &str) {
        let Ok(rules) = rules.parse::<Digest>() else { return };
        let components = self.components.clone();
        self.tasks.spawn("runs.prepare", async move {
            if let Err(error) = components.get(rules).await {
                tracing::warn!(%rules, %error, "the rules of a Matrix of which a copy is held cannot be had");
            }
        });
    }
}

impl Serve for Server {
    fn serve(&self, _: Peer, question: Bytes, reply: Reply) {
        let Some(kind) = read(question) else { return reply.fail("it is malformed") };
        if let Kind::Stand(stand) = &kind {
            self.prepare(&stand.rules);
        }
        let holder = self.holder.clone();
        self.tasks.spawn("runs.answer", async move {
            match tokio::task::spawn_blocking(move || holder.answer(&kind)).await {
                Ok(Ok(answer)) => reply.answer(answer.encode_to_vec().into()),
                Ok(Err(why)) => reply.fail(&why),
                Err(_) => reply.fail("this node is stopping"),
            }
        });
    }
}

#[cfg(test)]
mod tests;
