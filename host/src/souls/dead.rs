//! Dead letters: messages that a Soul does not survive. They are kept in the KV for the operator, the last few of each
//! Soul, who can have them sent again or dropped.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use matrix_proto::wire as proto;
use prost::Message as _;

use super::error::SoulError;
use super::fleet::Fleet;
use crate::ids::{IdError, MessageId, SoulName};
use crate::kv::{Consistency, Kv, KvError};
use crate::transport::envelope::{Envelope, SendError};
use crate::transport::receipts::Posted;
use crate::transport::router::Router;
use crate::transport::wire::{self, Frame, WireLimits};

/// The bucket of the KV that holds dead letters, a key each: the Soul's name, a slash, the [`DeadId`].
pub const BUCKET: &str = "sys/dead";
/// The most dead letters that are kept of one Soul; the oldest go first.
pub const LETTERS_MAX: usize = 64;
/// How long a Soul may take to handle a letter that is sent again.
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// Names a dead letter of a Soul: when it died, and which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadId {
    at_ms: u64,
    message: MessageId,
}

impl fmt::Display for DeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:015}-{}", self.at_ms, self.message)
    }
}

impl FromStr for DeadId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let refuse = || IdError::Name {
            what: "dead letter",
            text: text.chars().take(80).flat_map(char::escape_default).collect(),
            rule: "15 digits, a hyphen and the id of a message",
        };
        let (at_ms, message) = text.split_once('-').ok_or_else(refuse)?;
        let is_time = at_ms.len() == 15 && at_ms.bytes().all(|byte| byte.is_ascii_digit());
        let at_ms = at_ms.parse().ok().filter(|_| is_time).ok_or_else(refuse)?;
        Ok(Self { at_ms, message: message.parse()? })
    }
}

/// A message that its Soul did not survive.
#[derive(Debug)]
pub struct DeadLetter {
    /// Names it.
    pub id: DeadId,
    /// The message.
    pub message: Envelope,
    /// Why the Soul did not survive it.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl DeadLetter {
    /// When it died, in milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> u64 {
        self.id.at_ms
    }
}

/// What was accepted by this node is read by it, and by others.
fn limits() -> WireLimits {
    WireLimits { body_bytes_max: 16 << 20, hops_max: u16::MAX }
}

/// A message as the KV keeps it.
pub(super) fn write(envelope: &Envelope, reason: &str, attempts: u32, at_ms: u64) -> (DeadId, Bytes) {
    let mut frame = BytesMut::new();
    let plain = Envelope {
        sender: envelope.sender.clone(),
        recipient: envelope.recipient.clone(),
        content: envelope.content.clone(),
        reply_to: crate::transport::envelope::ReplyTo::Sender,
        deadline: None,
        receipt: false,
        ..*envelope
    };
    let written = wire::encode_message(&plain, false, Instant::now, &limits(), &mut frame);
    debug_assert!(written.is_ok(), "{written:?}");
    let letter = proto::DeadLetter { message: frame.freeze(), reason: reason.to_owned(), attempts };
    (DeadId { at_ms, message: envelope.id }, letter.encode_to_vec().into())
}

fn read(key: &[u8], value: Bytes) -> Option<DeadLetter> {
    let (_, id) = std::str::from_utf8(key).ok()?.split_once('/')?;
    let proto::DeadLetter { message, reason, attempts } = proto::DeadLetter::decode(value).ok()?;
    match wire::decode(&mut BytesMut::from(&message[..]), &limits(), Instant::now()) {
        Ok(Some(Frame::Message { envelope, .. })) => {
            Some(DeadLetter { id: id.parse().ok()?, message: envelope, reason, attempts })
        }
        _ => None,
    }
}

fn key(soul: &SoulName, id: DeadId) -> String {
    format!("{soul}/{id}")
}

/// Keeps a dead letter, and forgets the oldest where there are too many.
pub(super) async fn bury(kv: &Kv, soul: &SoulName, (id, letter): (DeadId, Bytes)) -> Result<(), KvError> {
    kv.put(BUCKET, key(soul, id).as_bytes(), letter, None, None).await?;
    let keys = keys(kv, soul).await?;
    let too_many = keys.len().saturating_sub(LETTERS_MAX);
    for key in &keys[..too_many] {
        kv.delete(BUCKET, key, None).await?;
    }
    Ok(())
}

/// Forgets all dead letters of a Soul.
pub(super) async fn forget(kv: &Kv, soul: &SoulName) -> Result<(), KvError> {
    for key in keys(kv, soul).await? {
        kv.delete(BUCKET, &key, None).await?;
    }
    Ok(())
}

