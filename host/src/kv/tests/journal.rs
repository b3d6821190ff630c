//! A log store driven beside a model of it: what was acknowledged, and what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::FutureExt;
use futures::executor::block_on;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_adv::LeaderId;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::type_config::alias::OneshotReceiverOf;

use super::disk::FaultyDisk;
use crate::kv::command::Proposal;
use crate::kv::log_store::{Log, LogStore};
use crate::kv::raft::{LogEntry, LogId, TypeConfig, Vote};
use crate::kv::stats::Counters;
use crate::kv::wal::{Wal, Wanted};
use crate::kv::{KvError, OnFatal};

/// Small, so that many are begun.
pub(super) const SEGMENT_BYTES: u64 = 8 << 10;

/// Bytes of entries that are read at a time: less than some entries have.
const PART_BYTES: usize = 1_000;

/// What a log store is asked to do.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// So many entries, each with a command of so many bytes.
    Append(u64, usize),
    Vote,
    /// Takes back so many entries.
    Truncate(u64),
    /// Purges all but so many entries.
    Purge(u64),
    /// A snapshot came that is so many entries ahead.
    Replace(u64),
}

/// An [`Op`] as the log store is told it.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Append(Vec<LogEntry>),
    Vote(Vote),
    Truncate(Option<LogId>),
    Purge(LogId),
}

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<u64, (LogId, Bytes)>,
    pub(super) last: Option<LogId>,
    vote: Option<Vote>,
    purged: Option<LogId>,
}

type Acknowledged = OneshotReceiverOf<TypeConfig, std::io::Result<()>>;

/// What the log must hold, over the lives of those who write it.
#[derive(Default)]
pub(super) struct Journal {
    pub(super) acknowledged: Model,
    /// In order; appends with where they are acknowledged.
    under_way: Vec<(Told, Option<Acknowledged>)>,
}

/// A log that is open.
pub(super) struct Life {
    pub(super) log: Arc<Log>,
    pub(super) store: LogStore,
    pub(super) fatal: Arc<AtomicU64>,
}

impl Life {
    pub(super) fn open(disk: &FaultyDisk) -> Result<Life, KvError> {
        let wal = Wal::open(Arc::new(disk.clone()), 1, SEGMENT_BYTES)?;
        let fatal = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&fatal);
        let on_fatal = OnFatal(Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        let log = Log::new(wal, Arc::new(Counters::default()), on_fatal);
        Ok(Life { store: LogStore::new(Arc::clone(&log)), log, fatal })
    }

    /// What a reader sees.
    pub(super) fn observe(&mut self) -> Model {
        let entries = block_on(self.store.try_get_log_entries(..)).unwrap();
        let state = block_on(self.store.get_log_state()).unwrap();
        let vote = block_on(self.store.read_vote()).unwrap();
        let mut model =
            Model { last: state.last_log_id, purged: state.last_purged_log_id, vote, ..Model::default() };
        model.entries = entries.iter().map(held).collect();
        assert_eq!(self.in_parts(), model.entries);
        model
    }

    /// The entries, as they are sent to followers: some at a time.
    fn in_parts(&self) -> BTreeMap<u64, (LogId, Bytes)> {
        let (mut all, mut next) = (BTreeMap::new(), 0);
        loop {
            let part = self.log.read(Wanted::new(next..u64::MAX, PART_BYTES)).unwrap();
            let Some(last) = part.last() else { return all };
            next = last.log_id().index + 1;
            let part: Vec<_> = part.iter().map(held).collect();
            let bytes: usize = part.iter().map(|(_, (_, command))| command.len()).sum();
            assert!(part.len() == 1 || bytes <= PART_BYTES, "{bytes} bytes at once");
            all.extend(part);
        }
    }
}

fn held(entry: &LogEntry) -> (u64, (LogId, Bytes)) {
    let EntryPayload::Normal(Proposal(bytes)) = &entry.payload else { panic!("{entry:?}") };
    (entry.log_id().index, (entry.log_id(), bytes.clone()))
}

impl Model {
    fn apply(&mut self, told: &Told) {
        match told {
            Told::Append(entries) => {
                self.last = entries.last().map(|entry| entry.log_id()).or(self.last);
                self.entries.extend(entries.iter().map(held));
            }
            Told::Vote(vote) => self.vote = Some(*vote),
            Told::Truncate(last) => {
                self.entries.retain(|index, _| last.is_some_and(|last| *index <= last.index));
                self.last = (*last).max(self.purged);
            }
            Told::Purge(upto) => {
                self.entries.retain(|index, _| *index > upto.index);
                self.purged = self.purged.max(Some(*upto));
                self.last = self.last.max(self.purged);
            }
        }
    }

