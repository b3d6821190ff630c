//! Which messages a Soul has handled, and what their senders were told: the last few thousand, so that one that comes
//! again is answered, and not handled twice. It lies in the KV in parts, of which a turn writes the last one alone.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use matrix_proto::wire;
use matrix_proto::wire::handled_message::Answer as AnswerProto;
use prost::Message as _;

use crate::ids::{MessageId, SoulName};
use crate::kv::{Kv, KvError, Mutation};
use crate::transport::envelope::{Content, Envelope, Reply, SendError};
use crate::transport::receipts::named;

/// The fewest messages that are remembered.
pub(super) const MESSAGES_KEPT: usize = 4_096;
/// After how many messages a part is full, and another is begun.
const PART_MESSAGES: usize = 128;
/// The longest answer that is remembered, in bytes.
pub(super) const ANSWER_BYTES_KEPT: usize = 256;

/// The bucket of a Soul's window.
pub(crate) fn bucket(soul: &SoulName) -> String {
    format!("sys/handled/{soul}")
}

/// Names a message and its sender: nobody can have another's message taken for handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    pub(super) fn of(envelope: &Envelope) -> Self {
        Self(named(&[&envelope.sender.to_string(), &envelope.id.to_string()]).0)
    }
}

/// What a sender was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Content(Content),
    Failure(String),
    /// It was too long to be kept.
    Forgotten,
}

impl Answer {
    pub(super) fn of(reply: &Reply) -> Self {
        match reply {
            Ok(None) => Self::Nothing,
            Ok(Some(content)) if content.body.len() > ANSWER_BYTES_KEPT => Self::Forgotten,
            Ok(Some(content)) => Self::Content(content.clone()),
            Err(SendError::Failed(reason)) => Self::Failure(cut(reason)),
            Err(error) => Self::Failure(cut(&error.to_string())),
        }
    }

    /// What whoever asks again is told.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Nothing => Ok(None),
            Self::Content(content) => Ok(Some(content.clone())),
            Self::Failure(reason) => Err(SendError::Failed(reason.clone())),
            Self::Forgotten => Err(SendError::Failed(format!(
                "it was handled before, and the reply is not kept: it had more than {ANSWER_BYTES_KEPT} bytes"
            ))),
        }
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(ANSWER_BYTES_KEPT)].to_owned()
}

/// The window.
#[derive(Debug, Default)]
pub(super) struct Window {
    answers: HashMap<Key, Answer>,
    /// Never empty once a message was noted; the last one grows.
    parts: VecDeque<Part>,
    /// Parts that are to be deleted.
    forgotten: Vec<u64>,
    changed: bool,
}

#[derive(Debug)]
struct Part {
    number: u64,
    keys: Vec<Key>,
}

impl Window {
    /// What a message was answered, if it was handled.
    pub(super) fn find(&self, key: Key) -> Option<&Answer> {
        self.answers.get(&key)
    }

    /// A message has been handled that was not before.
    pub(super) fn note(&mut self, key: Key, answer: Answer) {
        let next = self.parts.back().map_or(0, |last| last.number + 1);
        // What is under way to the KV is one part: a full one is left only for the next turn.
        let full = self.parts.back().is_none_or(|last| last.keys.len() >= PART_MESSAGES);
        if full && !self.changed {
            self.parts.push_back(Part { number: next, keys: Vec::new() });
        }
        self.changed = true;
        if let Some(last) = self.parts.back_mut() {
            last.keys.push(key);
        }
        self.answers.insert(key, answer);
        while let Some(first) = self.parts.front()
            && self.answers.len() - first.keys.len() >= MESSAGES_KEPT
        {
            self.forgotten.push(first.number);
            let keys = self.parts.pop_front().map(|part| part.keys).unwrap_or_default();
            keys.iter().for_each(|key| drop(self.answers.remove(key)));
        }
    }

    /// What has to be written for the KV to hold the window as it is.
    pub(super) fn mutations(&self, kv: &Kv, soul: &SoulName) -> Result<Vec<Mutation>, KvError> {
        let bucket = bucket(soul);
        let path = |number: u64| kv.path(&bucket, &number.to_be_bytes());
        let mut mutations = Vec::new();
        for number in &self.forgotten {
            mutations.push(Mutation::Delete { path: path(*number)? });
        }
        if let Some(last) = self.parts.back().filter(|_| self.changed) {
            let messages = last.keys.iter().map(|key| written(*key, self.answers.get(key))).collect();
            let value = wire::HandledMessages { messages }.encode_to_vec().into();
            mutations.push(Mutation::Put { path: path(last.number)?, value, lease: None });
        }
        Ok(mutations)
    }

    /// The KV holds the window as it is.
    pub(super) fn is_kept(&mut self) {
        self.forgotten.clear();
        self.changed = false;
    }

