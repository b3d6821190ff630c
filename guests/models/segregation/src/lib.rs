//! Schelling's model of segregation, as plain Rust that knows no node: the rules component wraps it,
//! and tests and benchmarks call it as it is.

mod grid;
mod model;
mod packed;

pub use model::{KINDS_MAX, Model, SIDE_MAX, SIDE_MIN, Settings};
