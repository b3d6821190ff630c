//! What makes a type a stage of the transport.

pub use crate::bindings::interceptor::exports::matrix::node::interceptor::Verdict;
use crate::types::OwnedMessage;

/// A stage that messages pass, each where it leaves its sender and where it arrives. A stage sees every message: it is
/// to be quick. Each node makes instances, by `Default`, as many as it needs at once: what one of them remembers, others
/// do not know, and a failure ends it.
pub trait Interceptor: 'static {
    /// Judges a message that leaves its sender. By default it passes.
    fn outbound(&mut self, message: OwnedMessage) -> Verdict {
        drop(message);
        Verdict::Pass
    }

    /// Judges a message that arrives where its recipient lives. By default it passes.
    fn inbound(&mut self, message: OwnedMessage) -> Verdict {
        drop(message);
        Verdict::Pass
    }
}
