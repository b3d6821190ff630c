//! A simulated store: one copy of the data, and clients that overlap. It is right, unless told to be wrong.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, VecDeque};

use proptest::prelude::*;

use crate::history::oracle::{Applied, Scan};
use crate::history::{Done, Expect, Held, History, Kind, Operation, Outcome, Reply};

/// The client that reads every key at the end.
const LAST_CLIENT: u32 = 9;

/// What a client will do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) client: u32,
    pub(super) key: u32,
    pub(super) action: Action,
    /// From the answer before to the call, to the moment it is applied, to its answer.
    pub(super) times: [u64; 3],
    pub(super) fate: Fate,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Get,
    Put,
    Delete,
    /// Expects what the client knows, by value or by revision, and stores something or nothing.
    Swap {
        by_revision: bool,
        stores: bool,
    },
    /// Expects that the key is absent.
    Create {
        stores: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Answered,
    Refused,
    /// The client hears nothing; applied after this time, or never.
    Unheard(Option<u64>),
}

/// What the store does wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Fault {
    #[default]
    Nothing,
    /// Acknowledges this operation and does not apply it.
    Loses(usize),
    /// Applies this operation once more right after that one.
    Repeats(usize, usize),
}

/// What a run leaves.
pub(super) struct Run {
    pub(super) operations: Vec<Operation>,
    pub(super) scan: Scan,
    pub(super) log: Vec<Applied>,
}

impl Run {
    pub(super) fn history(&self) -> History {
        History::new(self.operations.clone()).unwrap()
    }
}

