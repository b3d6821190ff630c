//! What each room's errors mean to a caller.

use tonic::{Code, Status};

use super::Failure;
use crate::backup::TakeError;
use crate::kv::{KvError, WatchError};
use crate::memory::MemoryError;
use crate::realm::RealmError;
use crate::runtime::catalog::ComponentError;
use crate::runtime::compile::CompileError;
use crate::runtime::components::AdmitError;
use crate::runtime::exchange::FetchError;
use crate::runtime::store::StoreError;
use crate::souls::SoulError;
use crate::souls::checkpoint::CheckpointError;
use crate::souls::manifest::ManifestError;
use crate::telemetry::pattern::PatternError;
use crate::transport::bus::BusError;
use crate::transport::envelope::SendError;

impl From<SoulError> for Status {
    fn from(error: SoulError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            SoulError::Unknown(soul) => failure(Code::NotFound, "SOUL_UNKNOWN").resource("soul", soul),
            SoulError::Exists(soul) => failure(Code::AlreadyExists, "SOUL_EXISTS").resource("soul", soul),
            SoulError::Manifest(error) => return manifest(error),
            SoulError::WrongWorld { .. } => {
                failure(Code::InvalidArgument, "COMPONENT_WRONG_WORLD").field("manifest.component")
            }
            SoulError::Start { soul, .. } => {
                failure(Code::FailedPrecondition, "SOUL_NOT_STARTED").resource("soul", soul)
            }
            SoulError::TooMany(_) => {
                failure(Code::ResourceExhausted, "SOULS_TOO_MANY").limit("souls.souls_max")
            }
            SoulError::Away(..) => failure(Code::Unavailable, "NODE_UNREACHABLE"),
            SoulError::NoNode(_) => failure(Code::FailedPrecondition, "NO_NODE").field("manifest.placement"),
            SoulError::Elsewhere(_, kind, _) => {
                let (code, reason) = elsewhere(kind);
                failure(code, reason)
            }
            SoulError::Swap(soul, _) => {
                failure(Code::FailedPrecondition, "SOUL_NOT_SWAPPED").resource("soul", soul)
            }
            SoulError::Moved(soul) => failure(Code::Aborted, "SOUL_MOVED").resource("soul", soul),
            SoulError::Stopped(soul) => {
                failure(Code::FailedPrecondition, "SOUL_STOPPED").resource("soul", soul)
            }
            SoulError::NoDeadLetter(_, id) => {
                failure(Code::NotFound, "DEAD_LETTER_UNKNOWN").resource("dead-letter", id)
            }
            SoulError::Save(soul, _) => {
                failure(Code::FailedPrecondition, "CHECKPOINT_FAILED").resource("soul", soul)
            }
            SoulError::Checkpoint(CheckpointError::TooLarge(..)) => {
                failure(Code::ResourceExhausted, "STATE_TOO_LARGE").limit("state_bytes_max")
            }
            SoulError::Checkpoint(CheckpointError::Elsewhere(_)) => failure(Code::Aborted, "SOUL_MOVED"),
            SoulError::Checkpoint(CheckpointError::Damaged(..)) => {
                failure(Code::DataLoss, "CHECKPOINT_DAMAGED")
            }
            SoulError::Memory(MemoryError::Invalid(_)) => {
                failure(Code::InvalidArgument, "EPISODE_INVALID").field("episode")
            }
            SoulError::Memory(MemoryError::Elsewhere) => failure(Code::Aborted, "SOUL_MOVED"),
            SoulError::Memory(MemoryError::Damaged(_)) => failure(Code::DataLoss, "MEMORY_DAMAGED"),
            SoulError::Component(_)
            | SoulError::Kv(_)
            | SoulError::Memory(MemoryError::Kv(_))
            | SoulError::Checkpoint(CheckpointError::Kv(_)) => {
                return within_soul(error);
            }
        }
        .status()
    }
}

