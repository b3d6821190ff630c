//! Talk by turns: who speaks next, what is not let stand, and what is measured, as plain Rust that knows no node. The
//! rules component wraps it, and tests call it as it is.

mod measures;
mod settings;
mod talk;
mod words;

pub use measures::Measures;
pub use settings::{CHARS_MAX, Order, SHOWN_MAX, SPEAKERS_MAX, Settings, TURNS_MAX};
pub use talk::{Heard, Talk, Utterance};
