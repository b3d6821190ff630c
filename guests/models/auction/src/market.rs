//! The auction.
//!
//! In each round every trader that has a unit left may name a price; prices come in an order that is drawn anew. One
//! that crosses the best of the other side trades a unit, at the price that stood there first, and then nothing stands
//! any more; another stands where it is better than what stood. All hear it, whether it stands or not.

use chance::Chance;
use serde::{Deserialize, Serialize};

use crate::equilibrium::Equilibrium;
use crate::settings::{Settings, UNITS_MAX};
use crate::wire::{Observation, Shout, Side};

/// A price that stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Standing {
    trader: u32,
    price: u32,
}

/// A unit that changed hands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trade {
    /// For how much.
    pub price: u32,
    /// What it is worth to its buyer more than it cost its seller; negative where it should have stayed.
    pub surplus: i64,
}

/// What became of a period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Period {
    /// How many units were traded.
    pub volume: u32,
    /// What was gained by trading, as a share of all that could be; below 0 where more was lost.
    pub efficiency: f64,
    /// Smith's alpha: the root mean square of how far prices were from that of the equilibrium, in percent of it; 0
    /// without trades.
    pub alpha: f64,
    /// The mean price; 0 without trades.
    pub price: f64,
}

/// One trader as the market knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    /// How many of its units it has traded in this period.
    traded: u32,
    /// What it gained in the last round.
    gained: i64,
    /// What it gained in all.
    profit: i64,
}

/// A market as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub struct Market {
    saved: Saved,
    equilibrium: Equilibrium,
}

/// All of it but what can be reckoned again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Saved {
    settings: Settings,
    chance: Chance,
    accounts: Vec<Account>,
    /// Of this period.
    round: u32,
    bid: Option<Standing>,
    ask: Option<Standing>,
    /// Of the last round.
    shouts: Vec<Shout>,
    /// Of this period.
    trades: Vec<Trade>,
    /// Those that are over.
    periods: Vec<Period>,
}

impl Market {
    /// A market before its first round.
    ///
    /// # Errors
    /// Where the settings are wrong.
    pub fn new(settings: Settings, seed: u64) -> Result<Self, String> {
        settings.check()?;
        let accounts = vec![Account::default(); settings.traders()];
        let chance = Chance::new(seed);
        let (bid, ask, shouts, trades, periods) = (None, None, Vec::new(), Vec::new(), Vec::new());
        Self::try_from(Saved { settings, chance, accounts, round: 0, bid, ask, shouts, trades, periods })
    }

