//! Who wants to buy and sell what, and for how long.

use serde::{Deserialize, Serialize};

/// The most traders.
pub const TRADERS_MAX: usize = 200;
/// The most units of a trader.
pub const UNITS_MAX: usize = 50;
/// The highest price that may be allowed.
pub const PRICE_MAX: u32 = 1_000_000;
/// The most periods.
pub const PERIODS_MAX: u32 = 1000;
/// The most rounds of a period.
pub const ROUNDS_MAX: u32 = 100_000;

/// How a market is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// For each buyer, what its units are worth to it, in the order in which it may buy them.
    pub values: Vec<Vec<u32>>,
    /// For each seller, what its units cost it, in the order in which it may sell them.
    pub costs: Vec<Vec<u32>>,
    /// The highest price that may be named; the lowest is 1.
    pub price_max: u32,
    /// How often all begins anew with all units, from 1 to [`PERIODS_MAX`].
    pub periods: u32,
    /// After how many rounds a period ends, from 1 to [`ROUNDS_MAX`].
    pub rounds: u32,
    /// Whether the market refuses a price at which its trader would lose.
    pub no_loss: bool,
}

/// The first market of Gode and Sunder: six buyers and six sellers with six units each, of which four are worth trading.
impl Default for Settings {
    fn default() -> Self {
        Self {
            values: vec![vec![102, 97, 92, 87, 82, 77]; 6],
            costs: vec![vec![34, 46, 58, 70, 82, 94]; 6],
            price_max: 200,
            periods: 6,
            rounds: 200,
            no_loss: false,
        }
    }
}

impl Settings {
    /// Whether a market can be made of them.
    ///
    /// # Errors
    /// Names what is wrong, and its bounds.
    pub fn check(&self) -> Result<(), String> {
        let numbers = [
            ("price_max", self.price_max, PRICE_MAX),
            ("periods", self.periods, PERIODS_MAX),
            ("rounds", self.rounds, ROUNDS_MAX),
        ];
        for (name, number, max) in numbers {
            if !(1..=max).contains(&number) {
                return Err(format!("`{name}` is {number}: it must be from 1 to {max}"));
            }
        }
        for (name, lists) in [("values", &self.values), ("costs", &self.costs)] {
            let units = lists.iter().all(|units| (1..=UNITS_MAX).contains(&units.len()));
            if lists.is_empty() || !units || self.traders() > TRADERS_MAX {
                return Err(format!(
                    "`{name}` must have a list of 1 to {UNITS_MAX} numbers for each trader, of whom there are at \
                     most {TRADERS_MAX}"
                ));
            }
            if lists.iter().flatten().any(|limit| !(1..=self.price_max).contains(limit)) {
                return Err(format!("`{name}` must be numbers from 1 to `price_max`, {}", self.price_max));
            }
        }
        Ok(())
    }

    /// How many traders there are: the buyers first, then the sellers.
    #[must_use]
    pub fn traders(&self) -> usize {
        self.values.len() + self.costs.len()
    }

    /// What a trader's units are worth to it, or cost it.
    pub(crate) fn limits(&self, trader: usize) -> &[u32] {
        match trader.checked_sub(self.values.len()) {
            None => &self.values[trader],
            Some(seller) => &self.costs[seller],
        }
    }
}
