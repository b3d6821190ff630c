//! The states that Souls came to by learning: the last few of each are kept, so that a Soul can be given one back.

use serde::{Deserialize, Serialize};

use crate::ids::SoulName;
use crate::kv::{Condition, Kv, Txn};
use crate::runtime::stateful::Snapshot;
use crate::souls::checkpoint::CheckpointError;
use crate::souls::taught;

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

/// Keeps the state of a lesson, of at most `max` bytes, and lets the oldest go. Returns what is to be written beside the
/// Soul's own state; `lives` holds as long as the Soul lives where it did.
pub(super) async fn keep(
    (kv, max): (&Kv, usize),
    soul: &SoulName,
    kept: &mut Vec<KeptState>,
    lesson: u64,
    state: &Snapshot,
    lives: &Condition,
) -> Result<Txn, CheckpointError> {
    kept.push(KeptState { lesson, bytes: state.bytes.len() as u64 });
    let mut txn = taught::keep_state(kv, soul, lesson, state.clone(), max, lives).await?;
    for oldest in past(kept) {
        txn.then.extend(taught::drop_state(kv, soul, oldest.lesson).await?);
    }
    Ok(txn)
}

/// Takes out what is not kept any more.
fn past(kept: &mut Vec<KeptState>) -> Vec<KeptState> {
    let all = |kept: &[KeptState]| kept.iter().map(|state| state.bytes).sum::<u64>();
    let mut past = Vec::new();
    while kept.len() > 1 && (kept.len() > STATES_MAX || all(kept) > STATES_BYTES_MAX) {
        past.push(kept.remove(0));
    }
    past
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Expect, KvConfig};
    use crate::tasks::Tasks;

    #[tokio::test]
    async fn the_last_few_are_kept_and_come_back_as_they_were() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().to_owned();
        let config = KvConfig { dir, disk_reserve_bytes: 0, ..KvConfig::default() };
        let kv = Kv::open(config, &Tasks::new()).await.expect("an empty folder");
        let neo: SoulName = "neo".parse().expect("a name");
        let state = |lesson: u64, bytes| Snapshot { schema: "s/1".into(), bytes: vec![lesson as u8; bytes] };
        let lives = Condition { path: kv.path("none", b"neo").expect("a key"), expect: Expect::Absent };
        let mut kept = Vec::new();
        let mut lessons = (1..=10).map(|lesson| (lesson, 10)).collect::<Vec<_>>();
        lessons.extend((11..=16).map(|lesson| (lesson, 768 << 10)));
        for (lesson, bytes) in lessons {
            let state = state(lesson, bytes);
            let txn = keep((&kv, 1 << 20), &neo, &mut kept, lesson, &state, &lives).await;
            kv.batch(txn.expect("sound keys"), None).await.expect("room");
        }
        assert_eq!(kept.iter().map(|state| state.lesson).collect::<Vec<_>>(), [12, 13, 14, 15, 16]);
        assert_eq!(kv.stats().keys, 5);
        assert_eq!(taught::state(&kv, &neo, 12).await.expect("readable"), Some(state(12, 768 << 10)));
        assert_eq!(taught::state(&kv, &neo, 11).await.expect("readable"), None);
        kv.close().await;
    }
}
