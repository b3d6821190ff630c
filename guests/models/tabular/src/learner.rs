//! The table, and who learns it.

use std::collections::BTreeMap;

use chance::Chance;
use serde::{Deserialize, Serialize};

use crate::settings::{Method, Settings};

/// How many seats are played at once. Rules that ask for more are refused.
pub const SEATS_MAX: usize = 4096;
/// The longest observation, in bytes.
const OBSERVATION_MAX: usize = 256;
/// The largest reward, up or down: values stay finite with it.
const REWARD_MAX: f64 = 1e12;

/// What was seen last, the latest behind: a state.
type State = Vec<Vec<u8>>;

/// What was learnt, and what goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learner {
    actions: usize,
    chance: Chance,
    turns: u64,
    /// Ordered, so that the same table is saved as the same bytes.
    table: BTreeMap<State, Row>,
    /// By Matrix and seat.
    seats: BTreeMap<String, BTreeMap<u32, Seat>>,
}

/// One state's actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    values: Vec<f64>,
    tried: Vec<u32>,
}

/// Where a seat is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seat {
    state: State,
    taken: usize,
}

/// What was learnt of one state.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<'a> {
    /// The state: the number of the seat first, where seats learn apart, and what was seen last.
    pub state: &'a [Vec<u8>],
    /// The action that is worth most; the first of several.
    pub best: usize,
    /// What each action is worth.
    pub values: &'a [f64],
    /// How often each was tried.
    pub tried: &'a [u32],
}

impl Learner {
    /// Who has seen nothing, and has so many actions.
    #[must_use]
    pub fn new(actions: usize, chance: Chance) -> Self {
        Self { actions, chance, turns: 0, table: BTreeMap::new(), seats: BTreeMap::new() }
    }

    /// Whether what was saved is whole: each state has so many actions.
    #[must_use]
    pub fn is_sound(&self, actions: usize) -> bool {
        let rows = |row: &Row| row.values.len() == actions && row.tried.len() == actions;
        self.actions == actions
            && self.table.values().all(rows)
            && self.seats.values().flat_map(BTreeMap::values).all(|seat| seat.taken < actions)
    }

    /// How many turns were decided.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// How many states were seen.
    #[must_use]
    pub fn states(&self) -> usize {
        self.table.len()
    }

