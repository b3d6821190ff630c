//! The iterated prisoner's dilemma, as plain Rust that knows no node: the rules component and the Soul
//! component wrap it, and tests and benchmarks call it as it is.

pub mod game;

pub mod wire;

pub mod past;
pub mod strategies;
pub mod strategist;

pub mod tournament;
