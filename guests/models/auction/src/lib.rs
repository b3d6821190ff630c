//! A continuous double auction after D. K. Gode and S. Sunder, "Allocative Efficiency of Markets with Zero-Intelligence
//! Traders", Journal of Political Economy 101 (1993), and traders for it, as plain Rust that knows no node: the rules
//! component and the Soul component wrap it, and tests call it as it is.

mod equilibrium;
mod market;
mod settings;
mod trader;
mod wire;
mod zip;

pub use equilibrium::Equilibrium;
pub use market::{Market, Period, Trade};
pub use settings::{PERIODS_MAX, PRICE_MAX, ROUNDS_MAX, Settings, TRADERS_MAX, UNITS_MAX};
pub use trader::{Kind, Trader};
pub use wire::{ACTION_TYPE, OBSERVATION_TYPE, Observation, Shout, Side, quote};
