//! Plays the iterated prisoner's dilemma by one of twenty-four strategies.
//!
//! | setting | meaning |
//! |---|---|
//! | `strategy` | its name, such as `TitForTat`; required |
//! | `turns` | how many turns a game has, if the Soul is to know: `FirstByTidemanAndChieruzzi` plays by it |
//!
//! To the message `who` it answers with its strategy's name.

use dilemma::strategies::Strategy;
use dilemma::strategist::Strategist;
use matrix_sdk::prelude::*;

/// What a Soul answers that was restored without having been born; a node never does so.
const NO_OPENING: &str = "the strategy was never chosen";

/// One Soul, any number of seats in any number of Matrices.
#[derive(Default, Serialize, Deserialize)]
pub struct Contestant {
    /// How every new game begins: from the manifest, and so no part of the state.
    #[serde(skip)]
    opening: Option<Opening>,
    games: Strategist,
}

/// A strategy that has not moved yet, and what it is called.
struct Opening {
    name: String,
    strategy: Strategy,
}

impl Soul for Contestant {
    fn init(birth: Birth) -> Result<Self, String> {
        let name = birth.setting("strategy").ok_or_else(|| {
            format!("set `strategy` in the Soul's config to one of {}", Strategy::NAMES.join(", "))
        })?;
        let turns = birth
            .setting("turns")
            .map(|turns| turns.parse().map_err(|error| format!("`turns = {turns}` in the config: {error}")))
            .transpose()?;
        let strategy = Strategy::named(name, turns)
            .ok_or_else(|| format!("`{name}` is no strategy; there are {}", Strategy::NAMES.join(", ")))?;
        let opening = Some(Opening { name: name.to_owned(), strategy });
        Ok(Self { opening, games: Strategist::default() })
    }

    fn receive(&mut self, message: Message<'_>) -> Reply {
        match message.text()?.trim() {
            "who" => Ok(Some(Content::text(self.opening.as_ref().ok_or(NO_OPENING)?.name.clone()))),
            _ => Err("say `who`".to_owned()),
        }
    }
}

impl Player for Contestant {
    fn act(&mut self, matrix: &str, _tick: u64, turn: &Turn<'_>) -> Result<Vec<u8>, String> {
        if turn.is_final() {
            self.games.close(matrix, turn.seat);
            return Ok(Vec::new());
        }
        let opening = self.opening.as_ref().ok_or(NO_OPENING)?;
        let decided = self.games.decide(matrix, turn.seat, turn.observation, &opening.strategy)?;
        Ok(vec![decided.letter()])
    }
}

impl Stateful for Contestant {
    const SCHEMA: &'static str = "strategist/1";

    fn adopt(&mut self, state: Self) {
        self.games = state.games;
    }
}

matrix_sdk::soul!(Contestant: stateful, player);

#[cfg(test)]
mod tests {
    use super::*;
    use matrix_sdk::Persona;

    fn birth(config: &[(&str, &str)]) -> Birth {
        let persona = Persona { description: String::new(), traits: Vec::new(), values: Vec::new() };
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Birth { name: "someone".to_owned(), persona, config, seed: 1 }
    }

    fn turn(seat: u32, observation: &[u8], final_: bool) -> Turn<'_> {
        Turn { seat, observation, reward: 0.0, final_ }
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for config in [&[][..], &[("strategy", "Nobody")], &[("strategy", "Bully"), ("turns", "-1")]] {
            assert!(Contestant::init(birth(config)).is_err(), "{config:?}");
        }
    }

    #[test]
    fn a_snapshot_goes_on_where_it_was_taken() {
        let config = &[("strategy", "Grudger")];
        let mut first = Contestant::init(birth(config)).unwrap();
        first.act_all("m", 0, &[turn(0, &[0; 32], false), turn(1, &[0; 32], false)]).unwrap();
        assert_eq!(first.act("m", 1, &turn(1, b"CD", false)), Ok(b"D".to_vec()));

        let bytes = first.snapshot().unwrap();
        let mut second = Contestant::init(birth(config)).unwrap();
        second.adopt(Contestant::decode(Contestant::SCHEMA, &bytes).unwrap());
        assert_eq!(second.snapshot().unwrap(), bytes);
        assert_eq!(second.act("m", 1, &turn(0, b"CC", false)), Ok(b"C".to_vec()));
        assert_eq!(second.act("m", 2, &turn(1, b"DC", false)), Ok(b"D".to_vec()));
    }

    #[test]
    fn a_final_turn_forgets_the_game() {
        let mut soul = Contestant::init(birth(&[("strategy", "TitForTat")])).unwrap();
        let empty = soul.snapshot().unwrap();
        soul.act("m", 0, &turn(3, &[0; 32], false)).unwrap();
        soul.act("m", 1, &turn(3, b"CC", true)).unwrap();
        assert_eq!(soul.snapshot().unwrap(), empty);
    }
}
