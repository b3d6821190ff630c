//! Where the one instance of an author's type lives inside its component, and how calls reach it. The
//! macros make a home; the code here serves every home alike.

use crate::bindings::agent::exports::matrix::node::agent;
use crate::bindings::interceptor::exports::matrix::node::interceptor;
use crate::bindings::learner::exports::matrix::node::learner;
use crate::bindings::player::exports::matrix::node::player;
use crate::bindings::rules::exports::matrix::node::rules;
use crate::bindings::stateful::exports::matrix::node::stateful;
use crate::{
    Birth, Content, Description, Experience, Interceptor, Learner, Metric, Outcome, OwnedMessage, Player,
    Reply, Rules, Setup, Soul, Stateful, Verdict, packing,
};

/// What a Soul answers to a call that came before `init`; a node never calls so.
const NOT_BORN: &str = "called before `init`: a node gives birth to a Soul before anything else";
/// What rules answer to a call that came before `start`; a node never calls so.
const NOT_STARTED: &str = "called before `start`: a Matrix is set up before anything else";

/// Holds the component's one instance. A component is entered by one call at a time.
pub trait Home {
    /// The author's type.
    type Inhabitant: 'static;

    /// Lends the place of the instance, empty until it is born.
    fn with<R>(visit: impl FnOnce(&mut Option<Self::Inhabitant>) -> R) -> R;

    /// Lends the instance, or fails with `missing` where there is none yet.
    fn try_with<R>(
        missing: &str,
        visit: impl FnOnce(&mut Self::Inhabitant) -> Result<R, String>,
    ) -> Result<R, String> {
        Self::with(|place| place.as_mut().map_or_else(|| Err(missing.to_owned()), visit))
    }
}

impl<H: Home> agent::Guest for H
where
    H::Inhabitant: Soul,
{
    fn init(birth: Birth) -> Result<(), String> {
        let soul = H::Inhabitant::init(birth)?;
        H::with(|place| *place = Some(soul));
        Ok(())
    }

    fn receive(batch: agent::Batch) -> Vec<Reply> {
        H::with(|place| match place {
            Some(soul) => packing::messages(&batch).map(|message| soul.receive(message?)).collect(),
            None => packing::messages(&batch).map(|_| Err(NOT_BORN.to_owned())).collect(),
        })
    }
}

impl<H: Home> player::Guest for H
where
    H::Inhabitant: Player,
{
    fn act(matrix: String, tick: u64, turns: player::Turns) -> Result<player::Choices, String> {
        let turns = packing::turns(&turns)?;
        let decided = H::try_with(NOT_BORN, |soul| soul.act_all(&matrix, tick, &turns))?;
        Ok(packing::choices(&decided))
    }
}

impl<H: Home> learner::Guest for H
where
    H::Inhabitant: Learner,
{
    fn train(batch: Vec<Experience>) -> Result<Vec<Metric>, String> {
        H::try_with(NOT_BORN, |soul| soul.train(&batch))
    }

    fn evaluate(batch: Vec<Experience>) -> Result<Vec<Metric>, String> {
        H::try_with(NOT_BORN, |soul| soul.evaluate(&batch))
    }
}

impl<H: Home> stateful::Guest for H
where
    H::Inhabitant: Stateful,
{
    fn schema() -> String {
        H::Inhabitant::SCHEMA.to_owned()
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        H::try_with("nothing to snapshot: the component was neither set up nor restored", |state| {
            state.snapshot()
        })
    }

    fn restore(schema: String, bytes: Vec<u8>) -> Result<(), String> {
        let state = H::Inhabitant::decode(&schema, &bytes)?;
        H::with(|place| match place {
            Some(living) => living.adopt(state),
            // Rules are restored without having been started: the state is all that they are.
            None => *place = Some(state),
        });
        Ok(())
    }
}

impl<H: Home> rules::Guest for H
where
    H::Inhabitant: Rules,
{
    fn describe() -> Description {
        H::Inhabitant::describe()
    }

    fn start(setup: Setup) -> Result<Outcome, String> {
        let (rules, outcome) = H::Inhabitant::start(setup)?;
        H::with(|place| *place = Some(rules));
        Ok(outcome)
    }

    fn step(actions: rules::Actions) -> Result<Outcome, String> {
        let actions = packing::actions(&actions)?;
        H::try_with(NOT_STARTED, |rules| rules.step(&actions))
    }

    fn join(player: String) -> Result<u32, String> {
        H::try_with(NOT_STARTED, |rules| rules.join(player))
    }

    fn leave(player: u32) -> Result<(), String> {
        H::try_with(NOT_STARTED, |rules| rules.leave(player))
    }

    fn receive(message: OwnedMessage) -> Reply {
        H::try_with(NOT_STARTED, |rules| rules.receive(message.view()))
    }

    fn view() -> Content {
        H::with(|place| match place {
            Some(rules) => rules.view(),
            None => Content::json_bytes(b"{}".to_vec()),
        })
    }
}