    /// Takes a part in that the KV holds; they come in order.
    pub(super) fn read(&mut self, key: &[u8], value: Bytes) -> Result<(), String> {
        let number = u64::from_be_bytes(key.try_into().map_err(|_| "a part has no number".to_owned())?);
        let part = wire::HandledMessages::decode(value).map_err(|error| error.to_string())?;
        let mut keys = Vec::with_capacity(part.messages.len());
        for message in part.messages {
            let key =
                <[u8; 16]>::try_from(&message.key[..]).map_err(|_| "a key has not 16 bytes".to_owned())?;
            let key = Key(u128::from_be_bytes(key));
            keys.push(key);
            self.answers.insert(key, answer(message.answer));
        }
        self.parts.push_back(Part { number, keys });
        Ok(())
    }
}

fn written(key: Key, answer: Option<&Answer>) -> wire::HandledMessage {
    let content = |content: &Content| {
        let (content_type, body) = (content.content_type.to_string(), content.body.clone());
        AnswerProto::Content(wire::MessageContent { content_type, body })
    };
    let answer = match answer {
        None | Some(Answer::Nothing) => None,
        Some(Answer::Content(said)) => Some(content(said)),
        Some(Answer::Failure(reason)) => Some(AnswerProto::Failure(reason.clone())),
        Some(Answer::Forgotten) => Some(AnswerProto::Forgotten(wire::Nothing {})),
    };
    wire::HandledMessage { key: Bytes::copy_from_slice(&key.0.to_be_bytes()), answer }
}

fn answer(proto: Option<AnswerProto>) -> Answer {
    match proto {
        None => Answer::Nothing,
        Some(AnswerProto::Content(content)) => {
            let content_type = content.content_type.as_str().into();
            Answer::Content(Content { content_type, body: content.body })
        }
        Some(AnswerProto::Failure(reason)) => Answer::Failure(reason),
        Some(AnswerProto::Forgotten(_)) => Answer::Forgotten,
    }
}

/// The id of the reply to a message: the same for the same message.
pub(super) fn reply_id(soul: &SoulName, question: MessageId) -> MessageId {
    named(&["reply", soul.as_str(), &question.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::KvConfig;
    use crate::tasks::Tasks;
    use crate::transport::testing::{content, envelope};

    async fn store() -> (tempfile::TempDir, Kv) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        (folder, Kv::open(config, &Tasks::new()).await.expect("an empty folder"))
    }

    async fn read(kv: &Kv, soul: &SoulName) -> Window {
        let mut window = Window::default();
        let page = kv.range(&bucket(soul), b"", None, 999, crate::kv::Consistency::Local).await;
        for (key, entry) in page.expect("a bucket").entries {
            window.read(&key, entry.value).expect("as it was written");
        }
        window
    }

    #[test]
    fn senders_do_not_share_keys() {
        let one = envelope("x");
        let other = Envelope { sender: "client:other".parse().expect("an address"), ..envelope("x") };
        let next = Envelope { id: MessageId(2), ..envelope("x") };
        assert_eq!(Key::of(&one), Key::of(&envelope("another body")));
        assert!(Key::of(&one) != Key::of(&other) && Key::of(&one) != Key::of(&next));
    }

    #[tokio::test]
    async fn what_the_kv_holds_is_the_window_and_old_parts_go() {
        let (_folder, kv) = store().await;
        let soul: SoulName = "neo".parse().expect("a name");
        let mut window = Window::default();
        let total = MESSAGES_KEPT as u128 + 1_000;
        for first in (0..total).step_by(24) {
            for number in first..(first + 24).min(total) {
                let reply = match number % 4 {
                    0 => Ok(None),
                    1 => Ok(Some(content(&number.to_string()))),
                    2 => Err(SendError::Failed(number.to_string())),
                    _ => Ok(Some(content(&"x".repeat(ANSWER_BYTES_KEPT + 1)))),
                };
                window.note(Key(number), Answer::of(&reply));
            }
            let then = window.mutations(&kv, &soul).expect("sound paths");
            assert!(then.len() <= 3, "a turn writes one part: {}", then.len());
            kv.batch(crate::kv::Txn { require: Vec::new(), then }, None).await.expect("room");
            window.is_kept();
        }
        let back = read(&kv, &soul).await;
        assert_eq!(back.answers, window.answers);
        let kept = back.answers.len();
        assert!((MESSAGES_KEPT..MESSAGES_KEPT + 2 * PART_MESSAGES).contains(&kept), "{kept}");
        assert!((total - MESSAGES_KEPT as u128..total).all(|number| back.find(Key(number)).is_some()));
        assert_eq!(back.find(Key(0)), None);
        let last = total - 1;
        let told: Vec<_> =
            (last - 3..=last).map(|number| back.find(Key(number)).map(Answer::reply)).collect();
        assert!(told.iter().any(|reply| matches!(reply, Some(Ok(Some(_))))), "{told:?}");
        let forgotten = told.iter().flatten().filter_map(|reply| reply.as_ref().err());
        assert!(forgotten.into_iter().any(|error| error.to_string().contains("not kept")), "{told:?}");
        kv.close().await;
    }

    #[test]
    fn damage_is_no_window() {
        let mut window = Window::default();
        assert!(window.read(b"short", Bytes::new()).is_err());
        assert!(window.read(&[0; 8], Bytes::from_static(b"\x0a\x02\x0a\x05")).is_err());
        assert!(window.read(&[0; 8], Bytes::from_static(b"\x0a\x03\x0a\x01x")).is_err());
    }
}
