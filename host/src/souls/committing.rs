//! Writes of which a Soul has to know whether they were made, because what it does next depends on it.

use std::time::Duration;

use super::checkpoint::CheckpointError;
use super::host::Host;
use crate::capabilities::messaging::Waits;
use crate::ids::SoulName;
use crate::kv::{Kv, KvError, RequestId, Txn, TxnOutcome};

/// How long after a failure the KV is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Why a write was not made, as far as is known.
#[derive(Debug)]
pub(super) enum Uncommitted {
    /// What it requires is not so: nothing was written.
    Refused,
    /// The KV does not take it: nothing was written.
    Never(KvError),
    /// The Soul is to end, and whether it was written is not known.
    Open(KvError),
}

/// What is done while the KV has no room for a write, or too much to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// It is tried until there is room.
    Wait,
    /// It is not made.
    GiveUp,
}

/// How what comes before a commit is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum By<'a> {
    /// Once.
    Once(&'a Kv),
    /// Until it is known whether the KV has it, as by [`commit`].
    Until(&'a Host, &'a Waits, NoRoom),
}

impl<'a> By<'a> {
    /// Where it is written.
    pub(super) const fn kv(self) -> &'a Kv {
        match self {
            Self::Once(kv) => kv,
            Self::Until(host, ..) => &host.kv,
        }
    }

    /// Writes it. Returns the revision.
    ///
    /// # Errors
    /// `Elsewhere`: what it requires is not so. `Kv`.
    pub(super) async fn commit(self, soul: &SoulName, txn: Txn) -> Result<u64, CheckpointError> {
        let elsewhere = || CheckpointError::Elsewhere(soul.clone());
        match self {
            Self::Once(kv) => {
                let written = kv.batch(txn, None).await?;
                if written.value == TxnOutcome::Committed { Ok(written.revision) } else { Err(elsewhere()) }
            }
            Self::Until(host, waits, no_room) => {
                let written = commit(host, soul, txn, waits, no_room).await;
                written.map_err(|error| match error {
                    Uncommitted::Refused => elsewhere(),
                    Uncommitted::Never(error) | Uncommitted::Open(error) => error.into(),
                })
            }
        }
    }
}

/// Writes until it is known whether the KV has it, under one request id; leaves that open only when the Soul is to end.
/// Returns the revision.
pub(super) async fn commit(
    host: &Host,
    soul: &SoulName,
    txn: Txn,
    waits: &Waits,
    no_room: NoRoom,
) -> Result<u64, Uncommitted> {
    let request = RequestId(host.router.next_id().0.to_be_bytes());
    let (mut open, mut warned) = (false, false);
    loop {
        let error = match host.kv.batch(txn.clone(), Some(request)).await {
            Ok(reply) => {
                return match reply.value {
                    TxnOutcome::Committed => Ok(reply.revision),
                    TxnOutcome::Refused { .. } => Err(Uncommitted::Refused),
                };
            }
            Err(error @ (KvError::ValueTooLarge { .. } | KvError::TxnTooLarge { .. })) => {
                return Err(Uncommitted::Never(error));
            }
            Err(error) => error,
        };
        let nothing_done = matches!(error, KvError::Full { .. } | KvError::DiskFull(_) | KvError::Overloaded);
        if nothing_done && !open && no_room == NoRoom::GiveUp {
            return Err(Uncommitted::Never(error));
        }
        if waits.are_over() || matches!(error, KvError::Closed) {
            return Err(Uncommitted::Open(error));
        }
        open |= !nothing_done;
        if !std::mem::replace(&mut warned, true) {
            tracing::warn!(%soul, %error, "a write of a Soul waits to be made");
        }
        tokio::time::sleep(RETRY).await;
    }
}
