//! The checks: one function each. The lists say what each is called, and which others it builds on.

mod around;
mod learner;
mod players;
mod rules;
mod runs;
mod soul;
mod state;
mod transport;
mod world;

use std::fmt::Display;
use std::pin::Pin;

use matrixd::bench::BenchError;
use matrixd::runtime::guest::Crash;
use matrixd::runtime::inspect::Kind;

use crate::report::Finding;
use crate::subject::Subject;

/// One check.
pub struct Check {
    /// Its name: what is checked, and a dot between.
    pub id: &'static str,
    /// What it looks at, as a sentence that is true where all is right.
    pub title: &'static str,
    /// What must be right for it to say anything of its own.
    pub needs: &'static [&'static str],
    pub(crate) run: for<'a> fn(&'a Subject) -> Checking<'a>,
}

pub(crate) type Checking<'a> = Pin<Box<dyn Future<Output = Done> + 'a>>;

/// What a check comes to: all is right, or the first reason to stop.
pub(crate) type Done = Result<(), Stop>;

/// Why a check ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A promise is broken.
    Wrong(Finding),
    /// Something is worth telling.
    Noted(Finding),
    /// There is nothing to look at.
    LeftOut(String),
    /// The kit itself cannot go on.
    Cannot(String),
}

impl Stop {
    pub(crate) fn wrong(
        expected: impl Into<String>,
        seen: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::Wrong(Finding { expected: expected.into(), seen: seen.into(), mend: mend.into() })
    }

    pub(crate) fn noted(
        expected: impl Into<String>,
        seen: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::Noted(Finding { expected: expected.into(), seen: seen.into(), mend: mend.into() })
    }
}

impl From<BenchError> for Stop {
    fn from(error: BenchError) -> Self {
        Self::Cannot(error.to_string())
    }
}

/// What is said of a component that crashed while it did something.
pub(crate) fn crashed(while_: impl Display) -> impl FnOnce(Crash) -> Stop {
    let doing = while_.to_string();
    move |crash| {
        let mend = match &crash {
            Crash::Trap(_) => {
                "return an error instead of panicking: whoever sends must not be able to end it"
            }
            Crash::Deadline(_) | Crash::Fuel(_) => {
                "do less in one call, or raise the limit in the manifest (here: --limit call_ms=N)"
            }
            Crash::Stack => "recurse no deeper than the stack allows, or loop instead",
            Crash::Denied(_) => {
                "keep less in memory, or raise the limit in the manifest (here: --limit memory_bytes=N)"
            }
            Crash::Lifted(_) => "return less in one call",
            Crash::Contract { .. } => "return what the interface in wit/ says",
            Crash::NoRoom(_) => "the bench has no room: this is no fault of the component",
        };
        Stop::wrong("it returns, with a result or an error", format!("{doing}, it {crash}"), mend)
    }
}

macro_rules! checks {
    ($($id:literal, $title:literal, [$($needs:literal),*], $run:path;)*) => {
        [$(Check { id: $id, title: $title, needs: &[$($needs),*], run: |subject| Box::pin($run(subject)) },)*]
    };
}

/// What is looked at first, whatever the component is.
const WORLD: [Check; 5] = checks! {
    "world.admit", "a node takes the component up", [], world::admit;
    "world.kind", "it is what it is said to be", ["world.admit"], world::kind;
    "world.grants", "what it imports is granted", ["world.admit"], world::grants;
    "world.size", "it is small enough to be run as others are", ["world.admit"], world::size;
    "world.metadata", "it says what it is, by whom, and under which licence", ["world.admit"], world::metadata;
};

