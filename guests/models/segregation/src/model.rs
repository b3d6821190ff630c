//! The model: who is content, and who moves.

use std::borrow::Cow;

use chance::Chance;
use serde::{Deserialize, Serialize, Serializer};

use crate::grid::{EMPTY, Grid, NEIGHBOURS, mix};
use crate::packed::{Bytes, Number, Numbers};

/// The shortest side of a torus: on a shorter one a cell would be its own neighbour.
pub const SIDE_MIN: u32 = 3;
/// The longest side: a million cells take some 15 MB, well within a component's usual memory.
pub const SIDE_MAX: u32 = 1000;
/// How many kinds of agents there may be: more colours than eyes tell apart.
pub const KINDS_MAX: usize = 8;
/// How many different mixes of neighbours a byte can tell apart.
const MIXES: usize = 256;
/// The least number that every number of neighbours divides: sums of shares are exact in parts of it, and those of
/// a million agents fit into 32 bits.
const WHOLE: u32 = 840;

/// What a model starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Cells in a row, from [`SIDE_MIN`] to [`SIDE_MAX`].
    pub width: u32,
    /// Cells in a column, from [`SIDE_MIN`] to [`SIDE_MAX`].
    pub height: u32,
    /// How likely a cell is to be lived in at the start, from 0 to 1.
    pub density: f64,
    /// The share of like neighbours below which an agent is unhappy, from 0 to 1.
    pub threshold: f64,
    /// How frequent each kind is, one weight a kind, from one to [`KINDS_MAX`] of them.
    pub kinds: Vec<f64>,
    /// After how many steps it ends though some are unhappy still; at least 1.
    pub steps_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { width: 50, height: 50, density: 0.8, threshold: 0.4, kinds: vec![1.0, 1.0], steps_max: 1000 }
    }
}

/// A model as it stands.
///
/// The rules are those of the Schelling example of the Mesa library, with a radius of one: cells are
/// filled one by one, each with the chance `density`. In a step every agent is activated once, in an
/// order that is drawn anew for each step, and sees the grid as the agents before it have left it. It
/// is unhappy where the share of its own kind among its (up to eight) neighbours is below the
/// threshold, an agent without neighbours having a share of 0, and then moves to an empty cell, each
/// as likely as the others. The number of the happy is that of those who were so when activated.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Saved<'static>")]
pub struct Model {
    settings: Settings,
    chance: Chance,
    grid: Grid,
    /// The cells of all agents: the order in which they were activated last.
    agents: Vec<Number>,
    /// All other cells.
    empty: Vec<Number>,
    /// Whether an agent is unhappy, by the [`mix`] of its cell.
    unhappy: [bool; MIXES],
    /// The share of its own kind among its neighbours, in parts of [`WHOLE`], by the same; 0 without neighbours.
    shares: [u32; MIXES],
    steps: u32,
    happy: u32,
}

/// A model without what can be counted again.
#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    settings: Cow<'a, Settings>,
    chance: Cow<'a, Chance>,
    cells: Bytes<'a>,
    agents: Numbers<'a>,
    empty: Numbers<'a>,
    steps: u32,
    happy: u32,
}

impl Settings {
    /// Whether a model can be made of them.
    ///
    /// # Errors
    /// Names what is wrong, and its bounds.
    pub fn check(&self) -> Result<(), String> {
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if !(SIDE_MIN..=SIDE_MAX).contains(&side) {
                return Err(format!("`{name}` is {side}: it must be from {SIDE_MIN} to {SIDE_MAX}"));
            }
        }
        for (name, share) in [("density", self.density), ("threshold", self.threshold)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("`{name}` is {share}: it must be from 0 to 1"));
            }
        }
        let weighs = self.kinds.iter().all(|weight| weight.is_finite() && *weight > 0.0);
        if !weighs || !(1..=KINDS_MAX).contains(&self.kinds.len()) {
            return Err(format!("`kinds` must be 1 to {KINDS_MAX} weights above 0, one for each kind"));
        }
        if self.steps_max == 0 {
            return Err("`steps_max` is 0: it must be at least 1".to_owned());
        }
        Ok(())
    }
}

impl Model {
    /// Settles the agents.
    ///
    /// # Errors
    /// Where the settings are wrong.
    pub fn new(settings: Settings, seed: u64) -> Result<Self, String> {
        settings.check()?;
        let mut chance = Chance::new(seed);
        let size = settings.width as usize * settings.height as usize;
        let total: f64 = settings.kinds.iter().sum();
        let mut cells = Vec::with_capacity(size);
        for _ in 0..size {
            let lived_in = chance.unit() < settings.density;
            cells.push(if lived_in { draw_kind(&settings.kinds, total, &mut chance) } else { EMPTY });
        }
        let places = |lived_in: bool| {
            let of_sort = (0_u32..).zip(&cells).filter(|(_, kind)| (**kind != EMPTY) == lived_in);
            of_sort.map(|(at, _)| at.to_le_bytes()).collect()
        };
        let (agents, empty) = (places(true), places(false));
        let mut model = Self::assemble(settings, chance, cells, agents, empty);
        let happy = model.agents.iter().filter(|at| !model.is_unhappy(place(**at))).count();
        model.happy = happy as u32;
        Ok(model)
    }

