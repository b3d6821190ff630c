//! Zero intelligence plus, after D. Cliff, "Minimal-Intelligence Agents for Bargaining Behaviors in Market-Based
//! Environments", HP Laboratories (1997): a margin that goes up where others show that more can be had, and down where
//! they show that too much was asked, by the rule of Widrow and Hoff with a momentum.
//!
//! Cliff's traders have one unit each; here each unit of a trader has a margin of its own, or what is learnt of a unit
//! that nobody wants would be forgotten of one that everybody does.

use std::collections::BTreeMap;

use chance::Chance;
use serde::{Deserialize, Serialize};

use crate::settings::UNITS_MAX;
use crate::wire::{Observation, Shout, Side};

/// By how much a target lies beyond the price that was heard, at most: this share of it,
const BEYOND_HEARD: f64 = 0.05;
/// and this share of the highest price that may be named.
const BEYOND_MAX: f64 = 0.0125;

/// What a trader has learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Zip {
    /// How far a price moves towards its target.
    rate: f64,
    /// How much of a move is the one before.
    momentum: f64,
    /// By what a unit is worth, or costs.
    units: BTreeMap<u32, Unit>,
}

/// What was learnt of one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit {
    /// By which its price differs from its limit: up for sellers, down for buyers; never below 0.
    margin: f64,
    /// How far its price moved last.
    moved: f64,
}

impl Zip {
    pub(crate) fn new(chance: &mut Chance) -> Self {
        let (rate, momentum) = (between(chance, 0.1, 0.5), between(chance, 0.0, 0.1));
        Self { rate, momentum, units: BTreeMap::new() }
    }

    /// Learns from what somebody shouted, itself perhaps.
    pub(crate) fn hear(&mut self, seen: &Observation, shout: &Shout, chance: &mut Chance) {
        let (rate, momentum) = (self.rate, self.momentum);
        for (limit, unit) in &mut self.units {
            let own = unit.whole(*limit, seen);
            // By how much the price that was heard is a better one than its own.
            let better = match seen.side {
                Side::Buyer => i64::from(own) - i64::from(shout.price),
                Side::Seller => i64::from(shout.price) - i64::from(own),
            };
            let more = shout.traded && better >= 0;
            // Only what is for sale, or wanted, now comes down: where the other side agreed to what it would not have
            // given, or where one of its own side is still refused with a price no worse than its own.
            let mine = shout.side == seen.side;
            let less = !more && seen.limit == Some(*limit) && better <= 0 && shout.traded != mine;
            if !more && !less {
                continue;
            }
            // Sellers aim above what they heard to get more, buyers below it; and the other way round to get less.
            let way = if more == (seen.side == Side::Seller) { 1.0 } else { -1.0 };
            let heard = f64::from(shout.price);
            let beyond =
                BEYOND_HEARD * chance.unit() * heard + BEYOND_MAX * chance.unit() * f64::from(seen.price_max);
            let own = unit.exact(*limit, seen.side);
            unit.moved = momentum * unit.moved + (1.0 - momentum) * rate * (heard + way * beyond - own);
            let margin = (own + unit.moved) / f64::from(*limit) - 1.0;
            unit.margin = match seen.side {
                Side::Buyer => (-margin).clamp(0.0, 1.0),
                Side::Seller => margin.max(0.0),
            };
        }
    }

    /// The price that it names for its next unit.
    pub(crate) fn price(&mut self, seen: &Observation, chance: &mut Chance) -> Option<u32> {
        let limit = seen.limit.filter(|limit| *limit > 0)?;
        if !self.units.contains_key(&limit) {
            // More than any market has: what was learnt first is learnt anew.
            if self.units.len() >= UNITS_MAX {
                self.units.pop_first();
            }
            self.units.insert(limit, Unit { margin: between(chance, 0.05, 0.35), moved: 0.0 });
        }
        Some(self.units[&limit].whole(limit, seen))
    }
}

impl Unit {
    /// The price, rounded away from a loss.
    fn whole(&self, limit: u32, seen: &Observation) -> u32 {
        let exact = self.exact(limit, seen.side);
        let whole = match seen.side {
            Side::Buyer => exact.floor().clamp(1.0, f64::from(limit.max(1))),
            Side::Seller => exact.ceil().clamp(f64::from(limit), f64::from(seen.price_max.max(limit))),
        };
        whole as u32
    }

    fn exact(&self, limit: u32, side: Side) -> f64 {
        let limit = f64::from(limit);
        match side {
            Side::Buyer => limit * (1.0 - self.margin),
            Side::Seller => limit * (1.0 + self.margin),
        }
    }
}

/// A number between two, each as likely.
fn between(chance: &mut Chance, low: f64, high: f64) -> f64 {
    low + (high - low) * chance.unit()
}