/// What a reason means that another node gave.
fn elsewhere(kind: &str) -> (Code, &'static str) {
    match kind {
        "unknown" => (Code::NotFound, "SOUL_UNKNOWN"),
        "exists" => (Code::AlreadyExists, "SOUL_EXISTS"),
        "manifest" => (Code::InvalidArgument, "MANIFEST_INVALID"),
        "wrong-world" => (Code::InvalidArgument, "COMPONENT_WRONG_WORLD"),
        "component" => (Code::FailedPrecondition, "COMPONENT_UNUSABLE"),
        "swap" => (Code::FailedPrecondition, "SOUL_NOT_SWAPPED"),
        "start" => (Code::FailedPrecondition, "SOUL_NOT_STARTED"),
        "episode" => (Code::InvalidArgument, "EPISODE_INVALID"),
        "memory" => (Code::DataLoss, "MEMORY_DAMAGED"),
        "too-many" => (Code::ResourceExhausted, "SOULS_TOO_MANY"),
        "stopped" => (Code::FailedPrecondition, "SOUL_STOPPED"),
        "moved" => (Code::Aborted, "SOUL_MOVED"),
        "save" | "checkpoint" => (Code::FailedPrecondition, "CHECKPOINT_FAILED"),
        "kv" | "away" => (Code::Unavailable, "STORE_UNAVAILABLE"),
        _ => (Code::Internal, "NODE_FAILED"),
    }
}

/// What befell a room below, while it worked for a Soul.
fn within_soul(error: SoulError) -> Status {
    match error {
        SoulError::Component(error) => error.into(),
        SoulError::Kv(error)
        | SoulError::Checkpoint(CheckpointError::Kv(error))
        | SoulError::Memory(MemoryError::Kv(error)) => error.into(),
        other => super::internal(&other),
    }
}

fn manifest(error: &ManifestError) -> Status {
    let failure = Failure::new(Code::InvalidArgument, "MANIFEST_INVALID", error);
    match error {
        ManifestError::Limit(limit) => failure.field(&format!("manifest.limits.{}", limit.field)),
        ManifestError::Field { field, .. } => failure.field(&format!("manifest.{field}")),
    }
    .status()
}

impl From<SendError> for Status {
    fn from(error: SendError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            SendError::UnknownRecipient(address) => {
                failure(Code::NotFound, "RECIPIENT_UNKNOWN").resource("address", address)
            }
            SendError::Denied(_) => failure(Code::PermissionDenied, "DENIED"),
            SendError::MailboxFull => {
                failure(Code::ResourceExhausted, "MAILBOX_FULL").limit("limits.mailbox_messages")
            }
            SendError::Unreachable => failure(Code::Unavailable, "NODE_UNREACHABLE"),
            SendError::TooLarge { .. } => {
                failure(Code::InvalidArgument, "BODY_TOO_LARGE").field("content.body")
            }
            SendError::DeadlineExceeded => failure(Code::DeadlineExceeded, "NO_REPLY"),
            SendError::QuotaExceeded => {
                failure(Code::ResourceExhausted, "QUOTA_EXCEEDED").limit("limits.messages_per_second")
            }
            SendError::TooManyHops { .. } => {
                failure(Code::ResourceExhausted, "HOPS_TOO_MANY").limit("hops_max")
            }
            SendError::Failed(_) => failure(Code::FailedPrecondition, "GUEST_FAILED"),
        }
        .status()
    }
}

impl From<RealmError> for Status {
    fn from(error: RealmError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            RealmError::Unknown(node) => failure(Code::NotFound, "NODE_UNKNOWN").resource("node", node),
            RealmError::Removed(node) => {
                failure(Code::FailedPrecondition, "NODE_REMOVED").resource("node", node)
            }
            RealmError::Last(node) => failure(Code::FailedPrecondition, "NODE_LAST").resource("node", node),
            RealmError::Busy { node, .. } => {
                failure(Code::FailedPrecondition, "NODE_BUSY").resource("node", node)
            }
            RealmError::Ttl => failure(Code::InvalidArgument, "TTL_INVALID").field("ttl_seconds"),
            RealmError::NoAddress => failure(Code::Unavailable, "NO_ADDRESS"),
            RealmError::Conflict(_) => failure(Code::Aborted, "NODE_CHANGED"),
            RealmError::Kv(error) => return error.clone().into(),
            RealmError::NoChance => failure(Code::Internal, "NO_CHANCE"),
            RealmError::Refused(_) => failure(Code::PermissionDenied, "NOT_LET_IN"),
            RealmError::Unreachable(_) => failure(Code::Unavailable, "REALM_UNREACHABLE"),
        }
        .status()
    }
}

