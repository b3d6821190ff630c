//! The state machine's pure core: no clock, no disk, no chance. The same commands in the same order give the same
//! state and the same answers on every replica; only the history's bounds are local.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};

use super::command::{Answer, Command, Op, Outcome};
use super::cow::CowMap;
use super::history::History;
use super::requests::Requests;
use super::types::{Change, ChangeKind, Condition, Entry, Expect, LeaseId, Mutation, Path, Txn};

/// Most leases at a time: each costs the leader a look at its deadline ten times a second.
pub const LEASES_MAX: usize = 100_000;
/// Keys that one command deletes when a lease ends: about a millisecond of work.
const LEASE_KEYS_PER_COMMAND: usize = 1_000;
/// What a key costs beside its bytes, for the budget of the state: the entry, its place in a chunk, pointers.
const ENTRY_OVERHEAD: u64 = 160;

/// The replicated state.
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) entries: CowMap<Entry>,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) requests: Requests,
    pub(super) history: History,
    /// Bytes of keys and values, with an allowance for each key's bookkeeping.
    pub(super) bytes: u64,
    /// Counts grants and ends of leases, so that their keeper sees that there is something to see.
    pub(super) lease_changes: u64,
}

/// A lease as all replicas know it. Deadlines are the leader's own business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) ttl_ms: u64,
    /// It is over: no key may be bound to it any more, and those still bound are being deleted.
    pub(super) ending: bool,
    pub(super) keys: BTreeSet<Bytes>,
}

/// What a mutation does once it has been found possible.
enum Effect {
    Put { path: Path, value: Bytes, lease: Option<LeaseId> },
    Delete { path: Path },
}

impl State {
    pub(super) fn new(history: History) -> State {
        State {
            revision: history.next() - 1,
            entries: CowMap::new(),
            leases: BTreeMap::new(),
            requests: Requests::default(),
            history,
            bytes: 0,
            lease_changes: 0,
        }
    }

    /// Applies the command at `log_index`. One whose request id is remembered changes nothing and gets its first
    /// answer again.
    pub(super) fn apply(&mut self, log_index: u64, command: Command) -> Answer {
        let request = command.request;
        if let Some(answer) = request.and_then(|request| self.requests.get(&request)) {
            return answer.clone();
        }
        if command.last_index.is_some_and(|last| log_index > last) {
            return Answer { log_index, revision: self.revision, outcome: Outcome::TooLate };
        }
        let outcome = match command.op {
            Op::Mutate(mutation) => self.mutate(mutation),
            Op::Swap { condition, new } => self.swap(condition, new),
            Op::Txn(txn) => self.txn(txn),
            Op::Fenced { fence, mutation } => {
                if holds(&fence.expect, self.entries.get(fence.path.bytes())) {
                    self.mutate(mutation)
                } else {
                    Outcome::Unmet { condition: 0 }
                }
            }
            Op::GrantLease { ttl_ms } => self.grant(LeaseId(log_index), ttl_ms),
            Op::EndLease { lease } => self.end_lease(lease),
        };
        let answer = Answer { log_index, revision: self.revision, outcome };
        if let Some(request) = request {
            self.requests.insert(request, answer.clone());
        }
        answer
    }

