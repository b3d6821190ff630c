//! The component's settings, from its manifest (`wasi:config/store`). A Soul has them from its
//! [`Birth`](crate::Birth) too, without asking.

pub use crate::bindings::imports::wasi::config::store::{Error, get, get_all};
