//! Rules of a continuous double auction, after Gode and Sunder (1993): one tick is one round, in which every trader may
//! name a price. What traders see and answer is told in `auction`'s wire; how the market works, beside its figures, in
//! the README of this folder.
//!
//! Traders are the buyers of the settings, then the sellers, numbered from 0. They are dealt to the players: player `p`
//! of `n` has the traders `p`, `p + n`, and so on, each in the seat of its own number.

mod view;

use auction::{ACTION_TYPE, Market as Auction, OBSERVATION_TYPE, Settings, TRADERS_MAX, quote};
use matrix_sdk::prelude::*;

/// What may be configured, as `describe` tells it.
const CONFIG_SCHEMA: &str = include_str!("config.schema.json");

/// A running market.
#[derive(Serialize, Deserialize)]
pub struct Market {
    players: Vec<String>,
    auction: Auction,
}

/// `period.finished`.
#[derive(Serialize)]
struct PeriodReport {
    period: usize,
    volume: u32,
    efficiency: f64,
    alpha: f64,
    price: f64,
}

/// `market.finished`.
#[derive(Serialize)]
struct MarketReport<'a> {
    /// What theory says: the price, how many units, and what all of them gain.
    equilibrium_price: f64,
    equilibrium_quantity: usize,
    surplus: u64,
    /// Means over all periods.
    efficiency: f64,
    alpha: f64,
    players: Vec<Gain<'a>>,
}

/// What all traders of a player gained in all periods.
#[derive(Serialize)]
struct Gain<'a> {
    player: &'a str,
    profit: i64,
}

impl Rules for Market {
    fn describe() -> Description {
        Description {
            name: "market".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            observation_type: OBSERVATION_TYPE.to_owned(),
            action_type: ACTION_TYPE.to_owned(),
            players_min: 1,
            players_max: TRADERS_MAX as u32,
            config_schema: CONFIG_SCHEMA.to_owned(),
        }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let settings: Settings = setup.settings()?;
        let auction = Auction::new(settings, setup.seed).map_err(|error| format!("config: {error}"))?;
        let (players, traders) = (setup.players.len(), auction.settings().traders());
        if !(1..=traders).contains(&players) {
            return Err(format!(
                "{players} players given: these settings have {traders} traders, at least one for each player"
            ));
        }
        let rules = Self { players: setup.players, auction };
        let mut outcome = Outcome::empty();
        outcome.prompts = rules.prompts()?;
        Ok((rules, outcome))
    }

    fn step(&mut self, actions: &[Action<'_>]) -> Result<Outcome, String> {
        let mut outcome = Outcome::empty();
        if self.auction.is_over() {
            outcome.finished = true;
            return Ok(outcome);
        }
        let mut quotes = vec![None; self.auction.settings().traders()];
        for action in actions {
            let owns = self.player_of(action.seat as usize) == action.player as usize;
            if let Some(named) = quotes.get_mut(action.seat as usize).filter(|_| owns) {
                *named = action.choice.and_then(quote);
            }
        }
        let before = self.auction.trades().len();
        let ended = self.auction.round(&quotes);
        self.report(&mut outcome, before, ended)?;
        outcome.prompts = self.prompts()?;
        outcome.finished = self.auction.is_over();
        Ok(outcome)
    }

    fn view(&self) -> Content {
        Content::svg(view::draw(&self.auction))
    }
}

impl Stateful for Market {
    const SCHEMA: &'static str = "market/1";
}

impl Market {
    fn player_of(&self, trader: usize) -> usize {
        trader % self.players.len().max(1)
    }

    /// Every trader: what it sees, and what it gained in the last round.
    fn prompts(&self) -> Result<Prompts, String> {
        let mut prompts = Prompts::new();
        for player in 0..self.players.len() {
            for trader in (player..self.auction.settings().traders()).step_by(self.players.len()) {
                let seen = serde_json::to_vec(&self.auction.observation(trader));
                prompts.push(&Prompt {
                    player: player as u32,
                    seat: trader as u32,
                    observation: &seen.map_err(|error| error.to_string())?,
                    reward: self.auction.gained(trader) as f64,
                    final_: self.auction.is_over(),
                });
            }
        }
        Ok(prompts)
    }

    /// Tells what a round led to, where something was traded in it, or a period ended.
    fn report(&self, outcome: &mut Outcome, before: usize, ended: bool) -> Result<(), String> {
        let period = match self.auction.periods().last() {
            Some(period) if ended => *period,
            _ => self.auction.so_far(),
        };
        let traded = self.auction.trades().get(before..).and_then(<[_]>::last);
        if let Some(trade) = traded {
            outcome.signal("price", f64::from(trade.price));
        }
        if ended || traded.is_some() {
            outcome.signal("volume", f64::from(period.volume));
            outcome.signal("efficiency", period.efficiency);
            outcome.signal("alpha.smith", period.alpha);
        }
        if ended {
            let auction::Period { volume, efficiency, alpha, price } = period;
            let report =
                PeriodReport { period: self.auction.periods().len(), volume, efficiency, alpha, price };
            outcome.event("period.finished", Content::json(&report)?);
        }
        if self.auction.is_over() {
            outcome.event("market.finished", Content::json(&self.summary())?);
        }
        Ok(())
    }

    fn summary(&self) -> MarketReport<'_> {
        let (theory, periods) = (self.auction.equilibrium(), self.auction.periods());
        let mean = |of: fn(&auction::Period) -> f64| {
            periods.iter().map(of).sum::<f64>() / periods.len().max(1) as f64
        };
        let gain = |(player, name)| {
            let own = (player..self.auction.settings().traders()).step_by(self.players.len());
            Gain { player: name, profit: own.map(|trader| self.auction.profit(trader)).sum() }
        };
        MarketReport {
            equilibrium_price: theory.price,
            equilibrium_quantity: theory.quantity,
            surplus: theory.surplus,
            efficiency: mean(|period| period.efficiency),
            alpha: mean(|period| period.alpha),
            players: (0..).zip(self.players.iter().map(String::as_str)).map(gain).collect(),
        }
    }
}

matrix_sdk::rules!(Market);

#[cfg(test)]
mod tests;