impl From<TakeError> for Status {
    fn from(error: TakeError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match error {
            TakeError::Busy => failure(Code::ResourceExhausted, "BACKUP_BUSY").status(),
            TakeError::File(..) => failure(Code::Internal, "BACKUP_FAILED").status(),
            TakeError::Stopping => failure(Code::Unavailable, "NODE_STOPPING").status(),
            TakeError::Kv(error) => error.into(),
        }
    }
}

impl From<KvError> for Status {
    fn from(error: KvError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        let wrong = |reason, field| failure(Code::InvalidArgument, reason).field(field);
        let full = |reason, limit| failure(Code::ResourceExhausted, reason).limit(limit);
        match &error {
            KvError::InvalidBucket { .. } => wrong("BUCKET_INVALID", "bucket"),
            KvError::KeyEmpty => wrong("KEY_EMPTY", "key"),
            KvError::KeyTooLarge { .. } => wrong("KEY_TOO_LARGE", "key"),
            KvError::ValueTooLarge { .. } => wrong("VALUE_TOO_LARGE", "value"),
            KvError::TxnTooLarge { .. } => failure(Code::InvalidArgument, "TRANSACTION_TOO_LARGE"),
            KvError::InvalidTtl => wrong("TTL_INVALID", "ttl_ms"),
            KvError::RequestIdReused => wrong("REQUEST_ID_REUSED", "request_id"),
            KvError::NotANumber => failure(Code::FailedPrecondition, "VALUE_NOT_A_NUMBER"),
            KvError::Overflow => failure(Code::OutOfRange, "NUMBER_OVERFLOW"),
            KvError::NoSuchLease => failure(Code::NotFound, "LEASE_UNKNOWN").field("lease"),
            KvError::TooManyLeases => full("LEASES_TOO_MANY", "leases_max"),
            KvError::Full { .. } => full("STORE_FULL", "kv.state_bytes_max"),
            KvError::DiskFull(_) => full("DISK_FULL", "kv.disk_reserve_bytes"),
            KvError::Overloaded => full("STORE_OVERLOADED", "kv.inflight_bytes_max"),
            KvError::NotLeader { .. } => failure(Code::Unavailable, "NOT_LEADER"),
            KvError::Unavailable(_) => failure(Code::Unavailable, "STORE_UNAVAILABLE"),
            KvError::Closed => failure(Code::Unavailable, "STORE_CLOSED"),
            KvError::Corrupt { .. } => failure(Code::DataLoss, "STORE_DAMAGED"),
            KvError::Locked { .. }
            | KvError::WrongNode { .. }
            | KvError::Format { .. }
            | KvError::Config { .. }
            | KvError::Io { .. } => failure(Code::Internal, "STORE_FAILED"),
        }
        .status()
    }
}

impl From<WatchError> for Status {
    fn from(error: WatchError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            WatchError::InvalidBucket => failure(Code::InvalidArgument, "BUCKET_INVALID").field("bucket"),
            WatchError::Compacted { .. } => {
                failure(Code::OutOfRange, "REVISION_COMPACTED").field("from_revision")
            }
            WatchError::Lagged { .. } => failure(Code::OutOfRange, "WATCH_LAGGED"),
        }
        .status()
    }
}

impl From<BusError> for Status {
    fn from(error: BusError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            BusError::TooManySubscribers { .. } => {
                failure(Code::ResourceExhausted, "SUBSCRIBERS_TOO_MANY").limit("bus.subscribers_max")
            }
            BusError::FilterTooLong { field, .. } => {
                failure(Code::InvalidArgument, "FILTER_INVALID").field(field)
            }
            BusError::KindTooLong(_) => failure(Code::InvalidArgument, "FILTER_INVALID").field("kinds"),
            BusError::Source(_) => failure(Code::InvalidArgument, "FILTER_INVALID").field("sources"),
            BusError::NotYet { .. } => failure(Code::OutOfRange, "SEQUENCE_AHEAD").field("from"),
        }
        .status()
    }
}

