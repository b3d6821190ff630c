//! Where Souls' experience and what came of it are kept. The room `learning` reads and writes there; all of it goes with
//! its Soul.

use super::erase::empty;
use crate::ids::SoulName;
use crate::kv::{Kv, KvError};

/// The bucket of the KV that holds one index a Soul: which segments its log of experience has.
pub const LOGS_BUCKET: &str = "sys/experience";
/// The bucket of the KV that holds one record a Soul: how far it has learnt, and how that went.
pub const LESSONS_BUCKET: &str = "sys/lessons";

/// The bucket of the KV that holds the segments of a Soul's log of experience.
pub fn segments_bucket(soul: &SoulName) -> String {
    format!("{LOGS_BUCKET}/{soul}")
}

/// The bucket of the KV that holds the states that a Soul came to by learning.
pub fn states_bucket(soul: &SoulName) -> String {
    format!("sys/learnt/{soul}")
}

/// Forgets what a Soul has learnt from. Whoever writes there requires that it lives somewhere: after that nothing comes.
pub(super) async fn forget(kv: &Kv, soul: &SoulName) -> Result<(), KvError> {
    empty(kv, &segments_bucket(soul)).await?;
    empty(kv, &states_bucket(soul)).await?;
    for bucket in [LOGS_BUCKET, LESSONS_BUCKET] {
        kv.delete(bucket, soul.as_str().as_bytes(), None).await?;
    }
    Ok(())
}