    fn summary(&self) -> String {
        let (first, last) = (self.entries.first_key_value(), self.entries.last_key_value());
        let ends = [first, last].map(|end| end.map(|(_, (id, _))| *id));
        format!("entries {ends:?}, last {:?}, vote {:?}, purged {:?}", self.last, self.vote, self.purged)
    }

    fn next(&self) -> u64 {
        self.last.map_or(0, |last| last.index + 1)
    }

    /// `op`, where it is possible.
    fn tell(&self, op: &Op) -> Option<Told> {
        let term = self.vote.map_or(1, |vote| vote.leader_id.term);
        let id = |index| LogId { leader_id: LeaderId { term, node_id: 1 }, index };
        Some(match op {
            Op::Append(entries, bytes) => {
                let entry = |index: u64| {
                    let command = Bytes::from(vec![index as u8 ^ term as u8; *bytes]);
                    LogEntry::new(id(index), EntryPayload::Normal(Proposal(command)))
                };
                Told::Append((self.next()..self.next() + entries).map(entry).collect())
            }
            Op::Vote => {
                Told::Vote(Vote { leader_id: LeaderId { term: term + 1, node_id: 1 }, committed: true })
            }
            Op::Truncate(entries) => {
                let mut kept = self.entries.values().rev().skip(usize::try_from(*entries).ok()?);
                Told::Truncate(kept.next().map(|(id, _)| *id).or(self.purged))
            }
            Op::Purge(kept) => {
                let mut purged = self.entries.values().rev().skip(usize::try_from(*kept).ok()?);
                Told::Purge(purged.next()?.0)
            }
            Op::Replace(ahead) => Told::Purge(id(self.next() + ahead)),
        })
    }
}

impl Journal {
    /// The journal of a log of which this much was acknowledged.
    pub(super) fn of(acknowledged: Model) -> Journal {
        Journal { acknowledged, under_way: Vec::new() }
    }

    /// Has `life` do something. Appends are only under way then.
    pub(super) fn tell(&mut self, life: &mut Life, op: &Op) -> std::io::Result<()> {
        let mut ahead = self.acknowledged.clone();
        self.under_way.iter().for_each(|(told, _)| ahead.apply(told));
        let Some(told) = ahead.tell(op) else { return Ok(()) };
        let (mut acknowledged, store) = (None, &mut life.store);
        let done = match &told {
            Told::Append(entries) => {
                let (sender, receiver) = TypeConfig::oneshot();
                acknowledged = Some(receiver);
                block_on(store.append(entries.clone(), IOFlushed::signal(sender)))
            }
            Told::Vote(vote) => block_on(store.save_vote(vote)),
            Told::Truncate(last) => block_on(store.truncate_after(*last)),
            Told::Purge(upto) => block_on(store.purge(*upto)),
        };
        let is_append = acknowledged.is_some();
        self.under_way.push((told, acknowledged));
        self.settle(done.is_ok() && !is_append);
        done
    }

    pub(super) fn flush(&mut self, life: &Life) -> std::io::Result<()> {
        let done = life.log.flush();
        self.settle(done.is_ok());
        done
    }

    /// Takes note of what was acknowledged: all, or up to the last append that was.
    fn settle(&mut self, all: bool) {
        let mut count = 0;
        for (at, (_, acknowledged)) in self.under_way.iter_mut().enumerate() {
            let Some(told) = acknowledged.as_mut().and_then(|receiver| receiver.now_or_never()) else {
                continue;
            };
            *acknowledged = None;
            if matches!(told, Ok(Ok(()))) {
                count = at + 1;
            }
        }
        let count = if all { self.under_way.len() } else { count };
        for (told, _) in self.under_way.drain(..count) {
            self.acknowledged.apply(&told);
        }
    }

    /// Checks what is there after a restart: all that was acknowledged, and of what was under way a beginning.
    pub(super) fn check(&mut self, life: &mut Life, what: &str) {
        let found = life.observe();
        let mut wanted = self.acknowledged.clone();
        let mut under_way = self.under_way.drain(..);
        while found != wanted {
            let next = under_way.next();
            let (told, _) = next.unwrap_or_else(|| {
                panic!("{what}: {}\n{} acknowledged", found.summary(), self.acknowledged.summary())
            });
            wanted.apply(&told);
        }
        drop(under_way);
        self.acknowledged = found;
    }
}
