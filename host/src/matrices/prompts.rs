//! Whom a tick asks what, and what becomes of the answers. Pure.

use std::sync::Arc;

use super::error::MatrixError;
use crate::runtime::rules::{Action, Prompt};
use crate::runtime::soul::Turn;

/// The most prompts of a tick: a player in each cell of a grid of 512 by 512. The limit on what one call
/// returns allows about twice as many.
pub(crate) const PROMPTS_MAX: usize = 1 << 18;
/// The longest choice, in bytes: far more than any move needs. A longer one counts as none.
pub(crate) const CHOICE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes in all choices of a tick: rules have to hold them in their memory. What comes beyond counts
/// as none.
pub(crate) const CHOICES_BYTES_MAX: usize = 4 << 20;

/// A tick's prompts, by player, and the actions that they will become.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Who is asked, in the order of their first prompts.
    pub(crate) players: Vec<PlayerTurns>,
    /// One for every prompt that is not final, in the order of the prompts; no choices until there are
    /// answers.
    actions: Vec<Action>,
    /// How many actions are missing because a player failed, and was not merely late.
    pub(crate) failed: u64,
}

/// What one player is asked in one tick.
#[derive(Debug)]
pub(crate) struct PlayerTurns {
    /// Its place in the list of players.
    pub(crate) player: u32,
    /// What its seats see.
    pub(crate) turns: Arc<Vec<Turn>>,
    /// For each turn, the place of its action; none: it is final.
    places: Vec<Option<usize>>,
}

impl PlayerTurns {
    /// Whether no answer will follow: all its games end with this tick.
    pub(crate) fn is_last(&self) -> bool {
        self.places.iter().all(Option::is_none)
    }
}

/// Groups prompts that [`check`] has passed. When the run is over all of them are final, whatever they say.
pub(crate) fn group(prompts: Vec<Prompt>, finished: bool) -> Asked {
    let mut actions = Vec::with_capacity(prompts.len());
    let mut players: Vec<(u32, Vec<Turn>, Vec<Option<usize>>)> = Vec::new();
    // Where each player is in `players`; most rules ask in the order of players.
    let mut known: Vec<Option<usize>> = Vec::new();
    for prompt in prompts {
        let place = prompt.player as usize;
        if place >= known.len() {
            known.resize(place + 1, None);
        }
        let at = *known[place].get_or_insert_with(|| {
            players.push((prompt.player, Vec::new(), Vec::new()));
            players.len() - 1
        });
        let last = prompt.final_ || finished;
        if !last {
            actions.push(Action { player: prompt.player, seat: prompt.seat, choice: None });
        }
        let (_, turns, places) = &mut players[at];
        places.push((!last).then(|| actions.len() - 1));
        turns.push(Turn { seat: prompt.seat, observation: prompt.observation, reward: prompt.reward, last });
    }
    let players = players.into_iter();
    let players =
        players.map(|(player, turns, places)| PlayerTurns { player, turns: Arc::new(turns), places });
    Asked { players: players.collect(), actions, failed: 0 }
}

/// Whether prompts can be asked at all: not too many, and only players that there are.
pub(crate) fn check(prompts: &[Prompt], players: usize) -> Result<(), MatrixError> {
    if prompts.len() > PROMPTS_MAX {
        let given = prompts.len();
        return Err(MatrixError::Contract(format!(
            "{given} prompts in one tick; the most are {PROMPTS_MAX}"
        )));
    }
    match prompts.iter().find(|prompt| prompt.player as usize >= players) {
        Some(prompt) => {
            let player = prompt.player;
            Err(MatrixError::Contract(format!("a prompt for player {player}, and there are {players}")))
        }
        None => Ok(()),
    }
}

impl Asked {
    /// Takes up one player's answers, one a turn; `at` is its place in `players`. Answers to final turns are
    /// dropped, and so are all if they are not as many as the turns.
    pub(crate) fn answer(&mut self, at: usize, answers: Vec<Vec<u8>>) {
        let places = &self.players[at].places;
        if answers.len() != places.len() {
            return;
        }
        for (place, choice) in places.iter().zip(answers) {
            if let Some(place) = place
                && choice.len() <= CHOICE_BYTES_MAX
            {
                self.actions[*place].choice = Some(choice);
            }
        }
    }