async fn keys(kv: &Kv, soul: &SoulName) -> Result<Vec<Bytes>, KvError> {
    let mut keys = Vec::new();
    let mut start = Bytes::from(format!("{soul}/"));
    // The byte after the slash: whatever begins with the name and a slash is before it.
    let end = format!("{soul}0");
    loop {
        let page =
            kv.range(BUCKET, &start, Some(end.as_bytes()), LETTERS_MAX, Consistency::Linearizable).await?;
        keys.extend(page.entries.into_iter().map(|(key, _)| key));
        match page.next {
            Some(next) => start = next,
            None => return Ok(keys),
        }
    }
}

impl Fleet {
    /// At most `limit` dead letters of a Soul after `after`, oldest first.
    ///
    /// # Errors
    /// `Kv`.
    pub async fn dead_letters(
        &self,
        soul: &SoulName,
        after: Option<DeadId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, SoulError> {
        let kv = self.0.realm.kv();
        // What follows a key first is the key with a zero byte behind it.
        let start = after.map_or_else(|| format!("{soul}/"), |after| format!("{}\0", key(soul, after)));
        let end = format!("{soul}0");
        let limit = limit.min(LETTERS_MAX + 1);
        let (start, end) = (start.as_bytes(), Some(end.as_bytes()));
        let page = kv.range(BUCKET, start, end, limit, Consistency::Linearizable).await?;
        Ok(page.entries.into_iter().filter_map(|(key, entry)| read(&key, entry.value)).collect())
    }

    /// Sends a dead letter again, and forgets it once the Soul has it; a Soul that does not survive it again makes
    /// another of it.
    ///
    /// # Errors
    /// `NoDeadLetter`, `Kv`; the inner error says why the message could not be sent.
    pub async fn resend(&self, soul: &SoulName, id: DeadId) -> Result<Result<(), SendError>, SoulError> {
        let found =
            self.0.realm.kv().get(BUCKET, key(soul, id).as_bytes(), Consistency::Linearizable).await?;
        let letter = found.and_then(|entry| read(key(soul, id).as_bytes(), entry.value));
        let letter = letter.ok_or_else(|| SoulError::NoDeadLetter(soul.clone(), id))?;
        if let Err(error) = send(&self.0.souls.host().router, &letter.message).await {
            return Ok(Err(error));
        }
        self.drop_dead(soul, id).await?;
        Ok(Ok(()))
    }

    /// Forgets a dead letter.
    ///
    /// # Errors
    /// `NoDeadLetter`, `Kv`.
    pub async fn drop_dead(&self, soul: &SoulName, id: DeadId) -> Result<(), SoulError> {
        let dropped = self.0.realm.kv().delete(BUCKET, key(soul, id).as_bytes(), None).await?;
        if dropped.value { Ok(()) } else { Err(SoulError::NoDeadLetter(soul.clone(), id)) }
    }
}

/// Sends a message, and waits until its recipient has it for good, or has failed over it.
async fn send(router: &Router, message: &Envelope) -> Result<(), SendError> {
    let Posted::Under(receipt) = router.post(message)? else { return Ok(()) };
    match tokio::time::timeout(AGAIN_MAX, receipt).await {
        Ok(Ok(Ok(_) | Err(SendError::Failed(_)))) => Ok(()),
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(_)) => Err(SendError::Unreachable),
        Err(_) => Err(SendError::DeadlineExceeded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::KvConfig;
    use crate::tasks::Tasks;
    use crate::transport::testing::envelope;

    #[test]
    fn ids_round_trip_and_sort_by_time() {
        let id = |at_ms, message| DeadId { at_ms, message: MessageId(message) };
        let ids = [id(9, 2), id(10, 1), id(1_700_000_000_000, 1)];
        assert!(ids.is_sorted() && ids.map(|id| id.to_string()).is_sorted());
        assert!(ids.iter().all(|id| id.to_string().parse() == Ok(*id)));
        for wrong in ["", "-", "1-01ARZ3NDEKTSV4RRFFQ69G5FAV", "+00000000000009-01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
            assert!(wrong.parse::<DeadId>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_soul_keeps_its_last_dead_letters_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let [neo, neo2] = ["neo", "neo-2"].map(|name| name.parse::<SoulName>().expect("a name"));
        bury(&kv, &neo2, write(&envelope("other"), "trapped", 1, 1)).await.expect("room");
        for at_ms in 0..LETTERS_MAX as u64 + 5 {
            let letter = write(&envelope(&at_ms.to_string()), "trapped", 2, at_ms);
            bury(&kv, &neo, letter).await.expect("room");
        }
        let found = keys(&kv, &neo).await.expect("readable");
        assert_eq!(found.len(), LETTERS_MAX);
        let first = kv.get(BUCKET, &found[0], Consistency::Local).await.expect("readable").expect("there");
        let first = read(&found[0], first.value).expect("as it was written");
        assert_eq!((first.at_ms(), first.attempts, &first.message.content.body[..]), (5, 2, &b"5"[..]));
        forget(&kv, &neo).await.expect("no error");
        assert_eq!((keys(&kv, &neo).await.expect("readable").len(), kv.stats().keys), (0, 1));
        kv.close().await;
    }
}
