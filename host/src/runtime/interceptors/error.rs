//! Why something could not be done with interceptors.

use super::{SETTINGS_BYTES_MAX, SETTINGS_MAX};
use crate::kv::KvError;
use crate::runtime::catalog::ComponentError;
use crate::runtime::chain::STAGES_MAX;
use crate::runtime::guest::Crash;

/// Why a chain was not set, or an interceptor not swapped.
#[derive(Debug, thiserror::Error)]
pub enum InterceptorError {
    /// It is too long.
    #[error("a chain has at most {STAGES_MAX} interceptors, not {0}: leave some out, or make one of several")]
    TooMany(usize),
    /// The settings of a stage are too much.
    #[error(
        "the settings of `{0}` are too many or too long: at most {SETTINGS_MAX}, of {SETTINGS_BYTES_MAX} bytes together"
    )]
    Settings(String),
    /// A component is of another world.
    #[error("`{component}` is {found}, and no interceptor: build it for the world `transport`")]
    WrongWorld {
        /// As it was asked for.
        component: String,
        /// What it is instead.
        found: &'static str,
    },
    /// A component imports something that waits.
    #[error(
        "`{0}` imports the KV, for which a call may wait: every message waits for its interceptors, so leave it out"
    )]
    Waits(String),
    /// A component does not come to life.
    #[error("the interceptor `{component}` {crash}")]
    Start {
        /// As it was asked for.
        component: String,
        /// Why.
        crash: Crash,
    },
    /// No interceptor of the chain is called so.
    #[error(
        "no interceptor of the chain is called `{0}`: `matrix interceptors list` shows their names and places"
    )]
    Unknown(String),
    /// Several are.
    #[error("`{0}` stands at the places {1:?}: say which one by its number")]
    Several(String, Vec<usize>),
    /// Nothing was swapped before.
    #[error("`{0}` was never swapped: there is no earlier code to go back to")]
    NoEarlier(String),
    /// New code did not take over: the code before judges on.
    #[error("the code of the interceptor `{name}` stays as it was: {why}")]
    NotSwapped {
        /// Its name in the chain.
        name: String,
        /// Why.
        why: String,
    },
    /// Somebody else changed the chain.
    #[error("the chain was changed by somebody else meanwhile: look at it, and ask again")]
    Changed,
    /// A component cannot be had.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// What is kept of the chain is none.
    #[error("the record of the chain cannot be read: {0}; set it anew")]
    Damaged(String),
    /// The KV failed.
    #[error(transparent)]
    Kv(#[from] KvError),
}