    /// What was learnt, state by state.
    pub fn seen(&self) -> impl Iterator<Item = Seen<'_>> {
        self.table.iter().map(|(state, Row { values, tried })| Seen {
            state,
            best: best(values),
            values,
            tried,
        })
    }

    /// Learns from what a seat's last action earned and led to, and decides its next action, a number below that of
    /// actions.
    ///
    /// # Errors
    /// Where the observation is too long or the reward too large, or there are too many states or seats.
    pub fn decide(
        &mut self,
        settings: &Settings,
        (matrix, seat): (&str, u32),
        observation: &[u8],
        reward: f64,
    ) -> Result<usize, String> {
        let state = self.arrive(settings, (matrix, seat), observation, reward)?;
        let taken = self.choose(settings, &state);
        self.turns = self.turns.saturating_add(1);
        match self.seats.get_mut(matrix) {
            Some(seats) => drop(seats.insert(seat, Seat { state, taken })),
            None => {
                drop(self.seats.insert(matrix.to_owned(), BTreeMap::from([(seat, Seat { state, taken })])))
            }
        }
        Ok(taken)
    }

    /// Learns from what the last action in a seat earned, whose game ends: for good where the observation is empty,
    /// and else with something to come that nobody will see.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn close(
        &mut self,
        settings: &Settings,
        (matrix, seat): (&str, u32),
        observation: &[u8],
        reward: f64,
    ) -> Result<(), String> {
        if observation.is_empty() {
            check_reward(reward)?;
            if let Some(last) = self.seats.get(matrix).and_then(|seats| seats.get(&seat)).cloned() {
                self.learn(settings, &last, reward, 0.0);
            }
        } else {
            self.arrive(settings, (matrix, seat), observation, reward)?;
        }
        if let Some(seats) = self.seats.get_mut(matrix) {
            seats.remove(&seat);
            if seats.is_empty() {
                self.seats.remove(matrix);
            }
        }
        Ok(())
    }

    /// The state that a seat comes to, which is known from then on; what led there is learnt from.
    fn arrive(
        &mut self,
        settings: &Settings,
        (matrix, seat): (&str, u32),
        observation: &[u8],
        reward: f64,
    ) -> Result<State, String> {
        check_reward(reward)?;
        if observation.len() > OBSERVATION_MAX {
            let length = observation.len();
            return Err(format!("an observation of {length} bytes: {OBSERVATION_MAX} are the most"));
        }
        let last = self.seats.get(matrix).and_then(|seats| seats.get(&seat)).cloned();
        if last.is_none() && self.seats.values().map(BTreeMap::len).sum::<usize>() >= SEATS_MAX {
            return Err(format!("seat {seat} of `{matrix}`: {SEATS_MAX} seats are played already"));
        }
        let own = usize::from(settings.apart);
        let mut state = last.as_ref().map_or_else(State::new, |last| last.state.clone());
        if state.is_empty() && settings.apart {
            state.push(seat.to_string().into_bytes());
        }
        if settings.memory() > 0 {
            state.push(observation.to_vec());
        }
        while state.len() > own + settings.memory() {
            state.remove(own);
        }
        if !self.table.contains_key(&state) {
            if self.table.len() >= settings.states_max {
                return Err(format!(
                    "a state beyond the {} that `states_max` allows: raise it, or show less",
                    settings.states_max
                ));
            }
            let row = Row { values: vec![settings.optimism; self.actions], tried: vec![0; self.actions] };
            self.table.insert(state.clone(), row);
        }
        if let Some(last) = last {
            let to_come = self.table[&state].values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.learn(settings, &last, reward, to_come);
        }
        Ok(state)
    }

    /// Moves the value of an action towards what it earned, and what is to come.
    fn learn(&mut self, settings: &Settings, last: &Seat, reward: f64, to_come: f64) {
        let Some(row) = self.table.get_mut(&last.state) else { return };
        let (value, tried) = (&mut row.values[last.taken], &mut row.tried[last.taken]);
        let before = f64::from(*tried);
        let (step, target) = match settings.method {
            Method::Q { alpha, half, gamma, .. } => {
                let step = if half > 0.0 { alpha * half / (half + before) } else { alpha };
                (step, reward + gamma * to_come)
            }
            Method::Bandit => (1.0 / (before + 1.0), reward),
        };
        *value += step * (target - *value);
        *tried = tried.saturating_add(1);
    }

    /// The best action as the table has it, each of several as likely; or any.
    fn choose(&mut self, settings: &Settings, state: &State) -> usize {
        let count = self.actions as u32;
        let epsilon = settings.epsilon.after(self.turns);
        if epsilon > 0.0 && self.chance.unit() < epsilon {
            return self.chance.below(count) as usize;
        }
        let values = &self.table[state].values;
        let most = values[best(values)];
        let equal = values.iter().filter(|value| **value >= most).count() as u32;
        let drawn = if equal > 1 { self.chance.below(equal) } else { 0 };
        let mut equals = values.iter().enumerate().filter(|(_, value)| **value >= most);
        equals.nth(drawn as usize).map_or(0, |(action, _)| action)
    }
}

/// The place of the largest value; the first of several.
fn best(values: &[f64]) -> usize {
    let places = 0..values.len();
    places.reduce(|best, next| if values[next] > values[best] { next } else { best }).unwrap_or_default()
}

