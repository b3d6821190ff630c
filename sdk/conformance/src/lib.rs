//! The conformance kit of components: whether a component keeps what its world promises.
//!
//! It runs in the engine of a node, with a node's capabilities and limits ([`matrixd::bench`]), outside any realm. A check
//! is one function in [`checks`]; each looks at one promise of `wit/`, and where it is broken says what was expected, what
//! was seen, and how to mend it. Checks that need what another one found broken are left out, so that one fault is told
//! once.
//!
//! [`Kit::check`] carries all of them out. The program `matrix-check` does so for a file; `matrix check` starts it.

pub mod checks;
mod course;
pub mod junit;
mod kit;
pub mod options;
mod picture;
mod play;
pub mod report;
mod script;
mod subject;

pub use course::course;
pub use kit::{CannotCheck, Kit};
pub use options::Options;
pub use report::{Checked, Finding, Outcome, Report};
