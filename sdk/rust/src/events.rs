//! The node's event bus (`matrix:node/events`).

pub use crate::bindings::imports::matrix::node::events::emit;
