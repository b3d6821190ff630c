//! Weights by another name, with the same state: for swaps to and fro.

#[path = "weights.rs"]
mod weights;
