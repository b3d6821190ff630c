//! What makes a type a stage of the transport.

pub use crate::bindings::interceptor::exports::matrix::node::interceptor::Verdict;
use crate::types::OwnedMessage;

/// A stage that messages pass on their way into or out of a node. A stage sees every message: it is
/// to be quick. One instance is made, by `Default`, when the first message comes.
pub trait Interceptor: 'static {
    /// Judges a message that leaves the node. By default it passes.
    fn outbound(&mut self, message: OwnedMessage) -> Verdict {
        drop(message);
        Verdict::Pass
    }

    /// Judges a message that comes from another node. By default it passes.
    fn inbound(&mut self, message: OwnedMessage) -> Verdict {
        drop(message);
        Verdict::Pass
    }
}
