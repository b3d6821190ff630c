//! Lists as they cross the boundary of a component: words, a fixed number for each element, and bytes, those of one
//! element behind those of the one before.

use crate::bindings::agent::exports::matrix::node::agent::Batch;
use crate::bindings::player::exports::matrix::node::player::{Choices, Turns};
use crate::bindings::rules::exports::matrix::node::rules::{Actions, Prompts};
use crate::{Action, Message, MessageId, Prompt, Sender, Turn};

/// What is answered to a list that is cut off; a node sends lists whole.
const SHORT: &str = "a packed list holds fewer bytes than its words say";

/// One element's words.
fn rows<const WORDS: usize>(words: &[u32]) -> std::slice::Iter<'_, [u32; WORDS]> {
    words.as_chunks().0.iter()
}

/// Takes the next bytes off.
fn take<'a>(bytes: &mut &'a [u8], count: u32) -> Result<&'a [u8], String> {
    bytes.split_off(..count as usize).ok_or_else(|| SHORT.to_owned())
}

fn double(high: u32, low: u32) -> f64 {
    f64::from_bits(u64::from(high) << 32 | u64::from(low))
}

/// The messages of a batch. One that cannot be read is an error of its own, and so are those behind it.
pub(crate) fn messages(batch: &Batch) -> impl Iterator<Item = Result<Message<'_>, String>> {
    let mut bytes = &batch.bytes[..];
    rows(&batch.heads).map(move |head| message(head, &mut bytes))
}

fn message<'a>(head: &[u32; 16], bytes: &mut &'a [u8]) -> Result<Message<'a>, String> {
    let &[a, b, c, d, kind, sender, topic, content_type, body, of_a, of_b, of_c, of_d, high, low, _] = head;
    let (sender, topic) = (take(bytes, sender)?, take(bytes, topic)?);
    let (content_type, body) = (take(bytes, content_type)?, take(bytes, body)?);
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

/// What players answered.
pub(crate) fn actions(packed: &Actions) -> Result<Vec<Action<'_>>, String> {
    let mut bytes = &packed.bytes[..];
    let action = |&[player, seat, length]: &[u32; 3]| {
        let choice = length.checked_sub(1).map(|count| take(&mut bytes, count)).transpose()?;
        Ok(Action { player, seat, choice })
    };
    rows(&packed.heads).map(action).collect()
}

/// What a player sees.
pub(crate) fn turns(packed: &Turns) -> Result<Vec<Turn<'_>>, String> {
    let mut bytes = &packed.bytes[..];
    let turn = |&[seat, observation, last, high, low]: &[u32; 5]| {
        let observation = take(&mut bytes, observation)?;
        Ok(Turn { seat, observation, reward: double(high, low), final_: last != 0 })
    };
    rows(&packed.heads).map(turn).collect()
}

/// What a player decides.
pub(crate) fn choices(decided: &[Vec<u8>]) -> Choices {
    Choices { lengths: decided.iter().map(|choice| length(choice)).collect(), bytes: decided.concat() }
}

/// A component's memory has 32 bits: nothing in it is longer.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Prompts {
    /// Nobody is asked.
    #[must_use]
    pub const fn new() -> Self {
        Self { heads: Vec::new(), bytes: Vec::new() }
    }

    /// Asks one more seat.
    pub fn push(&mut self, prompt: &Prompt<'_>) {
        let Prompt { player, seat, observation, reward, final_ } = *prompt;
        let bits = reward.to_bits();
        let (high, low) = ((bits >> 32) as u32, bits as u32);
        self.heads.extend_from_slice(&[player, seat, length(observation), final_.into(), high, low]);
        self.bytes.extend_from_slice(observation);
    }

    /// How many seats are asked.
    #[must_use]
    pub fn len(&self) -> usize {
        rows::<6>(&self.heads).len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Who is asked what, in order.
    pub fn iter(&self) -> impl Iterator<Item = Prompt<'_>> {
        let mut bytes = &self.bytes[..];
        rows(&self.heads).map(move |&[player, seat, observation, last, high, low]: &[u32; 6]| Prompt {
            player,
            seat,
            observation: take(&mut bytes, observation).unwrap_or_default(),
            reward: double(high, low),
            final_: last != 0,
        })
    }
}

impl Default for Prompts {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Extend<Prompt<'a>> for Prompts {
    fn extend<I: IntoIterator<Item = Prompt<'a>>>(&mut self, prompts: I) {
        prompts.into_iter().for_each(|prompt| self.push(&prompt));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn turns_and_actions_are_read_as_they_are_written() {
        let half = (0.5_f64.to_bits() >> 32) as u32;
        let packed = Turns { heads: vec![7, 1, 0, half, 0, 8, 2, 1, 0, 0], bytes: b"abc".to_vec() };
        let turn = |seat, observation, reward, final_| Turn { seat, observation, reward, final_ };
        assert_eq!(turns(&packed), Ok(vec![turn(7, b"a", 0.5, false), turn(8, b"bc", 0.0, true)]));
        assert!(turns(&Turns { bytes: b"ab".to_vec(), ..packed }).is_err());

        let packed = Actions { heads: vec![0, 1, 0, 2, 3, 1, 4, 5, 3], bytes: b"xy".to_vec() };
        let action = |player, seat, choice| Action { player, seat, choice };
        let expected = [action(0, 1, None), action(2, 3, Some(&b""[..])), action(4, 5, Some(&b"xy"[..]))];
        assert_eq!(actions(&packed), Ok(expected.to_vec()));
        assert_eq!(choices(&[b"x".to_vec(), vec![], b"yz".to_vec()]).lengths, [1, 0, 2]);
    }

    #[test]
    fn prompts_are_told_as_they_were_given() {
        let asked = [
            Prompt { player: 1, seat: 2, observation: b"see", reward: -1.25, final_: false },
            Prompt { player: 3, seat: 4, observation: b"", reward: f64::MAX, final_: true },
        ];
        let mut prompts = Prompts::new();
        assert!(prompts.is_empty());
        prompts.extend(asked.clone());
        assert_eq!(prompts.len(), 2);
        assert_eq!(prompts.iter().collect::<Vec<_>>(), asked);
    }
}