impl<H: Home> interceptor::Guest for H
where
    H::Inhabitant: Interceptor + Default,
{
    fn outbound(message: OwnedMessage) -> Verdict {
        H::with(|place| place.get_or_insert_with(Default::default).outbound(message))
    }

    fn inbound(message: OwnedMessage) -> Verdict {
        H::with(|place| place.get_or_insert_with(Default::default).inbound(message))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde::{Deserialize, Serialize};

    use super::agent::Guest as _;
    use super::stateful::Guest as _;
    use super::*;
    use crate::{Message, Persona};

    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Sum {
        total: u64,
        #[serde(skip)]
        unit: String,
    }

    impl Soul for Sum {
        fn init(birth: Birth) -> Result<Self, String> {
            let unit = birth.setting("unit").ok_or("set `unit`")?.to_owned();
            Ok(Self { total: 0, unit })
        }

        fn receive(&mut self, message: Message<'_>) -> Reply {
            self.total += message.text()?.parse::<u64>().map_err(|error| error.to_string())?;
            Ok(Some(Content::text(format!("{} {}", self.total, self.unit))))
        }
    }

    impl Stateful for Sum {
        const SCHEMA: &'static str = "sum/1";

        fn adopt(&mut self, state: Self) {
            self.total = state.total;
        }
    }

    struct SumHome;

    thread_local! {
        static PLACE: RefCell<Option<Sum>> = const { RefCell::new(None) };
    }

    impl Home for SumHome {
        type Inhabitant = Sum;

        fn with<R>(visit: impl FnOnce(&mut Option<Sum>) -> R) -> R {
            PLACE.with_borrow_mut(visit)
        }
    }

    /// Messages of these bodies, as a node packs them.
    fn batch(bodies: &[&str]) -> agent::Batch {
        let head = |body: &&str| [0, 0, 0, 1, 0, 3, 0, 10, body.len() as u32, 0, 0, 0, 0, 0, 0, 0];
        let bytes = bodies.iter().flat_map(|body| ["adatext/plain", body].concat().into_bytes());
        agent::Batch { heads: bodies.iter().flat_map(head).collect(), bytes: bytes.collect() }
    }

    fn born(unit: Option<&str>) -> Result<(), String> {
        let persona = Persona { description: String::new(), traits: Vec::new(), values: Vec::new() };
        let config = unit.iter().map(|unit| ("unit".to_owned(), (*unit).to_owned())).collect();
        SumHome::init(Birth { name: "sum".to_owned(), persona, config, seed: 1 })
    }

    #[test]
    fn a_batch_is_answered_in_order_one_by_one() {
        assert_eq!(born(Some("apples")), Ok(()));
        let replies = SumHome::receive(batch(&["1", "x", "2"]));
        assert_eq!(replies[0], Ok(Some(Content::text("1 apples"))));
        assert!(replies[1].is_err());
        assert_eq!(replies[2], Ok(Some(Content::text("3 apples"))));
    }

    #[test]
    fn who_is_not_born_fails_and_does_not_trap() {
        assert!(born(None).is_err());
        assert_eq!(SumHome::receive(batch(&["1"])), [Err(NOT_BORN.to_owned())]);
        assert!(SumHome::snapshot().is_err());
    }

    #[test]
    fn a_restored_state_leaves_the_manifest_alone() {
        assert_eq!(born(Some("apples")), Ok(()));
        SumHome::receive(batch(&["300"]));
        let bytes = SumHome::snapshot();
        assert_eq!(bytes, Ok(vec![0xAC, 0x02]));
        assert_eq!(SumHome::schema(), "sum/1");

        assert_eq!(born(Some("pears")), Ok(()));
        assert_eq!(SumHome::restore("sum/1".to_owned(), vec![0xAC, 0x02]), Ok(()));
        assert_eq!(SumHome::receive(batch(&["1"])), [Ok(Some(Content::text("301 pears")))]);
        for (schema, bytes) in [("sum/2", &[1][..]), ("sum/1", &[]), ("sum/1", &[1, 2]), ("sum/1", &[0x80])] {
            assert!(SumHome::restore(schema.to_owned(), bytes.to_vec()).is_err(), "{schema} {bytes:?}");
        }
        assert_eq!(SumHome::snapshot(), Ok(vec![0xAD, 0x02]), "a refused state changes nothing");
    }
}