const SOUL: [Check; 19] = checks! {
    "soul.birth", "any manifest leads to a birth or to a refusal with its reason", ["world.size", "world.grants"], soul::birth;
    "soul.answers", "plain messages are handled", ["soul.birth"], soul::answers;
    "soul.messages", "no message whatsoever ends it", ["soul.answers"], soul::messages;
    "soul.replies", "replies are within their bounds", ["soul.answers"], soul::replies;
    "soul.determinism", "the same seed and messages give the same, in another process too", ["soul.answers"], soul::determinism;
    "soul.batch", "a batch means the same as its messages one by one", ["soul.determinism"], soul::batch;
    "soul.endurance", "many messages do not use its memory up", ["soul.answers"], soul::endurance;
    "soul.snapshot", "giving the state changes nothing", ["soul.answers"], state::snapshot;
    "soul.restore", "who is restored answers as who gave the state", ["soul.determinism", "soul.snapshot"], state::restore;
    "soul.roundtrip", "who is restored gives the same state", ["soul.snapshot", "soul.restore"], state::roundtrip;
    "soul.foreign", "a state of an unknown schema is refused", ["soul.snapshot"], state::foreign;
    "soul.garbage", "bytes that are no state are refused, or taken up without harm", ["soul.snapshot"], state::garbage;
    "soul.upgrade", "it takes up the state of an older version", ["soul.restore"], state::upgrade;
    "soul.alone", "it goes on where nobody has the address that it writes to", ["soul.answers"], around::alone;
    "soul.denied", "it goes on where it is granted nothing", ["soul.answers"], around::denied;
    "soul.mailbox-full", "it goes on where recipients' mailboxes are full", ["soul.alone"], around::full;
    "soul.quota", "it goes on where its quotas are used up", ["soul.answers"], around::quota;
    "soul.late", "it goes on after messages whose deadline has passed", ["soul.alone"], around::late;
    "soul.kv-lost", "it goes on where the KV fails", ["soul.alone"], around::kv_lost;
};

const PLAYERS: [Check; 2] = checks! {
    "player.turns", "any turns lead to one action each, or to an error", ["soul.answers"], players::turns;
    "player.legal", "its actions count by the rules that it plays", ["player.turns"], players::legal;
};

const LEARNER: [Check; 4] = checks! {
    "learner.figures", "training and evaluating give figures that are numbers", ["soul.answers"], learner::figures;
    "learner.evaluate", "evaluating changes nothing", ["learner.figures", "soul.snapshot"], learner::evaluate;
    "learner.nothing", "training on nothing does no harm", ["learner.figures"], learner::nothing;
    "learner.kept", "all that is learnt is in the state", ["learner.figures", "soul.restore"], learner::kept;
};

const RULES: [Check; 13] = checks! {
    "rules.description", "they describe themselves as a node and players can read it", ["world.size"], rules::description;
    "rules.start", "they start with as many players as they say, and every default", ["rules.description"], rules::start;
    "rules.setup", "any setup is taken, or refused with its reason", ["rules.start"], rules::setup;
    "rules.actions", "no action whatsoever ends them", ["rules.start"], rules::actions;
    "rules.seats", "whom they ask and what they tell is there, and a number", ["rules.start"], rules::seats;
    "rules.messages", "no message whatsoever ends them", ["rules.start"], rules::messages;
    "rules.joining", "players who come and go do not end them", ["rules.start"], rules::joining;
    "rules.determinism", "the same seed and actions give the same run, in another process too", ["rules.start"], runs::determinism;
    "rules.snapshot", "giving the state changes nothing", ["rules.start"], runs::snapshot;
    "rules.view", "what they show is a picture or JSON, and showing it changes nothing", ["rules.snapshot"], rules::view;
    "rules.roundtrip", "who is restored gives the same state", ["rules.snapshot"], runs::roundtrip;
    "rules.resume", "who is restored goes on as who gave the state", ["rules.determinism", "rules.roundtrip"], runs::resume;
    "rules.states", "what is no state of theirs is refused", ["rules.snapshot"], runs::states;
};

const TRANSPORT: [Check; 4] = checks! {
    "transport.bytes", "no message whatsoever ends it", ["world.size"], transport::bytes;
    "transport.bounds", "what it makes of messages is within their bounds", ["transport.bytes"], transport::bounds;
    "transport.same", "the same message is judged alike", ["transport.bytes"], transport::same;
    "transport.determinism", "the same messages are judged alike in another process", ["transport.same"], transport::determinism;
};

/// The checks of a component, in their order; none: a node does not take it up.
pub fn of(kind: Option<Kind>) -> Vec<&'static Check> {
    let own: &[&'static [Check]] = match kind {
        None => &[],
        Some(Kind::Soul) => &[&SOUL, &PLAYERS, &LEARNER],
        Some(Kind::Rules) => &[&RULES],
        Some(Kind::Transport) => &[&TRANSPORT],
    };
    WORLD.iter().chain(own.iter().flat_map(|checks| checks.iter())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_build_on_checks_that_come_before_them() {
        for kind in [Kind::Soul, Kind::Rules, Kind::Transport] {
            let mut before: Vec<&str> = Vec::new();
            for check in of(Some(kind)) {
                assert!(check.needs.iter().all(|needed| before.contains(needed)), "{}", check.id);
                assert!(!before.contains(&check.id), "{}", check.id);
                before.push(check.id);
            }
        }
    }
}
