//! Rules of the iterated prisoner's dilemma: a round robin in which all matches are played side by
//! side, one turn a tick. What seats see and answer is told in `dilemma::wire`.

mod config;
mod report;
mod view;

use dilemma::game::Move;
use dilemma::tournament::{Side, Tournament};
use dilemma::wire;
use matrix_sdk::prelude::*;

/// Fewest players: a match takes two.
const PLAYERS_MIN: u32 = 2;
/// Most players: a hundred make 5050 matches, whose prompts fill a tick with about a megabyte.
const PLAYERS_MAX: u32 = 100;

/// A running tournament.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Ipd {
    players: Vec<String>,
    tournament: Tournament,
}

impl Rules for Ipd {
    fn describe() -> Description {
        Description {
            name: "ipd".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            observation_type: wire::OBSERVATION_TYPE.to_owned(),
            action_type: wire::ACTION_TYPE.to_owned(),
            players_min: PLAYERS_MIN,
            players_max: PLAYERS_MAX,
            config_schema: config::SCHEMA.to_owned(),
        }
    }

    fn start(setup: Setup) -> Result<(Self, Outcome), String> {
        let settings = config::read(&setup)?;
        let count = u32::try_from(setup.players.len()).unwrap_or(u32::MAX);
        if !(PLAYERS_MIN..=PLAYERS_MAX).contains(&count) {
            return Err(format!("{count} players given: these rules take {PLAYERS_MIN} to {PLAYERS_MAX}"));
        }
        let rules = Self { players: setup.players, tournament: Tournament::new(settings, count) };
        let outcome = Outcome { prompts: rules.prompts(), ..Outcome::empty() };
        Ok((rules, outcome))
    }

    fn step(&mut self, actions: &[Action<'_>]) -> Result<Outcome, String> {
        if self.tournament.is_over() {
            return Ok(Outcome { finished: true, ..Outcome::empty() });
        }
        let moves: Vec<(Side, Move)> = actions.iter().filter_map(|action| self.read(action)).collect();
        self.tournament.play(moves);

        let mut outcome = Outcome { prompts: self.prompts(), ..Outcome::empty() };
        outcome.signal("cooperation.rate", self.tournament.cooperation_rate());
        outcome.signal("payoff.mean", self.tournament.payoff_mean());
        if self.tournament.is_over() {
            outcome.finished = true;
            for game in self.tournament.matches() {
                outcome.event("match.finished", Content::json(&report::of_match(game, &self.players))?);
            }
            let summary = report::of_tournament(&self.tournament, &self.players);
            outcome.event("tournament.finished", Content::json(&summary)?);
        }
        Ok(outcome)
    }

    fn view(&self) -> Content {
        Content::svg(view::draw(&self.tournament, &self.players))
    }
}

impl Stateful for Ipd {
    const SCHEMA: &'static str = "ipd/1";
}

impl Ipd {
    /// Every seat of every player, in order: what it sees, and what its last move earned.
    fn prompts(&self) -> Prompts {
        let tournament = &self.tournament;
        let seats = (0..tournament.players())
            .flat_map(|player| tournament.seats(player).map(move |seat| (player, seat)));
        let mut prompts = Prompts::new();
        for (player, seat) in seats {
            let Some(at) = tournament.side(player, seat) else { continue };
            let (observation, reward) = (tournament.observation(at).to_bytes(), tournament.reward(at));
            let (observation, final_) = (&observation[..], tournament.is_over());
            prompts.push(&Prompt { player, seat, observation, reward, final_ });
        }
        prompts
    }

    /// The move that an action means: none where nothing came, or not exactly one known letter, or
    /// for a seat that does not exist.
    fn read(&self, action: &Action<'_>) -> Option<(Side, Move)> {
        let choice = wire::action(action.choice?)?;
        Some((self.tournament.side(action.player, action.seat)?, choice))
    }
}

matrix_sdk::rules!(Ipd);

#[cfg(test)]
mod tests;
