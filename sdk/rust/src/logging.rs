//! Lines for the component's log (`wasi:logging/logging`), and a macro for each level: `trace!`,
//! `debug!`, `info!`, `warn!`, `error!`. Their lines are grouped under the module that wrote them.

pub use crate::bindings::imports::wasi::logging::logging::{Level, log};
pub use crate::{debug, error, info, trace, warn};
