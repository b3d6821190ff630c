//! A Soul's log of experience: append-only, in segments of bounded size, each a value of the KV. An index names them, and
//! is written with them in one transaction. What is more than is kept goes from the oldest end, a segment at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::experience::{self, FRAME_BYTES, New};
use super::{LearningConfig, LearningError};
use crate::ids::SoulName;
use crate::kv::{Condition, Consistency, Expect, Kv, KvError, Mutation, RequestId, Txn, TxnOutcome};
use crate::runtime::learner::Experience;
use crate::souls::placed;
use crate::souls::taught::{LOGS_BUCKET, segments_bucket};

/// A segment is added to until it has so many bytes: each addition writes it anew.
const SEGMENT_BYTES: usize = 32 << 10;
/// The most segments of a log: of many that are hardly filled, as each is large enough to be closed.
pub(super) const SEGMENTS_MAX: usize = 2_048;
/// How many requests of a Soul are remembered.
const REQUESTS_MAX: usize = 64;
/// How often it is tried to write to a log to which others write.
const TRIES: usize = 64;
/// About so many bytes are read at once.
pub(super) const READ_BYTES: usize = 1 << 20;

/// A segment, as the index names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The id of its first experience.
    pub first: u64,
    /// How many it has.
    pub count: u32,
    /// Its length, in bytes.
    pub bytes: u32,
}

/// What was added by one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taught {
    /// The id of the first.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// A state that a Soul is to be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wish {
    /// Counts the wishes, from 1.
    pub(super) number: u64,
    /// The lesson by which the Soul came to that state.
    pub(super) lesson: u64,
}

/// Which experience of a Soul is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    /// The id of the newest experience; 0: there is none.
    pub last: u64,
    /// The segments, oldest first, without gaps.
    pub segments: Vec<Segment>,
    /// Up to this id it is to be learnt at once.
    pub asked: u64,
    /// Which state it is to be given back.
    pub(super) wish: Option<Wish>,
    /// The last requests, and what they added.
    requests: VecDeque<(String, Taught)>,
}

impl Index {
    /// The id of the oldest experience that is kept.
    pub fn first(&self) -> u64 {
        self.segments.first().map_or(self.last + 1, |segment| segment.first)
    }

    /// As another Soul has it: nobody has asked it for anything yet.
    pub(super) fn carried(self) -> Self {
        Self { asked: 0, wish: None, requests: VecDeque::new(), ..self }
    }

    /// How many are kept.
    pub fn kept(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.count)).sum()
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| u64::from(segment.bytes)).sum()
    }

    /// Takes the oldest segments off while there is more than may be kept; the newest stays.
    fn compact(&mut self, config: &LearningConfig) -> Vec<Segment> {
        let mut forgotten = Vec::new();
        while self.segments.len() > 1
            && (self.kept() > config.experiences_max
                || self.bytes() > config.experience_bytes_max
                || self.segments.len() > SEGMENTS_MAX)
        {
            forgotten.push(self.segments.remove(0));
        }
        forgotten
    }
}

fn key(segment: &Segment) -> [u8; 8] {
    segment.first.to_be_bytes()
}

/// The index of a Soul's log, and what it must still be when it is written.
pub(super) async fn load(kv: &Kv, soul: &SoulName) -> Result<(Index, Expect), LearningError> {
    let found = kv.get(LOGS_BUCKET, soul.as_str().as_bytes(), Consistency::Linearizable).await?;
    let Some(entry) = found else { return Ok((Index::default(), Expect::Absent)) };
    let index = serde_json::from_slice(&entry.value);
    let index = index.map_err(|error| LearningError::Damaged(soul.clone(), error.to_string()))?;
    Ok((index, Expect::Revision(entry.revision)))
}