/// Plans of `clients` on `keys`, of which about `unheard` per cent get no answer.
pub(super) fn plans(
    (clients, keys): (u32, u32),
    unheard: u32,
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Plan>> {
    let action = prop_oneof![
        5 => Just(Action::Get),
        4 => Just(Action::Put),
        1 => Just(Action::Delete),
        3 => any::<(bool, bool)>().prop_map(|(by_revision, stores)| Action::Swap { by_revision, stores }),
        1 => prop::bool::weighted(0.9).prop_map(|stores| Action::Create { stores }),
    ];
    let fate = (0u32..100, prop::option::of(0u64..400)).prop_map(move |(chance, late)| match chance {
        chance if chance < unheard => Fate::Unheard(late),
        chance if chance < unheard + 3 => Fate::Refused,
        _ => Fate::Answered,
    });
    let times = [1u64..30, 0..30, 0..30];
    let plan = (0..clients, 0..keys, action, times, fate)
        .prop_map(|(client, key, action, times, fate)| Plan { client, key, action, times, fate });
    prop::collection::vec(plan, length)
}

/// Runs the plans, each client's in order.
pub(super) fn run(plans: &[Plan], fault: Fault) -> Run {
    let mut store = Store { fault, ..Store::default() };
    let mut waiting: BTreeMap<u32, VecDeque<&Plan>> = BTreeMap::new();
    plans.iter().for_each(|plan| waiting.entry(plan.client).or_default().push_back(plan));
    for (client, plans) in &waiting {
        store.later(plans[0].times[0], Step::Call(*client));
    }
    let mut active = waiting.len();
    while let Some(Reverse((now, _, step))) = store.steps.pop() {
        store.now = now;
        match step {
            Step::Apply(id) => store.apply(id),
            Step::Call(client) => match waiting.get_mut(&client).and_then(VecDeque::pop_front) {
                Some(plan) => store.call(plan),
                None => active -= 1,
            },
            Step::Return(id) => {
                let client = store.answer(id);
                let gap = waiting[&client].front().map_or(1, |plan| plan.times[0]);
                store.later(gap, Step::Call(client));
            }
        }
        if active == 0 && store.scan.is_none() {
            store.finish(plans);
        }
    }
    Run { operations: store.operations, scan: store.scan.unwrap_or_default(), log: store.log }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Apply(usize),
    Return(usize),
    Call(u32),
}

#[derive(Default)]
struct Store {
    now: u64,
    steps: BinaryHeap<Reverse<(u64, usize, Step)>>,
    scheduled: usize,
    operations: Vec<Operation>,
    /// What the client will hear, once it was applied.
    answers: HashMap<usize, Done>,
    /// What each client knows of each key.
    known: HashMap<(u32, u32), Option<Held>>,
    keys: BTreeMap<u32, Held>,
    log_index: u64,
    revision: u64,
    log: Vec<Applied>,
    scan: Option<Scan>,
    fault: Fault,
    unheard: HashSet<usize>,
}

impl Store {
    fn later(&mut self, after: u64, step: Step) {
        self.scheduled += 1;
        self.steps.push(Reverse((self.now + after, self.scheduled, step)));
    }

    fn call(&mut self, plan: &Plan) {
        let id = self.operations.len();
        // A number that no other operation writes.
        let value = 1_000 + id as u64;
        let known = self.known.get(&(plan.client, plan.key)).copied().flatten();
        let kind = match plan.action {
            Action::Get => Kind::Get,
            Action::Put => Kind::Put(value),
            Action::Delete => Kind::Delete,
            Action::Create { stores } => Kind::Cas { expect: Expect::Absent, new: stores.then_some(value) },
            Action::Swap { by_revision, stores } => {
                let expect = known.map_or(Expect::Absent, |held| {
                    if by_revision { Expect::Revision(held.revision) } else { Expect::Value(held.value) }
                });
                Kind::Cas { expect, new: stores.then_some(value) }
            }
        };
        let [_, to_apply, to_return] = plan.times;
        let outcome = match plan.fate {
            Fate::Refused => Outcome::Refused { returned: self.now + to_apply },
            Fate::Answered | Fate::Unheard(_) => Outcome::Unknown,
        };
        let Plan { client, key, .. } = *plan;
        self.operations.push(Operation { client, key, kind, invoked: self.now, outcome });
        match plan.fate {
            Fate::Answered => {
                self.later(to_apply, Step::Apply(id));
                self.later(to_apply + to_return, Step::Return(id));
            }
            Fate::Refused => self.later(to_apply, Step::Return(id)),
            Fate::Unheard(late) => {
                self.unheard.insert(id);
                if let Some(late) = late {
                    self.later(late, Step::Apply(id));
                }
                self.later(to_apply + to_return, Step::Return(id));
            }
        }
    }

    fn apply(&mut self, id: usize) {
        let Operation { key, kind, .. } = self.operations[id];
        let held = self.keys.get(&key).copied();
        if kind != Kind::Get {
            // Every fifth entry of the log is one of Raft's own.
            self.log_index += 1 + u64::from(id.is_multiple_of(5));
        }
        let result = match kind {
            Kind::Get => Reply::Read(held),
            Kind::Put(value) => {
                self.change(id, key, Some(value));
                Reply::Wrote { revision: self.revision }
            }
            Kind::Delete => {
                if held.is_some() {
                    self.change(id, key, None);
                }
                Reply::Deleted { existed: held.is_some(), revision: self.revision }
            }
            Kind::Cas { expect, new } => {
                let holds = match expect {
                    Expect::Absent => held.is_none(),
                    Expect::Value(value) => held.is_some_and(|held| held.value == value),
                    Expect::Revision(revision) => held.is_some_and(|held| held.revision == revision),
                };
                if holds && (held.is_some() || new.is_some()) {
                    self.change(id, key, new);
                }
                let revision = self.revision;
                if holds { Reply::Swapped { revision } } else { Reply::Conflict { current: held, revision } }
            }
        };
        self.answers.insert(id, Done { returned: 0, log_index: self.log_index, result });
        if let Fault::Repeats(again, after) = self.fault
            && after == id
        {
            let Operation { key, kind: Kind::Put(value), .. } = self.operations[again] else { return };
            self.log_index += 1;
            self.change(again, key, Some(value));
        }
    }

    fn change(&mut self, id: usize, key: u32, left: Option<u64>) {
        self.revision += 1;
        let (revision, log_index) = (self.revision, self.log_index);
        if matches!(self.fault, Fault::Loses(lost) if lost == id) {
            return;
        }
        match left {
            Some(value) => self.keys.insert(key, Held { value, revision }),
            None => self.keys.remove(&key),
        };
        self.log.push(Applied { revision, log_index: Some(log_index), key, left });
    }

    /// The client hears, if it hears; returns the client.
    fn answer(&mut self, id: usize) -> u32 {
        let now = self.now;
        let operation = &mut self.operations[id];
        // What goes unheard may have been applied before the client went on.
        let heard = self.answers.get(&id).filter(|_| !self.unheard.contains(&id));
        if let Some(done) = heard {
            operation.outcome = Outcome::Done(Done { returned: now, ..*done });
            let held = match (done.result, operation.writes()) {
                (Reply::Read(held) | Reply::Conflict { current: held, .. }, _) => held,
                (Reply::Wrote { revision } | Reply::Swapped { revision }, Some(value)) => {
                    Some(Held { value, revision })
                }
                _ => None,
            };
            self.known.insert((operation.client, operation.key), held);
        }
        operation.client
    }

    /// Reads every key, when all clients are done; what went unheard may still be applied later.
    fn finish(&mut self, plans: &[Plan]) {
        self.scan = Some(Scan { log_index: self.log_index, entries: self.keys.clone() });
        let keys: BTreeSet<u32> = plans.iter().map(|plan| plan.key).collect();
        for (place, key) in (0..).zip(keys) {
            let invoked = self.now + 1 + place;
            let result = Reply::Read(self.keys.get(&key).copied());
            let done = Done { returned: invoked, log_index: self.log_index, result };
            let outcome = Outcome::Done(done);
            self.operations.push(Operation { client: LAST_CLIENT, key, kind: Kind::Get, invoked, outcome });
        }
    }
}