    /// Puts an entry out of a snapshot in its place.
    pub(super) fn restore(&mut self, key: Bytes, entry: Entry) {
        self.bytes += cost(&key, &entry);
        if let Some(lease) = entry.lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.keys.insert(Bytes::copy_from_slice(&key));
        }
        self.entries.insert(&key, entry);
    }

    fn mutate(&mut self, mutation: Mutation) -> Outcome {
        let existed = match &mutation {
            Mutation::Delete { path } => Some(self.entries.get(path.bytes()).is_some()),
            Mutation::Put { .. } | Mutation::Increment { .. } => None,
        };
        let counts = matches!(mutation, Mutation::Increment { .. });
        match self.plan(mutation, &[]) {
            Err(refusal) => refusal,
            Ok(effect) => {
                let number = match &effect {
                    Effect::Put { value, .. } if counts => parse_number(value),
                    _ => None,
                };
                self.perform(effect);
                match (existed, number) {
                    (Some(existed), _) => Outcome::Deleted { existed },
                    (None, Some(number)) => Outcome::Number(number),
                    (None, None) => Outcome::Done,
                }
            }
        }
    }

    fn swap(&mut self, condition: Condition, new: Option<Bytes>) -> Outcome {
        let current = self.entries.get(condition.path.bytes());
        if !holds(&condition.expect, current) {
            return Outcome::Conflict { current: current.cloned().map(Box::new) };
        }
        let lease = current.and_then(|entry| entry.lease);
        let path = condition.path;
        self.perform(match new {
            Some(value) => Effect::Put { path, value, lease },
            None => Effect::Delete { path },
        });
        Outcome::Swapped
    }

    fn txn(&mut self, txn: Txn) -> Outcome {
        let unmet =
            |condition: &Condition| !holds(&condition.expect, self.entries.get(condition.path.bytes()));
        if let Some(condition) = txn.require.iter().position(unmet) {
            return Outcome::Unmet { condition: condition as u64 };
        }
        // All is planned before anything is done: a mutation that cannot be done leaves nothing half done.
        let mut effects = Vec::with_capacity(txn.then.len());
        for mutation in txn.then {
            match self.plan(mutation, &effects) {
                Ok(effect) => effects.push(effect),
                Err(refusal) => return refusal,
            }
        }
        effects.into_iter().for_each(|effect| self.perform(effect));
        Outcome::Done
    }

    /// What `mutation` will do after `earlier` effects, or why it cannot.
    fn plan(&self, mutation: Mutation, earlier: &[Effect]) -> Result<Effect, Outcome> {
        match mutation {
            Mutation::Delete { path } => Ok(Effect::Delete { path }),
            Mutation::Put { path, value, lease } => match lease {
                Some(lease) if self.leases.get(&lease).is_none_or(|lease| lease.ending) => {
                    Err(Outcome::NoSuchLease)
                }
                _ => Ok(Effect::Put { path, value, lease }),
            },
            Mutation::Increment { path, delta } => {
                let planned = earlier.iter().rev().find(|effect| effect.path() == &path);
                let (value, lease) = match planned {
                    Some(Effect::Put { value, lease, .. }) => (Some(value), *lease),
                    Some(Effect::Delete { .. }) => (None, None),
                    None => {
                        let entry = self.entries.get(path.bytes());
                        (entry.map(|entry| &entry.value), entry.and_then(|entry| entry.lease))
                    }
                };
                let number = match value {
                    None => 0,
                    Some(value) => parse_number(value).ok_or(Outcome::NotANumber)?,
                };
                let sum = number.checked_add(delta).ok_or(Outcome::Overflow)?;
                Ok(Effect::Put { path, value: Bytes::from(sum.to_string()), lease })
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Put { path, value, lease } => self.put(path, value, lease),
            Effect::Delete { path } => self.delete(path),
        }
    }

    fn put(&mut self, path: Path, value: Bytes, lease: Option<LeaseId>) {
        self.revision += 1;
        let revision = self.revision;
        let (path, value) = alone(&path, &value);
        let key = path.bytes();
        let mut entry = Entry { value, revision, created_revision: revision, version: 1, lease };
        let previous = self.entries.upsert(key, |previous| {
            if let Some(previous) = previous {
                (entry.created_revision, entry.version) = (previous.created_revision, previous.version + 1);
            }
            entry.clone()
        });
        let bound_to = previous.as_ref().and_then(|entry| entry.lease);
        if bound_to != lease {
            self.unbind(bound_to, key);
            if let Some(lease) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
                lease.keys.insert(Bytes::copy_from_slice(key));
            }
        }
        self.bytes += cost(key, &entry);
        self.bytes -= previous.as_ref().map_or(0, |entry| cost(key, entry));
        self.history.push(Change { revision, path, kind: ChangeKind::Put(entry), previous });
    }

    /// Deletes a key; no revision is spent where there is none.
    fn delete(&mut self, path: Path) {
        let Some(previous) = self.entries.remove(path.bytes()) else { return };
        self.revision += 1;
        self.bytes -= cost(path.bytes(), &previous);
        self.unbind(previous.lease, path.bytes());
        let (revision, (path, _)) = (self.revision, alone(&path, &[]));
        self.history.push(Change { revision, path, kind: ChangeKind::Deleted, previous: Some(previous) });
    }

    fn unbind(&mut self, lease: Option<LeaseId>, key: &Bytes) {
        if let Some(lease) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            lease.keys.remove(key);
        }
    }

    fn grant(&mut self, id: LeaseId, ttl_ms: u64) -> Outcome {
        if self.leases.len() >= LEASES_MAX {
            return Outcome::TooManyLeases;
        }
        self.leases.insert(id, Lease { ttl_ms, ending: false, keys: BTreeSet::new() });
        self.lease_changes += 1;
        Outcome::Granted(id)
    }

    fn end_lease(&mut self, id: LeaseId) -> Outcome {
        let Some(lease) = self.leases.get_mut(&id) else { return Outcome::NoSuchLease };
        lease.ending = true;
        let keys: Vec<Bytes> = lease.keys.iter().take(LEASE_KEYS_PER_COMMAND).cloned().collect();
        let more = keys.len() < lease.keys.len();
        keys.into_iter().for_each(|key| self.delete(Path::from_stored(key)));
        if !more {
            self.leases.remove(&id);
        }
        self.lease_changes += 1;
        Outcome::LeaseEnded { more }
    }
}

impl Effect {
    fn path(&self) -> &Path {
        match self {
            Effect::Put { path, .. } | Effect::Delete { path } => path,
        }
    }
}

fn holds(expect: &Expect, current: Option<&Entry>) -> bool {
    match (expect, current) {
        (Expect::Absent, current) => current.is_none(),
        (Expect::Revision(revision), Some(entry)) => entry.revision == *revision,
        (Expect::Value(value), Some(entry)) => entry.value == *value,
        (Expect::Revision(_) | Expect::Value(_), None) => false,
    }
}

/// Decimal digits only: what `str::parse` takes beside them (a leading '+') would not come back the same.
fn parse_number(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A path and a value in memory of their own. What they came in, such as a message with many entries of the log, would
/// otherwise stay for as long as one of them.
fn alone(path: &Path, value: &[u8]) -> (Path, Bytes) {
    let mut both = BytesMut::with_capacity(path.bytes().len() + value.len());
    both.extend_from_slice(path.bytes());
    both.extend_from_slice(value);
    let mut path_alone = both.freeze();
    let value = path_alone.split_off(path.bytes().len());
    (Path::from_stored(path_alone), value)
}

fn cost(key: &Bytes, entry: &Entry) -> u64 {
    (key.len() + entry.value.len()) as u64 + ENTRY_OVERHEAD
}
