//! What should run: one record a Soul in the KV, which outlives the node.

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use super::placed::{self, Placed};
use crate::ids::SoulName;
use crate::kv::{Kv, KvError, Mutation, RequestId, Txn, TxnOutcome};

/// The bucket of the KV that holds one record a Soul.
pub const BUCKET: &str = "sys/souls";

/// What is wanted of a Soul.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Wanted {
    /// It runs.
    Running,
    /// It does not.
    Stopped,
    /// It crashed too often to be started again by itself.
    Failed {
        /// Why.
        reason: String,
    },
    /// It is to be forgotten, with everything that is its own.
    Deleted,
}

/// A Soul, as it is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it is.
    pub manifest: Manifest,
    /// What is wanted of it.
    pub wanted: Wanted,
}

/// Saves what is wanted of a Soul; durable when it returns.
pub async fn save(
    kv: &Kv,
    manifest: &Manifest,
    wanted: &Wanted,
    request: Option<RequestId>,
) -> Result<(), KvError> {
    let record = Record { manifest: manifest.clone(), wanted: wanted.clone() };
    kv.put_record(BUCKET, manifest.name.as_str(), &record, request).await
}

/// Saves that a Soul runs, and where, both or neither; durable when it returns. False: it lives elsewhere than
/// `before` by now.
pub(crate) async fn save_placed(
    kv: &Kv,
    manifest: &Manifest,
    before: Option<Placed>,
    placed: Placed,
    request: Option<RequestId>,
) -> Result<bool, KvError> {
    let soul = &manifest.name;
    let put = mutation(kv, manifest, &Wanted::Running)?;
    let require = vec![placed::unchanged(kv, soul, before)?];
    let then = vec![put, placed.mutation(kv, soul)?];
    Ok(kv.batch(Txn { require, then }, request).await?.value == TxnOutcome::Committed)
}

/// Writes what is wanted of a Soul.
pub(super) fn mutation(kv: &Kv, manifest: &Manifest, wanted: &Wanted) -> Result<Mutation, KvError> {
    let record = Record { manifest: manifest.clone(), wanted: wanted.clone() };
    let value = serde_json::to_vec(&record);
    let value = value.map_err(|error| KvError::Unavailable(error.to_string()))?;
    let path = kv.path(BUCKET, manifest.name.as_str().as_bytes())?;
    Ok(Mutation::Put { path, value: value.into(), lease: None })
}

/// What is wanted of a Soul.
pub async fn load(kv: &Kv, soul: &SoulName) -> Result<Option<Record>, KvError> {
    kv.record(BUCKET, soul.as_str()).await
}

/// Forgets a Soul.
pub async fn delete(kv: &Kv, soul: &SoulName, request: Option<RequestId>) -> Result<(), KvError> {
    kv.delete(BUCKET, soul.as_str().as_bytes(), request).await?;
    Ok(())
}

/// All Souls, in the order of their names.
pub async fn load_all(kv: &Kv) -> Result<Vec<Record>, KvError> {
    kv.all_records(BUCKET).await
}
