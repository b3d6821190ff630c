//! The states that Souls came to by learning: the last few of each are kept, so that a Soul can be given one back.

use matrix_proto::wire::LearntState;
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::LearningError;
use crate::ids::SoulName;
use crate::kv::{Consistency, Kv, KvError, Mutation};
use crate::runtime::stateful::Snapshot;
use crate::souls::taught::states_bucket;

/// The most states that are kept of a Soul; the oldest go first.
pub(super) const STATES_MAX: usize = 8;
/// The most bytes of them all; the newest is kept whatever it has.
const STATES_BYTES_MAX: u64 = 4 << 20;

/// A state that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptState {
    /// The lesson by which the Soul came to it.
    pub lesson: u64,
    /// Its length, in bytes.
    pub bytes: u64,
}

fn key(lesson: u64) -> [u8; 8] {
    lesson.to_be_bytes()
}

/// Keeps the state of a lesson, and lets the oldest go. Returns what is to be written.
pub(super) fn keep(
    kv: &Kv,
    soul: &SoulName,
    kept: &mut Vec<KeptState>,
    lesson: u64,
    state: &Snapshot,
) -> Result<Vec<Mutation>, KvError> {
    let bucket = states_bucket(soul);
    let Snapshot { schema, bytes } = state.clone();
    kept.push(KeptState { lesson, bytes: bytes.len() as u64 });
    let value = LearntState { schema, state: bytes.into() }.encode_to_vec().into();
    let mut writes = vec![Mutation::Put { path: kv.path(&bucket, &key(lesson))?, value, lease: None }];
    let all = |kept: &[KeptState]| kept.iter().map(|state| state.bytes).sum::<u64>();
    while kept.len() > 1 && (kept.len() > STATES_MAX || all(kept) > STATES_BYTES_MAX) {
        let oldest = kept.remove(0);
        writes.push(Mutation::Delete { path: kv.path(&bucket, &key(oldest.lesson))? });
    }
    Ok(writes)
}

/// The state of a lesson; none: it is not kept.
pub(super) async fn load(kv: &Kv, soul: &SoulName, lesson: u64) -> Result<Option<Snapshot>, LearningError> {
    let found = kv.get(&states_bucket(soul), &key(lesson), Consistency::Linearizable).await?;
    let Some(entry) = found else { return Ok(None) };
    let state = LearntState::decode(entry.value);
    let state = state.map_err(|error| LearningError::Damaged(soul.clone(), error.to_string()))?;
    Ok(Some(Snapshot { schema: state.schema, bytes: state.state.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{KvConfig, Txn};
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn the_last_few_are_kept_and_come_back_as_they_were() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let neo: SoulName = "neo".parse().expect("a name");
        let state = |lesson: u64, bytes| Snapshot { schema: "s/1".into(), bytes: vec![lesson as u8; bytes] };
        let mut kept = Vec::new();
        let mut lessons = (1..=10).map(|lesson| (lesson, 10)).collect::<Vec<_>>();
        lessons.extend((11..=16).map(|lesson| (lesson, 768 << 10)));
        for (lesson, bytes) in lessons {
            let then = keep(&kv, &neo, &mut kept, lesson, &state(lesson, bytes)).expect("sound keys");
            kv.batch(Txn { require: Vec::new(), then }, None).await.expect("room");
        }
        assert_eq!(kept.iter().map(|state| state.lesson).collect::<Vec<_>>(), [12, 13, 14, 15, 16]);
        assert_eq!(kv.stats().keys, 5);
        assert_eq!(load(&kv, &neo, 12).await.expect("readable"), Some(state(12, 768 << 10)));
        assert_eq!(load(&kv, &neo, 11).await.expect("readable"), None);
        kv.close().await;
    }
}
