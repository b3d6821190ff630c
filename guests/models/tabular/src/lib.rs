//! Learning from rewards alone, by a table, as plain Rust that knows no node: the Soul's component wraps it, and tests
//! call it as it is. The same seed and the same observations and rewards give the same table, bit for bit: nothing is
//! computed but sums, products and quotients.

mod learner;
mod settings;

pub use learner::{Learner, SEATS_MAX, Seen};
pub use settings::{Epsilon, MEMORY_MAX, Method, STATES_MAX, Settings};