    /// What it was made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.saved.settings
    }

    /// What theory says of it.
    #[must_use]
    pub fn equilibrium(&self) -> Equilibrium {
        self.equilibrium
    }

    /// Whether all periods are over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.saved.periods.len() >= self.saved.settings.periods as usize
    }

    /// The periods that are over.
    #[must_use]
    pub fn periods(&self) -> &[Period] {
        &self.saved.periods
    }

    /// The trades of this period, in order.
    #[must_use]
    pub fn trades(&self) -> &[Trade] {
        &self.saved.trades
    }

    /// What a trader gained in the last round.
    #[must_use]
    pub fn gained(&self, trader: usize) -> i64 {
        self.saved.accounts[trader].gained
    }

    /// What a trader gained in all.
    #[must_use]
    pub fn profit(&self, trader: usize) -> i64 {
        self.saved.accounts[trader].profit
    }

    /// What a trader is shown now.
    #[must_use]
    pub fn observation(&self, trader: usize) -> Observation {
        let Saved { settings, bid, ask, shouts, .. } = &self.saved;
        Observation {
            side: self.side(trader),
            limit: self.limit(trader),
            price_max: settings.price_max,
            bid: bid.map(|bid| bid.price),
            ask: ask.map(|ask| ask.price),
            shouts: shouts.clone(),
        }
    }

    /// How this period has gone so far.
    #[must_use]
    pub fn so_far(&self) -> Period {
        let trades = &self.saved.trades;
        let count = trades.len().max(1) as f64;
        let Equilibrium { price, surplus, .. } = self.equilibrium;
        let gained: i64 = trades.iter().map(|trade| trade.surplus).sum();
        let away = trades.iter().map(|trade| f64::from(trade.price) - price);
        let root = (away.map(|away| away * away).sum::<f64>() / count).sqrt();
        Period {
            volume: trades.len() as u32,
            efficiency: if surplus > 0 { gained as f64 / surplus as f64 } else { 0.0 },
            alpha: if price > 0.0 { 100.0 * root / price } else { 0.0 },
            price: trades.iter().map(|trade| f64::from(trade.price)).sum::<f64>() / count,
        }
    }

    /// One round of a market that is not over: what each trader names, in the order of their numbers. Says whether a
    /// period ended with it.
    pub fn round(&mut self, quotes: &[Option<u32>]) -> bool {
        self.saved.shouts.clear();
        for account in &mut self.saved.accounts {
            account.gained = 0;
        }
        let mut order: Vec<usize> = (0..self.saved.accounts.len()).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, self.saved.chance.below(place as u32 + 1) as usize);
        }
        let traded: Vec<u32> = self.saved.accounts.iter().map(|account| account.traded).collect();
        for trader in order {
            // Whose price from before was taken in this round has named its price for a unit that is gone.
            let same = self.saved.accounts[trader].traded == traded[trader];
            if let Some(price) = quotes.get(trader).copied().flatten().filter(|_| same) {
                self.quote(trader, price);
            }
        }
        self.saved.round += 1;
        let ends = self.saved.round >= self.saved.settings.rounds || !self.both_sides_have_units();
        if ends {
            self.saved.periods.push(self.so_far());
            self.saved.round = 0;
            if !self.is_over() {
                self.saved.trades.clear();
                (self.saved.bid, self.saved.ask) = (None, None);
                self.saved.accounts.iter_mut().for_each(|account| account.traded = 0);
            }
        }
        ends
    }

    /// A trader names a price.
    fn quote(&mut self, trader: usize, price: u32) {
        let Some(limit) = self.limit(trader) else { return };
        let side = self.side(trader);
        let loses = match side {
            Side::Buyer => price > limit,
            Side::Seller => price < limit,
        };
        if !(1..=self.saved.settings.price_max).contains(&price) || (loses && self.saved.settings.no_loss) {
            return;
        }
        let own = Standing { trader: trader as u32, price };
        let Saved { bid, ask, shouts, .. } = &mut self.saved;
        let crossed = match side {
            Side::Buyer => ask.filter(|ask| price >= ask.price),
            Side::Seller => bid.filter(|bid| price <= bid.price),
        };
        match (crossed, side) {
            (Some(ask), Side::Buyer) => self.trade(own, ask, ask.price, Side::Seller),
            (Some(bid), Side::Seller) => self.trade(bid, own, bid.price, Side::Buyer),
            (None, _) => {
                let best = if side == Side::Buyer { bid } else { ask };
                let better = best.is_none_or(|best| match side {
                    Side::Buyer => price > best.price,
                    Side::Seller => price < best.price,
                });
                if better {
                    *best = Some(own);
                }
                shouts.push(Shout { side, price, traded: false });
            }
        }
    }

    /// A unit changes hands, and nothing stands any more.
    fn trade(&mut self, buyer: Standing, seller: Standing, price: u32, side: Side) {
        let limit = |trader: u32| i64::from(self.limit(trader as usize).unwrap_or_default());
        let (value, cost) = (limit(buyer.trader), limit(seller.trader));
        for (trader, gained) in
            [(buyer.trader, value - i64::from(price)), (seller.trader, i64::from(price) - cost)]
        {
            let account = &mut self.saved.accounts[trader as usize];
            account.traded += 1;
            account.gained += gained;
            account.profit += gained;
        }
        self.saved.trades.push(Trade { price, surplus: value - cost });
        self.saved.shouts.push(Shout { side, price, traded: true });
        (self.saved.bid, self.saved.ask) = (None, None);
    }

    fn side(&self, trader: usize) -> Side {
        if trader < self.saved.settings.values.len() { Side::Buyer } else { Side::Seller }
    }

    /// What a trader's next unit is worth to it, or costs it.
    fn limit(&self, trader: usize) -> Option<u32> {
        let traded = self.saved.accounts[trader].traded as usize;
        self.saved.settings.limits(trader).get(traded).copied().filter(|_| !self.is_over())
    }

    fn both_sides_have_units(&self) -> bool {
        let (buyers, all) = (self.saved.settings.values.len(), self.saved.accounts.len());
        [0..buyers, buyers..all].into_iter().all(|mut side| side.any(|trader| self.limit(trader).is_some()))
    }
}

/// What was saved may have been damaged since: numbers that point beyond what there is are refused.
impl TryFrom<Saved> for Market {
    type Error = String;