    /// Activates every agent once, in an order drawn anew, and returns how many moved. Allocates
    /// nothing.
    pub fn step(&mut self) -> u32 {
        let count = self.agents.len();
        let (mut happy, mut moved) = (0, 0);
        // On the stack it stays in registers.
        let mut chance = self.chance.clone();
        for turn in 0..count {
            // Drawing the next agent from those still to come is a shuffle done on the way.
            let drawn = turn + chance.below((count - turn) as u32) as usize;
            self.agents.swap(turn, drawn);
            let from = self.agents[turn];
            if !self.unhappy[usize::from(self.grid.surroundings(place(from)))] {
                happy += 1;
            } else if !self.empty.is_empty() {
                let chosen = chance.below(self.empty.len() as u32) as usize;
                let to = std::mem::replace(&mut self.empty[chosen], from);
                self.grid.relocate(place(from), place(to));
                self.agents[turn] = to;
                moved += 1;
            }
        }
        self.chance = chance;
        self.happy = happy;
        self.steps += 1;
        moved
    }

    /// Whether all are happy, or the steps are used up.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.all_happy() || self.steps >= self.settings.steps_max
    }

    /// Whether every agent was happy when last activated; before the first step, whether it is.
    #[must_use]
    pub fn all_happy(&self) -> bool {
        self.happy as usize == self.agents.len()
    }

    /// The share of agents that were happy when last activated, from 0 to 1; 1 without agents.
    #[must_use]
    pub fn happiness(&self) -> f64 {
        if self.agents.is_empty() { 1.0 } else { f64::from(self.happy) / self.agents.len() as f64 }
    }

    /// The index of segregation: the share of its own kind among an agent's neighbours, on average
    /// over the agents that have any; 0 where none has.
    #[must_use]
    pub fn similarity(&self) -> f64 {
        let (mut sum, mut counted) = (0, 0);
        for at in &self.agents {
            let mix = self.grid.surroundings(place(*at));
            sum += self.shares[usize::from(mix)];
            counted += u32::from(mix > 0);
        }
        if counted == 0 { 0.0 } else { f64::from(sum) / (f64::from(WHOLE) * f64::from(counted)) }
    }

    /// What it started from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many steps were made.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// How many agents there are.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// All cells, row after row: 0 is empty, the kinds are 1, 2, and so on.
    #[must_use]
    pub fn cells(&self) -> &[u8] {
        self.grid.cells()
    }

    /// Whether the agent of a lived-in cell is unhappy now.
    #[must_use]
    pub fn is_unhappy(&self, at: usize) -> bool {
        self.cells()[at] != EMPTY && self.unhappy[usize::from(self.grid.surroundings(at))]
    }

    fn assemble(
        settings: Settings,
        chance: Chance,
        cells: Vec<u8>,
        agents: Vec<Number>,
        empty: Vec<Number>,
    ) -> Self {
        let (width, height) = (settings.width as usize, settings.height as usize);
        let grid = Grid::new(width, height, cells);
        let (mut unhappy, mut shares) = ([0.0 < settings.threshold; MIXES], [0; MIXES]);
        for near in 1..=NEIGHBOURS as u8 {
            for alike in 0..=near {
                let at = usize::from(mix(near, alike));
                unhappy[at] = f64::from(alike) / f64::from(near) < settings.threshold;
                shares[at] = WHOLE / u32::from(near) * u32::from(alike);
            }
        }
        Self { settings, chance, grid, agents, empty, unhappy, shares, steps: 0, happy: 0 }
    }
}

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let saved = Saved {
            settings: Cow::Borrowed(&self.settings),
            chance: Cow::Borrowed(&self.chance),
            cells: Bytes(Cow::Borrowed(self.grid.cells())),
            agents: Numbers(Cow::Borrowed(&self.agents)),
            empty: Numbers(Cow::Borrowed(&self.empty)),
            steps: self.steps,
            happy: self.happy,
        };
        saved.serialize(serializer)
    }
}

/// What was saved may have been damaged since: a model that would reach beyond its grid is refused.
impl TryFrom<Saved<'static>> for Model {
    type Error = String;

    fn try_from(saved: Saved<'static>) -> Result<Self, String> {
        saved.settings.check()?;
        let size = saved.settings.width as usize * saved.settings.height as usize;
        let Saved { settings, chance, cells, agents, empty, steps, happy } = saved;
        let (cells, agents, empty) = (cells.0, agents.0, empty.0);
        if cells.len() != size || agents.len() + empty.len() != size {
            return Err(format!("a saved grid of other than {size} cells"));
        }
        if cells.iter().any(|kind| usize::from(*kind) > settings.kinds.len()) {
            return Err("a saved agent of no known kind".to_owned());
        }
        let lists = [(&agents, true), (&empty, false)];
        let mut seen = vec![false; size];
        for (at, lived_in) in
            lists.iter().flat_map(|(list, lived_in)| list.iter().map(|at| (place(*at), *lived_in)))
        {
            if at >= size || seen[at] || (cells[at] != EMPTY) != lived_in {
                return Err(format!("cell {at} of a saved grid is listed wrongly"));
            }
            seen[at] = true;
        }
        let mut model = Self::assemble(
            settings.into_owned(),
            chance.into_owned(),
            cells.into_owned(),
            agents.into_owned(),
            empty.into_owned(),
        );
        (model.steps, model.happy) = (steps, happy);
        Ok(model)
    }
}

/// The cell that a number stands for.
#[inline]
fn place(number: Number) -> usize {
    u32::from_le_bytes(number) as usize
}

/// A kind, as frequent as its weight says.
fn draw_kind(weights: &[f64], total: f64, chance: &mut Chance) -> u8 {
    let mut left = chance.unit() * total;
    let mut kind = 1;
    for weight in &weights[..weights.len() - 1] {
        if left < *weight {
            break;
        }
        left -= weight;
        kind += 1;
    }
    kind
}
