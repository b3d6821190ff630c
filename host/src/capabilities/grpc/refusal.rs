//! Why a call is not made, or has no answer, and why a configuration is of no use.

use std::path::PathBuf;

use tonic::Code;

use crate::runtime::bindings::matrix::node::grpc::Status;
use crate::runtime::state::TooLate;

/// What the node says in place of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    pub(super) fn exhausted(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// Nothing happens to the Soul: it is being born, or its state is taken or given.
    pub(super) fn not_now() -> Self {
        Self::new(
            Code::FailedPrecondition,
            "nothing happens to the Soul: it calls services while it handles a message or plays a tick",
        )
    }

    /// The guest is only tried. `noted`: the call was written down.
    pub(super) fn rehearsed(noted: bool) -> Self {
        if noted {
            Self::new(Code::Unavailable, "this is a rehearsal, in which no service is called")
        } else {
            Self::exhausted("a rehearsal writes no more than this down")
        }
    }

    pub(super) fn late(why: TooLate) -> Self {
        Self::new(Code::DeadlineExceeded, why.to_string())
    }

    /// Such an endpoint is unknown here.
    pub(super) fn unknown(endpoint: &str) -> Self {
        let name = shown(endpoint);
        Self::new(
            Code::FailedPrecondition,
            format!(
                "this node has no gRPC endpoint `{name}`: its operator names one in `[grpc.endpoints.{name}]` of the node's \
                 configuration. Each node has its own: where only some have this one, keep the Soul on them by \
                 `placement.labels` of its manifest"
            ),
        )
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code as u32, message: refusal.message, by_node: true }
    }
}

/// A guest's word as a short and harmless one: it goes into texts that others read.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_default).collect()
}

/// Why a node cannot have its endpoints.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting of no use.
    #[error("`grpc.{setting}` {problem}")]
    Setting {
        /// Its place under `[grpc]`.
        setting: String,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// A file cannot be read.
    #[error("`grpc.{setting}`: cannot read {path}: {source}", path = path.display())]
    File {
        /// The setting that names it.
        setting: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret that others can read.
    #[error(
        "`grpc.{setting}`: {path} is a secret, and has the mode {mode:03o}: run `chmod 600` on it",
        path = path.display()
    )]
    Exposed {
        /// The setting that names it.
        setting: String,
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}
