//! Learns how somebody writes, as plain Rust that knows no node.

mod chance;
mod coder;
mod contexts;
mod cursor;
mod generator;
mod history;
mod logistic;
mod maps;
mod matching;
mod mirror;
mod mixer;
mod model;
pub mod passages;
mod predictor;
mod table;
mod text;

pub use generator::Wish;
pub use mirror::{EVALUATED_BYTES_MAX, Lesson, MEASURED_BYTES_MAX, Mirror, Pair, TEMPERATURE};
pub use model::{CODE_BYTES_MAX, LoadError, Model, Size};
