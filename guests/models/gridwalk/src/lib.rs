//! Walks over a grid whose best value is known, as plain Rust that knows no node: the rules component wraps it, and
//! tests call it as it is. `Settings::default` is the frozen lake of Gymnasium, four by four; a map with a cliff is
//! the cliff walk of Sutton and Barto.

mod grid;
mod settings;
mod solve;
mod world;

pub use grid::{Action, Cell, Grid, Step};
pub use settings::{CELLS_MAX, EPISODES_MAX, Rewards, STEPS_MAX, Settings};
pub use world::{End, RECENT, Taken, Walker, World};
