//! Where the one instance of an author's type lives inside its component, and how calls reach it. The
//! macros make a home; the code here serves every home alike.

use crate::bindings::agent::exports::matrix::node::agent;
use crate::bindings::interceptor::exports::matrix::node::interceptor;
use crate::bindings::player::exports::matrix::node::player;
use crate::bindings::rules::exports::matrix::node::rules;
use crate::bindings::stateful::exports::matrix::node::stateful;
use crate::{
    Action, Birth, Content, Description, Interceptor, Message, MessageId, Outcome, OwnedMessage, Player,
    Reply, Rules, Sender, Setup, Soul, Stateful, Turn, Verdict,
};

/// What a Soul answers to a call that came before `init`; a node never calls so.
const NOT_BORN: &str = "called before `init`: a node gives birth to a Soul before anything else";
/// What a Soul answers to a message whose batch is cut off; a node sends batches whole.
const SHORT_BATCH: &str = "the batch holds fewer bytes than its heads say";
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
            Some(soul) => {
                let mut bytes = &batch.bytes[..];
                heads(&batch).map(|head| soul.receive(message(head, &mut bytes)?)).collect()
            }
            None => heads(&batch).map(|_| Err(NOT_BORN.to_owned())).collect(),
        })
    }
}

/// Words of a message's head, as `wit/agent.wit` numbers them.
const HEAD: usize = 16;

fn heads(batch: &agent::Batch) -> impl Iterator<Item = &[u32; HEAD]> {
    batch.heads.as_chunks().0.iter()
}

/// The message of this head, whose texts and body are the first of `bytes`; they are taken off there.
fn message<'a>(head: &[u32; HEAD], bytes: &mut &'a [u8]) -> Result<Message<'a>, String> {
    let &[a, b, c, d, kind, sender, topic, content_type, body, of_a, of_b, of_c, of_d, high, low, _] = head;
    let mut take = |count: u32| bytes.split_off(..count as usize).ok_or(SHORT_BATCH);
    let (sender, topic, content_type, body) = (take(sender)?, take(topic)?, take(content_type)?, take(body)?);
    let (sender, answered) = (text(sender)?, MessageId { a: of_a, b: of_b, c: of_c, d: of_d });
    Ok(Message {
        id: MessageId { a, b, c, d },
        sender: match kind {
            0 => Sender::Soul(sender),
            1 => Sender::Matrix(sender),
            2 => Sender::Topic(sender),
            _ => Sender::Client(sender),
        },
        topic: if topic.is_empty() { None } else { Some(text(topic)?) },
        in_reply_to: if answered.bits() == 0 { None } else { Some(answered) },
        content_type: text(content_type)?,
        body,
        sent_at: u64::from(high) << 32 | u64::from(low),
    })
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("a name or a media type is not UTF-8: {error}"))
}

impl<H: Home> player::Guest for H
where
    H::Inhabitant: Player,
{
    fn act(matrix: String, tick: u64, turns: Vec<Turn>) -> Result<Vec<Vec<u8>>, String> {
        H::try_with(NOT_BORN, |soul| soul.act_all(&matrix, tick, &turns))
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

    fn step(actions: Vec<Action>) -> Result<Outcome, String> {
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
    use crate::Persona;

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
    fn every_part_of_a_message_is_found_in_its_batch() {
        let head = [1, 2, 3, 4, 3, 3, 4, 3, 2, 5, 6, 7, 8, 1, 9, 0];
        let mut bytes = &b"webnewsa/b\xff\x00next"[..];
        let found = message(&head, &mut bytes).unwrap();
        assert_eq!((found.sender, found.topic), (Sender::Client("web"), Some("news")));
        assert_eq!((found.content_type, found.body), ("a/b", &b"\xff\x00"[..]));
        let id = |a, b, c, d| MessageId { a, b, c, d };
        assert_eq!((found.id, found.in_reply_to), (id(1, 2, 3, 4), Some(id(5, 6, 7, 8))));
        assert_eq!(found.sent_at, (1 << 32) + 9);
        assert_eq!(bytes, b"next");
        assert!(message(&head, &mut bytes).is_err(), "four bytes are no message of twelve");
        assert!(message(&head, &mut &b"w\xffbnewsa/bxx"[..]).is_err(), "a name is text");
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
