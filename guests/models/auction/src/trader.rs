//! Traders, from those who draw any price to those who learn from others' prices.

use chance::Chance;
use serde::{Deserialize, Serialize};

use crate::wire::{Observation, Side};
use crate::zip::Zip;

/// What keeps seats of one seed apart.
const SEATS_APART: u64 = 0x9E37_79B9_7F4A_7C15;

/// How a trader finds its price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Any that may be named, each as likely: zero intelligence, unconstrained.
    ZiU,
    /// Any at which it does not lose, each as likely: zero intelligence, constrained.
    ZiC,
    /// As its margin says, which it learns from what is shouted: zero intelligence plus.
    Zip,
}

/// One trader in one seat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trader {
    kind: Kind,
    chance: Chance,
    /// From the first observation on, for those who learn.
    zip: Option<Zip>,
}

impl Kind {
    /// The names of all, in the order of the variants.
    pub const NAMES: [&str; 3] = ["zi-u", "zi-c", "zip"];

    /// The kind of a name; none where it is unknown.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let place = Self::NAMES.iter().position(|known| *known == name)?;
        [Self::ZiU, Self::ZiC, Self::Zip].get(place).copied()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl Trader {
    /// A trader in a seat. Two seats of one seed draw differently.
    #[must_use]
    pub fn new(kind: Kind, seed: u64, seat: u32) -> Self {
        let own = (u64::from(seat) + 1).wrapping_mul(SEATS_APART);
        Self { kind, chance: Chance::new(seed ^ own), zip: None }
    }

    /// The price that it names; none where it has no unit left.
    pub fn decide(&mut self, seen: &Observation) -> Option<u32> {
        if self.kind == Kind::Zip {
            let chance = &mut self.chance;
            let zip = self.zip.get_or_insert_with(|| Zip::new(chance));
            for shout in &seen.shouts {
                zip.hear(seen, shout, chance);
            }
            return zip.price(seen, chance);
        }
        let limit = seen.limit?;
        let (low, high) = match (self.kind, seen.side) {
            (Kind::ZiC, Side::Buyer) => (1, limit),
            (Kind::ZiC, Side::Seller) => (limit, seen.price_max),
            _ => (1, seen.price_max),
        };
        Some(low + self.chance.below(high.saturating_add(1).saturating_sub(low)))
    }
}
