//! The pure core against a plain map, and everything that is encoded against itself.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::folder;
use crate::kv::command::{Command, Op, Outcome};
use crate::kv::history::History;
use crate::kv::snapshot::{Replica, Shelf};
use crate::kv::state::State;
use crate::kv::types::{ChangeKind, Condition, Entry, Expect, LeaseId, Mutation, Path, RequestId, Txn};

type Model = BTreeMap<Path, Entry>;

fn path() -> impl Strategy<Value = Path> {
    (0u8..3, 0u8..6).prop_map(|(bucket, key)| Path::new(&format!("b{bucket}"), &[key], 512).unwrap())
}

fn value() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        (0u64..30).prop_map(|number| Bytes::from(number.to_string())),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from),
    ]
}

fn expect() -> impl Strategy<Value = Expect> {
    prop_oneof![Just(Expect::Absent), (0u64..40).prop_map(Expect::Revision), value().prop_map(Expect::Value)]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let lease = prop::option::weighted(0.3, (0u64..80).prop_map(LeaseId));
    prop_oneof![
        3 => (path(), value(), lease).prop_map(|(path, value, lease)| Mutation::Put { path, value, lease }),
        1 => path().prop_map(|path| Mutation::Delete { path }),
        1 => (path(), 0u64..9).prop_map(|(path, delta)| Mutation::Increment { path, delta }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let condition = || (path(), expect()).prop_map(|(path, expect)| Condition { path, expect });
    let txn = (prop::collection::vec(condition(), 0..2), prop::collection::vec(mutation(), 0..5));
    prop_oneof![
        4 => mutation().prop_map(Op::Mutate),
        2 => (condition(), prop::option::of(value())).prop_map(|(condition, new)| Op::Swap { condition, new }),
        2 => txn.prop_map(|(require, then)| Op::Txn(Txn { require, then })),
        1 => (500u64..9_000).prop_map(|ttl_ms| Op::GrantLease { ttl_ms }),
        1 => (0u64..80).prop_map(|lease| Op::EndLease { lease: LeaseId(lease) }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let request = prop::option::weighted(0.2, any::<[u8; 16]>().prop_map(RequestId));
    (request, op()).prop_map(|(request, op)| Command { request, last_index: None, op })
}

fn state() -> State {
    State::new(History::new(100_000, usize::MAX, 1))
}

fn contents(state: &State) -> Model {
    let entries = state.entries.from(b"");
    entries.map(|(key, entry)| (Path::from_stored(Bytes::copy_from_slice(key)), entry.clone())).collect()
}

/// What the changes since `from` make of `model`; each must fit what was there.
fn follow(model: &mut Model, state: &State, from: u64) -> Result<(), TestCaseError> {
    for (at, change) in state.history.since(from).enumerate() {
        prop_assert_eq!(change.revision, from + at as u64);
        prop_assert_eq!(change.previous.as_ref(), model.get(&change.path));
        match &change.kind {
            ChangeKind::Deleted => drop(model.remove(&change.path)),
            ChangeKind::Put(entry) => {
                let before = model.get(&change.path);
                prop_assert_eq!(entry.revision, change.revision);
                prop_assert_eq!(entry.version, before.map_or(0, |entry| entry.version) + 1);
                let created = before.map_or(change.revision, |entry| entry.created_revision);
                prop_assert_eq!(entry.created_revision, created);
                model.insert(change.path.clone(), entry.clone());
            }
        }
    }
    Ok(())
}

/// What a single mutation must make of `model`: value and lease a key, or nothing if it is to be refused.
fn expected(model: &Model, mutation: &Mutation, state: &State) -> Option<(Path, Option<Bytes>)> {
    match mutation {
        Mutation::Delete { path } => Some((path.clone(), None)),
        Mutation::Put { path, value, lease } => {
            let lives = lease.is_none_or(|lease| state.leases.get(&lease).is_some_and(|lease| !lease.ending));
            lives.then(|| (path.clone(), Some(value.clone())))
        }
        Mutation::Increment { path, delta } => {
            let before = match model.get(path) {
                None => 0,
                Some(entry) if entry.value.iter().all(u8::is_ascii_digit) => {
                    std::str::from_utf8(&entry.value).ok()?.parse::<u64>().ok()?
                }
                Some(_) => return None,
            };
            Some((path.clone(), Some(Bytes::from((before + delta).to_string()))))
        }
    }
}

proptest! {
    #[test]
    fn state_follows_the_model(commands in prop::collection::vec(command(), 1..120)) {
        let mut state = state();
        let mut model = Model::new();
        for (index, command) in commands.into_iter().enumerate() {
            let (before, next) = (model.clone(), state.history.next());
            let single = if let Op::Mutate(mutation) = &command.op {
                Some(expected(&model, mutation, &state))
            } else {
                None
            };
            let met = if let Op::Txn(txn) = &command.op { txn.then.len() } else { 1 };
            let answer = state.apply(index as u64, command);
            follow(&mut model, &state, next)?;
            prop_assert_eq!(&contents(&state), &model);
            prop_assert_eq!(answer.revision, state.revision);
            match answer.outcome {
                Outcome::NotANumber | Outcome::Overflow | Outcome::NoSuchLease | Outcome::Unmet { .. }
                | Outcome::Conflict { .. } | Outcome::Granted(_) => prop_assert_eq!(&before, &model),
                Outcome::LeaseEnded { .. } => {}
                _ => prop_assert!(state.revision + 1 - next <= met as u64),
            }
            match single {
                None => {}
                Some(None) => prop_assert_eq!(&before, &model),
                Some(Some((path, value))) => {
                    prop_assert_eq!(model.get(&path).map(|entry| entry.value.clone()), value);
                }
            }
            let bound = model.values().filter(|entry| entry.lease.is_some()).count();
            prop_assert_eq!(state.leases.values().map(|lease| lease.keys.len()).sum::<usize>(), bound);
        }
    }

    #[test]
    fn a_request_is_done_once(commands in prop::collection::vec(command(), 1..40)) {
        let (mut once, mut twice) = (state(), state());
        for (index, mut command) in commands.into_iter().enumerate() {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(index as u64).to_le_bytes());
            command.request = Some(RequestId(id));
            let index = index as u64 * 2;
            let first = once.apply(index, command.clone());
            prop_assert_eq!(&twice.apply(index, command.clone()), &first);
            prop_assert_eq!(&twice.apply(index + 1, command), &first);
        }
        prop_assert_eq!(contents(&once), contents(&twice));
        prop_assert_eq!(once.revision, twice.revision);
    }

    #[test]
    fn commands_come_back_from_their_bytes(command in command()) {
        prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = vec![1, 0];
        framed.extend(&bytes);
        for bytes in [bytes, framed] {
            let proposal = crate::kv::command::Proposal(bytes.into());
            if let Ok(command) = Command::decode(&proposal) {
                state().apply(1, command);
            }
        }
    }

    #[test]
    fn a_snapshot_brings_everything_back(commands in prop::collection::vec(command(), 1..80)) {
        let history = || History::new(50, usize::MAX, 1);
        let mut replica = Replica::empty(history());
        for (index, command) in commands.into_iter().enumerate() {
            replica.state.apply(index as u64, command);
        }
        let dir = folder();
        let (shelf, none) = Shelf::open(dir.path().into(), &history()).unwrap();
        prop_assert!(none.is_none());
        shelf.write(&replica.image()).unwrap();
        let (_, loaded) = Shelf::open(dir.path().into(), &history()).unwrap();
        let loaded = loaded.unwrap().state;
        prop_assert_eq!(contents(&loaded), contents(&replica.state));
        prop_assert_eq!(loaded.revision, replica.state.revision);
        prop_assert_eq!(loaded.bytes, replica.state.bytes);
        prop_assert_eq!(loaded.leases, replica.state.leases);
        prop_assert_eq!(loaded.requests.answers(), replica.state.requests.answers());
        prop_assert_eq!(loaded.history.changes(), replica.state.history.changes());
    }
}

#[test]
fn a_retry_after_its_last_index_changes_nothing() {
    let mut state = state();
    let path = Path::new("b", b"count", 512).unwrap();
    let op = Op::Mutate(Mutation::Increment { path, delta: 1 });
    let command = |index| Command { request: None, last_index: Some(index), op: op.clone() };
    assert_eq!(state.apply(7, command(7)).outcome, Outcome::Number(1));
    let before = contents(&state);
    assert_eq!(state.apply(8, command(7)).outcome, Outcome::TooLate);
    assert_eq!(contents(&state), before);
}

#[test]
fn what_is_kept_keeps_nothing_of_what_it_came_in() {
    let mut state = state();
    let path = Path::new("b", b"key", 512).unwrap();
    let put = |value: &'static [u8], lease| {
        Op::Mutate(Mutation::Put { path: path.clone(), value: Bytes::from_static(value), lease })
    };
    let holds = |value| Condition { path: path.clone(), expect: Expect::Value(Bytes::from_static(value)) };
    let ops = [
        Op::GrantLease { ttl_ms: 1_000 },
        put(b"first", Some(LeaseId(1))),
        put(b"second", Some(LeaseId(1))),
        Op::Swap { condition: holds(b"first"), new: Some(Bytes::from_static(b"never")) },
        Op::Swap { condition: holds(b"second"), new: Some(Bytes::from_static(b"third")) },
        Op::Mutate(Mutation::Delete { path: path.clone() }),
        put(b"", None),
    ];
    for (index, op) in (1..).zip(ops) {
        let proposal = Command { request: Some(RequestId([index; 16])), last_index: None, op }.encode();
        let answer = state.apply(index.into(), Command::decode(&proposal).unwrap());
        assert!(proposal.0.is_unique(), "what came at {index} is still there: {answer:?}");
    }
    assert_eq!(contents(&state)[&path].value, Bytes::new());
}

#[test]
fn a_damaged_snapshot_is_refused_wherever_the_damage_is() {
    let history = || History::new(50, usize::MAX, 1);
    let mut replica = Replica::empty(history());
    for number in 0..5u8 {
        let path = Path::new("b", &[number], 512).unwrap();
        let put = Mutation::Put { path, value: Bytes::from_static(b"value"), lease: None };
        replica
            .state
            .apply(u64::from(number), Command { request: None, last_index: None, op: Op::Mutate(put) });
    }
    let dir = folder();
    let (shelf, _) = Shelf::open(dir.path().into(), &history()).unwrap();
    shelf.write(&replica.image()).unwrap();
    let file = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&file).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&file, &flipped).unwrap();
        assert!(Shelf::open(dir.path().into(), &history()).is_err(), "a flipped bit at {at} was accepted");
        std::fs::write(&file, &whole[..at]).unwrap();
        assert!(Shelf::open(dir.path().into(), &history()).is_err(), "a cut at {at} was accepted");
    }
}