/// Adds to a log, and tells whether it did: a request that is remembered adds nothing.
pub(super) async fn append(
    kv: &Kv,
    soul: &SoulName,
    experiences: Vec<New>,
    request: Option<RequestId>,
    config: &LearningConfig,
) -> Result<(Taught, bool), LearningError> {
    let request = request.map(|request| HEXLOWER.encode(&request.0));
    let bucket = segments_bucket(soul);
    for _ in 0..TRIES {
        let (mut index, expect) = load(kv, soul).await?;
        let known = index.requests.iter().find(|(known, _)| Some(known) == request.as_ref());
        if let Some((_, taught)) = known {
            return Ok((*taught, false));
        }
        let Some(lives) = placed::load(kv, soul).await? else {
            return Err(LearningError::Unknown(soul.clone()));
        };
        let count = experiences.len() as u32;
        let taught = Taught { first: index.last + 1, count };
        let more = experience::encode(experiences.clone(), taught.first);
        let value = grow(kv, &bucket, &mut index, more, count).await?;
        index.last += u64::from(count);
        if let Some(request) = &request {
            index.requests.push_back((request.clone(), taught));
            let forgotten = index.requests.len().saturating_sub(REQUESTS_MAX);
            index.requests.drain(..forgotten);
        }
        let forgotten = index.compact(config);
        // Never empty: it was grown.
        let Some(tail) = index.segments.last() else { continue };
        let mut then = vec![
            Mutation::Put { path: kv.path(&bucket, &key(tail))?, value, lease: None },
            put(kv, soul, &index)?,
        ];
        for segment in &forgotten {
            then.push(Mutation::Delete { path: kv.path(&bucket, &key(segment))? });
        }
        let unchanged = Condition { path: kv.path(LOGS_BUCKET, soul.as_str().as_bytes())?, expect };
        let require = vec![unchanged, lives.condition(kv, soul)?];
        if kv.batch(Txn { require, then }, None).await?.value == TxnOutcome::Committed {
            return Ok((taught, true));
        }
    }
    Err(LearningError::Contended(soul.clone()))
}

/// Asks for something, and returns the index as it then is.
pub(super) async fn ask(kv: &Kv, soul: &SoulName, ask: impl Fn(&mut Index)) -> Result<Index, LearningError> {
    for _ in 0..TRIES {
        let (mut index, expect) = load(kv, soul).await?;
        let Some(lives) = placed::load(kv, soul).await? else {
            return Err(LearningError::Unknown(soul.clone()));
        };
        ask(&mut index);
        let unchanged = Condition { path: kv.path(LOGS_BUCKET, soul.as_str().as_bytes())?, expect };
        let (require, then) = (vec![unchanged, lives.condition(kv, soul)?], vec![put(kv, soul, &index)?]);
        if kv.batch(Txn { require, then }, None).await?.value == TxnOutcome::Committed {
            return Ok(index);
        }
    }
    Err(LearningError::Contended(soul.clone()))
}

fn put(kv: &Kv, soul: &SoulName, index: &Index) -> Result<Mutation, KvError> {
    let value = serde_json::to_vec(index).map_err(|error| KvError::Unavailable(error.to_string()))?;
    let path = kv.path(LOGS_BUCKET, soul.as_str().as_bytes())?;
    Ok(Mutation::Put { path, value: value.into(), lease: None })
}

/// Adds to the newest segment, or begins another. Returns what the newest then holds.
async fn grow(
    kv: &Kv,
    bucket: &str,
    index: &mut Index,
    more: Vec<u8>,
    count: u32,
) -> Result<Bytes, LearningError> {
    let first = index.last + 1;
    if let Some(tail) = index.segments.last_mut().filter(|tail| (tail.bytes as usize) < SEGMENT_BYTES) {
        let before = kv.get(bucket, &key(tail), Consistency::Linearizable).await?;
        // Another may have taken it off meanwhile: then the index is another too, and this write is refused.
        if let Some(before) = before {
            let value = [&before.value[..], &more].concat();
            tail.count += count;
            tail.bytes = value.len() as u32;
            return Ok(value.into());
        }
    }
    index.segments.push(Segment { first, count, bytes: more.len() as u32 });
    Ok(more.into())
}

