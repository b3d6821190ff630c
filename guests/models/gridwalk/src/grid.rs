//! The map, and what each step over it may lead to.

use crate::settings::{CELLS_MAX, Rewards, Settings};

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// One may stand here.
    Floor,
    /// One may not.
    Wall,
    /// An episode ends here, badly.
    Hole,
    /// An episode ends here, well.
    Goal,
    /// One falls back to the start.
    Cliff,
}

/// Where a step is meant to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To the column before.
    Left,
    /// To the row below.
    Down,
    /// To the column behind.
    Right,
    /// To the row above.
    Up,
}

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The place, row after row from 0.
    pub to: u32,
    /// What it earns.
    pub reward: f64,
    /// Whether the episode ends there.
    pub ends: bool,
}

/// A map that was read, with its chance and its rewards.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    width: usize,
    cells: Vec<Cell>,
    start: u32,
    slip: f64,
    rewards: Rewards,
}

impl Action {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Left, Self::Down, Self::Right, Self::Up];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        ["left", "down", "right", "up"][self as usize]
    }

    /// The action of a word; none for any other bytes.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.word().as_bytes() == word)
    }

    /// The two directions across.
    fn aside(self) -> [Self; 2] {
        [Self::ALL[(self as usize + 3) % 4], Self::ALL[(self as usize + 1) % 4]]
    }
}

impl Grid {
    /// Reads the map of settings that were checked.
    ///
    /// # Errors
    /// Says where the map is none.
    pub fn read(settings: &Settings) -> Result<Self, String> {
        let width = settings.map.first().map_or(0, |row| row.chars().count());
        let (mut cells, mut start) = (Vec::new(), None);
        for (number, row) in settings.map.iter().enumerate() {
            if row.chars().count() != width || cells.len() + width > CELLS_MAX {
                return Err(format!(
                    "`map`: row {number} must be as long as the first, and all together at most {CELLS_MAX} cells"
                ));
            }
            for letter in row.chars() {
                if letter == 'S' && start.replace(cells.len() as u32).is_some() {
                    return Err(format!("`map`: row {number} has a second start"));
                }
                cells.push(match letter {
                    'S' | 'F' => Cell::Floor,
                    '#' => Cell::Wall,
                    'H' => Cell::Hole,
                    'G' => Cell::Goal,
                    'C' => Cell::Cliff,
                    _ => {
                        return Err(format!(
                            "`map`: `{letter}` in row {number} is none of S, F, H, G, C and #"
                        ));
                    }
                });
            }
        }
        let start = start.ok_or("`map`: there is no start, `S`")?;
        Ok(Self { width, cells, start, slip: settings.slip, rewards: settings.rewards })
    }

    /// What is at each place, row after row.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Cells in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Where episodes begin.
    #[must_use]
    pub fn start(&self) -> u32 {
        self.start
    }

    /// Whether a walker may stand at a place.
    #[must_use]
    pub fn is_floor(&self, at: u32) -> bool {
        self.cells.get(at as usize) == Some(&Cell::Floor)
    }

    /// What a step from a place may lead to, and how likely: as it was meant, and to both sides.
    #[must_use]
    pub fn outcomes(&self, at: u32, action: Action) -> [(f64, Step); 3] {
        let [one, other] = action.aside();
        let half = self.slip / 2.0;
        [(1.0 - self.slip, self.walk(at, action)), (half, self.walk(at, one)), (half, self.walk(at, other))]
    }

    /// One of the outcomes, by a number drawn from 0 up to 1.
    #[must_use]
    pub fn outcome(&self, at: u32, action: Action, drawn: f64) -> Step {
        let [one, other] = action.aside();
        let half = self.slip / 2.0;
        let to = if drawn < half {
            one
        } else if drawn < self.slip {
            other
        } else {
            action
        };
        self.walk(at, to)
    }

    /// A step that nobody takes: what it costs to stand still.
    #[must_use]
    pub fn rest(&self, at: u32) -> Step {
        Step { to: at, reward: self.rewards.step, ends: false }
    }

    /// A step exactly so.
    fn walk(&self, at: u32, action: Action) -> Step {
        let place = at as usize;
        let (row, column) = (place / self.width, place % self.width);
        let to = match action {
            Action::Left => (column > 0).then(|| place - 1),
            Action::Right => (column + 1 < self.width).then_some(place + 1),
            Action::Up => (row > 0).then(|| place - self.width),
            Action::Down => Some(place + self.width),
        };
        let Some((to, cell)) = to.and_then(|to| Some((to as u32, *self.cells.get(to)?))) else {
            return self.rest(at);
        };
        let Rewards { step, goal, hole, cliff } = self.rewards;
        match cell {
            Cell::Floor => Step { to, reward: step, ends: false },
            Cell::Wall => self.rest(at),
            Cell::Hole => Step { to, reward: hole, ends: true },
            Cell::Goal => Step { to, reward: goal, ends: true },
            Cell::Cliff => Step { to: self.start, reward: cliff, ends: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(map: &[&str], slip: f64) -> Result<Grid, String> {
        let map = map.iter().map(|row| (*row).to_owned()).collect();
        Grid::read(&Settings { map, slip, ..Settings::default() })
    }

    #[test]
    fn maps_that_are_none_are_named() {
        let wrong = [
            (&[][..], "no start"),
            (&["FF"], "no start"),
            (&["SF", "F"], "row 1 must be as long"),
            (&["SS"], "second start"),
            (&["S?"], "`?` in row 0"),
        ];
        for (map, why) in wrong {
            let refused = grid(map, 0.0).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(grid(&["S".repeat(401).as_str()], 0.0).is_err());
    }

    #[test]
    fn edges_walls_and_cliffs_hold() {
        let grid = grid(&["SF", "#C", "FG"], 0.0).unwrap();
        let walk = |at, action| (grid.walk(at, action).to, grid.walk(at, action).reward);
        assert_eq!([0, 3].map(|at| walk(at, Action::ALL[at as usize])), [(0, 0.0), (1, 0.0)]);
        assert_eq!(walk(0, Action::Down), (0, 0.0), "a wall");
        assert_eq!(walk(1, Action::Down), (0, -100.0), "a cliff leads back");
        assert_eq!(grid.walk(4, Action::Right), Step { to: 5, reward: 1.0, ends: true });
        assert_eq!(walk(4, Action::Down), (4, 0.0), "the edge");
    }

    #[test]
    fn chance_is_as_likely_as_it_says() {
        let grid = grid(&["FFF", "FSF", "FFF"], 0.5).unwrap();
        let outcomes = grid.outcomes(4, Action::Up);
        assert_eq!(outcomes.map(|(likely, step)| (likely, step.to)), [(0.5, 1), (0.25, 5), (0.25, 3)]);
        let drawn = [0.0, 0.24, 0.25, 0.49, 0.5, 0.99].map(|drawn| grid.outcome(4, Action::Up, drawn).to);
        assert_eq!(drawn, [5, 5, 3, 3, 1, 1]);
    }
}
