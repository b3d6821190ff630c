//! A node's lease: while it is renewed the node is alive; when it is over, others take up its work. So a node stops
//! its own work before its lease can be over: its time is counted from before the renewal was asked for.

use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::{Inner, Realm};
use super::hello;
use super::records::{self, Alive, NodeRecord};
use crate::kv::{Condition, Consistency, Expect, KvError, LeaseId, Mutation, Txn, TxnOutcome};

/// How often a lease is renewed within its time.
pub const RENEWALS: u32 = 4;
/// How long giving the lease up may take.
const RELEASE: Duration = Duration::from_millis(500);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// Holds the lease until `stop`, and then gives it up.
pub(super) async fn run(realm: Realm, stop: CancellationToken) {
    let held = stop.run_until_cancelled(hold(&realm)).await;
    debug_assert!(held.is_none(), "it is held until the end");
    realm.0.holds_lease.send_replace(false);
    let lease = realm.0.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Nobody need wait for a node that has ended in order; without this its time runs out.
    if let Some(lease) = lease
        && let Err(error) = tokio::time::timeout(RELEASE, realm.0.kv.revoke_lease(lease)).await
    {
        tracing::debug!(%error, "the lease is left to run out");
    }
}

async fn hold(realm: &Realm) -> std::convert::Infallible {
    loop {
        let asked = Instant::now();
        match take(realm).await {
            Ok(lease) => renew(realm, lease, asked).await,
            Err(error) => {
                tracing::info!(%error, "this node has no lease yet");
                // One that was removed may never get the record that says so: nobody sends it the log any more.
                if let Some(refused) = hello::refusal(realm).await {
                    realm.fail(refused.to_string());
                }
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Takes the lease.
async fn take(realm: &Realm) -> Result<LeaseId, KvError> {
    let Inner { kv, config, identity, .. } = &*realm.0;
    let own = Alive { boot: identity.boot, nonce: identity.nonce };
    let key = NodeRecord::key(identity.node);
    let held = kv.get(records::ALIVE, key.as_bytes(), Consistency::Linearizable).await?;
    if let Some(entry) = &held
        && let Ok(other) = serde_json::from_slice::<Alive>(&entry.value)
        && other != own
    {
        if other.boot >= own.boot {
            realm.fail(format!("node {} runs elsewhere, on a copy of this data folder", identity.node));
        }
        return Err(KvError::Unavailable("the lease of this node's last start is not over yet".into()));
    }
    let lease = kv.grant_lease(config.lease(), None).await?.value;
    let value = serde_json::to_vec(&own).map_err(|error| KvError::Unavailable(error.to_string()))?;
    let path = kv.path(records::ALIVE, key.as_bytes())?;
    let expect = held.map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
    let require = vec![Condition { path: path.clone(), expect }];
    let then = vec![Mutation::Put { path, value: Bytes::from(value), lease: Some(lease) }];
    match kv.batch(Txn { require, then }, None).await?.value {
        TxnOutcome::Committed => Ok(lease),
        TxnOutcome::Refused { .. } => Err(KvError::Unavailable("its key changed at the same time".into())),
    }
}

/// Renews the lease until it is lost.
async fn renew(realm: &Realm, lease: LeaseId, asked: Instant) {
    let ttl = realm.0.config.lease();
    let (mut until, beat) = (asked + ttl, ttl / RENEWALS);
    *realm.0.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
    let holds = &realm.0.holds_lease;
    holds.send_if_modified(|holds| !std::mem::replace(holds, true));
    loop {
        tokio::time::sleep(beat).await;
        let asked = Instant::now();
        let left = until.saturating_duration_since(asked);
        match tokio::time::timeout(left, realm.0.kv.keep_alive(lease)).await {
            Ok(Ok(_)) => until = asked + ttl,
            Ok(Err(KvError::NoSuchLease)) => break tracing::warn!("this node's lease was ended"),
            // Whether it is still held is not known. It counts as lost when its time is over.
            Ok(Err(error)) => tracing::debug!(%error, "the lease was not renewed"),
            Err(_) => {}
        }
        if Instant::now() >= until {
            break tracing::warn!("this node's lease is over: what it ran may run elsewhere");
        }
    }
    holds.send_replace(false);
}
