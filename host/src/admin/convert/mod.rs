//! Between the node's own words and those of the interface: the only place where an error becomes a
//! `Status`, and where a view becomes a message.
//!
//! An error's code says what kind it is, its `ErrorInfo` the reason (a word for programs), and further
//! details the field or the limit that it is about.

mod access;
mod errors;
mod interceptors;
mod learning;
mod matrices;
mod memory;
mod observing;
mod portable;
mod shared;
mod souls;
mod swaps;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::ids::IdError;
use crate::runtime::catalog::ComponentError;
use crate::telemetry::logs::sanitize;

pub(super) use access::{
    audit_failed, book_unknown, certificate, expired, role, token, too_weak, unauthenticated, unknown_method,
};
pub(super) use interceptors::{chain, chain_history, chain_trial};
pub(super) use learning::{compared, experience, opinion, progress, taught, training, training_to};
pub(super) use matrices::{matrix, matrix_manifest, rehearsal, replayed, required_matrix};
pub(super) use memory::{episode, impression, recalled, remembered, span};
pub(super) use observing::{figures, limit};
pub(super) use shared::{
    address, address_to, change, component, content, content_to, entry, event, kind, level, line, signature,
    swap_expectation,
};
pub(super) use souls::{dead_letter, persona, required, saved, soul, soul_manifest};
pub(super) use swaps::{history, swapped, trial};

/// The domain of every `ErrorInfo`.
const DOMAIN: &str = "matrix.v1";
/// The most bytes of an error's text. It travels twice in the headers of an answer, of which stock
/// clients take 8 KiB in all.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// An error on its way out.
struct Failure {
    code: Code,
    message: String,
    details: ErrorDetails,
}

impl Failure {
    /// What went wrong: for programs, and for people. The message may quote a guest, and is clamped.
    fn new(code: Code, reason: &str, message: &dyn Display) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(reason, DOMAIN, []);
        Self { code, message: clamp(&message.to_string()), details }
    }

    /// What programs may want to know of the reason.
    fn tell<const N: usize>(&mut self, metadata: [(String, String); N]) {
        let reason = self.details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
        self.details.set_error_info(reason, DOMAIN, metadata);
    }

    /// The field that is wrong.
    fn field(mut self, field: &str) -> Self {
        self.details.add_bad_request_violation(field, self.message.clone());
        self
    }

    /// The limit that was reached.
    fn limit(mut self, limit: &str) -> Self {
        self.details.add_quota_failure_violation(limit, self.message.clone());
        self
    }

    /// The thing that it is about.
    fn resource(mut self, kind: &str, name: &dyn Display) -> Self {
        self.details.set_resource_info(kind, name.to_string(), "", "");
        self
    }

    fn status(self) -> Status {
        Status::with_error_details(self.code, self.message, self.details)
    }
}

/// One harmless line of at most [`MESSAGE_BYTES_MAX`] bytes.
fn clamp(text: &str) -> String {
    let mut line = sanitize(text).into_owned();
    line.truncate(line.floor_char_boundary(MESSAGE_BYTES_MAX));
    line
}

/// A field of the request is wrong; `problem` says how, without its name.
pub(super) fn bad_field(field: &str, problem: &str) -> Status {
    Failure::new(Code::InvalidArgument, "FIELD_INVALID", &format!("`{field}` {problem}"))
        .field(field)
        .status()
}

/// A field of the request is no identifier of its kind.
pub(super) fn bad_id(field: &str, error: &IdError) -> Status {
    Failure::new(Code::InvalidArgument, "FIELD_INVALID", error).field(field).status()
}

/// The component that `field` names cannot be had.
pub(super) fn component_at(field: &str, error: ComponentError) -> Status {
    match error {
        ComponentError::Reference(error) => bad_id(field, &error),
        error => error.into(),
    }
}

/// A field of the request is missing.
pub(super) fn missing(field: &str) -> Status {
    bad_field(field, "is missing: set it")
}

/// The operator may read, but not write, what is the node's own.
pub(super) fn own_bucket(bucket: &str) -> Status {
    let message = format!("bucket `{}` is the node's own: write to buckets outside of `sys/`", clamp(bucket));
    Failure::new(Code::PermissionDenied, "BUCKET_RESERVED", &message).field("bucket").status()
}

/// The door has as much under way as it takes on. `limit` is a setting of the node.
pub(super) fn busy(limit: &str, max: usize) -> Status {
    let message = format!("{max} are under way already (`{limit}`): try again later");
    Failure::new(Code::ResourceExhausted, "NODE_BUSY", &message).limit(limit).status()
}

/// What is used cannot be deleted.
pub(super) fn in_use(digest: &dyn Display, souls: usize, matrices: usize) -> Status {
    let message = format!("{digest} is used by {souls} Souls and {matrices} Matrices: delete these first");
    Failure::new(Code::FailedPrecondition, "COMPONENT_IN_USE", &message)
        .resource("component", digest)
        .status()
}

/// What judges messages cannot be deleted.
pub(super) fn in_chain(digest: &dyn Display) -> Status {
    let message = format!("{digest} is one of the realm's interceptors: set a chain without it first");
    Failure::new(Code::FailedPrecondition, "COMPONENT_IN_USE", &message)
        .resource("component", digest)
        .status()
}

/// A client let the node wait for too long.
pub(super) fn too_slow(what: &str) -> Status {
    Failure::new(Code::DeadlineExceeded, "CLIENT_TOO_SLOW", &format!("{what}: send it again, without pauses"))
        .status()
}

/// A call did not begin to answer in the time that it had.
pub(super) fn too_late(within: Duration) -> Status {
    let message = format!(
        "no answer within {within:?}, the call's deadline or `admin.call_seconds_max`: what it was to change may \
         be done all the same"
    );
    Failure::new(Code::DeadlineExceeded, "CALL_TOO_LATE", &message).status()
}

/// The node is about to end.
pub(super) fn stopping() -> Status {
    Failure::new(Code::Unavailable, "NODE_STOPPING", &"the node is stopping: try again when it is back")
        .status()
}

/// What was asked for is on a node that cannot be reached.
pub(super) fn away(why: &dyn Display) -> Status {
    Failure::new(Code::Unavailable, "NODE_UNREACHABLE", why).status()
}

/// Something that should not happen did.
pub(super) fn internal(error: &dyn Display) -> Status {
    Failure::new(Code::Internal, "INTERNAL", error).status()
}