fn check_reward(reward: f64) -> Result<(), String> {
    if (-REWARD_MAX..=REWARD_MAX).contains(&reward) {
        return Ok(());
    }
    Err(format!("a reward of {reward}: it must be from -{REWARD_MAX} to {REWARD_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Epsilon;

    const GREEDY: Epsilon = Epsilon { start: 0.0, end: 0.0, turns: 0 };

    fn learner() -> Learner {
        Learner::new(2, Chance::new(1))
    }

    fn values(learner: &Learner) -> Vec<(Vec<Vec<u8>>, Vec<f64>)> {
        learner.seen().map(|seen| (seen.state.to_vec(), seen.values.to_vec())).collect()
    }

    #[test]
    fn a_value_moves_by_the_rule() {
        let method = Method::Q { alpha: 0.5, half: 1.0, gamma: 0.5, memory: 1 };
        let settings = Settings { method, epsilon: GREEDY, optimism: 4.0, ..Settings::default() };
        let mut learner = learner();
        let first = learner.decide(&settings, ("m", 0), b"a", 9.0).unwrap();
        assert_eq!(values(&learner), [(vec![b"a".to_vec()], vec![4.0, 4.0])], "a first reward is nobody's");
        let second = learner.decide(&settings, ("m", 0), b"b", 1.0).unwrap();
        // 4 + 0.5 (1 + 0.5 * 4 - 4), and the end for good: 4 + 0.5 (10 - 4).
        assert!((learner.table[&vec![b"a".to_vec()]].values[first] - 3.5).abs() < 1e-12);
        learner.close(&settings, ("m", 0), b"", 10.0).unwrap();
        assert!((learner.table[&vec![b"b".to_vec()]].values[second] - 7.0).abs() < 1e-12);
        // The second time moves it half as far: 3.5 + 0.25 (0 + 0.5 * 7 - 3.5) where it is cut off at `b`.
        learner.table.get_mut(&vec![b"a".to_vec()]).unwrap().values[1 - first] = -9.0;
        learner.decide(&settings, ("m", 0), b"a", 0.0).unwrap();
        learner.close(&settings, ("m", 0), b"b", 0.0).unwrap();
        assert!((learner.table[&vec![b"a".to_vec()]].values[first] - 3.5).abs() < 1e-12);
        assert_eq!((learner.turns(), learner.states(), learner.seats.len()), (3, 2, 0));
    }

    #[test]
    fn a_bandit_has_one_state_and_means() {
        let settings = Settings { method: Method::Bandit, epsilon: GREEDY, ..Settings::default() };
        let mut learner = learner();
        let mut earned = [Vec::new(), Vec::new()];
        let mut taken = learner.decide(&settings, ("m", 0), b"x", 0.0).unwrap();
        for reward in [-1.0, -2.0, -4.0, -3.0] {
            earned[taken].push(reward);
            taken = learner.decide(&settings, ("m", 0), reward.to_string().as_bytes(), reward).unwrap();
        }
        let mean = |of: &Vec<f64>| of.iter().sum::<f64>() / of.len().max(1) as f64;
        let found = values(&learner);
        assert_eq!((found.len(), found[0].0.len()), (1, 0));
        assert!(earned.iter().map(mean).zip(&found[0].1).all(|(mean, value)| (mean - value).abs() < 1e-12));
    }

    #[test]
    fn states_hold_what_was_seen_last_and_seats_may_learn_apart() {
        let method = Method::Q { alpha: 0.5, half: 0.0, gamma: 0.5, memory: 2 };
        let settings = Settings { method, apart: true, ..Settings::default() };
        let mut learner = learner();
        for (seat, seen) in [(0, "a"), (3, "a"), (0, "b"), (0, "c")] {
            learner.decide(&settings, ("m", seat), seen.as_bytes(), 0.0).unwrap();
        }
        let states: Vec<String> = learner
            .seen()
            .map(|seen| seen.state.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect())
            .collect();
        assert_eq!(states, ["0a", "0ab", "0bc", "3a"]);
    }

    #[test]
    fn what_goes_beyond_is_refused() {
        let settings = Settings { states_max: 2, ..Settings::default() };
        let mut learner = learner();
        for seen in [b"a", b"b", b"a"] {
            learner.decide(&settings, ("m", 0), seen, 0.0).unwrap();
        }
        let kept = learner.clone();
        assert!(
            learner.decide(&settings, ("m", 0), b"c", 0.0).is_err_and(|why| why.contains("`states_max`"))
        );
        assert!(learner.decide(&settings, ("m", 0), &[0; 257], 0.0).is_err());
        for reward in [f64::NAN, f64::INFINITY, -1e13] {
            assert!(learner.decide(&settings, ("m", 0), b"a", reward).is_err());
            assert!(learner.close(&settings, ("m", 0), b"", reward).is_err());
        }
        assert_eq!(learner, kept, "what is refused changes nothing");
        for seat in 1..SEATS_MAX as u32 {
            learner.decide(&settings, ("m", seat), b"a", 0.0).unwrap();
        }
        assert!(learner.decide(&settings, ("n", 0), b"a", 0.0).is_err());
        assert!(learner.is_sound(2) && !learner.is_sound(3));
    }

    #[test]
    fn chance_fades_as_it_is_told() {
        let epsilon = Epsilon { start: 1.0, end: 0.2, turns: 8 };
        assert_eq!([0, 4, 8, u64::MAX].map(|turns| epsilon.after(turns)), [1.0, 0.6, 0.2, 0.2]);
        assert_eq!(GREEDY.after(0), 0.0);
    }

    #[test]
    fn wrong_settings_are_named() {
        let q = |alpha, half, gamma, memory| Settings {
            method: Method::Q { alpha, half, gamma, memory },
            ..Settings::default()
        };
        let share =
            |start, end| Settings { epsilon: Epsilon { start, end, turns: 1 }, ..Settings::default() };
        let wrong = [
            (q(0.0, 0.0, 0.5, 1), "alpha"),
            (q(f64::NAN, 0.0, 0.5, 1), "alpha"),
            (q(0.5, -1.0, 0.5, 1), "alpha_half"),
            (q(0.5, 0.0, 1.0, 1), "gamma"),
            (q(0.5, 0.0, 0.5, 9), "memory"),
            (share(1.1, 0.0), "epsilon_start"),
            (share(0.0, -0.1), "epsilon_end"),
            (Settings { optimism: f64::INFINITY, ..Settings::default() }, "optimism"),
            (Settings { states_max: 0, ..Settings::default() }, "states_max"),
        ];
        for (settings, name) in wrong {
            assert!(settings.check().is_err_and(|why| why.starts_with(&format!("`{name}`"))), "{name}");
        }
        assert_eq!(Settings::default().check(), Ok(()));
    }
}
