//! Rules like `regime`, with the same state, which crash where that does not: for swaps that go wrong.

#[path = "regime.rs"]
mod regime;