    fn try_from(saved: Saved) -> Result<Self, String> {
        saved.settings.check()?;
        let traders = saved.settings.traders();
        let standing = [saved.bid, saved.ask].into_iter().flatten();
        let known = standing.clone().all(|standing| (standing.trader as usize) < traders);
        let rounds = saved.round < saved.settings.rounds;
        let gains = saved.accounts.iter().map(|account| account.profit);
        let sums = gains
            .chain(saved.trades.iter().map(|trade| trade.surplus))
            .all(|gain| gain.unsigned_abs() < 1 << 48);
        let few = saved.trades.len() <= traders * UNITS_MAX;
        if saved.accounts.len() != traders || !known || !rounds || !sums || !few {
            return Err("a saved market has other traders than its settings".to_owned());
        }
        let equilibrium = Equilibrium::of(&saved.settings);
        Ok(Self { saved, equilibrium })
    }
}

impl From<Market> for Saved {
    fn from(market: Market) -> Self {
        market.saved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One buyer of 10 and 8, one seller of 4 and 9, for two periods.
    fn market(no_loss: bool) -> Market {
        let (values, costs) = (vec![vec![10, 8]], vec![vec![4, 9]]);
        let settings = Settings { values, costs, price_max: 20, periods: 2, rounds: 4, no_loss };
        Market::new(settings, 1).unwrap()
    }

    #[test]
    fn a_price_that_crosses_trades_at_the_one_that_stood_first() {
        let mut market = market(false);
        assert!(!market.round(&[Some(5), None]));
        assert_eq!(market.observation(1).bid, Some(5));
        market.round(&[Some(4), None]);
        assert_eq!(
            (market.observation(1).bid, market.observation(1).shouts.len()),
            (Some(5), 1),
            "not better"
        );
        market.round(&[None, Some(3)]);
        assert_eq!(market.trades(), [Trade { price: 5, surplus: 6 }]);
        assert_eq!((market.gained(0), market.gained(1)), (5, 1));
        let seen = market.observation(0);
        assert_eq!((seen.limit, seen.bid, seen.ask), (Some(8), None, None));
        assert_eq!(seen.shouts, [Shout { side: Side::Buyer, price: 5, traded: true }]);
        // The period ends with the fourth round, and all begins anew; what was gained stays.
        assert!(market.round(&[None, Some(0)]));
        assert_eq!((market.observation(0).limit, market.profit(0), market.gained(0)), (Some(10), 5, 0));
        let Period { volume, efficiency, alpha, price } = market.periods()[0];
        assert_eq!((volume, price), (1, 5.0));
        // The price of the equilibrium is 8.5, halfway between 8 and 9.
        assert!((efficiency - 1.0).abs() < 1e-12 && (alpha - 100.0 * 3.5 / 8.5).abs() < 1e-12);
    }

    #[test]
    fn a_period_ends_when_a_side_has_no_units() {
        let mut market = market(false);
        let mut rounds = 0;
        while !market.is_over() {
            rounds += 1;
            market.round(&[Some(20), Some(1)]);
        }
        assert_eq!(rounds, 4);
        // Both units: the second loses one of the six that the first gained.
        assert!(market.periods().iter().all(|period| (period.efficiency - 5.0 / 6.0).abs() < 1e-12));
        assert_eq!((market.observation(0).limit, market.trades().len()), (None, 2));
    }

    #[test]
    fn a_price_for_a_unit_that_was_just_traded_counts_no_more() {
        for seed in 0..20 {
            let mut market =
                Market::new(Settings { rounds: 9, ..market(false).settings().clone() }, seed).unwrap();
            market.round(&[Some(10), None]);
            // The seller takes the bid before or after the buyer names a price for what it thinks is the same unit.
            market.round(&[Some(10), Some(4)]);
            assert_eq!(market.trades(), [Trade { price: 10, surplus: 6 }]);
            let bid = market.observation(1).bid;
            assert!(bid.is_none(), "seed {seed}: {bid:?}");
        }
    }

    #[test]
    fn losses_are_refused_where_the_market_says_so() {
        let mut market = market(true);
        for quotes in [[Some(11), None], [None, Some(3)], [Some(21), Some(21)]] {
            market.round(&quotes);
            assert_eq!((market.observation(0).bid, market.observation(0).ask), (None, None));
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        let usual = Settings::default;
        let wrong = [
            (Settings { periods: 0, ..usual() }, "periods"),
            (Settings { rounds: 0, ..usual() }, "rounds"),
            (Settings { price_max: 0, ..usual() }, "price_max"),
            (Settings { values: vec![], ..usual() }, "values"),
            (Settings { values: vec![vec![]], ..usual() }, "values"),
            (Settings { costs: vec![vec![201]], ..usual() }, "costs"),
            (Settings { costs: vec![vec![1]; 200], ..usual() }, "values"),
        ];
        for (settings, name) in wrong {
            assert!(
                Market::new(settings, 1).is_err_and(|why| why.starts_with(&format!("`{name}`"))),
                "{name}"
            );
        }
    }
}