/// At most `count` experiences after the id `after`, about a mebibyte of them, and one at least.
pub(super) async fn read(
    kv: &Kv,
    soul: &SoulName,
    index: &Index,
    after: u64,
    count: usize,
) -> Result<Vec<Experience>, LearningError> {
    let (bucket, mut found, mut bytes) = (segments_bucket(soul), Vec::new(), 0);
    let wanted = index.segments.iter().filter(|segment| segment.first + u64::from(segment.count) > after + 1);
    for segment in wanted {
        // Where it was taken off since, there is nothing any more.
        let entry = kv.get(&bucket, &key(segment), Consistency::Linearizable).await?;
        let Some(entry) = entry else { continue };
        let experiences = experience::decode(&entry.value);
        let experiences = experiences.map_err(|reason| LearningError::Damaged(soul.clone(), reason))?;
        for experience in experiences.into_iter().filter(|experience| experience.id > after) {
            bytes += experience::size(&experience);
            if found.len() >= count || (bytes > READ_BYTES + FRAME_BYTES && !found.is_empty()) {
                return Ok(found);
            }
            found.push(experience);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::kv::KvConfig;
    use crate::runtime::learner::Source;
    use crate::souls::placed::Placed;
    use crate::tasks::Tasks;

    async fn kv() -> (Kv, SoulName, TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let config = KvConfig { dir: folder.path().to_owned(), disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let neo: SoulName = "neo".parse().expect("a name");
        let then = vec![Placed { node: 1, generation: 1 }.mutation(&kv, &neo).expect("a key")];
        kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
        (kv, neo, folder)
    }

    fn some(count: usize, bytes: usize) -> Vec<New> {
        let (input, output) = (Bytes::from(vec![b'x'; bytes]), Bytes::from("y"));
        vec![
            New {
                source: Source::User,
                by: "client:ci".into(),
                about: String::new(),
                input,
                output,
                reward: None,
                at_ms: 1
            };
            count
        ]
    }

    #[tokio::test]
    async fn what_is_added_is_read_in_order_once_a_request() {
        let (kv, neo, _folder) = kv().await;
        let config = LearningConfig::default();
        let request = Some(RequestId([7; 16]));
        let first = append(&kv, &neo, some(3, 10), request, &config).await.expect("room");
        assert_eq!(first, (Taught { first: 1, count: 3 }, true));
        let again = append(&kv, &neo, some(3, 10), request, &config).await.expect("known");
        assert_eq!(again, (Taught { first: 1, count: 3 }, false));
        let other = append(&kv, &neo, some(2, 10), Some(RequestId([8; 16])), &config).await.expect("room");
        assert_eq!(other, (Taught { first: 4, count: 2 }, true));
        let (index, _) = load(&kv, &neo).await.expect("sound");
        assert_eq!((index.last, index.kept(), index.segments.len()), (5, 5, 1), "small ones share a segment");
        let ids = |found: Vec<Experience>| found.iter().map(|experience| experience.id).collect::<Vec<_>>();
        assert_eq!(ids(read(&kv, &neo, &index, 0, 100).await.expect("sound")), [1, 2, 3, 4, 5]);
        assert_eq!(ids(read(&kv, &neo, &index, 2, 2).await.expect("sound")), [3, 4]);
        assert_eq!(ids(read(&kv, &neo, &index, 5, 2).await.expect("sound")), [0; 0]);
        kv.close().await;
    }

    #[tokio::test]
    async fn the_oldest_goes_first_and_leaves_nothing_behind() {
        let (kv, neo, _folder) = kv().await;
        let bounds = LearningConfig { experiences_max: 10, ..LearningConfig::default() };
        for _ in 0..12 {
            append(&kv, &neo, some(2, SEGMENT_BYTES), None, &bounds).await.expect("room");
        }
        let (index, _) = load(&kv, &neo).await.expect("sound");
        assert_eq!((index.last, index.kept(), index.first()), (24, 10, 15));
        let bucket = segments_bucket(&neo);
        let page = kv.range(&bucket, b"", None, 100, Consistency::Local).await.expect("readable");
        assert_eq!(page.entries.len(), 5);
        let bounds = LearningConfig { experience_bytes_max: 1, ..bounds };
        append(&kv, &neo, some(1, SEGMENT_BYTES), None, &bounds).await.expect("room");
        let (index, _) = load(&kv, &neo).await.expect("sound");
        assert_eq!((index.kept(), index.first()), (1, 25), "the newest stays, whatever the bounds");
        kv.close().await;
    }

    #[tokio::test]
    async fn many_who_add_at_the_same_time_lose_nothing_and_nobody_who_is_gone_is_added_to() {
        let (kv, neo, _folder) = kv().await;
        let config = LearningConfig::default();
        let adding = (0..8).map(|_| append(&kv, &neo, some(5, 10), None, &config));
        for added in futures::future::join_all(adding).await {
            added.expect("room");
        }
        let (index, _) = load(&kv, &neo).await.expect("sound");
        let found = read(&kv, &neo, &index, 0, 100).await.expect("sound");
        assert_eq!(
            found.iter().map(|experience| experience.id).collect::<Vec<_>>(),
            (1..=40).collect::<Vec<_>>()
        );
        crate::souls::erase(&kv, &neo, None).await.expect("it lives nowhere else");
        let gone = append(&kv, &neo, some(1, 10), None, &config).await;
        assert!(matches!(gone, Err(LearningError::Unknown(_))), "{gone:?}");
        assert_eq!(kv.stats().keys, 0);
        kv.close().await;
    }
}
