//! gRPC services outside the realm, by the names that the node's operator gave them. It takes the grant `grpc`, and is there
//! while a message is handled or a tick is played.
//!
//! ```no_run
//! use matrix_sdk::grpc;
//!
//! fn forecast(request: &[u8]) -> Result<Vec<u8>, String> {
//!     match grpc::call("weather", "weather.v1.Weather/Forecast", request) {
//!         Ok(answer) => Ok(answer),
//!         Err(status) if status.code == grpc::UNAVAILABLE => Err("no forecast today".to_owned()),
//!         Err(status) => Err(status.into()),
//!     }
//! }
//! ```
//!
//! Requests and answers are encoded protobuf messages: `prost`, for one, writes and reads them.

use std::time::Duration;

pub use crate::bindings::imports::matrix::node::grpc::Status;

/// The call was given up.
pub const CANCELLED: u32 = 1;
/// Nobody knows what went wrong.
pub const UNKNOWN: u32 = 2;
/// What was asked makes no sense.
pub const INVALID_ARGUMENT: u32 = 3;
/// No answer came in time.
pub const DEADLINE_EXCEEDED: u32 = 4;
/// What was asked for is not there.
pub const NOT_FOUND: u32 = 5;
/// What was to be made is there already.
pub const ALREADY_EXISTS: u32 = 6;
/// The Soul may not do this: a grant is missing, or the operator does not let the method be called.
pub const PERMISSION_DENIED: u32 = 7;
/// A quota or a bound was reached.
pub const RESOURCE_EXHAUSTED: u32 = 8;
/// It cannot be done as things are: the node has no such endpoint, for one.
pub const FAILED_PRECONDITION: u32 = 9;
/// Somebody else was in the way.
pub const ABORTED: u32 = 10;
/// What was asked lies beyond what there is.
pub const OUT_OF_RANGE: u32 = 11;
/// The service has no such method.
pub const UNIMPLEMENTED: u32 = 12;
/// Something is broken.
pub const INTERNAL: u32 = 13;
/// The service cannot be reached: try later.
pub const UNAVAILABLE: u32 = 14;
/// What was asked for is lost.
pub const DATA_LOSS: u32 = 15;
/// The service does not know the caller.
pub const UNAUTHENTICATED: u32 = 16;

/// Calls a unary method, `package.Service/Method`, of a service, and waits for its answer as long as the node's operator and
/// the deadline of the message let it. The Soul receives nothing else meanwhile.
///
/// # Errors
/// The service's own, or the node's (`by_node`), as a gRPC status.
pub fn call(endpoint: &str, method: &str, request: &[u8]) -> Result<Vec<u8>, Status> {
    crate::bindings::imports::matrix::node::grpc::call(endpoint, method, request, 0)
}

/// As [`call`], and waits no longer than `timeout` (whole milliseconds, at least one).
///
/// # Errors
/// As [`call`].
pub fn call_within(
    timeout: Duration,
    endpoint: &str,
    method: &str,
    request: &[u8],
) -> Result<Vec<u8>, Status> {
    let timeout_ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
    crate::bindings::imports::matrix::node::grpc::call(endpoint, method, request, timeout_ms)
}

/// What went wrong, for people: so `?` makes it the failure of a message.
impl From<Status> for String {
    fn from(status: Status) -> Self {
        let who = if status.by_node { "the node" } else { "the service" };
        format!("{who} says ({}): {}", status.code, status.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_who_says_it() {
        let status = |by_node| Status { code: UNAVAILABLE, message: "away".into(), by_node };
        assert_eq!(String::from(status(true)), "the node says (14): away");
        assert_eq!(String::from(status(false)), "the service says (14): away");
    }
}