    /// Notes that a player failed; `at` is its place in `players`.
    pub(crate) fn fail(&mut self, at: usize) {
        self.failed += self.players[at].places.iter().flatten().count() as u64;
    }

    /// What `step` is given, and how many choices are missing in it.
    pub(crate) fn into_actions(mut self) -> (Vec<Action>, u64) {
        let mut left = CHOICES_BYTES_MAX;
        let mut missed = 0;
        for action in &mut self.actions {
            let fits = action.choice.as_ref().and_then(|choice| left.checked_sub(choice.len()));
            match fits {
                Some(rest) => left = rest,
                None => {
                    action.choice = None;
                    missed += 1;
                }
            }
        }
        (self.actions, missed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prompt(player: u32, seat: u32, final_: bool) -> Prompt {
        Prompt { player, seat, observation: vec![player as u8, seat as u8], reward: 0.5, final_ }
    }

    fn choices(asked: Asked) -> (Vec<Option<Vec<u8>>>, u64) {
        let (actions, missed) = asked.into_actions();
        (actions.into_iter().map(|action| action.choice).collect(), missed)
    }

    #[test]
    fn each_player_is_asked_once_and_final_answers_are_dropped() {
        let prompts = vec![prompt(2, 0, false), prompt(0, 0, false), prompt(2, 1, true), prompt(2, 2, false)];
        let mut asked = group(prompts, false);
        assert_eq!(asked.players.iter().map(|p| p.player).collect::<Vec<_>>(), [2, 0]);
        let seats: Vec<_> = asked.players[0].turns.iter().map(|turn| (turn.seat, turn.last)).collect();
        assert_eq!(seats, [(0, false), (1, true), (2, false)]);
        assert!(!asked.players[0].is_last());
        asked.answer(0, vec![b"a".to_vec(), b"dropped".to_vec(), b"c".to_vec()]);
        assert_eq!(choices(asked), (vec![Some(b"a".to_vec()), None, Some(b"c".to_vec())], 1));
    }

    #[test]
    fn a_wrong_number_of_answers_and_too_long_ones_count_as_none() {
        let mut asked = group(vec![prompt(0, 0, false), prompt(0, 1, false), prompt(1, 0, false)], false);
        asked.answer(0, vec![b"only one".to_vec()]);
        asked.answer(1, vec![vec![0; CHOICE_BYTES_MAX + 1]]);
        assert_eq!(choices(asked), (vec![None, None, None], 3));
        let many: Vec<_> = (0..66).map(|seat| prompt(0, seat, false)).collect();
        let mut asked = group(many, false);
        asked.answer(0, vec![vec![0; CHOICE_BYTES_MAX]; 66]);
        assert_eq!(asked.into_actions().1, 2);
    }

    #[test]
    fn a_run_that_is_over_asks_for_nothing() {
        let asked = group(vec![prompt(0, 0, false), prompt(1, 0, true)], true);
        assert!(asked.players.iter().all(PlayerTurns::is_last));
        assert_eq!(choices(asked), (vec![], 0));
    }

    #[test]
    fn prompts_that_cannot_be_asked_are_refused() {
        assert!(check(&[prompt(1, 0, false)], 2).is_ok());
        let error = check(&[prompt(2, 0, false)], 2).expect_err("there are two players");
        assert_eq!(
            error.to_string(),
            "the rules broke their contract: a prompt for player 2, and there are 2"
        );
    }

    proptest! {
        /// Every prompt that is not final gets exactly its own answer, in the order of the prompts.
        #[test]
        fn answers_find_their_prompts(
            given in proptest::collection::vec((0u32..6, 0u32..4, any::<bool>()), 0..60),
        ) {
            let prompts = given.iter().map(|&(player, seat, last)| prompt(player, seat, last)).collect();
            let mut asked = group(prompts, false);
            for at in 0..asked.players.len() {
                let turns = asked.players[at].turns.clone();
                asked.answer(at, turns.iter().map(|turn| turn.observation.clone()).collect());
            }
            let (actions, missed) = asked.into_actions();
            let got: Vec<_> = actions.into_iter().map(|a| (a.player, a.seat, a.choice)).collect();
            let expected: Vec<_> = given
                .iter()
                .filter(|(.., last)| !last)
                .map(|&(player, seat, _)| (player, seat, Some(vec![player as u8, seat as u8])))
                .collect();
            prop_assert_eq!((got, missed), (expected, 0));
        }
    }
}
