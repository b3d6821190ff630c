//! A butterfly by another name, with the same state: for swaps to and fro.

#[path = "butterfly.rs"]
mod butterfly;
