//! Write Souls, rule engines and interceptors for Matrix OS in Rust.
//!
//! An author writes a plain type, gives it one of the traits below, and names it in one macro. What the
//! macro does not list is not exported, and what the code does not call is not imported: the node reads
//! both off the component, so a component says of itself what it is and what it needs.
//!
//! | a component that is | implements | and says |
//! |---|---|---|
//! | a Soul | [`Soul`], and where wanted [`Stateful`], [`Player`] and [`Learner`] | `soul!(Mine: stateful, player, learner)` |
//! | the rules of a Matrix | [`Rules`] and [`Stateful`] | `rules!(Mine)` |
//! | a stage of the transport | [`Interceptor`] | `interceptor!(Mine)` |
//!
//! ```
//! use matrix_sdk::prelude::*;
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Counter {
//!     count: u64,
//! }
//!
//! impl Soul for Counter {
//!     fn receive(&mut self, message: Message<'_>) -> Reply {
//!         self.count += message.text()?.trim().parse::<u64>().map_err(|error| error.to_string())?;
//!         Ok(Some(Content::text(self.count.to_string())))
//!     }
//! }
//!
//! impl Stateful for Counter {
//!     const SCHEMA: &'static str = "counter/1";
//! }
//!
//! matrix_sdk::soul!(Counter: stateful);
//! ```
//!
//! The modules [`messaging`], [`memory`], [`grpc`], `http` (with that feature), [`events`], [`logging`], [`config`], [`program`] and [`keyvalue`] are what a node lets a
//! component reach, each under its grants. They work inside a node only: on any other target their
//! functions panic, so tests of a component's logic keep clear of them.

mod learner;
mod soul;
mod stateful;

mod rules;

mod interceptor;

pub mod config;
pub mod discrete;
pub mod events;
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
pub mod keyvalue;
pub mod logging;
pub mod memory;
pub mod messaging;
pub mod program;
pub mod types;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod home;
mod macros;
mod packing;

pub use interceptor::{Interceptor, Verdict};
pub use learner::{Experience, Learner, Source};
pub use rules::{Action, Description, Event, Outcome, Prompt, Prompts, Rules, Setup};
pub use soul::{Birth, Persona, Player, Soul, Turn, Value, Values};
pub use stateful::Stateful;
pub use types::{Address, Content, Message, MessageId, Metric, OwnedMessage, Reply, Sender};

/// What nearly every component needs, for one `use`.
pub mod prelude {
    pub use crate::{
        Action, Address, Birth, Content, Description, Event, Experience, Interceptor, Learner, Message,
        Metric, Outcome, OwnedMessage, Persona, Player, Prompt, Prompts, Reply, Rules, Sender, Setup, Soul,
        Stateful, Turn, Value, Values, Verdict,
    };
    pub use serde::{Deserialize, Serialize};
}