impl From<PatternError> for Status {
    fn from(error: PatternError) -> Self {
        Failure::new(Code::InvalidArgument, "FILTER_INVALID", &error).field("source").status()
    }
}

impl From<ComponentError> for Status {
    fn from(error: ComponentError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match error {
            ComponentError::UnknownName(ref name) => {
                failure(Code::NotFound, "COMPONENT_UNKNOWN").resource("component", name).status()
            }
            ComponentError::Unknown(ref digest) => {
                failure(Code::NotFound, "COMPONENT_UNKNOWN").resource("component", digest).status()
            }
            ComponentError::Reference(_) => {
                failure(Code::InvalidArgument, "REFERENCE_INVALID").field("reference").status()
            }
            ComponentError::Fetch(FetchError::Store(error)) => error.into(),
            ComponentError::Fetch(_) => failure(Code::Unavailable, "COMPONENT_UNREACHABLE").status(),
            ComponentError::Link(_) | ComponentError::Start(_) => {
                failure(Code::InvalidArgument, "COMPONENT_REFUSED").status()
            }
            ComponentError::Signature(_) => failure(Code::FailedPrecondition, "SIGNATURE_REFUSED").status(),
            ComponentError::Admit(error) => error.into(),
            ComponentError::Kv(error) => error.into(),
        }
    }
}

impl From<AdmitError> for Status {
    fn from(error: AdmitError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match error {
            AdmitError::Store(error) => error.into(),
            AdmitError::Refused(_) => failure(Code::InvalidArgument, "COMPONENT_REFUSED").status(),
            AdmitError::Compile(ref compile) => match compile {
                CompileError::Busy(_) => failure(Code::ResourceExhausted, "COMPILER_BUSY")
                    .limit("components.compiler.waiting_max")
                    .status(),
                CompileError::Start { .. } | CompileError::Files(_) => {
                    failure(Code::Internal, "COMPILER_FAILED").status()
                }
                _ => failure(Code::InvalidArgument, "COMPONENT_REFUSED").status(),
            },
            AdmitError::NoRoom { .. } => failure(Code::ResourceExhausted, "CODE_MEMORY_FULL")
                .limit("components.code_bytes_max")
                .status(),
            AdmitError::Cache(_) => failure(Code::Internal, "COMPONENT_CACHE_FAILED").status(),
        }
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        let failure = |code, reason| Failure::new(code, reason, &error);
        match &error {
            StoreError::Unknown(digest) => {
                failure(Code::NotFound, "COMPONENT_UNKNOWN").resource("component", digest)
            }
            StoreError::TooLarge(_) => {
                failure(Code::InvalidArgument, "COMPONENT_TOO_LARGE").field("header.size")
            }
            StoreError::Longer(_) | StoreError::Shorter { .. } => {
                failure(Code::InvalidArgument, "SIZE_MISMATCH").field("header.size")
            }
            StoreError::Different { .. } => {
                failure(Code::InvalidArgument, "DIGEST_MISMATCH").field("header.digest")
            }
            StoreError::Full(_) => {
                failure(Code::ResourceExhausted, "STORE_FULL").limit("components.total_bytes_max")
            }
            StoreError::TooMany(_) => {
                failure(Code::ResourceExhausted, "COMPONENTS_TOO_MANY").limit("components.components_max")
            }
            StoreError::Busy(_) => {
                failure(Code::ResourceExhausted, "UPLOADS_BUSY").limit("components.uploads_max")
            }
            StoreError::Broken => failure(Code::Aborted, "UPLOAD_BROKEN"),
            StoreError::Damaged { .. } => failure(Code::DataLoss, "COMPONENT_DAMAGED"),
            StoreError::File { .. } => failure(Code::Internal, "STORE_FAILED"),
        }
        .status()
    }
}
